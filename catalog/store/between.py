"""A catalog that stays open for reading from one block of code to the next, until it is released."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from catalog.store.database import Database
from catalog.store.faults import reading


class OpenBetween(Database):
    """A catalog from which several blocks of one task read in quick succession.

    Opening and closing a file with many columns takes longer than most of a harvest's queries. So the connection stays
    open after a block has read, and the next block still has the temporary tables. `release` closes the connection. It
    is also closed before this object writes, after a block that failed, and when another process waits to write.

    Callers must call `release` before they wait for anything but the catalog; any thread may call it.

    Parameters
    ----------
    database : Database
        The catalog. If this object keeps it open itself, it is released.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database.path, database.wait, database.tell, database.engine)
        self._database = database
        self._lock = threading.Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._readers = 0

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

    def _entered(self) -> duckdb.DuckDBPyConnection:
        with self._lock:
            if self._connection is None:
                self._must_exist()
                self._database.release()
                self._connection = self._open_at_head()
            self._readers += 1
            return self._connection

    def _left(self) -> None:
        with self._lock:
            self._readers -= 1
