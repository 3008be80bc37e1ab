"""Copy the rows of a catalog into a new catalog of any engine, and prove that they are the same."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import duckdb
import pyarrow as pa

from catalog.errors import CatalogError, NotACatalog, UsageError
from catalog.store.database import Database
from catalog.store.duckdb_file import one_thread
from catalog.store.faults import is_of_disk, writing
from catalog.store.proven import FOLLOWING
from catalog.store.revision import HEAD
from catalog.store.spool import few_at_a_time
from catalog.store.sql import columns_of, quoted, tables_of
from catalog.store.work import ending
from catalog.text import harmless

OnRows = Callable[[str, int, int], None]
"""Gets the name of a table, how many of its rows are copied, and how many it has; first with 0, before it is copied."""

_ROWS_AT_ONCE = 8192
_MADE = frozenset({"alembic_version", "keywords"})
"""Tables that have rows in each new catalog."""


@dataclass(frozen=True)
class CopiedTable:
    """A table that was copied and proven.

    Attributes
    ----------
    table : str
        Its name.
    rows : int
        The number of its rows, in both catalogs.
    checksum : str
        The sum of the hashes of its rows, in both catalogs.
    resumed : bool
        Whether an earlier copy that was cut off had copied it.
    """

    table: str
    rows: int
    checksum: str
    resumed: bool = False


def copy_catalog(source: Database, target: Database, on_rows: OnRows | None = None) -> list[CopiedTable]:
    """Copy a catalog with all its history to a place where there is none.

    The new catalog appears when all of it is there and proven. A copy that is cut off leaves no catalog. The next one
    goes on after the tables that have the rows of the source already.

    Parameters
    ----------
    source : Database
        The catalog; nobody can write it meanwhile, unless it is a lake whose readers make no room.
    target : Database
        The new catalog.
    on_rows : callable, optional
        See `OnRows`.

    Raises
    ------
    UsageError
        If there is a catalog at the new place.
    CatalogError
        If the source cannot be read, or the copy is not the same.
    """
    if target.exists():
        raise UsageError(f"there is a catalog at {target.named}; name another place")
    copied: list[CopiedTable] = []
    is_full = False
    with source.read() as reading, target.alone(), target.turn(), writing(target.at):

        def fill(connection: duckdb.DuckDBPyConnection) -> None:
            nonlocal is_full
            try:
                _fill(source, reading, target, connection, copied, on_rows)
            except duckdb.Error as error:
                is_full = is_of_disk(error)
                raise

        def is_of_use() -> bool:
            return not is_full and any(table.rows for table in copied if table.table not in _MADE)

        if target.exists():
            raise UsageError(f"there is a catalog at {target.named}; name another place")
        target.engine.make(Path(os.path.realpath(target.path)), fill, is_of_use)
    return copied


def _fill(
    source: Database,
    reading: duckdb.DuckDBPyConnection,
    target: Database,
    connection: duckdb.DuckDBPyConnection,
    copied: list[CopiedTable],
    on_rows: OnRows | None,
) -> None:
    """Copy through a connection to the new catalog, and close it; `copied` has the tables that are done."""
    from catalog.store.schema.migrate import make_views, migrate

    with ending(connection):
        if is_begun := bool(tables_of(connection)):
            _require_begun(connection)
        else:
            migrate(target.engine.cursor(connection))
        tables = sorted(tables_of(connection))
        _tell_of_others(source, tables_of(reading).difference(tables))
        copied.clear()
        for table in tables:
            copied += copy_tables(reading, connection, [table], on_rows, resumes=is_begun)
        connection.execute("BEGIN TRANSACTION")  # a lake would take a snapshot for each view
        make_views(connection)
        connection.execute("COMMIT")


def _tell_of_others(source: Database, others: set[str]) -> None:
    if source.tell is not None and (names := sorted(others - {FOLLOWING})):
        source.tell(f"not copied: {harmless(', '.join(names))}, which mastlake did not make")


def _require_begun(connection: duckdb.DuckDBPyConnection) -> None:
    """Refuse an unfinished catalog with other tables than a new one has."""
    with suppress(duckdb.CatalogException, duckdb.BinderException):
        if connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]:
            return
    raise NotACatalog("what a copy left that was cut off has another schema")


def copy_tables(
    source: duckdb.DuckDBPyConnection,
    target: duckdb.DuckDBPyConnection,
    tables: Iterable[str],
    on_rows: OnRows | None = None,
    resumes: bool = False,
) -> list[CopiedTable]:
    """Copy tables into a new catalog that has the fixed columns of them, each in a transaction of its own.

    Parameters
    ----------
    source, target : duckdb.DuckDBPyConnection
        Connections to both catalogs.
    tables : iterable of str
        The tables.
    on_rows : callable, optional
        See `OnRows`.
    resumes : bool
        Whether to leave tables alone that have the rows of the source already.

    Raises
    ------
    CatalogError
        If the rows or columns of both are not the same.
    """
    copied = []
    with one_thread(source), one_thread(target):  # rows are in an order that makes questions quick
        for table in tables:
            before = _sum(source, table)
            if resumes and columns_of(source, table) == columns_of(target, table) and before == _sum(target, table):
                copied.append(replace(before, resumed=before.rows > 0))
                continue
            if on_rows is not None:
                on_rows(table, 0, before.rows)
            target.execute("BEGIN TRANSACTION")
            _copy(source, target, None if on_rows is None else partial(_counted, before, on_rows), table)
            target.execute("COMMIT")
            if before != _sum(target, table):
                raise CatalogError(f"the copy of {table} is not what the catalog has; check the disk and the memory")
            copied.append(before)
    return copied


def _copy(
    source: duckdb.DuckDBPyConnection,
    target: duckdb.DuckDBPyConnection,
    counted: Callable[[pa.RecordBatchReader], Iterator[pa.RecordBatch]] | None,
    table: str,
) -> None:
    """Copy the columns and rows of a table; ``counted`` sees the rows pass."""
    name, wanted, have = quoted(table), columns_of(source, table), columns_of(target, table)
    for column, kind in wanted.items():
        if column not in have:
            target.execute(f"ALTER TABLE {name} ADD COLUMN {quoted(column)} {kind}")
    if columns_of(target, table) != wanted:
        raise NotACatalog(f"the columns of {table} cannot be copied; harvest into a new catalog")
    target.execute(f"DELETE FROM {name}")
    columns = ", ".join(quoted(column) for column in wanted)
    batches = source.execute(f"SELECT {columns} FROM {name}").to_arrow_reader(_ROWS_AT_ONCE)
    token = next(field.name for field in batches.schema if not pa.types.is_nested(field.type))
    passing = batches if counted is None else counted(batches)
    with few_at_a_time(passing, batches.schema, token) as rows:
        target.register("copied_rows", rows)
        target.execute(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM copied_rows")
        target.unregister("copied_rows")


def _counted(copied: CopiedTable, on_rows: OnRows, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    done = 0
    for batch in batches:
        yield batch
        if batch.num_rows:
            done += batch.num_rows
            on_rows(copied.table, done, copied.rows)


def _sum(connection: duckdb.DuckDBPyConnection, table: str) -> CopiedTable:
    columns = sorted(columns_of(connection, table))  # a catalog that was migrated can have them in another order
    hashed = f"hash({', '.join(map(quoted, columns))})"
    row = connection.execute(f"SELECT count(*), coalesce(sum({hashed}), 0) FROM {quoted(table)}").fetchone()
    assert row is not None
    return CopiedTable(table, int(row[0]), f"{int(row[1]):x}")
