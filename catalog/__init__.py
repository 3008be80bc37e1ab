"""A local, queryable copy of what the JWST archive knows, and of what lies on your disk."""
