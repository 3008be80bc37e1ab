"""What is a mission's own: the names by which the archive serves it, and the rules of its file names."""

from catalog.missions.jwst import JWST
from catalog.missions.mission import Cut, Mission

__all__ = ["JWST", "Cut", "Mission"]
