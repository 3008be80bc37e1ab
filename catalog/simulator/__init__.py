"""An offline MAST over HTTP, for the demo, for classes and for tests."""
