"""The links between rows: from files to their observations, and the end of rows to which nothing links any more.

Every function runs in the caller's transaction.
"""

from __future__ import annotations

import duckdb

from catalog.store.history.merge import close_versions
from catalog.store.history.versions import FILES, OBSERVATIONS, PRODUCTS
from catalog.store.sql import columns_of


def note_reading_of_files(connection: duckdb.DuckDBPyConnection, run: int, parts: str | None) -> None:
    """Note which run read files, and through the keyword search of which instrument.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection after files were merged.
    run : int
        The number of the run.
    parts : str, optional
        A relation of ``filename`` and ``instrument``; given if the search has several instruments.
    """
    if parts is not None:
        connection.execute(
            f"""UPDATE file_version SET instrument = p.instrument FROM {parts} p
                WHERE file_version.filename = p.filename AND file_version.since_run = ?""",
            [run],
        )
    connection.execute(
        """UPDATE file_version SET checked_run = ? WHERE until_run IS NULL
           AND filename IN (SELECT key FROM file_merge WHERE NOT fresh AND differing IS NULL)""",
        [run],
    )


def link_files(connection: duckdb.DuckDBPyConnection, run: int) -> None:
    """Keep the CAOM observation of each file. If it is another one than before, the file gets a new version."""
    files, products = columns_of(connection, "file_version"), columns_of(connection, "product_version")
    if "dataURI" not in files or "obs_id" not in products:
        return
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE linkable AS
            SELECT filename, dataURI, obs_id, since_run FROM file_version
            WHERE until_run IS NULL AND (filename IN (SELECT key FROM file_merge) OR dataURI IN (
                SELECT key FROM product_merge UNION ALL SELECT data_uri FROM product_version WHERE until_run = ?))""",
        [run],
    )
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE relinked AS
            SELECT f.filename, p.obs_id, f.since_run < ? AS anew FROM linkable f LEFT JOIN (
                SELECT data_uri, obs_id FROM product_version
                WHERE until_run IS NULL AND data_uri IN (SELECT dataURI FROM linkable)
            ) p ON p.data_uri = f.dataURI
            WHERE f.obs_id IS DISTINCT FROM p.obs_id""",
        [run],
    )
    connection.execute(
        """UPDATE file_version SET obs_id = r.obs_id FROM relinked r
           WHERE file_version.filename = r.filename AND until_run IS NULL AND since_run = ?""",
        [run],
    )
    if connection.execute("FROM relinked WHERE anew LIMIT 1").fetchone() is None:  # skip reading all columns
        return
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE linked_anew AS
            SELECT v.* REPLACE (r.obs_id AS obs_id, ? AS since_run) FROM file_version v
            JOIN relinked r USING (filename) WHERE v.until_run IS NULL AND r.anew""",
        [run],
    )
    connection.execute(
        """UPDATE file_version SET until_run = ?
           WHERE until_run IS NULL AND filename IN (SELECT filename FROM relinked WHERE anew)""",
        [run],
    )
    connection.execute("INSERT INTO file_version BY NAME SELECT * FROM linked_anew")


def close_unreached(
    connection: duckdb.DuckDBPyConnection, run: int, files: str, observations: str, products: str | None = None
) -> None:
    """Close the rows to which nothing links any more.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection after memberships were merged or closed.
    run : int
        The run from which on they are closed.
    files, observations : str
        Queries of the keys that the run read or unlinked; only these can have no link left.
    products : str, optional
        The same for products; those whose last observation is closed here are found without it.
    """
    reached = "SELECT filename FROM search_file_membership WHERE until_run IS NULL"
    close_versions(connection, FILES, run, files, reached)
    held = "SELECT obs_id FROM search_observation_membership WHERE until_run IS NULL"
    close_versions(connection, OBSERVATIONS, run, observations, held)
    connection.execute(
        f"""UPDATE observation_product_link SET until_run = ?
            WHERE until_run IS NULL AND obs_id IN (({observations}) EXCEPT {held})""",
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
