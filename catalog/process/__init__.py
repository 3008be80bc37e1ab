"""The running process: what it imports, how Ctrl-C reaches it, and how it ends."""
