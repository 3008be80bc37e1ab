"""Let DuckDB work beside the thread that asked, so that Ctrl-C is heard, and memory that it takes is watched.

DuckDB counts most of its memory, and keeps to its limit. It does not count a single value, which can become as large
as the machine's memory, and while it makes one it hears no interrupt. A command then leaves its process. A notebook's
process goes on: the call is abandoned, which is to say that it ends by itself later, and its connection with it.
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
from catalog.store.limits import why_to_stop
from catalog.store.memory import READING_MB

_MOST_BYTES = (READING_MB + 1024) << 20
"""How much one step of an answer may let the process grow: DuckDB's own limit, and what Arrow and Python make of it."""
_LOOK_SECONDS = 0.05
_UNHEARD_SECONDS = 2.0
_INTERRUPTED = 130
_NAME = "mastlake-question"
_TOO_LARGE = "the question makes a value too large for this machine's memory; ask for less, or in steps"
_abandoned: list[duckdb.DuckDBPyConnection] = []


class Work:
    """Runs DuckDB's calls on one connection, each in a thread of its own; made by `at_work`.

    Attributes
    ----------
    is_abandoned : bool
        Whether a call goes on that nobody waits for any more; what it works with must not be touched.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.is_abandoned = False
        self._connection = connection

    def __call__(self, call: Callable[..., Any], *arguments: object) -> Any:
        """Call a function in a thread, and return what it returns.

        Raises
        ------
        CatalogError
            Where the call takes more memory than it may, or longer than `catalog.store.limits` lets it.
        KeyboardInterrupt
            For Ctrl-C; the call has ended, or is abandoned.
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
        """Interrupt until the call ends: DuckDB forgets an interrupt that comes just before a statement starts."""
        began = time.monotonic()
        while not running.ended.is_set():
            with suppress(KeyboardInterrupt):  # a second Ctrl-C asks for what is being done
                self._connection.interrupt()
                running.ended.wait(_LOOK_SECONDS)
            if time.monotonic() - began > _UNHEARD_SECONDS or (leaving.at_once is not None and code == 1):
                if leaving.at_once is not None:
                    leaving.at_once(code, told)
                self.is_abandoned = running.abandon(self._connection)
                return


class _Running:
    """A call in a thread of its own; `concurrent.futures` has the same, and takes long to import.

    The thread is a daemon, so that the process need not wait for an abandoned call when it ends.
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
                left.close()

    def abandon(self, connection: duckdb.DuckDBPyConnection) -> bool:
        """Leave the connection to the thread, which closes it in the end; return False if that has ended."""
        with self._lock:
            if self.ended.is_set():
                return False
            self._left = connection
            _abandoned.append(connection)
            return True

    def result(self) -> Any:
        """Return what the call returned, or raise what it raised."""
        if self._raised is not None:
            try:
                raise self._raised
            finally:
                self._raised = None  # or the error and this object would keep each other, and the file open
        return self._returned.pop()


@contextmanager
def at_work(connection: duckdb.DuckDBPyConnection) -> Iterator[Work]:
    """Yield what runs DuckDB's calls on one connection in threads of their own."""
    yield Work(connection)


def close(connection: duckdb.DuckDBPyConnection) -> None:
    """Close a connection, unless it is busy with an abandoned call, which closes it."""
    if not any(one is connection for one in _abandoned):
        connection.close()


def _memory() -> int:
    """Return how many bytes of memory the process has; where the system does not say, the most that it ever had."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
