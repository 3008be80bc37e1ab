"""FITS headers: every card of every HDU on this disk, in the catalog."""

from typing import TYPE_CHECKING, Any

from catalog.headers.events import Event, Failure, FileMoved, FilesIndexed, FoldersWalked, IndexReport

if TYPE_CHECKING:
    from catalog.headers.index import index_folders

__all__ = ["Event", "Failure", "FileMoved", "FilesIndexed", "FoldersWalked", "IndexReport", "index_folders"]


def __getattr__(name: str) -> Any:
    """Import the index when it is asked for: the processes that only read headers do without DuckDB."""
    if name == "index_folders":
        from catalog.headers.index import index_folders

        return index_folders
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
