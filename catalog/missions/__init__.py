"""Facts about single missions: the names by which the archive serves them, and the rules of their file names."""

from catalog.missions.jwst import JWST
from catalog.missions.mission import Cut, Mission

__all__ = ["JWST", "Cut", "Mission"]
