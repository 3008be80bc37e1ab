"""Counts of files that are kept as long as the catalog's file does not change."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from catalog.api.catalog import Catalog

_MOST = 256
_SECONDS = 60.0
"""The longest time, in seconds, that a count is kept: exclusive files may become public without any change."""
_kept: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()
_lock = threading.Lock()
Counted = TypeVar("Counted")


def counted_once(lake: Catalog, what: str, choice: Hashable, count: Callable[[], Counted]) -> Counted:
    """Return the count that was made before of the same catalog, or make it.

    Parameters
    ----------
    lake : Catalog
        The catalog; its mark tells whether it is the same.
    what : str
        The kind of count.
    choice : hashable
        The files that are counted.
    count : callable
        Makes the count.
    """
    key = (lake.mark, what, choice)
    with _lock:
        made_at, counted = _kept.get(key, (-_SECONDS, None))
        if made_at + _SECONDS > time.monotonic():
            _kept.move_to_end(key)
            return counted  # type: ignore[no-any-return]
    counted = count()
    with _lock:
        _kept[key] = (time.monotonic(), counted)
        while len(_kept) > _MOST:
            _kept.popitem(last=False)
    return counted
