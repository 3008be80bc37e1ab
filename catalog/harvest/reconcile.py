"""Which files a search matches, and which of their rows must be read again.

A first or full harvest reads every row. An incremental harvest reads a light list of all files (name, checksum,
staleness, ingest time), compares it with the catalog, and reads whole rows only for files that differ. It also reads a
few rows that were checked longest ago, since other columns can change while these four do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import duckdb
import pyarrow as pa

from catalog.archive.client import Query
from catalog.archive.partition import WholeQueries
from catalog.archive.repeats import is_plainly_whole
from catalog.errors import QueryTimeout
from catalog.harvest.pages import rows_that_include
from catalog.harvest.shortfall import Shortfall
from catalog.missions import JWST
from catalog.store.database import Database, columns_of
from catalog.store.history.row_order import in_storage_order
from catalog.store.history.runs import SavedSearch
from catalog.store.history.versions import FILES
from catalog.store.spool import Spool
from catalog.vocabulary.criteria import UNBOUNDED
from catalog.vocabulary.search import Search

FILES_IN = "files_in"
PRESENT_IN = "present_in"
MOVED_IN = "moved_in"
HELD_IN = "held_in"
"""Files that no row has, although the archive counts them."""
PARTS_IN = "parts_in"
"""The files of a search for several instruments, with the instrument of each."""

LIGHT = ("checksum", "isStale", JWST.ingest_column)
NAMES_AT_ONCE = 500
"""How many names of files one question has."""
_REREAD_SHARE = 0.001
_REREAD_FLOOR = 20
_OVERLAP = 1.0
"""Days before the cursor that are asked for again: ingests do not end in the order of their times."""

OnRows = Callable[[int, int], None]


@dataclass(frozen=True)
class RowsToRead:
    """The files whose rows must be read: by name, or by ingest since a time; and some files to read in turn."""

    names: list[str]
    since_mjd: float | None
    in_turn: list[str] = field(default_factory=list)

    @property
    def moved(self) -> bool:
        """Whether any row must be read because it differs."""
        return bool(self.names) or self.since_mjd is not None


@dataclass(frozen=True)
class FileReader:
    """Spools the rows of a keyword search: all of them, or those that must be read again.

    Attributes
    ----------
    database : Database
        The catalog, for what is known already; it is opened for moments only.
    whole : WholeQueries
        It asks for whole queries.
    spool : Spool
        Gets the rows as `FILES_IN`. If not all rows were read, it also gets the light list of all files as
        `PRESENT_IN`, and the files that joined or left the search as `MOVED_IN`.
    on_rows : callable
        Called with the number of rows so far, and of all rows.
    shortfall : Shortfall
        Tells whether rows were set aside; these may be rows of files that seem to be gone.
    """

    database: Database
    whole: WholeQueries
    spool: Spool
    on_rows: OnRows
    shortfall: Shortfall

    def read(self, saved: SavedSearch, full: bool, thorough: bool = True) -> tuple[int, bool]:
        """Read the rows of a search; return how many files it matches, and whether any of them has moved.

        Parameters
        ----------
        saved : SavedSearch
            The search, as the catalog has it.
        full : bool
            Read all rows.
        thorough : bool
            Read some rows in turn although their files have not moved.
        """
        if not full:
            moved = self._read_changed(saved, thorough)
            return self.spool.rows(PRESENT_IN) + self.spool.rows(HELD_IN), moved
        for part in saved.search.parts:
            for rows in self.whole.rows(self.whole.archive.query(part), on_part=self.on_rows):
                self._keep(rows, saved.search, part)
            self._hold(saved.search, part, FILES_IN)
        return self.spool.rows(FILES_IN) + self.spool.rows(HELD_IN), True

    def _hold(self, search: Search, part: Search, listed: str) -> None:
        """If rows were set aside, keep missing files as far as the archive counts rows of their names."""
        if not self.shortfall.lacks_rows("file"):
            return
        missing = set(self._members(search, part))
        with self.database.read() as connection:
            if self.spool.offer(connection, listed):
                missing -= {row[0] for row in connection.execute(f"SELECT filename FROM {listed}").fetchall()}
        held = names_with_rows(self.whole, self.whole.archive.query(part), _filename(part), sorted(missing))
        if held:
            self.spool.add(HELD_IN, pa.table({"filename": pa.array(held, pa.string())}))

    def _read_changed(self, saved: SavedSearch, thorough: bool) -> bool:
        parts = saved.search.parts
        for part in parts:
            query, columns = self.whole.archive.query(part), (_filename(part), *LIGHT)
            for light in rows_that_include(self.whole, query, columns, self._members(saved.search, part)):
                of_part = pa.array([part.instrument] * light.num_rows, pa.string())
                self.spool.add(PRESENT_IN, _with_our_names(light).append_column("part", of_part))
            self._hold(saved.search, part, PRESENT_IN)
        needs = _rows_to_read_of_parts(self.database, saved, self.spool)
        moved = any(needed.moved for needed in needs) or self.spool.rows(MOVED_IN) > 0
        for part, needed in zip(parts, needs, strict=True):
            self._read_needed(needed, saved.search, part, moved or thorough)
        return moved

    def _members(self, search: Search, part: Search) -> list[str]:
        """Return the files that the search had in the part of one instrument."""
        with self.database.read() as connection:
            rows = connection.execute(_MEMBERS, [search.name, part.instrument]).fetchall()
        return [row[0] for row in rows]

    def _read_needed(self, needed: RowsToRead, search: Search, part: Search, in_turn: bool) -> None:
        """Read the whole rows that are needed from the keyword search of one instrument."""
        query, name = self.whole.archive.query(part), _filename(part)
        rest = replace(self.whole, on_aside=None)  # a whole row that is set aside was set aside as a light row
        if needed.since_mjd is not None:
            recent = query.having(JWST.ingest_column, {"min": needed.since_mjd, "max": UNBOUNDED})
            for rows in rest.rows(recent, on_part=self.on_rows):
                self._keep(rows, search, part)
        names = [*needed.names, *needed.in_turn] if in_turn else needed.names
        for start in range(0, len(names), NAMES_AT_ONCE):
            names = names[start : start + NAMES_AT_ONCE]
            for rows in _by_name(rest, query.having(name, *names), len(names)):
                self._keep(rows, search, part)
            self.on_rows(min(start + NAMES_AT_ONCE, len(names)), len(names))

    def _keep(self, rows: pa.Table, search: Search, part: Search) -> None:
        if not rows.num_rows:
            return
        named = in_storage_order(_with_our_names(rows), FILES)
        self.spool.add(FILES_IN, named)
        if part is not search:
            of_part = pa.array([part.instrument] * named.num_rows, pa.string())
            self.spool.add(PARTS_IN, named.select(["filename"]).append_column("instrument", of_part))


def names_with_rows(whole: WholeQueries, query: Query, column: str, names: Sequence[str]) -> list[str]:
    """Return the names of which a query counts rows."""
    groups = [list(names[start : start + NAMES_AT_ONCE]) for start in range(0, len(names), NAMES_AT_ONCE)]
    counted: list[str] = []
    while groups:
        group = groups.pop()
        if not whole.count(query.having(column, *group)):
            continue
        if len(group) == 1:
            counted += group
        else:
            middle = len(group) // 2
            groups += [group[middle:], group[:middle]]
    return counted


def _by_name(whole: WholeQueries, query: Query, files: int) -> Iterator[pa.Table]:
    """Yield the rows of some files; a file that has just left the search has none."""
    with suppress(QueryTimeout):
        answer = whole.patience.ask(lambda: whole.archive.rows(query), also=())
        if answer.total == files and is_plainly_whole(answer, whole.key):
            yield answer.rows
            return
    yield from whole.rows(query)


def _filename(search: Search) -> str:
    return JWST.filename_column(search.instrument or "")


def _with_our_names(rows: pa.Table) -> pa.Table:
    return rows.rename_columns(["filename" if name == "fileName" else name for name in rows.column_names])


_MEMBERS = """
    SELECT filename FROM search_files WHERE search = ? AND filename IN (
        SELECT filename FROM file_version WHERE until_run IS NULL AND instrument = ?)
