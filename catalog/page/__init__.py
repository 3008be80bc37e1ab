"""A local, read-only page over the catalog: server-rendered, for one person's browser."""
