"""The saved searches, how many files or observations each matches, and what each was before."""

from __future__ import annotations

from dataclasses import dataclass

from catalog.store.again import asks_again
from catalog.store.database import Database
from catalog.store.history.runs import Run, runs, saved_search, saved_searches
from catalog.store.history.search_edits import Edit, edits
from catalog.vocabulary.search import Search

_MATCHES = """
    SELECT search, count(*) FROM search_files GROUP BY search
    UNION ALL SELECT o.search, count(*) FROM search_observations o
    JOIN searches s ON s.name = o.search AND s.kind = 'observations' GROUP BY o.search
"""


@dataclass(frozen=True)
class SearchState:
    """A saved search, and what the catalog has of it.

    Attributes
    ----------
    search : Search
        The search, with its name and criteria.
    matches : int
        How many files, or observations if it searches for these, it matched at its last run.
    cursor_mjd : float or None
        The newest ingest among its files, MJD (UTC); None if it has seen no file.
    """

    search: Search
    matches: int
    cursor_mjd: float | None


@asks_again
def search_states(database: Database) -> list[SearchState]:
    """Return the state of every saved search, by name.

    Raises
    ------
    CatalogError
        If there is no catalog, or it cannot be read.
    """
    with database.read() as connection:
        matches = dict(connection.execute(_MATCHES).fetchall())
        return [
            SearchState(saved.search, matches.get(saved.search.name, 0), saved.cursor_mjd)
            for saved in saved_searches(connection)
        ]


@dataclass(frozen=True)
class SearchDetails:
    """A saved search, what it was before, and its runs.

    Attributes
    ----------
    state : SearchState
        The search, and what the catalog has of it.
    edits : list of Edit
        Its edits and renamings, oldest first.
    runs : list of Run
        Its runs, oldest first.
    """

    state: SearchState
    edits: list[Edit]
    runs: list[Run]


@asks_again
def search_details(database: Database, name: str) -> SearchDetails:
    """Return one saved search with its history.

    Raises
    ------
    NoSuchSearch
        If no search is saved under the name.
    """
    history = search_edits(database, name)
    state = next(state for state in search_states(database) if state.search.name == name)
    with database.read() as connection:
        return SearchDetails(state, history, [run for run in runs(connection) if run.search == name])


@asks_again
def search_edits(database: Database, name: str) -> list[Edit]:
    """Return the edits, renamings and the removal of one saved search, oldest first.

    Raises
    ------
    NoSuchSearch
        If no search is saved under the name.
    """
    with database.read() as connection:
        saved_search(connection, name)
        return edits(connection, name)
