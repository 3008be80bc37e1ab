"""Publish a catalog for a group, and follow one: immutable files, one for each run, and a pointer to the newest.

Nobody who reads needs a lock, a server or a migration, and no reader keeps the writer of the working catalog waiting.
"""
