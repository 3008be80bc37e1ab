"""Searches and runs: which searches are saved, which runs there were, and what must be asked again."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime

import duckdb

from catalog.errors import BadValue, NoSuchSearch
from catalog.store.sql import objects_of_rows, quoted
from catalog.text import nearest
from catalog.vocabulary.search import Search


@dataclass(frozen=True)
class SavedSearch:
    """A search as the catalog has saved it.

    Attributes
    ----------
    search : Search
        Its name and its criteria.
    cursor_mjd : float or None
        The newest ingest among the files that it has seen, MJD (UTC); None if it has seen no file.
    has_run : bool
        Whether a run of it has ended, so that the next run can be incremental.
    cursors : dict
        The newest ingest, as in ``cursor_mjd``, for each of its instruments.
    """

    search: Search
    cursor_mjd: float | None
    has_run: bool = False
    cursors: dict[str, float] = field(default_factory=dict)

    def cursor_of(self, instrument: str | None) -> float | None:
        """Return the newest ingest among the files that it has seen of one of its instruments."""
        alone = self.cursor_mjd if len(self.search.instruments) < 2 else None
        return self.cursors.get(instrument or "", alone)


@dataclass(frozen=True)
class Run:
    """One harvest of one search; never changed after it ended.

    Attributes
    ----------
    run : int
        The number of the run; versions use these numbers to tell the time.
    search, kind, server : str
        The name of the search, ``full`` or ``incremental``, and the archive's address.
    started_at, ended_at : datetime
        UTC, without a zone.
    cursor_mjd : float or None
        The cursor of the search after this run.
    files : int
        How many files the search matches; 0 for an observation search.
    new, changed, withdrawn, returned, unchanged : int
        The numbers of changes since the run before: of files, or of observations in an observation search.
    observations, products : int
        How many observations and products its files lead to.
    linked : int
        How many files have a product row.
    requests : int
        How many requests were sent to the archive.
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
    """Return the present time as the catalog keeps it: UTC, without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def saved_searches(connection: duckdb.DuckDBPyConnection) -> list[SavedSearch]:
    """Return every saved search, by name."""
    rows = connection.execute(
        """SELECT name, instrument, criteria, cone, cursor_mjd,
                  EXISTS (FROM runs r WHERE r.search = s.name AND r.run > coalesce(s.edited_run, 0))
           FROM searches s ORDER BY name"""
    ).fetchall()
    cursors: dict[str, dict[str, float]] = {}
    for search, of, seen in connection.execute("SELECT search, instrument, cursor_mjd FROM search_cursor").fetchall():
        cursors.setdefault(search, {})[of] = seen
    return [
        SavedSearch(_search(name, instrument, criteria or [], cone), cursor, has_run, cursors.get(name, {}))
        for name, instrument, criteria, cone, cursor, has_run in rows
    ]


def _search(name: str, instrument: str | None, criteria: list[str], cone: str | None) -> Search:
    if instrument is None:
        return Search.observations(name, criteria, cone and f"{cone}d", typed=False)
    return Search.parse(name, instrument, criteria, typed=False)


def saved_search(connection: duckdb.DuckDBPyConnection, name: str) -> SavedSearch:
    """Return one saved search.

    Raises
    ------
    NoSuchSearch
        The error names the nearest name, if there is one.
    """
    saved_by_name = {saved.search.name: saved for saved in saved_searches(connection)}
    if name in saved_by_name:
        return saved_by_name[name]
    near = nearest(name, list(saved_by_name))
    hint = f"; did you mean {near!r}?" if near else f"; save it with: mastlake harvest {name} --instrument ... -k ..."
    raise NoSuchSearch(f"no search {name!r}{hint}")


def is_saved(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Say whether a search is saved under a name."""
    return connection.execute("SELECT 1 FROM searches WHERE name = ?", [name]).fetchone() is not None


def save_search(connection: duckdb.DuckDBPyConnection, search: Search) -> None:
    """Save a search, unless it is saved already.

    Raises
    ------
    BadValue
        If the name belongs to another search.
    """
    row = connection.execute("SELECT instrument, criteria, cone FROM searches WHERE name = ?", [search.name]).fetchone()
    if row is None:
        kind = "observations" if search.instrument is None else "files"
        connection.execute(
            """INSERT INTO searches (name, kind, instrument, criteria, cone, created_at, edited_run)
               SELECT ?, ?, ?, ?, ?, ?, max(run) FROM runs WHERE search = ?""",
            [
                search.name,
                kind,
                search.instrument,
                list(search.written),
                search.cone.stored if search.cone else None,
                utc_now(),
                search.name,
            ],
        )
    elif not mean_the_same(_search(search.name, *row), search):
        raise BadValue(
            f"search {search.name!r} is saved with other criteria; choose another name, or change them with: "
            f"mastlake searches edit {search.name}"
        )


