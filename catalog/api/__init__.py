"""The catalog from Python: one class, whose methods the command line calls."""
