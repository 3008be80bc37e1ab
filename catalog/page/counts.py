"""Counts of files that were made already, for as long as the catalog's file stays what it is."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from catalog.api.catalog import Catalog

_MOST = 256
_SECONDS = 60.0
"""What is exclusive now may be public in a while, without any change of the catalog."""
_kept: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()
_lock = threading.Lock()
Counted = TypeVar("Counted")


def counted_once(lake: Catalog, what: str, choice: Hashable, count: Callable[[], Counted]) -> Counted:
    """Return what was counted before of the same catalog, or count.

    Parameters
    ----------
    lake : Catalog
        The catalog; the inode, size and time of its file say whether it is the same.
    what : str
        The kind of count.
    choice : hashable
        Of which files.
    count : callable
        Counts.
    """
    about = lake.path.stat()
    key = (lake.path, about.st_ino, about.st_size, about.st_mtime_ns, what, choice)
    with _lock:
        made_at, found = _kept.get(key, (-_SECONDS, None))
        if made_at + _SECONDS > time.monotonic():
            _kept.move_to_end(key)
            return found  # type: ignore[no-any-return]
    found = count()
    with _lock:
        _kept[key] = (time.monotonic(), found)
        while len(_kept) > _MOST:
            _kept.popitem(last=False)
    return found
