"""The version of this package; it is stated here only."""

__version__ = "0.1.0"
