"""Merge rows into versions: new, changed, withdrawn, returned.

Three tables hold versions of rows that the archive sent (`Versions`), and three hold links (`Links`). Both kinds are
merged in the same way: a row that is no longer there is closed, a new row is opened, and nothing is deleted.

Every function runs in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from catalog.store.duckdb_file import one_thread
from catalog.store.history.comparison import Comparison, compare_versions
from catalog.store.history.footprints import note_footprints
from catalog.store.history.versions import Versions
from catalog.store.spool import Staged
from catalog.store.sql import quoted


def merge_versions(
    connection: duckdb.DuckDBPyConnection,
    versions: Versions,
    staged: Staged,
    run: int,
    constants: dict[str, object],
) -> bool:
    """Compare rows with the open versions, and open versions for those that differ.

    See `compare_versions` and `open_versions`, whose parameters these are.

    Returns
    -------
    bool
        Whether the table got or changed columns; then the views must be made again.
    """
    compared = compare_versions(connection, versions, staged, run)
    close_replaced(connection, versions, run)
    open_versions(connection, versions, staged, compared, run, constants)
    if compared.opens:
        note_footprints(connection, versions.table, run)
    return compared.grown


def open_versions(
    connection: duckdb.DuckDBPyConnection,
    versions: Versions,
    staged: Staged,
    compared: Comparison,
    run: int,
    constants: dict[str, object],
    beside: Sequence[str] = (),
) -> None:
    """Open a version for each staged row that is new or differs, after `close_replaced` closed the one before.

    Each row is written once, with all of its columns: a lake writes a row anew for each column that it gets later.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection in a transaction.
    versions : Versions
        The table to merge into.
    staged : Staged
        The rows.
    compared : Comparison
        What `compare_versions` returned for these rows.
    run : int
        The run from which on the versions count.
    constants : dict
        Values of the table's extra columns, which are the same for all rows.
    beside : sequence of str
        Columns of the catalog's own whose values are in the temporary table ``{what}_beside``, by ``staged_row``.
    """
    if not compared.opens:
        return
    table, what = versions.table, versions.what
    joined = f"LEFT JOIN {what}_beside USING (staged_row)" if beside else ""
    rows_to_open = connection.execute(
        f"""SELECT staged_row, row_hash AS staged_hash{"".join(f", {own} AS staged_{own}" for own in beside)}
            FROM {what}_merge {joined} WHERE fresh OR differing IS NOT NULL ORDER BY staged_row"""
    ).to_arrow_table()
    alike = [name for name in versions.extra if name not in beside]
    names = ", ".join([*(quoted(column.name) for column in compared.columns), *beside, *alike])
    values = ", ".join([*(column.value for column in compared.columns), *(f"staged_{own}" for own in beside)])
    marks = "".join(", ?" for _ in alike)
    with staged.picked(connection, rows_to_open), one_thread(connection):
        connection.execute(
            f"""INSERT INTO {table} ({names}, row_hash, mission, since_run)
                SELECT {values}{marks}, staged_hash, ?, ? FROM picked s""",
            [*(constants[name] for name in alike), versions.mission, run],
        )


def close_replaced(
    connection: duckdb.DuckDBPyConnection, versions: Versions, run: int, read_again: str | None = None
) -> None:
    """Close each version that a staged row replaces, and note which run read the rows of the others again.

    One statement does both: in a lake, each statement reads the keys of all rows, and writes the rows that it changes
    anew with all of their columns.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection after `compare_versions`.
    versions : Versions
        The table.
    run : int
        The run from which on the versions are closed.
    read_again : str, optional
        The column that has the number of the run which last read the row.
    """
    found = connection.execute(
        f"SELECT DISTINCT differing IS NOT NULL FROM {versions.what}_merge WHERE NOT fresh"
    ).fetchall()
    closes, notes = (True,) in found, (False,) in found and read_again is not None
    changes = ["until_run = CASE WHEN m.differing IS NOT NULL THEN $run END"] if closes else []
    if notes:
        changes.append(f"{read_again} = CASE WHEN m.differing IS NULL THEN $run ELSE v.{read_again} END")
    if changes:
        connection.execute(
            f"""UPDATE {versions.table} v SET {", ".join(changes)} FROM {versions.what}_merge m
                WHERE {versions.is_open("v")} AND v.{versions.key} = m.key AND NOT m.fresh
                  AND {"true" if notes else "m.differing IS NOT NULL"}""",
            {"run": run},
        )


def close_versions(
    connection: duckdb.DuckDBPyConnection, versions: Versions, run: int, doubtful: str, reached: str
) -> None:
    """Close the open versions to which nothing links any more.

    Parameters
    ----------
    doubtful : str
        A query of the keys to which, after this run, perhaps nothing links.
    reached : str
        A query of the keys to which something links.
    """
    connection.execute(f"CREATE OR REPLACE TEMP TABLE doubtful AS SELECT DISTINCT key FROM ({doubtful}) AS d(key)")
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE unreached AS
            FROM doubtful EXCEPT SELECT key FROM ({reached}) AS r(key) WHERE key IN (FROM doubtful)"""
    )
    if connection.execute("FROM unreached LIMIT 1").fetchone() is None:
        return
    connection.execute(
        f"UPDATE {versions.table} SET until_run = ? WHERE {versions.is_open()} AND {versions.key} IN (FROM unreached)",
        [run],
    )


