"""Bring catalogs with the schemas 0001 to 0011, which no release had, to the baseline in one step.

This step is frozen: it has its own SQL, and stored catalogs of these schemas test it. It changes tables in place, since
copying the largest would take long. Tables that depend on others are emptied; the migration fills them again.
"""

from __future__ import annotations

from collections.abc import Iterator

import duckdb

from .versions.r0012_baseline import TABLES, revision

REVISIONS = tuple(f"{number:04d}" for number in range(1, 12))
"""The schemas from which this step starts."""


def upgrade(connection: duckdb.DuckDBPyConnection, former: str) -> None:
    """Bring a catalog to the baseline.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection in a transaction that may write.
    former : str
        The catalog's revision; one of `REVISIONS`.
    """
    for statement in _statements(former):
        connection.execute(statement)
    connection.execute("UPDATE alembic_version SET version_num = ?", [revision])


def _statements(former: str) -> Iterator[str]:
    yield "DROP TABLE footprints"
    for table in TABLES:
        yield table.replace("CREATE TABLE ", "CREATE TABLE IF NOT EXISTS ")
    for table, columns in _COLUMNS.items():
        for column in columns:
            yield f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column}"
    for table in _OF_A_MISSION:
        yield f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS mission VARCHAR DEFAULT 'JWST'"
        yield f"ALTER TABLE {table} ALTER COLUMN mission SET NOT NULL"
    yield "ALTER TABLE card_value ALTER COLUMN card_id SET DATA TYPE BIGINT"
    yield "ALTER TABLE hdu_header ALTER COLUMN cards SET DATA TYPE BIGINT[]"
    yield "UPDATE file_version SET footprint = NULL WHERE footprint IS NOT NULL"
    if former < "0007":
        yield _FETCHED
        yield _FOLDERS
    if former < "0008":
        yield _CURSORS


_OF_A_MISSION = ("file_version", "observation_version", "product_version", "searches", "runs", "keywords")
_COLUMNS = {
    "file_version": ("footprint BIGINT", "odd_cells VARCHAR"),
    "observation_version": ("odd_cells VARCHAR",),
    "product_version": ("odd_cells VARCHAR",),
    "searches": ("edited_run INTEGER", "declared BOOLEAN"),
    "local_file_version": (
        "fetched_checksum VARCHAR",
        "fetched_size BIGINT",
        "fetched_mtime_ns BIGINT",
        "fetched_at TIMESTAMP",
        "fetched_run INTEGER",
        "trusted BOOLEAN",
        "ended VARCHAR",
    ),
}
_FETCHED = """
    UPDATE local_file_version AS l
    SET fetched_checksum = l.checksum, fetched_size = l.size, fetched_mtime_ns = l.mtime_ns, fetched_at = l.since_at,
        fetched_run = (SELECT max(run) FROM runs WHERE ended_at <= l.since_at)
    WHERE l.data_uri IS NOT NULL AND l.checksum IS NOT NULL
"""
"""Older catalogs kept the address of a fetched file, and its MD5 in another column."""
_FOLDERS = """
    INSERT INTO local_folder
    SELECT DISTINCT left(path, len(path) - len(filename) - 1), 0, 0 FROM local_file_version WHERE until_at IS NULL
"""
"""The state of these folders is not known, so the first look at the disk lists them."""
_CURSORS = """
    INSERT INTO search_cursor
    SELECT name, instrument, cursor_mjd FROM searches WHERE instrument IS NOT NULL AND cursor_mjd IS NOT NULL
"""
