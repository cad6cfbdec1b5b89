"""The training loop and, one file each, the methods that run in it."""
