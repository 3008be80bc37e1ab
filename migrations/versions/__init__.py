"""Each revision has a file."""
