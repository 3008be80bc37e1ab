"""Notes of a run beside its rows: its changes, questions without an answer, and when product lists were read.

Every function runs in the transaction of the run. No other module writes these tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import duckdb

from catalog.store.history.merge import Links
from catalog.store.history.versions import Versions
from catalog.store.sql import literal


def note_changes(
    connection: duckdb.DuckDBPyConnection,
    run: int,
    search: str,
    own: Versions,
    links: Links,
    others: Sequence[Versions],
) -> None:
    """Write what a run changed: for the rows that the search asks for, as the search sees it; else as the catalog does.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection that has the temporary tables of the merges.
    run : int
        The number of the run.
    search : str
        The name of its search.
    own : Versions
        The table of the rows that the search asks for.
    links : Links
        The table that links the search to these rows.
    others : sequence of Versions
        The tables of the rows to which these lead.
    """
    selects = [
        f"""SELECT $run AS run, kind, {literal(own.what)} AS what, "right" AS key, NULL::VARCHAR[] AS columns
            FROM {links.table}_merge
            UNION ALL
            SELECT $run, 'changed', {literal(own.what)}, key, differing FROM {own.what}_merge m
            WHERE differing IS NOT NULL AND key IN (
                SELECT {links.right} FROM {links.table}
                WHERE search = $search AND until_run IS NULL AND since_run < $run)"""
    ]
    selects += [_changes_of(versions) for versions in others]
    connection.execute(f"INSERT INTO changes {' UNION ALL '.join(selects)}", {"run": run, "search": search})


def _changes_of(versions: Versions) -> str:
    table, key, what = versions.table, versions.key, versions.what
    return f"""
        SELECT $run, CASE WHEN e.{key} IS NULL THEN 'new' ELSE 'returned' END, {literal(what)}, m.key, NULL
        FROM {what}_merge m
        LEFT JOIN (SELECT DISTINCT {key} FROM {table} WHERE until_run < $run) e ON e.{key} = m.key
        WHERE m.fresh
        UNION ALL SELECT $run, 'changed', {literal(what)}, key, differing FROM {what}_merge WHERE differing IS NOT NULL
        UNION ALL SELECT $run, 'withdrawn', {literal(what)}, {key}, NULL FROM (
            WITH closed AS MATERIALIZED (SELECT {key} FROM {table} WHERE until_run = $run)
            FROM closed EXCEPT SELECT {key} FROM {table} WHERE until_run IS NULL AND {key} IN (FROM closed))"""


def note_pending(
    connection: duckdb.DuckDBPyConnection, run: int, search: str, failures: Iterable[tuple[str, str, str]], read: str
) -> None:
    """Remember which questions must be asked again, and forget those that were answered.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection in the transaction of the run.
    run : int
        The number of the run.
    search : str
        The name of its search.
    failures : iterable of (str, str, str)
        The questions without an answer, each with its observation or program and the reason.
    read : str
        A query of the observations whose products were read.
    """
    if connection.execute("SELECT run FROM pending LIMIT 1").fetchone() is not None:
        connection.execute(
            f"""DELETE FROM pending WHERE CASE what WHEN 'products'
                    THEN key IN ({read}) OR key NOT IN (SELECT obs_id FROM search_observations) ELSE search = ? END""",
            [search],
        )
    for what, key, reason in failures:
        connection.execute("DELETE FROM pending WHERE what = ? AND key = ?", [what, key])
        connection.execute("INSERT INTO pending VALUES (?, ?, ?, ?, ?)", [what, key, search, run, reason])


def drop_pending(connection: duckdb.DuckDBPyConnection, search: str) -> None:
    """Forget the questions to be asked again for a search that is removed."""
    connection.execute("DELETE FROM pending WHERE search = ?", [search])


def rename_pending(connection: duckdb.DuckDBPyConnection, name: str, new: str) -> None:
    """Give the questions to be asked again for a search the search's new name."""
    connection.execute("UPDATE pending SET search = ? WHERE search = ?", [new, name])


def note_readings(connection: duckdb.DuckDBPyConnection, run: int, read: str) -> None:
    """Remember when the products of each observation were read; forget it if another observation dropped one of them.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection in the transaction of the run, after products were merged.
    run : int
        The number of the run.
    read : str
        A query of the observations whose products were read.
    """
    connection.execute(
        f"""DELETE FROM product_reading WHERE obs_id NOT IN (SELECT obs_id FROM search_observations)
            OR obs_id IN ({read})
            OR obs_id IN (
                SELECT l.obs_id FROM observation_product_link l WHERE l.until_run IS NULL AND l.data_uri IN (
                    SELECT data_uri FROM observation_product_link WHERE until_run = ?))""",
        [run],
    )
    connection.execute(
        f"""INSERT INTO product_reading (obs_id, run) SELECT DISTINCT obs_id, ? FROM ({read}) AS r(obs_id)
            WHERE obs_id IN (SELECT obs_id FROM search_observations)""",
        [run],
    )


def drop_readings(connection: duckdb.DuckDBPyConnection) -> None:
    """Forget when products were read, for observations to which no search leads any more."""
    connection.execute("DELETE FROM product_reading WHERE obs_id NOT IN (SELECT obs_id FROM search_observations)")


def note_set_aside(connection: duckdb.DuckDBPyConnection, run: int, aside: Iterable[tuple[str, str, int]]) -> None:
    """Note how many rows a run could not keep: what they are, the reason, and their number."""
    for what, reason, rows in aside:
        connection.execute("INSERT INTO set_aside VALUES (?, ?, ?, ?)", [run, what, reason, rows])


def keep_marks(connection: duckdb.DuckDBPyConnection, run: int) -> None:
    """Keep the ingest marks that this run saw move: those in the temporary table ``mark_moved``."""
    if connection.execute("FROM mark_moved LIMIT 1").fetchone() is None:
        return
    connection.execute(
        """DELETE FROM ingest_mark m USING mark_moved n
           WHERE m.instrument = n.instrument AND m.observation = n.observation"""
    )
    connection.execute(
        """INSERT INTO ingest_mark (instrument, program, observation, mark, since_run)
           SELECT instrument, program, observation, mark, ? FROM mark_moved""",
        [run],
    )
