"""FITS headers: every card of every HDU on this disk goes into the catalog."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from catalog.headers.events import (
    Event,
    FileMoved,
    FilesFound,
    FilesIndexed,
    FilesRead,
    FoldersWalked,
    IndexFailure,
    IndexReport,
    LinksLeftOut,
)  # fmt: skip

if TYPE_CHECKING:
    from catalog.headers.index import index_folders
    from catalog.headers.watch import watch_folders

__all__ = [
    "Event",
    "FileMoved",
    "FilesFound",
    "FilesIndexed",
    "FilesRead",
    "FoldersWalked",
    "IndexFailure",
    "IndexReport",
    "LinksLeftOut",
    "index_folders",
    "watch_folders",
]

_HOMES = {"index_folders": "catalog.headers.index", "watch_folders": "catalog.headers.watch"}


def __getattr__(name: str) -> Any:
    """Import the index only when it is asked for: processes that only read headers need no DuckDB."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
