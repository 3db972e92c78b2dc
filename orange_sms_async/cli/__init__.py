"""The command line of the package, for those who have installed its extra `cli`."""
