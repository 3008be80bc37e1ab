"""Copies of a catalog: whole, without what is a person's own, or brought up to date block by block."""
