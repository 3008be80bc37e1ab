"""``mastlake.toml``: what it may hold, and what a file that came with a folder may do."""
