"""FITS headers: every card of every HDU on this disk, in the catalog."""

from catalog.headers.events import Event, Failure, FileMoved, FilesIndexed, FoldersWalked, IndexReport
from catalog.headers.index import index_folders

__all__ = ["Event", "Failure", "FileMoved", "FilesIndexed", "FoldersWalked", "IndexReport", "index_folders"]
