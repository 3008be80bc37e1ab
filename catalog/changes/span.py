"""The runs that a question about changes is about."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

import duckdb

from catalog.errors import BadValue, NoSuchSearch, UsageError
from catalog.text import nearest
from catalog.vocabulary.dates import period, read_moment

_SHORT = 20_000
"""Changes up to which one thread needs less processor time than several, and hardly more time."""
_WHATS = ("file", "observation", "product")


@dataclass(frozen=True)
class Span:
    """The runs after one run and up to another, and which of their changes are meant.

    Attributes
    ----------
    since, until : int
        Numbers of runs: the state after ``since`` is compared with the state after ``until``; 0 is the empty catalog.
    search : str or None
        Only what this search matches, or to which it leads.
    what : str or None
        Only ``file``, ``observation`` or ``product``.
    local : bool
        Only what is on this disk.
    """

    since: int
    until: int
    search: str | None = None
    what: str | None = None
    local: bool = False

    def __post_init__(self) -> None:
        if self.what is not None and self.what not in _WHATS:
            raise BadValue(f"--what is {', '.join(_WHATS[:-1])} or {_WHATS[-1]}, not {self.what!r}")


@dataclass(frozen=True)
class RunsOfSpan:
    """The runs of a span.

    Attributes
    ----------
    since_at, until_at : datetime or None
        When the runs ``since`` and ``until`` ended, UTC; None if there is no such run.
    runs : int
        How many runs there are.
    searches : tuple of str
        Their searches, by name.
    """

    since_at: datetime | None
    until_at: datetime | None
    runs: int
    searches: tuple[str, ...]


def newest_run(connection: duckdb.DuckDBPyConnection) -> int:
    """Return the number of the newest run; 0 if nothing has run."""
    row = connection.execute("SELECT coalesce(max(run), 0) FROM runs").fetchone()
    return int(row[0]) if row else 0


def ended_at(connection: duckdb.DuckDBPyConnection, run: int) -> datetime | None:
    """Return when a run ended, UTC; None if there is no such run."""
    row = connection.execute("SELECT ended_at FROM runs WHERE run = ?", [run]).fetchone()
    return row[0] if row else None


def require_run(connection: duckdb.DuckDBPyConnection, run: int) -> None:
    """Refuse a number that no run has.

    Raises
    ------
    UsageError
        The error says where the numbers are listed.
    """
    if ended_at(connection, run) is None:
        raise UsageError(f"there is no run {run}; mastlake runs lists them")


def require_search(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Refuse a search that is not saved and never ran.

    Raises
    ------
    NoSuchSearch
        The error names the nearest name.
    """
    rows = connection.execute("SELECT name FROM searches UNION SELECT search FROM runs ORDER BY 1").fetchall()
    names = [str(row[0]) for row in rows]
    if name not in names:
        near = nearest(name, names)
        raise NoSuchSearch(f"no search {name!r}" + (f"; did you mean {near!r}?" if near else ""))


def run_before(connection: duckdb.DuckDBPyConnection, text: str) -> int:
    """Return the run after which changes count: the named run, or the last run before a date.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection for reading.
    text : str
        The number of a run (0 is the time before the first run), a date, or how long ago, like 7d.

    Raises
    ------
    UsageError
        If there is no such run.
    BadValue
        If the text is no number and no date.
    """
    number = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None
    if number is not None and (number == 0 or ended_at(connection, number) is not None or period(text) is None):
        if number:
            require_run(connection, number)
        return number
    row = connection.execute(
        "SELECT coalesce(max(run), 0) FROM runs WHERE epoch_us(ended_at) / 86400e6 + 40587 < ?",
        [read_moment(text, "--since")],
    ).fetchone()
    return int(row[0]) if row else 0


def is_short(connection: duckdb.DuckDBPyConnection, span: Span) -> bool:
    """Say whether the runs of a span noted so few changes that one thread is enough for them."""
    row = connection.execute(
        "SELECT count(*) < ? FROM changes WHERE run > ? AND run <= ?", [_SHORT, span.since, span.until]
    ).fetchone()
    return row == (True,)


def runs_of_span(connection: duckdb.DuckDBPyConnection, span: Span) -> RunsOfSpan:
    """Return the runs of a span."""
    rows = connection.execute(
        """SELECT search, count(*) FROM runs
           WHERE run > $since AND run <= $until AND ($search IS NULL OR search = $search) GROUP BY search""",
        {"since": span.since, "until": span.until, "search": span.search},
    ).fetchall()
    first, last = ended_at(connection, span.since), ended_at(connection, span.until)
    return RunsOfSpan(first, last, sum(count for _, count in rows), tuple(sorted(name for name, _ in rows)))
