"""Searches and runs: what is saved, what ran, what is still to be asked again."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime

import duckdb

from catalog.errors import BadValue, NoSuchSearch
from catalog.keywords import nearest
from catalog.search import Search


@dataclass(frozen=True)
class SavedSearch:
    """A search as the catalog knows it.

    Attributes
    ----------
    search : Search
        Its name and criteria.
    cursor_mjd : float or None
        The newest ingest that it has seen, MJD (UTC); None before its first run.
    """

    search: Search
    cursor_mjd: float | None


@dataclass(frozen=True)
class Run:
    """One harvest of one search; never changed after it ended.

    Attributes
    ----------
    run : int
        Its number; versions count time in these.
    search, kind, server : str
        Of what, full or incremental, from where.
    started_at, ended_at : datetime
        UTC, without zone.
    cursor_mjd : float or None
        The search's cursor after it.
    files, new, changed, withdrawn, returned, unchanged : int
        Files that the search matches, and what became of them since the run before.
    observations, products : int
        That its files lead to.
    linked : int
        Files with a product row.
    requests : int
        Sent to the archive.
    """

    run: int
    search: str
    kind: str
    server: str
    started_at: datetime
    ended_at: datetime
    cursor_mjd: float | None
    files: int
    new: int
    changed: int
    withdrawn: int
    returned: int
    unchanged: int
    observations: int
    products: int
    linked: int
    requests: int


def utc_now() -> datetime:
    """Return the time as the catalog keeps it: UTC, without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def saved_searches(connection: duckdb.DuckDBPyConnection) -> list[SavedSearch]:
    """Return every saved search, by name."""
    rows = connection.execute("SELECT name, instrument, criteria, cursor_mjd FROM searches ORDER BY name").fetchall()
    return [
        SavedSearch(Search.parse(name, instrument, criteria), cursor) for name, instrument, criteria, cursor in rows
    ]


def saved_search(connection: duckdb.DuckDBPyConnection, name: str) -> SavedSearch:
    """Return one saved search.

    Raises
    ------
    NoSuchSearch
        With the nearest name, where there is one.
    """
    known = {saved.search.name: saved for saved in saved_searches(connection)}
    if name in known:
        return known[name]
    near = nearest(name, list(known))
    hint = f"; did you mean {near!r}?" if near else f"; save it with: mastlake harvest {name} --instrument ... -k ..."
    raise NoSuchSearch(f"no search {name!r}{hint}")


def save_search(connection: duckdb.DuckDBPyConnection, search: Search) -> None:
    """Save a search, unless it is saved already.

    Raises
    ------
    BadValue
        If the name means another search.
    """
    row = connection.execute("SELECT instrument, criteria FROM searches WHERE name = ?", [search.name]).fetchone()
    if row is None:
        connection.execute(
            "INSERT INTO searches (name, kind, instrument, criteria, created_at) VALUES (?, 'files', ?, ?, ?)",
            [search.name, search.instrument, list(search.written), utc_now()],
        )
    elif Search.parse(search.name, row[0], row[1]).filters() != search.filters() or row[0] != search.instrument:
        raise BadValue(f"search {search.name!r} is saved with other criteria; choose another name")


def next_run(connection: duckdb.DuckDBPyConnection) -> int:
    """Return the number of the next run."""
    row = connection.execute("SELECT coalesce(max(run), 0) + 1 FROM runs").fetchone()
    assert row is not None
    return int(row[0])


def record_run(connection: duckdb.DuckDBPyConnection, run: Run) -> None:
    """Record a run and move its search's cursor, in the transaction that holds its rows."""
    values = asdict(run)
    names = ", ".join(values)
    marks = ", ".join("?" for _ in values)
    connection.execute(f"INSERT INTO runs ({names}) VALUES ({marks})", list(values.values()))
    connection.execute("UPDATE searches SET cursor_mjd = ? WHERE name = ?", [run.cursor_mjd, run.search])


def runs(connection: duckdb.DuckDBPyConnection) -> list[Run]:
    """Return every run, oldest first."""
    names = ", ".join(field.name for field in fields(Run))
    return [Run(*row) for row in connection.execute(f"SELECT {names} FROM runs ORDER BY run").fetchall()]