def replace_criteria(connection: duckdb.DuckDBPyConnection, search: Search) -> None:
    """Give a saved search other criteria; the files that it has seen so far no longer count."""
    cone = search.cone.stored if search.cone else None
    connection.execute(
        """UPDATE searches SET instrument = ?, criteria = ?, cone = ?, cursor_mjd = NULL, edited_run = ?
           WHERE name = ?""",
        [search.instrument, list(search.written), cone, next_run(connection) - 1, search.name],
    )
    connection.execute("DELETE FROM search_cursor WHERE search = ?", [search.name])


def rename_saved(connection: duckdb.DuckDBPyConnection, name: str, new: str) -> None:
    """Give a saved search and its runs another name."""
    connection.execute("UPDATE searches SET name = ? WHERE name = ?", [new, name])
    for table in ("search_cursor", "runs"):
        connection.execute(f"UPDATE {table} SET search = ? WHERE search = ?", [new, name])


def drop_search(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Remove a saved search, if there is one, and its cursors; its runs stay."""
    connection.execute("DELETE FROM searches WHERE name = ?", [name])
    connection.execute("DELETE FROM search_cursor WHERE search = ?", [name])


def mark_declared(connection: duckdb.DuckDBPyConnection, name: str, declared: bool) -> None:
    """Remember whether mastlake.toml describes a search."""
    connection.execute("UPDATE searches SET declared = ? WHERE name = ?", [declared, name])


def declared_searches(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Return the searches that, at their last run, mastlake.toml described."""
    return {str(row[0]) for row in connection.execute("SELECT name FROM searches WHERE declared").fetchall()}


def mean_the_same(first: Search, second: Search) -> bool:
    """Say whether two searches of one name ask for the same, even if they are written differently."""
    return replace(first, written=()) == replace(second, written=())


def next_run(connection: duckdb.DuckDBPyConnection) -> int:
    """Return the number of the next run."""
    row = connection.execute("SELECT coalesce(max(run), 0) + 1 FROM runs").fetchone()
    assert row is not None
    return int(row[0])


def record_run(connection: duckdb.DuckDBPyConnection, run: Run) -> None:
    """Record a run and move the cursor of its search; the caller's transaction also holds the rows."""
    values = asdict(run)
    names = ", ".join(values)
    marks = ", ".join("?" for _ in values)
    connection.execute(f"INSERT INTO runs ({names}) VALUES ({marks})", list(values.values()))
    connection.execute("UPDATE searches SET cursor_mjd = ? WHERE name = ?", [run.cursor_mjd, run.search])


def keep_cursors(connection: duckdb.DuckDBPyConnection, name: str, ingest: str) -> None:
    """Move the cursor of each instrument of a search to the newest ingest among its files; it never moves back.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection in the transaction that records a run.
    name : str
        The name of the search.
    ingest : str
        The column of `file_version` that has the time of ingest, MJD (UTC).
    """
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE cursor_now AS
            SELECT instrument, max(cursor_mjd) AS cursor_mjd FROM (
                SELECT instrument, cursor_mjd FROM search_cursor WHERE search = $search
                UNION ALL SELECT instrument, {quoted(ingest)} FROM file_version WHERE until_run IS NULL
                AND filename IN (SELECT filename FROM search_file_membership
                                 WHERE search = $search AND until_run IS NULL))
            GROUP BY instrument""",
        {"search": name},
    )
    connection.execute("DELETE FROM search_cursor WHERE search = ?", [name])
    connection.execute(
        """INSERT INTO search_cursor (search, instrument, cursor_mjd)
           SELECT ?, instrument, cursor_mjd FROM cursor_now WHERE cursor_mjd IS NOT NULL""",
        [name],
    )


def runs(connection: duckdb.DuckDBPyConnection) -> list[Run]:
    """Return every run, oldest first."""
    names = ", ".join(field.name for field in fields(Run))
    return objects_of_rows(Run, connection.execute(f"SELECT {names} FROM runs ORDER BY run"))
