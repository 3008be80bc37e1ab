"""The tables, views and macros of a catalog, and how an older catalog gets them."""
