"""The catalog on one page: what it has, how old that is, and which files are on disk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from catalog.questions.drift import counts_of_states
from catalog.store.again import asks_again
from catalog.store.database import Database
from catalog.store.history.verdicts import STATES
from catalog.store.relations import had_local_files
from catalog.store.sql import objects_of_rows, rows_of


@dataclass(frozen=True)
class SearchOverview:
    """One saved search.

    Attributes
    ----------
    name, instrument : str
        Name and instrument, as saved.
    files, linked : int
        How many files it matches now, and how many of them a product row lists.
    run : int or None
        The number of its last run.
    harvested_at : datetime or None
        When that run ended, UTC.
    """

    name: str
    instrument: str
    files: int
    linked: int
    run: int | None
    harvested_at: datetime | None


@dataclass(frozen=True)
class Overview:
    """The contents of a catalog in numbers.

    Attributes
    ----------
    path : str
        The catalog file.
    size : int
        The size of that file in bytes.
    local_path : str or None
        The file with the local files, if the catalog is a published one and this file exists.
    searches : list of SearchOverview
        The searches, by name.
    files, observations, products, runs, pending : int
        Present numbers; for runs, all runs; pending are observations whose products must still be asked for.
    local_files, local_bytes, indexed : int
        The number and the size of the files on disk, and the number of them whose headers are in the catalog.
    current, stale, missing, corrupt, modified, unverified, unknown : int
        Local files by their verdict; a missing file no longer counts as a local file.
    """

    path: str
    size: int
    local_path: str | None
    searches: list[SearchOverview]
    files: int
    observations: int
    products: int
    runs: int
    pending: int
    local_files: int
    local_bytes: int
    indexed: int
    current: int
    stale: int
    missing: int
    corrupt: int
    modified: int
    unverified: int
    unknown: int


_COUNTED = ("files", "observations", "products", "runs", "pending")
_LOCAL = """
    SELECT count(*), coalesce(sum(size), 0)::BIGINT, count(*) FILTER (indexed)
    FROM local_file_version WHERE until_at IS NULL
"""
_SEARCHES = """
    SELECT s.name, s.instrument, coalesce(f.files, 0) AS files, coalesce(r.linked, 0) AS linked, r.run,
           r.ended_at AS harvested_at FROM searches s
    LEFT JOIN (SELECT search, count(*) AS files FROM search_files GROUP BY search) f ON f.search = s.name
    LEFT JOIN (SELECT search, max(run) AS run, max_by(linked, run) AS linked, max_by(ended_at, run) AS ended_at
               FROM runs GROUP BY search) r ON r.search = s.name
    ORDER BY s.name
"""


@asks_again
def overview(database: Database) -> Overview:
    """Read the catalog's numbers; the archive is not asked, and no local file is opened.

    Raises
    ------
    CatalogError
        If there is no catalog, or it cannot be read.
    """
    with database.read(sealed=True) as connection:
        # One statement with all counts took longer than one statement for each, on a lake more than twice as long.
        counts = {what: rows_of(connection, what) for what in _COUNTED}
        searches = objects_of_rows(SearchOverview, connection.execute(_SEARCHES))
        local = connection.execute(_LOCAL).fetchone() if had_local_files(connection) else None
        local_files, local_bytes, indexed = local or (0, 0, 0)
        by_state = counts_of_states(connection) if local_files else dict.fromkeys(STATES, 0)
    return Overview(
        path=database.named,
        size=database.archive_size,
        local_path=None if database.local_path is None else str(database.local_path),
        searches=searches,
        local_files=local_files,
        local_bytes=local_bytes,
        indexed=indexed,
        current=max(local_files - sum(by_state.values()), 0),
        **counts,
        **by_state,
    )
