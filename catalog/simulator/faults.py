"""Faults on demand: a number of requests of one kind get a fault, and then all is well again."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

FAULTS = (
    "invoke_error",  # status ERROR, a time-out
    "invoke_500",
    "invoke_429",  # with Retry-After
    "invoke_503",  # with Retry-After
    "invoke_executing",  # status EXECUTING
    "invoke_html",  # an HTML page with status 200
    "invoke_cut",  # half the body, then the connection drops
    "invoke_slow",  # the answer comes in slow pieces
    "invoke_redirect",  # 307, to the same path
    "invoke_gzip",  # the answer is compressed
    "invoke_drip",  # a byte every 10 ms
    "count_refused",  # COUNT_BIG(*) is no valid column name
    "odd_cells",  # a number of the first row is NaN, which is no JSON
    "lost_and_doubled",  # one row is missing, another comes twice, and the paging block is right
    "stale_sizes",  # products without a checksum are listed with another size
    "lost_page",  # a third of the rows is missing, the paging block says otherwise
    "doubled_rows",  # some rows come twice
    "count_moves",  # COUNT_BIG(*) is one too high
    "file_503",  # with Retry-After
    "file_429",  # with Retry-After
    "file_cut",  # half the bytes, then the connection drops
    "file_corrupt",  # one byte flipped
    "file_redirect",  # 307, to the same path
    "file_html",  # an HTML page with status 200
    "file_slow",  # 1 kB per 50 ms
    "file_empty",  # status 200 and no bytes
    "file_wrong_range",  # a Range request is answered 206 with bytes of another version
)
"""The names of all faults."""


class Faults:
    """How many requests still get each fault. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: Counter[str] = Counter()

    def order(self, counts: Mapping[str, int]) -> None:
        """Set the counts of some faults; 0 cancels a fault.

        Raises
        ------
        ValueError
            If a name is not that of a fault.
        """
        unknown = set(counts) - set(FAULTS)
        if unknown:
            raise ValueError(f"no fault {', '.join(sorted(unknown))}; there are {', '.join(FAULTS)}")
        with self._lock:
            self._due.update({name: int(count) - self._due[name] for name, count in counts.items()})

    def take(self, name: str) -> bool:
        """Use up one count of a fault, and return whether there was one."""
        with self._lock:
            if self._due[name] <= 0:
                return False
            self._due[name] -= 1
            return True

    def due(self) -> dict[str, int]:
        """Return the faults that are still to come."""
        with self._lock:
            return {name: count for name, count in self._due.items() if count > 0}


class Stats:
    """Requests and bytes served so far, by name. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._open = 0

    def add(self, name: str, amount: int = 1) -> None:
        """Count something."""
        with self._lock:
            self._counts[name] += amount

    def begin(self) -> None:
        """Count a request that is being answered."""
        with self._lock:
            self._open += 1
            self._counts["most_at_once"] = max(self._counts["most_at_once"], self._open)

    def end(self) -> None:
        """Note that a request has been answered."""
        with self._lock:
            self._open -= 1

    def as_dict(self) -> dict[str, int]:
        """Return all counts."""
        with self._lock:
            return dict(self._counts)

    def reset(self) -> None:
        """Start again from zero."""
        with self._lock:
            self._counts.clear()
