"""The only room that talks to MAST."""
