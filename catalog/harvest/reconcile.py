"""Which files a search matches, and which of their rows must be read anew.

A first or full harvest reads every row. An incremental one reads a light list of all files (name, checksum,
staleness, ingest time), compares it with the catalog, and reads whole rows only for files that differ, and for a
small share of those checked longest ago, since other columns can change without a trace in these four.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from catalog.archive.client import Query
from catalog.archive.partition import Whole
from catalog.criteria import UNBOUNDED
from catalog.keywords import FILENAME_COLUMNS
from catalog.search import Search
from catalog.store.database import Database
from catalog.store.records import SavedSearch
from catalog.store.schema import columns_of
from catalog.store.spool import Spool

FILES_IN = "files_in"
PRESENT_IN = "present_in"
TOUCHED_IN = "touched_in"

INGEST = "ingestCompletionDate_mjd"
LIGHT = ("checksum", "isStale", INGEST)
NAMES_AT_ONCE = 500
"""File names of one question."""
_REREAD_SHARE = 0.001
_REREAD_FLOOR = 20
_OVERLAP = 1.0
"""Days before the cursor that are asked again: ingests do not complete in the order of their times."""

OnRows = Callable[[int, int], None]


@dataclass(frozen=True)
class Needed:
    """Files whose rows must be read: by name, or all that were ingested since a moment."""

    names: list[str]
    since_mjd: float | None


def read_files(database: Database, whole: Whole, saved: SavedSearch, full: bool, spool: Spool, on_rows: OnRows) -> None:
    """Spool the rows of a keyword search: all of them, or those that must be read anew.

    Parameters
    ----------
    database : Database
        What is known already; opened for moments.
    whole : Whole
        Whom to ask.
    saved : SavedSearch
        What to ask for.
    full : bool
        Read all.
    spool : Spool
        Gets the rows as `FILES_IN`; and where not all were read, the light list of all files as `PRESENT_IN`, and
        the observations that they touch as `TOUCHED_IN`.
    on_rows : callable
        Called with rows so far, and rows in all.
    """
    if full:
        for rows in whole.rows(whole.archive.query(saved.search), on_part=on_rows):
            spool.add(FILES_IN, _named(rows))
    else:
        _read_changed(database, whole, saved, spool, on_rows)


def _read_changed(database: Database, whole: Whole, saved: SavedSearch, spool: Spool, on_rows: OnRows) -> None:
    search = saved.search
    query, name = whole.archive.query(search), _filename(search)
    for light in whole.rows(query, (name, *LIGHT)):
        spool.add(PRESENT_IN, _named(light))
    needed = _needed(database, saved, spool)
    if needed.since_mjd is not None:
        recent = query.having(INGEST, {"min": needed.since_mjd, "max": UNBOUNDED})
        for rows in whole.rows(recent, on_part=on_rows):
            spool.add(FILES_IN, _named(rows))
    for start in range(0, len(needed.names), NAMES_AT_ONCE):
        names = needed.names[start : start + NAMES_AT_ONCE]
        spool.add(FILES_IN, _named(_by_name(whole, query.having(name, *names), len(names))))
        on_rows(min(start + NAMES_AT_ONCE, len(needed.names)), len(needed.names))


def _by_name(whole: Whole, query: Query, files: int) -> pa.Table:
    """Return the rows of some files; one that has just left the search has none."""
    answer = whole.patience.ask(lambda: whole.archive.rows(query))
    if answer.rows.num_rows == files == answer.total:
        return answer.rows
    return pa.concat_tables(whole.rows(query), promote_options="permissive")


def _filename(search: Search) -> str:
    return FILENAME_COLUMNS.get(search.instrument or "", "filename")


def _named(rows: pa.Table) -> pa.Table:
    return rows.rename_columns(["filename" if name == "fileName" else name for name in rows.column_names])


_DIFFERING = """
    CREATE OR REPLACE TEMP TABLE differing AS
    SELECT p.filename, p.ingestCompletionDate_mjd AS ingest_mjd FROM present_in p
    LEFT JOIN file_version v ON v.filename = p.filename AND v.until_run IS NULL
    WHERE v.filename IS NULL OR v.checksum IS DISTINCT FROM p.checksum OR v.isStale IS DISTINCT FROM p.isStale
       OR v.ingestCompletionDate_mjd IS DISTINCT FROM p.ingestCompletionDate_mjd
"""
_TOUCHED = """
    WITH members AS (SELECT filename FROM search_file_membership WHERE search = $search AND until_run IS NULL),
    joined_or_left AS (
        SELECT filename FROM members ANTI JOIN present_in USING (filename)
        UNION ALL SELECT filename FROM present_in ANTI JOIN members USING (filename)
    )
    SELECT DISTINCT apt_observation(name) AS touched FROM (
        SELECT filename AS name FROM differing UNION ALL SELECT filename FROM joined_or_left
        UNION ALL SELECT key FROM pending WHERE what = 'products' AND search = $search
    )
"""
_CHECKED_LONGEST_AGO = """
    SELECT p.filename FROM present_in p
    JOIN file_version v ON v.filename = p.filename AND v.until_run IS NULL
    ANTI JOIN differing d ON d.filename = p.filename
    ORDER BY v.checked_run, hash(p.filename) LIMIT $share
"""


def _needed(database: Database, saved: SavedSearch, spool: Spool) -> Needed:
    with database.read() as connection:
        if not spool.offer(connection, PRESENT_IN):
            connection.execute("CREATE TEMP TABLE present_in AS SELECT '' AS filename WHERE false")
            rows = connection.execute(
                "SELECT DISTINCT apt_observation(filename) AS touched FROM search_files WHERE search = ?",
                [saved.search.name],
            )
            spool.add(TOUCHED_IN, rows.to_arrow_table())
            return Needed([], None)
        if "checksum" not in columns_of(connection, "file_version"):  # no search has ever matched a file
            return Needed([], 0.0)
        connection.execute(_DIFFERING)
        spool.add(TOUCHED_IN, connection.execute(_TOUCHED, {"search": saved.search.name}).to_arrow_table())
        share = max(_REREAD_FLOOR, min(NAMES_AT_ONCE, int(spool.rows(PRESENT_IN) * _REREAD_SHARE)))
        reread = connection.execute(_CHECKED_LONGEST_AGO, {"share": share}).fetchall()
        since = None if saved.cursor_mjd is None else saved.cursor_mjd - _OVERLAP
        row = connection.execute(
            """SELECT min(ingest_mjd), count(*),
                      (SELECT count(*) FROM present_in WHERE ingestCompletionDate_mjd >= min(d.ingest_mjd))
               FROM differing d WHERE ingest_mjd >= ?""",
            [since],
        ).fetchone()
        assert row is not None
        first, recent, in_range = row
        by_range = recent > NAMES_AT_ONCE and in_range <= 1.5 * recent
        rest = connection.execute(
            "SELECT filename FROM differing WHERE NOT ? OR coalesce(ingest_mjd < ?, true) ORDER BY filename",
            [by_range, first],
        ).fetchall()
        return Needed([name for (name,) in rest + reread], first if by_range else None)
