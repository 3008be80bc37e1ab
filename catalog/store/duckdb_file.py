"""The engine of a catalog that is one DuckDB file: one process writes it, or many read it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from catalog.store.addresses import make_room, odd_logs
from catalog.store.engine import Comment, Engine
from catalog.store.faults import explain
from catalog.store.memory import READING_MB, THREADS, WRITING_MB
from catalog.store.sql import literal, quoted
from catalog.store.turns import Waiting, held, is_held

_SLOWER_THAN_NOT = "compressed_materialization"
"""It packs texts into integers before a GROUP BY or a join, which hides from both that they are words of a dictionary:
these take 1.3 to 1.8 times as long with it, for sorting everything in nine tenths of the time."""


@dataclass(frozen=True)
class DuckDBFile:
    """A catalog as a DuckDB file; see `catalog.store.engine.Engine`."""

    name: str = "duckdb"
    types: frozenset[str] = frozenset({"VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN", "TIMESTAMP"})
    commented: frozenset[str] = frozenset({"TABLE", "VIEW", "COLUMN", "MACRO", "MACRO TABLE"})

    def open(self, path: Path, read_only: bool) -> duckdb.DuckDBPyConnection:
        """Open a catalog file once, without waiting.

        Raises
        ------
        Locked
            Where another connection has it.
        CatalogError
            Where it cannot be opened at all.
        """
        settings: dict[str, Any] = {
            "memory_limit": f"{READING_MB if read_only else WRITING_MB}MB",
            "temp_directory": f"{path}.tmp",
            "default_block_size": "65536",  # tables of 200 columns would take 200 larger ones for a few rows
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,  # a query sees tables, not the variables of the program
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
        with suppress(duckdb.InvalidInputException):  # sealed already, and so set
            connection.execute("SET GLOBAL TimeZone = 'UTC'")  # the archive's times
            if beside := odd_logs(path):
                connection.execute(f"SET allowed_paths = [{', '.join(literal(os.fspath(one)) for one in beside)}]")
            # As a setting above, it would forbid temp_directory.
            connection.execute("SET enable_external_access = false")
        return connection

    def lock(self, path: Path, waiting: Waiting, holder: str) -> AbstractContextManager[None]:
        """Hold the turn to write; see `catalog.store.turns`."""
        return held(_turns(path), waiting, holder)

    def is_locked(self, path: Path) -> bool:
        """Say whether anybody holds the turn to write."""
        return is_held(_turns(path))

    def seal(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Let no statement change a setting from here on; it cannot be undone."""
        if not _is_sealed(connection):  # a block within another block shares its sealed connection
            connection.execute("SET lock_configuration = true")

    def widen(self, connection: duckdb.DuckDBPyConnection, table: str, column: str, kind: str) -> None:
        """Give a column a type that holds each of its values exactly."""
        name = quoted(column)
        connection.execute(f"ALTER TABLE {table} ALTER COLUMN {name} SET DATA TYPE {kind} USING CAST({name} AS {kind})")

    def comment(self, connection: duckdb.DuckDBPyConnection, comments: Iterable[Comment]) -> None:
        """Write comments, all at once."""
        statements = [
            f"COMMENT ON {kind} {name} IS {literal(text)}" for kind, name, text in comments if kind in self.commented
        ]
        connection.execute(";".join(statements))


DUCKDB = DuckDBFile()
_ENGINES: dict[str, Engine] = {DUCKDB.name: DUCKDB}


def engine_of(connection: duckdb.DuckDBPyConnection) -> Engine:
    """Return the engine of the catalog that a connection uses."""
    row = connection.execute("SELECT type FROM duckdb_databases() WHERE database_name = current_database()").fetchone()
    return _ENGINES[str(row[0]) if row else DUCKDB.name]


def _turns(path: Path) -> Path:
    return path.with_name(f"{path.name}.writer")


def quiet(connection: duckdb.DuckDBPyConnection) -> None:
    """Draw no progress bar: DuckDB draws it on stdout, among the answers."""
    with suppress(duckdb.InvalidInputException):  # sealed already, or in a notebook that could not draw one
        connection.execute("SET enable_progress_bar = false")


def allow_memory(connection: duckdb.DuckDBPyConnection, memory: str) -> None:
    """Give the statements of a block more memory; within a sealed block, they go to the disk sooner instead."""
    if not _is_sealed(connection):
        connection.execute(f"SET memory_limit = {literal(memory)}")


def _is_sealed(connection: duckdb.DuckDBPyConnection) -> bool:
    return connection.execute("SELECT current_setting('lock_configuration')").fetchone() == (True,)


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
    connection.execute(f"SET threads = {threads[0] if threads else THREADS}")
