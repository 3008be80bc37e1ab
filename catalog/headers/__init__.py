"""FITS headers of local files, every card of every HDU."""
