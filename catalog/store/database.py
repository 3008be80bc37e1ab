"""Open the catalog file: create, migrate, lock, read, write, close.

DuckDB lets one process write and none read meanwhile. So no connection lives longer than one block of code:
``with database.read()`` and ``with database.write()``, the second of which is one transaction. Whoever meets
another's lock waits and tries again.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb

from catalog.errors import CatalogError, CatalogLocked, CatalogTooNew, CatalogUnwritable, NotACatalog
from catalog.store.sql import columns_of, literal, quoted

__all__ = ["HEAD", "Database", "columns_of", "literal", "one_thread", "quiet", "quoted", "seal"]

HEAD = "0007"
"""The newest schema revision that this code knows; `migrations/versions` ends with it."""

_THREADS = os.cpu_count() or 1
_MEMORY_READING, _MEMORY_WRITING = f"{max(512, 128 * _THREADS)}MB", f"{max(400, 100 * _THREADS)}MB"
"""DuckDB's own; each of its threads needs some."""
_SLOWER_THAN_NOT = "compressed_materialization"
"""It packs texts into integers before a GROUP BY or a join, which hides from both that they are words of a dictionary:
these take 1.3 to 1.8 times as long with it, for sorting everything in nine tenths of the time."""
_ready: set[tuple[Path, int]] = set()
"""Catalogs, with their inode, whose schema this process has found or brought to `HEAD`."""
_in_process: defaultdict[Path, threading.RLock] = defaultdict(threading.RLock)


class _Locked(Exception):
    """Another connection holds the file; worth another try."""