@dataclass(frozen=True)
class Links:
    """A table of links from one key to another.

    Attributes
    ----------
    table, left, right : str
        The name of the table and of its two columns.
    """

    table: str
    left: str
    right: str


SEARCH_FILES = Links("search_file_membership", "search", "filename")
SEARCH_OBSERVATIONS = Links("search_observation_membership", "search", "obs_id")
OBSERVATION_PRODUCTS = Links("observation_product_link", "obs_id", "data_uri")


def merge_links(connection: duckdb.DuckDBPyConnection, links: Links, now: str, scope: str, run: int) -> None:
    """Make ``now`` the open links within a scope.

    This leaves the temporary table ``{table}_merge``: left, right, kind (new, returned or withdrawn).

    Parameters
    ----------
    links : Links
        The table to merge into.
    now : str
        A query of the left and right keys that are linked now.
    scope : str
        A condition on the columns of the table. Links outside the scope stay as they are.
    run : int
        The run from which on the links count.
    """
    table, left, right = links.table, links.left, links.right
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE {table}_merge AS
            WITH now AS (
                SELECT DISTINCT CAST("left" AS VARCHAR) AS "left", CAST("right" AS VARCHAR) AS "right"
                FROM ({now}) AS n("left", "right")),
            held AS (SELECT {left} AS "left", {right} AS "right" FROM {table} WHERE until_run IS NULL AND ({scope})),
            ever AS (SELECT DISTINCT {left} AS "left", {right} AS "right" FROM {table} WHERE until_run IS NOT NULL)
            SELECT "left", "right", CASE WHEN e."left" IS NULL THEN 'new' ELSE 'returned' END AS kind
            FROM now ANTI JOIN held USING ("left", "right") LEFT JOIN ever e USING ("left", "right")
            UNION ALL SELECT "left", "right", 'withdrawn' FROM held ANTI JOIN now USING ("left", "right")"""
    )
    if connection.execute(f"FROM {table}_merge LIMIT 1").fetchone() is None:
        return
    if connection.execute(f"FROM {table}_merge WHERE kind = 'withdrawn' LIMIT 1").fetchone() is not None:
        connection.execute(
            f"""UPDATE {table} SET until_run = ? FROM {table}_merge m
                WHERE until_run IS NULL AND {left} = m."left" AND {right} = m."right" AND m.kind = 'withdrawn'""",
            [run],
        )
    connection.execute(
        f"""INSERT INTO {table} ({left}, {right}, since_run)
            SELECT "left", "right", ? FROM {table}_merge WHERE kind <> 'withdrawn'""",
        [run],
    )