"""
_NO_VERSIONS = """
    SELECT NULL::VARCHAR AS filename, NULL::VARCHAR AS checksum, NULL::BOOLEAN AS isStale,
           NULL::DOUBLE AS ingestCompletionDate_mjd, NULL::INTEGER AS checked_run, NULL::VARCHAR AS part WHERE false
"""
_COMPARED = """
    CREATE OR REPLACE TEMP TABLE compared AS
    WITH member AS (SELECT filename FROM search_file_membership WHERE search = $search AND until_run IS NULL)
    SELECT coalesce(p.filename, m.filename) AS filename, p.part, p.ingestCompletionDate_mjd AS ingest_mjd,
           v.checked_run, m.filename IS NULL AS joined, p.filename IS NULL AS gone,
           p.filename IS NOT NULL AND (
               v.filename IS NULL OR v.checksum IS DISTINCT FROM p.checksum OR v.isStale IS DISTINCT FROM p.isStale
               OR v.ingestCompletionDate_mjd IS DISTINCT FROM p.ingestCompletionDate_mjd) AS differs
    FROM present_in p FULL JOIN member m ON m.filename = p.filename
    LEFT JOIN ({versions}) v ON v.filename = p.filename
"""
_MOVED = "SELECT filename, joined FROM compared WHERE joined OR gone"
_CHECKED_LONGEST_AGO = """
    SELECT filename FROM compared WHERE part = $part AND NOT gone AND NOT differs
    ORDER BY checked_run, hash(filename) LIMIT $share
