"""Shows what a queue does in monitoring tools. Each module imports its library when used."""
