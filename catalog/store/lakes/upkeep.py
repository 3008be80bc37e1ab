"""The upkeep of a lake: fewer and larger files of rows, and no files that nothing needs any more.

Each commit adds Parquet files, and a row that changes leaves its old one behind. mastlake keeps its own history in the
rows, so an old snapshot is of use only to a question that was asked before and still runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import duckdb

from catalog.errors import CatalogUnwritable, UsageError
from catalog.process.interrupts import held_back
from catalog.store.database import Database
from catalog.store.faults import in_steps, writing
from catalog.store.lakes.address import is_bucket
from catalog.store.lakes.lake import LAKE, Lake, data_of, is_file_of_a_lake, limit_row_groups
from catalog.store.sql import literal
from catalog.store.work import close
from catalog.text import harmless


@dataclass(frozen=True)
class Upkeep:
    """What upkeep did.

    Attributes
    ----------
    files_before, files_after : int
        How many files of rows the newest snapshot has.
    snapshots_expired : int
        Old snapshots that can no longer be asked.
    files_removed : int
        Files that no snapshot has any more, and those that a killed process left.
    """

    files_before: int
    files_after: int
    snapshots_expired: int
    files_removed: int


def keep_up(database: Database, reading_seconds: float) -> Upkeep:
    """Merge small files, expire old snapshots, and remove files that nothing needs; readers can go on meanwhile.

    Parameters
    ----------
    database : Database
        The lake.
    reading_seconds : float
        For how long a question may still run that was asked before; only what is older is removed.

    Raises
    ------
    UsageError
        If the catalog is one file, which needs no upkeep.
    CatalogError
        If the lake cannot be used.
    """
    engine = database.engine
    if not isinstance(engine, Lake):
        raise UsageError(f"{database.published_in or database.named} is no lake, and needs no upkeep")
    with database.read():
        pass  # it exists, and is at the newest schema
    before = f"older_than => now() - to_seconds({timedelta(seconds=reading_seconds).total_seconds()})"
    with database.alone(), database.turn(), in_steps(_KEPT), writing(database.at):
        database.release()
        connection = engine.open(database.path, read_only=False)
        try:
            if is_bucket(data_of(connection)):
                connection.execute("SET GLOBAL s3_url_compatibility_mode = false")  # upkeep lists what is in the bucket
            _refuse_others(connection, before)
            return _kept_up(connection, engine, before)
        finally:
            with held_back():
                close(connection)


_KEPT = "what upkeep did until then is kept"


def _kept_up(connection: duckdb.DuckDBPyConnection, engine: Lake, before: str) -> Upkeep:
    """Do each step of upkeep; each is a transaction of its own, or several."""
    lake = literal(LAKE)

    def called(call: str) -> int:
        engine.require_turn()
        return len(connection.execute(f"CALL {call}").fetchall())

    def files() -> int:
        row = connection.execute(f"SELECT sum(file_count) FROM ducklake_table_info({lake})").fetchone()
        return int(row[0] or 0) if row else 0

    first = files()
    limit_row_groups(connection)  # a lake of an older mastlake has no limit
    called(f"ducklake_rewrite_data_files({lake})")
    called(f"ducklake_merge_adjacent_files({lake})")
    expired = called(f"ducklake_expire_snapshots({lake}, {before})")
    removed = called(f"ducklake_cleanup_old_files({lake}, {before})")
    removed += called(f"ducklake_delete_orphaned_files({lake}, {before})")
    return Upkeep(first, files(), expired, removed)


def _refuse_others(connection: duckdb.DuckDBPyConnection, before: str) -> None:
    """Raise an error if there are files among the rows that no lake made; DuckLake would remove them as well."""
    left = connection.execute(f"CALL ducklake_delete_orphaned_files({literal(LAKE)}, {before}, dry_run => true)")
    paths = [str(path) for path, *_ in left.fetchall()]
    others = [path for path in paths if not is_file_of_a_lake(path.rpartition("/")[2])]
    if others:
        raise CatalogUnwritable(
            f"{harmless(others[0])} is no file of the lake, but lies among its rows; move it away, as upkeep removes "
            "all files there that the lake does not need; nothing was removed"
        )
