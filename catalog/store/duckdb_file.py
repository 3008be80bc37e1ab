"""The engine of a catalog that is one DuckDB file: one process writes it, or many read it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from catalog.errors import CatalogError, CatalogLocked, CatalogUnwritable, NotACatalog, UsageError
from catalog.process.interrupts import held_back
from catalog.store.addresses import log_of, make_room, odd_logs, tidy
from catalog.store.engine import Comment, Dialect, Engine, Keeps
from catalog.store.faults import explain, interruptible
from catalog.store.memory import READING_MB, THREADS, WRITING_MB
from catalog.store.queue import Queue
from catalog.store.sql import literal, quoted
from catalog.store.turns import LockWait, held

_SLOWER_THAN_NOT = "compressed_materialization"
"""DuckDB packs texts into integers before a GROUP BY or a join, and then no longer sees that the texts come from a
dictionary. Grouping and joining take 1.3 to 1.8 times as long with it; sorting everything takes nine tenths."""


@dataclass(frozen=True)
class DuckDBFile:
    """A catalog as a DuckDB file; see `catalog.store.engine.Engine`."""

    name: str = "duckdb"
    types: frozenset[str] = frozenset({"VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN", "TIMESTAMP"})
    commented: frozenset[str] = frozenset({"TABLE", "VIEW", "COLUMN", "MACRO", "MACRO TABLE"})
    readers_make_room: bool = True
    waits_for_server: bool = False
    numbers_rows: bool = True
    row_type: str = "BIGINT"

    def named(self, path: Path) -> str:
        """Return the path."""
        return str(path)

    def open(self, path: Path, read_only: bool) -> duckdb.DuckDBPyConnection:
        """Open a catalog file once, without waiting.

        Raises
        ------
        Locked
            If another connection has it.
        CatalogError
            If it cannot be opened at all.
        """
        settings: dict[str, Any] = {
            "memory_limit": f"{READING_MB if read_only else WRITING_MB}MB",
            "temp_directory": f"{path}.tmp",
            "default_block_size": "65536",  # larger blocks: a table of 200 columns takes 200 of them for a few rows
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,  # a query sees tables, and not the variables of this program
        }
        if read_only:
            settings["disabled_optimizers"] = _SLOWER_THAN_NOT
        try:
            if not read_only:
                make_room(path)
            connection = duckdb.connect(os.fspath(path), read_only=read_only, config=settings)
        except duckdb.Error as error:
            raise explain(error, path) from error
        quiet(connection)
        with (
            interruptible(),
            suppress(duckdb.InvalidInputException),
        ):  # the connection is sealed already, and the setting made
            connection.execute("SET GLOBAL TimeZone = 'UTC'")  # the archive's times
            if beside := odd_logs(path):
                connection.execute(
                    f"SET allowed_paths = [{', '.join(literal(os.fspath(path_beside)) for path_beside in beside)}]"
                )
            self.attach_others(connection)
            # This is no entry of the dictionary above, because it would then forbid temp_directory.
            connection.execute("SET enable_external_access = false")
        return connection

    def cursor(self, connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
        """Return one more connection to an open file."""
        return connection.cursor()

    def size(self, path: Path) -> int:
        """Return the size of the file, or 0 if it does not exist.

        Raises
        ------
        NotACatalog
            If the path is a folder, a pipe or a device; these are never opened.
        OSError
            If the folder cannot be entered.
        """
        return size_of(path)

    def identity(self, path: Path) -> Hashable:
        """Return the number of the file's inode."""
        return path.stat().st_ino

    def state(self, path: Path) -> Hashable:
        """Return the number of the file's inode: nobody can write the file while it is read."""
        return path.stat().st_ino

    def stamp(self, path: Path) -> bytes:
        """Return what changes with the file."""
        return stamp_of(path)

    def make(self, path: Path, fill: Callable[[duckdb.DuckDBPyConnection], None], keeps: Keeps | None = None) -> None:
        """Make a file beside its place, and move it there when it is complete: a full disk leaves nothing behind."""
        filled_beside(self, path, fill, keeps)

    def about_to_commit(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Do nothing."""

    def lock(self, path: Path, waiting: LockWait, holder: str, reads: bool = False) -> AbstractContextManager[None]:
        """Wait for the turn and keep it; see `catalog.store.queue`. Each ticket names its holder itself."""
        return queue_at(path).turn(waiting, reads)

    def harvest_lock(self, path: Path, waiting: LockWait, holder: str) -> AbstractContextManager[None]:
        """Keep other harvests away until the end of the block, by a file beside the catalog."""
        return held(path.with_name(f"{path.name}.harvest"), waiting, holder)

    def attach_others(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Attach what is read together with the file, while the connection can still reach other files: nothing."""

    def is_locked(self, path: Path) -> bool:
        """Say whether any process writes, or waits to write."""
        return queue_at(path).has_writer()

    def seal(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Forbid every change of a setting from here on; this cannot be undone."""
        if _is_sealed(connection):  # a block inside a sealed block shares its connection
            return
        try:
            connection.execute("SET lock_configuration = true")
        except duckdb.InvalidInputException:  # another thread, which has the same file open, was quicker
            if not _is_sealed(connection):
                raise

    def row(self, relation: str, key: str) -> str:
        """Write the number of the row."""
        return f"{relation}.rowid"

    def widen(self, connection: duckdb.DuckDBPyConnection, table: str, column: str, kind: str) -> None:
        """Give a column a type that holds each of its values exactly."""
        name = quoted(column)
        connection.execute(f"ALTER TABLE {table} ALTER COLUMN {name} SET DATA TYPE {kind} USING CAST({name} AS {kind})")

    def comment(self, connection: duckdb.DuckDBPyConnection, comments: Iterable[Comment]) -> None:
        """Write the comments in one statement."""
        statements = [
            f"COMMENT ON {kind} {name} IS {literal(text)}" for kind, name, text in comments if kind in self.commented
        ]
        connection.execute(";".join(statements))


DUCKDB = DuckDBFile()


def dialect_of(connection: duckdb.DuckDBPyConnection) -> Dialect:
    """Return what the engine of the catalog that a connection uses does otherwise."""
    row = connection.execute("SELECT type FROM duckdb_databases() WHERE database_name = current_database()").fetchone()
    if row and row[0] == "ducklake":
        from catalog.store.lakes.dialect import LakeDialect

        return LakeDialect()
    return DUCKDB


def size_of(path: Path) -> int:
    """Return the size of a file, or 0 if it does not exist.

    Raises
    ------
    NotACatalog
        If the path is a folder, a pipe or a device; these are never opened.
    OSError
        If the folder cannot be entered.
    """
    try:
        about = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return 0
    if not stat.S_ISREG(about.st_mode):
        raise NotACatalog(f"{path} is no file; choose another --catalog")
    return about.st_size


def stamp_of(path: Path) -> bytes:
    """Return what tells one state of a file, with the log beside it, from its other states and from files elsewhere.

    It contains the time of the inode's last change, which no user can set.
    """
    stamp = _state_of(path.stat()) + os.fsencode(path.resolve())
    with suppress(FileNotFoundError, NotADirectoryError):
        stamp += b" " + _state_of(log_of(path).stat())
    return stamp


def _state_of(about: os.stat_result) -> bytes:
    return f"{about.st_dev} {about.st_ino} {about.st_size} {about.st_mtime_ns} {about.st_ctime_ns} ".encode()


def filled_beside(
    engine: Engine, path: Path, fill: Callable[[duckdb.DuckDBPyConnection], None], keeps: Keeps | None
) -> None:
    """Let a function fill a new database of an engine beside its place; see `catalog.store.engine.Engine.make`."""

    def made(partial: Path) -> None:
        with closing(opened_to_fill(engine, partial, os.path.lexists(partial))) as connection:
            fill(connection)

    made_beside(path, made, keeps)


def made_beside(path: Path, make: Callable[[Path], None], keeps: Keeps | None = None) -> None:
    """Let a function make a database beside its place, and move it there when it is complete.

    Parameters
    ----------
    path : Path
        The place.
    make : callable
        Makes the database at the path that it is given.
    keeps : callable, optional
        Whether to keep an unfinished database, and to go on with it; see `catalog.store.engine.Engine.make`.
    """
    partial = path.with_name(f".{path.name}.new")
    is_left = False
    try:
        if keeps is None:
            _remove(partial)
        was_there = os.path.lexists(partial)
        try:
            make(partial)
        except NotACatalog:
            if not was_there:
                raise
            _remove(partial)
            make(partial)
        partial.replace(path)
    except BaseException:
        is_left = keeps is not None and keeps()
        raise
    finally:
        with held_back():
            tidy(partial)
            if not is_left:
                with suppress(OSError):
                    _remove(partial)


def opened_to_fill(engine: Engine, partial: Path, was_there: bool) -> duckdb.DuckDBPyConnection:
    """Open a new or an unfinished database for writing.

    Raises
    ------
    NotACatalog
        If there is an unfinished one that cannot be opened.
    """
    try:
        return engine.open(partial, read_only=False)
    except UsageError as error:
        if not was_there:
            raise
        raise UsageError(f"{error}; or remove {partial}, which a copy left that was cut off") from error
    except (CatalogError, duckdb.Error) as error:
        if not was_there or isinstance(error, CatalogLocked | CatalogUnwritable):
            raise
        raise NotACatalog(f"{engine.named(partial)} is unfinished, and cannot be opened; remove it") from error


def _remove(partial: Path) -> None:
    """Remove an unfinished database, with the logs of DuckDB and of SQLite."""
    for end in ("", ".wal", "-journal", "-wal", "-shm"):  # a log that was left would be taken for the next one's
        partial.with_name(f"{partial.name}{end}").unlink(missing_ok=True)


def queue_at(path: Path) -> Queue:
    """Return the queue at a catalog: one for all links to it."""
    at = Path(os.path.realpath(path))
    return Queue(at.with_name(f"{at.name}.queue"))


def quiet(connection: duckdb.DuckDBPyConnection) -> None:
    """Turn off what DuckDB shows by itself.

    It draws a progress bar on stdout, where the rows go. Among its settings it shows the proxy that the environment
    names, with a password that the address may have.
    """
    with suppress(duckdb.InvalidInputException):  # the connection is sealed, or a notebook could not draw a bar
        connection.execute("SET GLOBAL http_proxy = ''; SET enable_progress_bar = false")


def allow_memory(connection: duckdb.DuckDBPyConnection, memory: str) -> None:
    """Give the statements of a block more memory. In a sealed block they get no more, and use the disk sooner."""
    if not _is_sealed(connection):
        connection.execute(f"SET memory_limit = {literal(memory)}")


def _is_sealed(connection: duckdb.DuckDBPyConnection) -> bool:
    return connection.execute("SELECT current_setting('lock_configuration')").fetchone() == (True,)


@contextmanager
def one_thread(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let the statements of the block run on one thread; in a sealed block nothing is changed.

    This is for questions about a few thousand rows, where handing out work takes longer than the work. It is also for
    inserting rows of 200 columns. Each thread that inserts keeps a row group of its own in memory (122,880
    rows, some 260 MB). If memory is short, DuckDB writes row groups to disk and reads them back, which is several
    times slower.

    After a failure the setting stays: the aborted transaction rejects statements, and that error would hide the first.
    """
    if _is_sealed(connection):
        yield
        return
    threads = connection.execute("SELECT current_setting('threads')").fetchone()
    connection.execute("SET threads = 1")
    yield
    connection.execute(f"SET threads = {threads[0] if threads else THREADS}")
