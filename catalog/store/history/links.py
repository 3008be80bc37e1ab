"""The links between rows: from files to their observations, and the end of rows to which nothing links any more.

Every function runs in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from catalog.store.history.comparison import StagedColumn
from catalog.store.history.footprints import add_footprints
from catalog.store.history.merge import close_versions
from catalog.store.history.versions import FILES, OBSERVATIONS, PRODUCTS, Versions
from catalog.store.spool import Staged
from catalog.store.sql import columns_of


def place_files(
    connection: duckdb.DuckDBPyConnection, staged: Staged, columns: Sequence[StagedColumn], parts: str | None
) -> tuple[str, ...]:
    """Find observation, footprint and instrument of each file that `open_versions` is about to write.

    A file whose row has no footprint has that of its observation, as time series do.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection after files were compared, and after observations and products were merged and closed.
    staged : Staged
        The rows of the files.
    columns : sequence of StagedColumn
        Their columns.
    parts : str, optional
        A relation of ``filename`` and ``instrument``; given if the search has several instruments.

    Returns
    -------
    tuple of str
        The columns that the temporary table ``file_beside`` has now.
    """
    values = {column.name.lower(): f"CAST({column.value} AS VARCHAR)" for column in columns}
    uri, region = (values.get(name, "CAST(NULL AS VARCHAR)") for name in ("datauri", "s_region"))
    read = {"staged_row"} | {name for name in staged.columns if name.lower() in ("datauri", "s_region")}
    opened = "SELECT staged_row, key FROM file_merge WHERE fresh OR differing IS NOT NULL"
    if "s_region" in values:
        with staged.in_passing(connection, read):
            add_footprints(
                connection,
                f"SELECT {region} FROM {staged.relation} s SEMI JOIN ({opened}) USING (staged_row)",
            )
    instrument, of_part = "", ""
    if parts is not None:
        instrument, of_part = ", min(i.instrument) AS instrument", f"LEFT JOIN {parts} i ON i.filename = m.key"
    with staged.in_passing(connection, read):
        connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE file_beside AS
                SELECT m.staged_row, min(p.obs_id) AS obs_id, min(f.number) AS footprint{instrument}
                FROM {staged.relation} s JOIN ({opened}) m ON m.staged_row = s.staged_row
                LEFT JOIN ({_open(connection, PRODUCTS, "obs_id")}) p ON p.data_uri = {uri}
                LEFT JOIN ({_open(connection, OBSERVATIONS, "s_region")}) o ON o.obs_id = p.obs_id
                LEFT JOIN footprints f ON f.s_region = coalesce({region}, o.s_region)
                {of_part} GROUP BY m.staged_row"""
        )
    return ("obs_id", "footprint", *(("instrument",) if parts else ()))


def _open(connection: duckdb.DuckDBPyConnection, versions: Versions, column: str) -> str:
    """Write a query of the keys of open rows, each with one other column as text, if the archive has sent that."""
    sent = column in columns_of(connection, versions.table)
    value = f"CAST({column} AS VARCHAR)" if sent else "CAST(NULL AS VARCHAR)"
    return f"SELECT {versions.key}, {value} AS {column} FROM {versions.table} WHERE until_run IS NULL"


def link_files(connection: duckdb.DuckDBPyConnection, run: int) -> None:
    """Open a new version of each file whose CAOM observation is another one than before, though its row did not change.

    Files whose row did change are linked as they are written, see `place_files`.
    """
    files, products = columns_of(connection, "file_version"), columns_of(connection, "product_version")
    if "dataURI" not in files or "obs_id" not in products:
        return
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE linkable AS
            SELECT filename, dataURI, obs_id FROM file_version
            WHERE until_run IS NULL AND since_run < $run
              AND (filename IN (SELECT key FROM file_merge) OR dataURI IN (
                  SELECT key FROM product_merge
                  UNION ALL SELECT data_uri FROM product_version WHERE until_run = $run))""",
        {"run": run},
    )
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE relinked AS
            SELECT f.filename, p.obs_id FROM linkable f LEFT JOIN (
                SELECT data_uri, CAST(obs_id AS VARCHAR) AS obs_id FROM product_version
                WHERE until_run IS NULL AND data_uri IN (SELECT dataURI FROM linkable)
            ) p ON p.data_uri = f.dataURI
            WHERE f.obs_id IS DISTINCT FROM p.obs_id"""
    )
    if connection.execute("FROM relinked LIMIT 1").fetchone() is None:  # skip reading all columns
        return
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE linked_anew AS
            SELECT v.* REPLACE (r.obs_id AS obs_id, ? AS since_run) FROM file_version v
            JOIN relinked r USING (filename) WHERE v.until_run IS NULL""",
        [run],
    )
    connection.execute(
        "UPDATE file_version SET until_run = ? WHERE until_run IS NULL AND filename IN (SELECT filename FROM relinked)",
        [run],
    )
    connection.execute("INSERT INTO file_version BY NAME SELECT * FROM linked_anew")


def close_unreached(connection: duckdb.DuckDBPyConnection, run: int, files: str, observations: str) -> None:
    """Close the rows to which nothing links any more.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection after memberships were merged or closed.
    run : int
        The run from which on they are closed.
    files, observations : str
        Queries of the keys that the run read or unlinked; only these can have no link left.
    """
    close_files(connection, run, files)
    close_observations(connection, run, observations)


def close_files(connection: duckdb.DuckDBPyConnection, run: int, files: str) -> None:
    """Close the files to which no search leads any more; see `close_unreached`."""
    reached = "SELECT filename FROM search_file_membership WHERE until_run IS NULL"
    close_versions(connection, FILES, run, files, reached)


def close_observations(
    connection: duckdb.DuckDBPyConnection, run: int, observations: str, products: str | None = None
) -> None:
    """Close the observations to which no search leads any more, and the products that none of the others lists.

    See `close_unreached`; ``products`` is the same for products: those whose last observation is closed here are found
    without it.
    """
    held = "SELECT obs_id FROM search_observation_membership WHERE until_run IS NULL"
    close_versions(connection, OBSERVATIONS, run, observations, held)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE let_go AS ({observations}) EXCEPT {held}")
    if connection.execute("FROM let_go LIMIT 1").fetchone() is not None:
        connection.execute(
            "UPDATE observation_product_link SET until_run = ? WHERE until_run IS NULL AND obs_id IN (FROM let_go)",
            [run],
        )
    unlisted = f"SELECT data_uri FROM observation_product_link WHERE until_run = {int(run)}"
    doubtful = unlisted if products is None else f"{products} UNION ALL {unlisted}"
    listed = "SELECT data_uri FROM observation_product_link WHERE until_run IS NULL"
    close_versions(connection, PRODUCTS, run, doubtful, listed)


def close_memberships(connection: duckdb.DuckDBPyConnection, search: str, run: int) -> None:
    """Close the memberships of a search that is removed."""
    for table in _MEMBERSHIPS:
        connection.execute(f"UPDATE {table} SET until_run = ? WHERE search = ? AND until_run IS NULL", [run, search])


def rename_memberships(connection: duckdb.DuckDBPyConnection, name: str, new: str) -> None:
    """Give the memberships of a search its new name, also in the history."""
    for table in _MEMBERSHIPS:
        connection.execute(f"UPDATE {table} SET search = ? WHERE search = ?", [new, name])


_MEMBERSHIPS = ("search_file_membership", "search_observation_membership")
