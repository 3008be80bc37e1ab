"""The only room that sends searches to MAST."""
