"""Let DuckDB work beside the thread that asked, so that Ctrl-C is heard, and memory that it takes is watched.

DuckDB counts most of its memory, and keeps to its limit. It does not count a single value, which a call like
``repeat('x', 2000000000)`` makes as large as the machine.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

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

    def work(call: Callable[..., T], *arguments: object) -> T:
        grown = _memory() + _MOST_BYTES
        running = _Running(call, arguments)
        running.thread.start()
        try:
            while not running.ended.wait(_LOOK_SECONDS):
                if _memory() > grown:
                    _stop(connection, running, 1, _TOO_LARGE)
                    raise CatalogError(_TOO_LARGE)
        except KeyboardInterrupt:
            _stop(connection, running, _INTERRUPTED, "interrupted")
            raise
        return running.result()

    yield work


class _Running(Generic[T]):
    """A call in a thread of its own; `concurrent.futures` has the same, and takes long to import."""

    def __init__(self, call: Callable[..., T], arguments: Sequence[object]) -> None:
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(call, arguments), daemon=True)
        self._returned: list[T] = []
        self._raised: BaseException | None = None

    def _run(self, call: Callable[..., T], arguments: Sequence[object]) -> None:
        try:
            self._returned.append(call(*arguments))
        except BaseException as error:
            self._raised = error
        finally:
            self.ended.set()

    def result(self) -> T:
        """Return what the call returned, or raise what it raised."""
        if self._raised is not None:
            try:
                raise self._raised
            finally:
                self._raised = None  # or the error and this object would keep each other, and the file open
        return self._returned[0]


def _stop(connection: duckdb.DuckDBPyConnection, running: _Running[Any], code: int, told: str) -> None:
    """Interrupt until the call ends: DuckDB forgets an interrupt that comes just before a statement starts."""
    began = time.monotonic()
    while not running.ended.is_set():
        with suppress(KeyboardInterrupt):  # a second Ctrl-C asks for what is being done
            connection.interrupt()
            running.ended.wait(_LOOK_SECONDS)
        if leaving.at_once is not None and (code == 1 or time.monotonic() - began > _UNHEARD_SECONDS):
            leaving.at_once(code, told)


def _memory() -> int:
    """Return how many bytes of memory the process has; where the system does not say, the most that it ever had."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
