"""The outcome of a harvest: which rows it changed, and its counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from catalog.harvest.shortfall import RowsSetAside, UnansweredQuestion
from catalog.missions import JWST
from catalog.store.database import columns_of, quoted
from catalog.store.history.merge import SEARCH_FILES, SEARCH_OBSERVATIONS, Links
from catalog.store.history.runs import Run, utc_now
from catalog.store.history.versions import FILES, OBSERVATIONS, PRODUCTS, Versions
from catalog.vocabulary.search import Search


@dataclass(frozen=True)
class Harvested:
    """The facts about a harvest beside its rows.

    Attributes
    ----------
    search : Search
        The search that was harvested.
    full : bool
        Whether every row was read.
    server : str
        The address of the archive.
    started_at : datetime
        UTC.
    cursor_mjd : float or None
        The cursor of the search before this run.
    requests : int
        How many requests were sent.
    failures : tuple of UnansweredQuestion
        Questions that the archive did not answer.
    aside : tuple of RowsSetAside
        Rows that cannot be kept.
    """

    search: Search
    full: bool
    server: str
    started_at: datetime
    cursor_mjd: float | None
    requests: int
    failures: tuple[UnansweredQuestion, ...] = ()
    aside: tuple[RowsSetAside, ...] = ()


def odd_rows(connection: duckdb.DuckDBPyConnection, run: int) -> dict[str, int]:
    """Return how many rows of a run have a value that its column cannot hold, by what the rows are."""
    beside: dict[str, list[str]] = {}
    for what, column in connection.execute("SELECT DISTINCT what, kept_in FROM column_finding").fetchall():
        beside.setdefault(what, []).append(f" OR {quoted(column)} IS NOT NULL")
    counted = {
        versions.what: _count(
            connection,
            f"""SELECT count(*) FROM {versions.table}
                WHERE since_run = ? AND (odd_cells IS NOT NULL{"".join(beside.get(versions.what, []))})""",
            run,
        )
        for versions in (FILES, OBSERVATIONS, PRODUCTS)
    }
    return {what: rows for what, rows in counted.items() if rows}


def searched_for(search: Search) -> tuple[Versions, Links, tuple[Versions, ...]]:
    """Return the table of what a search asks for, the links from the search to it, and the tables to which it leads."""
    if search.instrument is None:
        return OBSERVATIONS, SEARCH_OBSERVATIONS, (PRODUCTS,)
    return FILES, SEARCH_FILES, (OBSERVATIONS, PRODUCTS)


def summary(connection: duckdb.DuckDBPyConnection, harvested: Harvested, run: int) -> Run:
    """Count what a run did.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection after `run_notes.note_changes`.
    harvested : Harvested
        The facts about the harvest.
    run : int
        The number of the run.
    """
    search = harvested.search.name
    own, _, _ = searched_for(harvested.search)
    kinds = dict(
        connection.execute(
            "SELECT kind, count(*) FROM changes WHERE run = ? AND what = ? GROUP BY kind", [run, own.what]
        ).fetchall()
    )
    files, linked, newest = _files_of_search(connection, search)
    observations = _count(connection, "SELECT count(*) FROM search_observations WHERE search = ?", search)
    matched = files if own is FILES else observations
    moved = {kind: int(kinds.get(kind, 0)) for kind in ("new", "changed", "withdrawn", "returned")}
    cursors = [mjd for mjd in (harvested.cursor_mjd, newest) if mjd is not None]
    return Run(
        run=run,
        search=search,
        kind="full" if harvested.full else "incremental",
        server=harvested.server,
        started_at=harvested.started_at,
        ended_at=utc_now(),
        cursor_mjd=max(cursors, default=None),
        files=files,
        **moved,
        unchanged=matched - moved["new"] - moved["changed"] - moved["returned"],
        observations=observations,
        products=_products_of_search(connection, search),
        linked=linked,
        requests=harvested.requests,
    )


def _files_of_search(connection: duckdb.DuckDBPyConnection, search: str) -> tuple[int, int, float | None]:
    """Return how many files a search matches, how many of them are linked, and their newest ingest."""
    columns = columns_of(connection, "file_version")
    newest = f"max({JWST.ingest_column})" if JWST.ingest_column in columns else "NULL"
    row = connection.execute(
        f"""SELECT count(*), count(obs_id), {newest} FROM file_version
            WHERE until_run IS NULL AND filename IN (SELECT filename FROM search_files WHERE search = ?)""",
        [search],
    ).fetchone()
    assert row is not None
    return row[0], row[1], row[2]


def _products_of_search(connection: duckdb.DuckDBPyConnection, search: str) -> int:
    """Return how many products the observations of a search list; without other searches, these are all products."""
    others = "SELECT count(*) FROM search_observations WHERE search <> ?"
    if not _count(connection, others, search):
        return _count(connection, "SELECT count(*) FROM product_version WHERE until_run IS NULL")
    return _count(
        connection,
        """SELECT count(DISTINCT data_uri) FROM observation_products
           WHERE obs_id IN (SELECT obs_id FROM search_observations WHERE search = ?)""",
        search,
    )


def _count(connection: duckdb.DuckDBPyConnection, query: str, *values: Any) -> int:
    row = connection.execute(query, list(values)).fetchone()
    assert row is not None
    return int(row[0])
