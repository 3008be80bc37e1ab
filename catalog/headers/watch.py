"""Watch folders while a sync or a pipeline fills them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from catalog.errors import CatalogLocked, DiskError
from catalog.headers.events import IndexReport, OnEvent
from catalog.headers.index import index_folders
from catalog.headers.names import INDEXED_ENDINGS
from catalog.headers.walk import absolute
from catalog.store.database import Database

_LONGEST_WAIT = 10
"""How many quiet times to wait at most: a folder that is never quiet is indexed all the same."""


def watch_folders(
    database: Database,
    folders: Iterable[str | os.PathLike[str]],
    *,
    verify: bool = False,
    processes: int | None = None,
    on_event: OnEvent | None = None,
    quiet_seconds: float = 1.0,
    stop: threading.Event | None = None,
) -> Iterator[IndexReport]:
    """Index folders, and index them again whenever something in them changes; yield each result.

    Only folders in which something changed are looked at again. If another process holds the catalog for longer than
    `Database.wait`, the changes are written with the next change, or a little later.

    Parameters
    ----------
    database, folders, verify, processes, on_event
        As for `index_folders`.
    quiet_seconds : float
        Wait until nothing has changed for so many seconds, but at most ten times as long.
    stop : threading.Event, optional
        Ends the watch when it is set.

    Raises
    ------
    DiskError
        If a folder does not exist or cannot be read.
    CatalogError
        If the catalog cannot be used.
    """
    from watchfiles import watch

    roots = [Path(absolute(folder)) for folder in folders]
    for root in roots:
        if not root.exists():
            raise DiskError(f"no such folder: {root}")
    quiet = int(1000 * quiet_seconds)
    pending = set(roots)
    for changes in watch(
        *roots,
        watch_filter=lambda _, path: is_of_interest(path),
        debounce=_LONGEST_WAIT * quiet,
        step=quiet,
        rust_timeout=max(quiet // 2, 50),
        yield_on_timeout=True,  # so the first index begins with the watch, and no change is lost in between
        stop_event=stop,
    ):
        pending |= {_nearest(Path(path), roots) for _, path in changes}
        there = sorted(path for path in pending if path.exists())
        if not there:
            continue
        try:
            report = index_folders(database, there, verify=verify, processes=processes, on_event=on_event)
        except CatalogLocked:
            continue
        pending = set()
        yield report


def is_of_interest(path: str) -> bool:
    """Say whether a change at a path may matter to the index: the path is a folder, or a file that it reads.

    Examples
    --------
    >>> is_of_interest("/data/jw01_x1d.fits"), is_of_interest("/data/new"), is_of_interest("/data/.x1d.fits.part")
    (True, True, False)
    """
    name = Path(path).name
    return name.lower().endswith(INDEXED_ENDINGS) or "." not in name


def _nearest(path: Path, roots: list[Path]) -> Path:
    """Return the folder of a change, or the nearest folder above it that still exists; for a root, the root itself."""
    if path in roots:
        return path
    folder = path if path.is_dir() else path.parent
    while not folder.exists() and folder not in roots:
        folder = folder.parent
    return folder
