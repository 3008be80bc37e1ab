"""A local, read-only web page over the catalog, made on the server for one person's browser."""
