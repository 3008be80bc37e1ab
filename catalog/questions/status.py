"""The catalog on one page: what it has, how old that is, and which files are on disk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from catalog.questions.drift import counts_of_states
from catalog.store.again import asks_again
from catalog.store.database import Database
from catalog.store.history.verdicts import STATES
from catalog.store.sql import objects_of_rows


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


_COUNTS = """
    SELECT (SELECT count(*) FROM files), (SELECT count(*) FROM observations), (SELECT count(*) FROM products),
           (SELECT count(*) FROM runs), (SELECT count(*) FROM pending),
           count(*), coalesce(sum(size), 0)::BIGINT, count(*) FILTER (indexed)
    FROM local_file_version WHERE until_at IS NULL
"""
"""The view `local_files` is not used here: see `catalog.store.relations.had_local_files`."""
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
        counts = connection.execute(_COUNTS).fetchone()
        searches = objects_of_rows(SearchOverview, connection.execute(_SEARCHES))
        assert counts is not None
        *_, local_files, local_bytes, indexed = counts
        by_state = counts_of_states(connection) if local_files else dict.fromkeys(STATES, 0)
    files, observations, products, runs, pending, *_ = counts
    return Overview(
        path=database.named,
        size=database.archive_size,
        local_path=None if database.local_path is None else str(database.local_path),
        searches=searches,
        files=files,
        observations=observations,
        products=products,
        runs=runs,
        pending=pending,
        local_files=local_files,
        local_bytes=local_bytes,
        indexed=indexed,
        current=max(local_files - sum(by_state.values()), 0),
        **by_state,
    )
