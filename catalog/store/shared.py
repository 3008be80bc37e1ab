"""A catalog that several questions in quick succession read through one connection."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

import duckdb

from catalog.store.between import state_of
from catalog.store.database import Database, Tell
from catalog.store.duckdb_file import DUCKDB
from catalog.store.engine import Engine
from catalog.store.faults import reading
from catalog.store.work import close

_IDLE_SECONDS = 1.0
_LONGEST_SECONDS = 5.0
_TURN_SECONDS = 0.1
_LOOK_SECONDS = 0.1


class KeptOpen(Database):
    """A catalog file that stays open for sealed reading until a second has passed without a question.

    Opening a file with many columns takes longer than most questions, and closing it forgets what was read. But while
    it is open, no other process can write it. So it is closed when it is idle, before this object does anything else
    with it, and when another process waits to write: current questions are answered first, and new ones wait behind
    the writer. Other DuckDB clients cannot say that they wait; for them it is closed every few seconds.

    Parameters
    ----------
    path : path-like
        See `Database`.
    wait : float, optional
        See `Database`.
    tell : callable, optional
        See `Database`.
    engine : Engine
        See `Database`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        wait: float | None = None,
        tell: Tell | None = None,
        engine: Engine = DUCKDB,
    ) -> None:
        super().__init__(path, wait, tell, engine)
        self._lock = threading.RLock()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._state: Hashable = None
        self._users = 0
        self._opened_at = self._used_at = 0.0
        self._watched = False
        self._columns: dict[str, dict[str, str]] = {}

    @contextmanager
    def read(self, sealed: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open for reading, or use the connection that is already open; see `Database.read`."""
        if not sealed:
            self.release()
            with super().read() as connection:
                yield connection
            return
        if self.writer_waits:
            self.release()
        with self._admitted(), self._lock:
            cursor = self.engine.cursor(self._current())
            self._users += 1
        try:
            with self._noted_as_open(), reading(self.at):
                cursor.execute("BEGIN TRANSACTION")  # see `Database.read`
                yield cursor
        finally:
            close(cursor)
            with self._lock:
                self._users -= 1
                self._used_at = time.monotonic()
                if self.writer_waits:
                    self.release()
                if not self._watched:
                    self._watched = True
                    threading.Thread(target=self._close_when_idle, daemon=True, name="mastlake-idle").start()

    @contextmanager
    def write(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open for writing, as one transaction; see `Database.write`."""
        self.release()
        with super().write() as connection:
            yield connection

    def columns(self, connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
        """Return the columns of a table or view; they cannot change while the file is open."""
        with self._lock:
            if self._connection is None:
                return super().columns(connection, table)
            if table not in self._columns:
                self._columns[table] = super().columns(connection, table)
            return self._columns[table]

    def release(self) -> None:
        """Close the file, unless a question is reading it."""
        with self._lock:
            if self._connection is not None and self._users == 0:
                self._connection.close()
                self._connection = None
                self._columns = {}

    def _current(self) -> duckdb.DuckDBPyConnection:
        """Return a connection to the file that has this path now."""
        if self._connection is not None and not self._users:
            if time.monotonic() - self._opened_at > _LONGEST_SECONDS:
                self.release()
                time.sleep(_TURN_SECONDS)
            elif (state := state_of(self)) is None or state != self._state:
                self.release()
        if self._connection is None:
            self._state = state_of(self)
            self._connection = self._sealed()
            self._opened_at = time.monotonic()
        return self._connection

    def _sealed(self) -> duckdb.DuckDBPyConnection:
        self._must_exist()
        connection = self._open_at_head()
        self.engine.seal(connection)
        return connection

    def _close_when_idle(self) -> None:
        """Close the file when no question has come for a while, or at once when another process waits to write."""
        while True:
            time.sleep(_LOOK_SECONDS)
            with self._lock:
                idle = time.monotonic() - self._used_at > _IDLE_SECONDS
                if self._users == 0 and (idle or self.writer_waits):
                    self.release()
                if self._connection is None:
                    self._watched = False
                    return