"""
_RECENT = """
    SELECT min(ingest_mjd), count(*),
           (SELECT count(*) FROM compared WHERE part = $part AND NOT gone AND ingest_mjd >= min(d.ingest_mjd))
    FROM compared d WHERE part = $part AND differs AND ingest_mjd >= $since
"""
_REST = """
    SELECT filename FROM compared
    WHERE part = $part AND differs AND (NOT $by_range OR coalesce(ingest_mjd < $first, true))
    ORDER BY filename
"""


def _rows_to_read_of_parts(database: Database, saved: SavedSearch, spool: Spool) -> list[RowsToRead]:
    """Compare the light lists with the catalog; spool what differs, and return which rows each part must read."""
    name = saved.search.name
    with database.read() as connection:
        if not spool.offer(connection, PRESENT_IN):  # the search no longer matches anything
            connection.execute(f"CREATE OR REPLACE TEMP TABLE present_in AS {_NO_VERSIONS}")
        has_files = "checksum" in columns_of(connection, "file_version")  # false until a search has matched a file
        versions = "FROM file_version WHERE until_run IS NULL" if has_files else _NO_VERSIONS
        connection.execute(_COMPARED.format(versions=versions), {"search": name})
        spool.add(MOVED_IN, connection.execute(_MOVED).to_arrow_table())
        if not has_files:
            return [RowsToRead([], 0.0) for _ in saved.search.parts]
        return [_rows_to_read(connection, saved, part, spool.rows(PRESENT_IN)) for part in saved.search.parts]


def _rows_to_read(connection: duckdb.DuckDBPyConnection, saved: SavedSearch, search: Search, files: int) -> RowsToRead:
    part = search.instrument
    share = max(_REREAD_FLOOR, min(NAMES_AT_ONCE, int(files * _REREAD_SHARE)))
    reread = connection.execute(_CHECKED_LONGEST_AGO, {"share": share, "part": part}).fetchall()
    cursor = saved.cursor_of(part)
    since = None if cursor is None else cursor - _OVERLAP
    row = connection.execute(_RECENT, {"since": since, "part": part}).fetchone()
    assert row is not None
    first, recent, in_range = row
    by_range = recent > NAMES_AT_ONCE and in_range <= 1.5 * recent
    rest = connection.execute(_REST, {"by_range": by_range, "first": first, "part": part}).fetchall()
    return RowsToRead([name for (name,) in rest], first if by_range else None, [name for (name,) in reread])
