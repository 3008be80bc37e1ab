"""The catalog from Python: one class; the command line calls its methods."""
