"""Let DuckDB work beside the thread that asked, so that Ctrl-C is heard, and memory that it takes is watched.

DuckDB counts most of its memory, and keeps to its limit. It does not count a single value, which a call like
``repeat('x', 2000000000)`` makes as large as the machine.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from catalog.errors import CatalogError
from catalog.process import exit as leaving

T = TypeVar("T")
Work = Callable[..., Any]
"""Calls a function with arguments, in another thread, and returns what it returns."""

_MOST_BYTES = 2 << 30
"""How much one step of an answer may let the process grow; DuckDB's own limit comes to half of this, or less."""
_LOOK_SECONDS = 0.05
_UNHEARD_SECONDS = 2.0
_INTERRUPTED = 130
_TOO_LARGE = "the question makes a value too large for this machine's memory; ask for less, or in steps"


@contextmanager
def at_work(connection: duckdb.DuckDBPyConnection) -> Iterator[Work]:
    """Yield what runs DuckDB's calls on one connection in a thread of their own."""
    with ThreadPoolExecutor(1) as beside:

        def work(call: Callable[..., T], *arguments: object) -> T:
            grown = _memory() + _MOST_BYTES
            running = beside.submit(call, *arguments)
            try:
                while not wait([running], timeout=_LOOK_SECONDS).done:
                    if _memory() > grown:
                        _stop(connection, running, 1, _TOO_LARGE)
                        raise CatalogError(_TOO_LARGE)
                return running.result()
            except KeyboardInterrupt:
                _stop(connection, running, _INTERRUPTED, "interrupted")
                raise

        yield work


def _stop(connection: duckdb.DuckDBPyConnection, running: Future[Any], code: int, told: str) -> None:
    """Interrupt until the call ends: DuckDB forgets an interrupt that comes just before a statement starts."""
    began = time.monotonic()
    while not running.done():
        with suppress(KeyboardInterrupt):  # a second Ctrl-C asks for what is being done
            connection.interrupt()
            wait([running], timeout=_LOOK_SECONDS)
        if leaving.at_once is not None and (code == 1 or time.monotonic() - began > _UNHEARD_SECONDS):
            leaving.at_once(code, told)


def _memory() -> int:
    """Return how many bytes of memory the process has; where the system does not say, the most that it ever had."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