class Database:
    """A catalog file.

    Parameters
    ----------
    path : path-like
        The file; `write` creates it where it is absent.
    wait : float, optional
        Seconds to wait for another process to let go of the file; ``MASTLAKE_WAIT``, or a minute.
    """

    def __init__(self, path: str | os.PathLike[str], wait: float | None = None) -> None:
        self.path = Path(path).absolute()
        self.wait = float(os.environ.get("MASTLAKE_WAIT", "60")) if wait is None else wait

    @contextmanager
    def read(self, sealed: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open for reading.

        Parameters
        ----------
        sealed : bool
            Let queries reach nothing but the catalog: no files, no network, no extensions, no settings.

        Raises
        ------
        CatalogError
            Where there is no catalog, it is not one, is too new, or stays locked.
        """
        if not self.path.exists():
            raise CatalogError(f"no catalog at {self.path}; make one with: mastlake harvest NAME --instrument ...")
        with _in_process[self.path]:
            self._bring_to_head()
            connection = self._open(read_only=True)
            try:
                if sealed:
                    seal(connection)
                yield connection
            finally:
                connection.close()

    @contextmanager
    def write(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open for writing, as one transaction: committed at the end of the block, or not at all.

        Raises
        ------
        CatalogError
            Where the file is not a catalog, is too new, stays locked, or cannot be written.
        """
        with _in_process[self.path]:
            self._bring_to_head()
            connection = self._open(read_only=False)
            try:
                with _disk_faults(self.path):
                    connection.execute("BEGIN TRANSACTION")
                    yield connection
                    connection.execute("COMMIT")
            finally:
                connection.close()  # without a COMMIT this rolls back

    @contextmanager
    def harvesting(self) -> Iterator[None]:
        """Keep other harvests of this catalog away; readers and syncs may come and go.

        Raises
        ------
        CatalogLocked
            If another harvest is under way.
        CatalogUnwritable
            If the folder cannot be written.
        """
        path = self.path.with_name(f"{self.path.name}.harvest")
        try:
            handle = path.open("a")
        except OSError as error:
            raise CatalogUnwritable(f"cannot write {path.parent}: {error.strerror}") from error
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise CatalogLocked(f"another harvest of {self.path} is under way; try again when it is done") from None
            try:
                yield
            finally:
                path.unlink(missing_ok=True)

    def columns(self, connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
        """Return the columns of a table or view, and their types, through a connection that `read` gave."""
        return columns_of(connection, table)

    def exists(self) -> bool:
        """Say whether there is a file to read."""
        return self.path.exists()

    def _bring_to_head(self) -> None:
        """Make or migrate what is not at `HEAD`; a process looks once at each file."""
        with suppress(FileNotFoundError):
            if (self.path, self.path.stat().st_ino) in _ready:
                return
        self._migrate()
        _ready.add((self.path, self.path.stat().st_ino))

    def _migrate(self) -> None:
        revision = self._revision() if self.path.exists() else None
        if revision == HEAD:
            return
        if revision is not None and revision > HEAD:
            raise CatalogTooNew(
                f"{self.path} was written by a newer mastlake (schema {revision}, this one knows {HEAD}); upgrade it"
            )
        self._open(read_only=False).close()  # waits for a lock, and tells faults apart
        from catalog.store.schema import migrate

        with _disk_faults(self.path):
            migrate(self.path)

    def _revision(self) -> str | None:
        connection = self._open(read_only=True)
        try:
            tables = {row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
            if "alembic_version" in tables:
                row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
                return str(row[0]) if row else None
            if tables:
                raise NotACatalog(
                    f"{self.path} is a DuckDB database, but not a mastlake catalog; choose another --catalog"
                )
            return None
        finally:
            connection.close()

    def _open(self, read_only: bool) -> duckdb.DuckDBPyConnection:
        with suppress(_Locked):
            return self._connect(read_only)
        return self._open_when_free(read_only)

    def _open_when_free(self, read_only: bool) -> duckdb.DuckDBPyConnection:
        from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

        attempts = Retrying(
            retry=retry_if_exception_type(_Locked),
            wait=wait_random_exponential(multiplier=0.02, max=0.5),
            stop=stop_after_delay(self.wait),
        )
        try:
            return attempts(self._connect, read_only)
        except RetryError as error:
            raise CatalogLocked(
                f"{self.path} is in use by {error.last_attempt.exception()}; try again when it is done"
            ) from None

    def _connect(self, read_only: bool) -> duckdb.DuckDBPyConnection:
        settings: dict[str, Any] = {
            "memory_limit": _MEMORY_READING if read_only else _MEMORY_WRITING,
            "temp_directory": f"{self.path}.tmp",
            "default_block_size": "65536",  # tables of 200 columns would take 200 larger ones for a few rows
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,  # a query sees tables, not the variables of the program
        }
        if read_only:
            settings["disabled_optimizers"] = _SLOWER_THAN_NOT
        try:
            connection = duckdb.connect(str(self.path), read_only=read_only, config=settings)
        except duckdb.Error as error:
            raise self._explain(error) from error
        quiet(connection)
        with suppress(duckdb.InvalidInputException):  # sealed already, and so set: the archive's times are UTC
            connection.execute("SET GLOBAL TimeZone = 'UTC'")
        return connection

    def _explain(self, error: duckdb.Error) -> Exception:
        """Tell the reasons apart that DuckDB gives as text."""
        text = str(error)
        if "Could not set lock" in text or "different configuration" in text:
            holder = text.partition("held in ")[2].partition(". See")[0]
            return _Locked(holder or "another connection of this process")
        if "not a valid DuckDB database" in text:
            return NotACatalog(f"{self.path} is not a DuckDB database; choose another --catalog")
        if "version number" in text or "newer version" in text.lower():
            return CatalogTooNew(f"{self.path} was written by a newer DuckDB; upgrade the duckdb package")
        if isinstance(error, duckdb.IOException):
            reason = text.splitlines()[0].removeprefix("IO Error: ")
            return CatalogUnwritable(f"cannot use {self.path}: {reason}")
        return error


def quiet(connection: duckdb.DuckDBPyConnection) -> None:
    """Draw no progress bar: DuckDB draws it on stdout, among the answers."""
    with suppress(duckdb.InvalidInputException):  # sealed already, or in a notebook that could not draw one
        connection.execute("SET enable_progress_bar = false")


def seal(connection: duckdb.DuckDBPyConnection) -> None:
    """Shut a connection off from files, network, extensions and settings; it cannot be undone."""
    row = connection.execute("SELECT current_setting('lock_configuration')").fetchone()
    if row == (True,):  # a block within another block shares its sealed connection
        return
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


@contextmanager
def one_thread(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let statements of the block run on one thread.

    Rows of 200 columns are laid down so: each thread that inserts keeps a stretch of 122,880 rows of its own in memory,
    some 260 MB, and writes it to disk and back where memory is short, which takes several times as long.

    A statement that fails leaves it at that: its transaction takes no other, whose error would be told in its place.
    """
    threads = connection.execute("SELECT current_setting('threads')").fetchone()
    connection.execute("SET threads = 1")
    yield
    connection.execute(f"SET threads = {threads[0] if threads else _THREADS}")


@contextmanager
def _disk_faults(path: Path) -> Iterator[None]:
    """Turn what a full or read-only disk does to a transaction into one clear line."""
    try:
        yield
    except (duckdb.IOException, duckdb.FatalException, duckdb.TransactionException) as error:
        text = str(error).splitlines()[0]
        if "No space left" in text or "disk full" in text.lower():
            raise CatalogUnwritable(
                f"no space left for {path}; nothing was changed, free some and run again"
            ) from error
        if isinstance(error, duckdb.IOException) or any(
            word in text for word in ("Could not write", "Permission denied")
        ):
            raise CatalogUnwritable(f"cannot write {path}: {text}; nothing was changed") from error
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise CatalogUnwritable(
                f"no space left for {path}; nothing was changed, free some and run again"
            ) from error
        raise
