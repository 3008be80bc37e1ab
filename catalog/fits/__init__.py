"""FITS files as bytes: where their headers stand, what the cards say, and what is wrong with the structure."""
