"""Questions to the catalog and to the disk. Nothing here changes the catalog."""
