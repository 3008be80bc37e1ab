"""A catalog that stays open for reading from one block of code to the next, until it is released."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

import duckdb

from catalog.store.database import Database
from catalog.store.faults import Locked, reading

_KEPT_SECONDS = 5.0
"""A server, or a network on the way to it, may cut a connection that is idle for long."""


class OpenBetween(Database):
    """A catalog from which several blocks of one task read in quick succession.

    Opening and closing a file with many columns takes longer than most of a harvest's queries. So the connection stays
    open after a block has read, and the next block still has the temporary tables. `release` closes the connection. It
    is also closed before this object writes, after a block that failed, and when another process waits to write.

    Callers must call `make_room` before they wait for anything but the catalog; any thread may call it. If readers of
    the catalog keep nobody from writing, it stays open then, for some seconds. Each block sees the newest rows of when
    it began.

    Parameters
    ----------
    database : Database
        The catalog. If this object keeps it open itself, it is released.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database.path, database.wait, database.tell, database.engine)
        self._database = database
        self._lock = threading.RLock()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._readers = 0
        self._state: Hashable = None
        self._used_at = 0.0

    @contextmanager
    def read(self, sealed: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open for reading, or use the connection that is already open; see `Database.read`."""
        if sealed:
            self.release()
            with self._database.read(sealed) as connection:
                yield connection
            return
        with self._database.alone():
            if self.writer_waits:
                self.release()
            connection = self._entered()
            try:
                with self._noted_as_open(), reading(self.at):
                    yield connection
            except BaseException:
                self._left()
                self.release()
                raise
            self._left()
            if self.writer_waits:
                self.release()

    @contextmanager
    def write(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open for writing, as one transaction; see `Database.write`."""
        self.release()
        with self._database.write() as connection:
            yield connection

    def release(self) -> None:
        """Close the connection, unless a block is reading."""
        with self._lock:
            if self._connection is not None and not self._readers:
                self._connection.close()
                self._connection = None

    def make_room(self) -> None:
        """Close the connection if others cannot write as long as it is open."""
        if self.engine.readers_make_room:
            self.release()

    def _entered(self) -> duckdb.DuckDBPyConnection:
        with self._lock:
            if self._connection is not None and not self._readers and not self._is_newest():
                self.release()
            if self._connection is None:
                self._must_exist()
                self._database.release()
                self._state = state_of(self)
                self._connection = self._open_at_head()
            self._readers += 1
            return self._connection

    def _left(self) -> None:
        with self._lock:
            self._readers -= 1
            self._used_at = time.monotonic()

    def _is_newest(self) -> bool:
        """Say whether the connection is as good as a new one would be."""
        if self.engine.readers_make_room:
            return True  # nobody could write
        if time.monotonic() - self._used_at > _KEPT_SECONDS:
            return False
        state = state_of(self)
        return state is not None and state == self._state


def state_of(database: Database) -> Hashable:
    """Return what changes when an open connection no longer sees the newest rows; None if that cannot be told now."""
    try:
        return database.engine.state(database.path) if database.exists() else None
    except Locked:  # a commit is under way
        return None
