"""Run DuckDB in a thread beside the one that asked, so that Ctrl-C is heard and memory can be watched.

DuckDB limits most of its memory, but not that of a single value. Such a value can become as large as the machine's
memory, and DuckDB hears no interrupt while it makes it. A command then ends its process. In a notebook the process must
go on, so the call is abandoned: it ends by itself later, and then its connection is closed.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb

from catalog.errors import CatalogError
from catalog.process import exit as leaving
from catalog.process.interrupts import held_back
from catalog.store.limits import why_to_stop
from catalog.store.memory import READING_MB

_MOST_BYTES = (READING_MB + 1024) << 20
"""How much the process may grow in one step of an answer: DuckDB's own limit, and the copies in Arrow and Python."""
_LOOK_SECONDS = 0.05
_UNHEARD_SECONDS = 2.0
_INTERRUPTED = 130
_NAME = "mastlake-question"
_TOO_LARGE = "the question makes a value too large for this machine's memory; ask for less, or in steps"
_abandoned: list[duckdb.DuckDBPyConnection] = []


class Work:
    """Runs DuckDB's calls on one connection, each in a thread of its own; `at_work` makes it.

    Attributes
    ----------
    is_abandoned : bool
        Whether a call still runs for which nobody waits any more. Its arguments must not be used again.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.is_abandoned = False
        self._connection = connection

    def __call__(self, call: Callable[..., Any], *arguments: object) -> Any:
        """Call a function in a thread, and return what it returns.

        Raises
        ------
        CatalogError
            If the call takes more memory than it may, or longer than `catalog.store.limits` allows.
        KeyboardInterrupt
            After Ctrl-C; the call has ended, or is abandoned.
        """
        grown = _memory() + _MOST_BYTES
        running = _Running(call, arguments)
        running.thread.start()
        try:
            while not running.ended.wait(_LOOK_SECONDS):
                if _memory() > grown:
                    self._stop(running, 1, _TOO_LARGE)
                    raise CatalogError(_TOO_LARGE)
                if (reason := why_to_stop()) is not None:
                    self._stop(running, _INTERRUPTED, str(reason))
                    raise reason
        except KeyboardInterrupt:
            self._stop(running, _INTERRUPTED, "interrupted")
            raise
        return running.result()

    def _stop(self, running: _Running, code: int, told: str) -> None:
        """Interrupt again and again until the call ends: DuckDB forgets an interrupt just before a statement starts."""
        began = time.monotonic()
        while not running.ended.is_set():
            with suppress(KeyboardInterrupt):  # a second Ctrl-C asks for nothing new
                self._connection.interrupt()
                running.ended.wait(_LOOK_SECONDS)
            if time.monotonic() - began > _UNHEARD_SECONDS or (leaving.at_once is not None and code == 1):
                if leaving.at_once is not None:
                    leaving.at_once(code, told)
                self.is_abandoned = running.abandon(self._connection)
                return


class _Running:
    """A call in a thread of its own. `concurrent.futures` could do this too, but takes long to import.

    The thread is a daemon, so the process does not wait for an abandoned call when it ends.
    """

    def __init__(self, call: Callable[..., Any], arguments: Sequence[object]) -> None:
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(call, arguments), daemon=True, name=_NAME)
        self._returned: list[Any] = []
        self._raised: BaseException | None = None
        self._lock = threading.Lock()
        self._left: duckdb.DuckDBPyConnection | None = None

    def _run(self, call: Callable[..., Any], arguments: Sequence[object]) -> None:
        try:
            self._returned.append(call(*arguments))
        except BaseException as error:
            self._raised = error
        finally:
            with self._lock:
                self.ended.set()
                left = self._left
            if left is not None:
                _abandoned.remove(left)
                end(left)

    def abandon(self, connection: duckdb.DuckDBPyConnection) -> bool:
        """Let the thread close the connection when its call ends; return False if the call has already ended."""
        with self._lock:
            if self.ended.is_set():
                return False
            self._left = connection
            _abandoned.append(connection)
            return True

    def result(self) -> Any:
        """Return what the call returned, or raise what the call raised."""
        if self._raised is not None:
            try:
                raise self._raised
            finally:
                self._raised = None  # else the error and this object keep each other alive, and the file open
        return self._returned.pop()


@contextmanager
def at_work(connection: duckdb.DuckDBPyConnection) -> Iterator[Work]:
    """Yield an object that runs DuckDB's calls on one connection in threads of their own."""
    yield Work(connection)


def close(connection: duckdb.DuckDBPyConnection) -> None:
    """End a connection. If an abandoned call still uses it, that call ends it later."""
    if not any(abandoned is connection for abandoned in _abandoned):
        end(connection)


def end(connection: duckdb.DuckDBPyConnection) -> None:
    """Roll back what was not committed, and close the connection.

    To close a connection also rolls back. But if a server has the metadata of a lake and is gone, DuckDB ends the
    process then, where it raises an error here.
    """
    with suppress(duckdb.Error):
        connection.execute("ROLLBACK")
    connection.close()


@contextmanager
def ending(connection: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection, and `end` it after the block."""
    try:
        yield connection
    finally:
        with held_back():
            end(connection)


def _memory() -> int:
    """Return how much memory the process has, in bytes; if the system does not tell, the most that it ever had."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
