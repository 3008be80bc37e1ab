"""``mastlake.toml``: what it can contain, and what a file that came with a folder may do."""
