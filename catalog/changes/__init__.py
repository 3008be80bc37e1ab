"""Changes in the archive, as a person reads them: in groups, and row by row with old and new values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from catalog.changes.again import FileToReduce, reduce_again
from catalog.changes.groups import Group, GroupLine, Move, lines, read_groups
from catalog.changes.looked import LastLook, read_looked, write_looked
from catalog.changes.net import make_net
from catalog.changes.rows import Row, iterate, read_rows
from catalog.changes.span import Span, is_short, newest_run, require_run, require_search, run_before, runs_of_span
from catalog.store.again import asks_again
from catalog.store.database import Database
from catalog.store.duckdb_file import one_thread
from catalog.text import plural

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa  # importing it takes as long as a question

    from catalog.changes.report import Section

__all__ = ["Changes", "FileToReduce", "Group", "GroupLine", "LastLook", "Move", "Row", "Span", "changes", "remember"]


@dataclass(frozen=True, repr=False)
class Changes:
    """The changes from one run to another. A value that changed twice counts once, from the oldest to the newest.

    Attributes
    ----------
    span : Span
        The runs, and which of their changes are meant.
    since_at, until_at : datetime or None
        When the first and the last of these runs ended, UTC.
    runs : int
        How many runs are covered.
    searches : tuple of str
        The searches whose runs these were.
    groups : list of Group
        The groups of rows that changed in the same way, the largest first.
    again : list of FileToReduce
        The files that must be reduced again; only with ``local``.
    """

    span: Span
    since_at: datetime | None
    until_at: datetime | None
    runs: int
    searches: tuple[str, ...]
    groups: list[Group]
    again: list[FileToReduce] = field(default_factory=list)
    _load: Callable[[], list[pa.Table]] = list

    @cached_property
    def _tables(self) -> list[pa.Table]:
        return self._load()

    @property
    def since(self) -> int:
        """The run after which changes count; 0 if all changes count."""
        return self.span.since

    @property
    def until(self) -> int:
        """The newest run that is covered."""
        return self.span.until

    @property
    def rows(self) -> list[Row]:
        """All changes, with old and new values."""
        return list(self)

    def __iter__(self) -> Iterator[Row]:
        yield from iterate(self._tables)
        for output in self.again:
            yield Row(self.until, None, "reduce again", "file", output.filename, {})

    def lines(self) -> list[GroupLine]:
        """Write the groups in words.

        Returns
        -------
        list of GroupLine
            One line for what changed in the same way, the largest groups first.

        Examples
        --------
        >>> for line in catalog.changes(run=1, what="file").lines():
        ...     print(line.text)
        99 new: 31 x1dints, 24 calints, 24 rateints, 20 uncal (of BD+60 1753, HAT-P-14, HAT-P-18 and 3 more targets)
        """
        return list(lines(self.groups))

    def sections(self) -> list[Section]:
        """Put the lines under headings, and only count the lines that a page has no room for.

        Returns
        -------
        list of catalog.changes.report.Section
            Files, other products, observations, and what must be reduced again; sections without lines are left out.

        Examples
        --------
        >>> [section.heading for section in catalog.changes(since=0).sections()][0]
        'Files'
        """
        from catalog.changes.report import sections

        return list(sections(self))

    def summary(self) -> str:
        """Say which runs these changes are of.

        Returns
        -------
        str
            One line: since when, how many runs, and of which searches.

        Examples
        --------
        >>> catalog.changes(run=1).summary()
        'since the first harvest: 1 run of soss'
        """
        began = f"since run {self.since}" + (f" ({self.since_at:%Y-%m-%d %H:%M} UTC)" if self.since_at else "")
        if not self.since:
            began = "since the first harvest"
        few = self.searches if len(self.searches) <= 4 else (*self.searches[:3], f"{len(self.searches) - 3} more")
        return f"{began}: {plural(self.runs, 'run')} of {', '.join(few)}" if self.runs else f"{began}: no run"

    def __bool__(self) -> bool:
        return bool(self.groups or self.again)

    def __repr__(self) -> str:
        return "\n".join([f"<Changes {self.summary()}>", *(f"  {line.text}" for line in self.lines())])

    def as_dict(self) -> dict[str, Any]:
        """Return everything except the rows as JSON's types.

        Returns
        -------
        dict
            The object that ``mastlake changes --json`` prints: ``since``, ``until`` and ``groups``.

        Examples
        --------
        >>> sorted(catalog.changes(run=1).as_dict())
        ['groups', 'since', 'until']
        """
        groups = [group.as_dict() for group in self.groups]
        if self.again:
            count = len(self.again)
            text = f"{plural(count, 'file')} to be reduced again, because inputs are stale"
            groups.append({"what": "file", "kind": "reduce again", "count": count, "text": text})
        return {"since": self.since, "until": self.until, "groups": groups}


@asks_again
def changes(
    database: Database,
    *,
    since: str | None = None,
    run: int | None = None,
    search: str | None = None,
    what: str | None = None,
    local: bool = False,
    with_rows: bool = False,
) -> Changes:
    """Tell what changed in one run, since a date or run, or since the last look; the catalog is opened once.

    Parameters
    ----------
    database : Database
        The catalog.
    since : str, optional
        An ISO date, or the number of the run after which changes count.
    run : int, optional
        Only the changes of this run.
    search, what, local
        See `Span`.
    with_rows : bool
        Read old and new values at once; by default, they are read when they are first used.

    Raises
    ------
    UsageError
        If there is no such run, search or date.
    CatalogError
        If there is no catalog, or it cannot be read.
    """
    with database.read() as connection:
        if search is not None:
            require_search(connection, search)
        first, last = _runs_meant(connection, database, since, run, search)
        return _changes_of_span(database, connection, Span(first, last, search, what, local), with_rows)


def _runs_meant(
    connection: duckdb.DuckDBPyConnection, database: Database, since: str | None, run: int | None, search: str | None
) -> tuple[int, int]:
    """Return the run after which changes count, and the last one."""
    newest = newest_run(connection)
    if run is not None:
        require_run(connection, run)
        return run - 1, run
    if since is not None:
        return min(run_before(connection, since), newest), newest
    return read_looked(connection, database.beside).at(search), newest


def _changes_of_span(database: Database, connection: duckdb.DuckDBPyConnection, span: Span, with_rows: bool) -> Changes:
    ran = runs_of_span(connection, span)
    with one_thread(connection) if is_short(connection, span) else nullcontext():
        make_net(connection, span)
        groups = read_groups(connection)
    again = reduce_again(connection) if span.local else []
    tables = read_rows(connection, span) if with_rows else None

    def load() -> list[pa.Table]:
        if tables is not None:
            return tables
        with database.read() as later:
            make_net(later, span)
            return read_rows(later, span)

    return Changes(span, ran.since_at, ran.until_at, ran.runs, ran.searches, groups, again, load)


def remember(database: Database, seen: Changes) -> bool:
    """Remember that a person has seen changes; return whether this was possible."""
    with database.read() as connection:
        looked = read_looked(connection, database.beside)
        return write_looked(connection, database.beside, looked.seen(seen.until, seen.span.search))
