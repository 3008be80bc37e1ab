"""The only room that opens the catalog file."""
