"""Copy a catalog into a new file, without what belongs to the machine and the person that made it.

The rows are written anew. A file from which rows were only deleted would still have their bytes in its free blocks.
"""

from __future__ import annotations

import os
import shutil
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb

from catalog.errors import CatalogError, CatalogLocked
from catalog.store.copies.patched_copy import patch
from catalog.store.copies.whole_copy import copy_tables
from catalog.store.database import Database
from catalog.store.duckdb_file import DUCKDB, quiet
from catalog.store.faults import Locked, explain, writing
from catalog.store.memory import WRITING_MB
from catalog.store.proven import note_proof
from catalog.store.sql import literal, quoted

SHARED = frozenset(
    {
        "alembic_version", "searches", "search_cursor", "search_edit", "runs", "changes", "pending", "set_aside",
        "ingest_mark", "product_reading", "file_version", "observation_version", "product_version", "column_finding",
        "observation_product_link", "search_file_membership", "search_observation_membership", "footprints", "keywords",
    }
)  # fmt: skip
"""Tables whose rows are copied: what the archive said, and what was asked of it. All other tables stay empty."""
LOCAL = frozenset(
    {
        "local_file_version", "local_verdict", "local_folder", "card_label", "card_value", "hdu_header", "local_header",
        "keyword_difference", "header_finding", "association_member",
    }
)  # fmt: skip
"""Tables of one person's disk: paths, headers and verdicts. A new table must be named in this set or in `SHARED`."""


@dataclass(frozen=True)
class CopiedCatalog:
    """What a copy has.

    Attributes
    ----------
    storage : str
        The version of DuckDB's storage format, as DuckDB names it.
    rows : dict
        The number of rows of each table that was copied.
    is_patched : bool
        Whether it is an older copy with the differences.
    """

    storage: str
    rows: dict[str, int]
    is_patched: bool = False


def copy_shared(database: Database, to: Path, older: Path | None = None) -> CopiedCatalog:
    """Copy what a catalog shares into a new file, prove that the rows are the same, and write all of it to disk.

    No process can write the catalog meanwhile; others can read it.

    Parameters
    ----------
    database : Database
        The catalog; it is migrated before if it is of an older schema.
    to : Path
        The new file, which must not exist.
    older : Path, optional
        A copy of this catalog as it was. If few rows differ, the new file is this copy with the differences.

    Raises
    ------
    CatalogError
        If the catalog cannot be read, or the copy is not the same.
    """
    if database.engine.name == "ducklake":
        return _copied_from_lake(database, to)
    with database.read():
        pass  # the catalog exists, has the schema that this code knows, and its definitions are proven
    with database.alone(), writing(to):
        database.release()
        copied = _patched(database, to, older) if older is not None else None
        if copied is None:
            copied = _copied_anew(database, to)
    _synced(to)
    note_proof(to)  # its definitions are those of the catalog, which were proven above
    return copied


def _copied_anew(database: Database, to: Path) -> CopiedCatalog:
    connection = _with_both(database, to)
    try:
        connection.execute("COPY FROM DATABASE origin TO copy (SCHEMA)")
        for table in sorted(SHARED):
            connection.execute(f"INSERT INTO copy.{quoted(table)} FROM origin.{quoted(table)}")
        return _finished(connection)
    finally:
        connection.close()


def _patched(database: Database, to: Path, older: Path) -> CopiedCatalog | None:
    """Copy the bytes of an older copy, and change the rows that differ; return None if that is not possible."""
    _copy_bytes(older, to)
    connection = _with_both(database, to)
    try:
        if patch(connection, sorted(SHARED)):
            return replace(_finished(connection), is_patched=True)
    except CatalogError:
        pass  # rows that are there twice
    finally:
        connection.close()
    for path in (to, Path(f"{to}.wal")):
        path.unlink(missing_ok=True)
    return None


def _finished(connection: duckdb.DuckDBPyConnection) -> CopiedCatalog:
    """Write the copy down, and prove it."""
    connection.execute("CHECKPOINT copy")
    rows = {table: _proven(connection, table) for table in sorted(SHARED)}
    storage = connection.execute(
        "SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = 'copy'"
    ).fetchone()
    connection.execute("DETACH copy")
    return CopiedCatalog(str(storage[0]) if storage else "", rows)


def _copy_bytes(older: Path, to: Path) -> None:
    """Copy a file; a file system that can do so shares the blocks of both."""
    with older.open("rb") as source, to.open("wb") as target:
        try:
            while os.copy_file_range(source.fileno(), target.fileno(), 1 << 30):
                pass
        except (AttributeError, OSError):
            shutil.copyfile(older, to)


def _copied_from_lake(database: Database, to: Path) -> CopiedCatalog:
    """Copy what a lake shares into a new file; its metadata cannot be attached beside a file."""
    from catalog.store.schema.migrate import make_views, migrate

    rows: dict[str, int] = {}
    with database.read() as reading, writing(to), closing(DUCKDB.open(to, read_only=False)) as connection:
        migrate(connection.cursor())
        for copied in copy_tables(reading, connection, sorted(SHARED)):
            rows[copied.table] = copied.rows
        make_views(connection)
        connection.execute("CHECKPOINT")
        storage = connection.execute(
            "SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = current_database()"
        ).fetchone()
    _synced(to)
    note_proof(to)
    return CopiedCatalog(str(storage[0]) if storage else "", rows)


def _with_both(database: Database, to: Path) -> duckdb.DuckDBPyConnection:
    """Return a connection with both files attached; wait while another process writes the catalog."""
    waiting = database.waiting()
    while True:
        connection = duckdb.connect(config=_settings(to))
        quiet(connection)
        try:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(f"ATTACH {literal(os.fspath(database.path))} AS origin (READ_ONLY)")
            size = "" if to.exists() else " (BLOCK_SIZE 65536)"
            connection.execute(f"ATTACH {literal(os.fspath(to))} AS copy{size}")
        except duckdb.Error as error:
            connection.close()
            why = explain(error, database.path)
            if not isinstance(why, Locked):
                raise why from error
            if not waiting.pause(str(why)):
                raise CatalogLocked(f"{database.at} is in use by {why}; try again when it is done") from None
        else:
            return connection


def _settings(to: Path) -> dict[str, Any]:
    return {
        "memory_limit": f"{WRITING_MB}MB",
        "temp_directory": f"{to}.tmp",
        "preserve_insertion_order": True,  # rows are in an order that makes questions quick
        "threads": "1",  # each thread that inserts keeps a row group of its own in memory
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }


def _proven(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """Return how many rows a table has; the rows of both must have the same sum of hashes."""
    name = quoted(table)
    before, after = (
        connection.execute(f"SELECT count(*), sum(hash(row_of)) FROM {one}.{name} AS row_of").fetchone()
        for one in ("origin", "copy")
    )
    if before is None or before != after:
        raise CatalogError(f"the copy of {table} is not what the catalog has; check the disk and the memory")
    return int(before[0])


def _synced(path: Path) -> None:
    """Let the file's bytes reach the disk before anything names the file."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    with suppress(OSError):
        Path(f"{path}.tmp").rmdir()
