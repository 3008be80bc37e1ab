"""A catalog that stays open for reading from one block to the next, until it is let go of."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from catalog.store.database import Database
from catalog.store.faults import reading


class OpenBetween(Database):
    """A catalog of which several blocks of one task read in quick succession.

    To open and close a file of many columns takes longer than most of what a harvest asks of it. So the connection
    stays open after a block that read; temporary tables of one block are there in the next. It is closed by `release`,
    before this object writes, after a block that failed, and where another process waits to write.

    Whoever uses it calls `release` before each wait for something else than the catalog, from any thread.

    Parameters
    ----------
    database : Database
        The catalog. It is let go of itself, where it is kept open.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database.path, database.wait, database.tell, database.engine)
        self._database = database
        self._lock = threading.Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._readers = 0

    @contextmanager
    def read(self, sealed: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open for reading, or go on with what is open; see `Database.read`."""
        if sealed:
            self.release()
            with self._database.read(sealed) as connection:
                yield connection
            return
        with self._database.alone():
            if self.writer_waits and not self._is_within():
                self.release()
                self._let_writers_in()
            connection = self._entered()
            try:
                with self._within(), reading(self.path):
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
        """Let go of the file, unless a block reads it."""
        with self._lock:
            if self._connection is not None and not self._readers:
                self._connection.close()
                self._connection = None

    def _entered(self) -> duckdb.DuckDBPyConnection:
        with self._lock:
            if self._connection is None:
                self._must_exist()
                self._database.release()
                self._connection = self._opened()
            self._readers += 1
            return self._connection

    def _left(self) -> None:
        with self._lock:
            self._readers -= 1
