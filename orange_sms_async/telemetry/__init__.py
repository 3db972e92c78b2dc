"""What a queue does, on the screens people already have; each imports its library when used."""
