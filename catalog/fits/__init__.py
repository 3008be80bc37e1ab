"""FITS files as bytes: the positions of their headers, what the cards say, and faults of the structure."""
