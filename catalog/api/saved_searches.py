"""Saved searches from Python: list, edit, rename and remove them. Harvests save them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from catalog.api.catalog_base import CatalogBase

if TYPE_CHECKING:
    from catalog.harvest.requests import Request
    from catalog.questions.search_states import SearchState
    from catalog.store.history.search_edits import Edit
    from catalog.vocabulary.search import Search

_COUNTED_IN = 60.0
"""Seconds that the archive may take for one count, since a person waits for it."""


class SavedSearches(CatalogBase):
    """The part of a `mastlake.Catalog` that keeps searches."""

    def searches(self) -> list[Search]:
        """Return the saved searches.

        Returns
        -------
        list of Search
            The searches, sorted by name.

        Examples
        --------
        >>> [search.name for search in catalog.searches()]
        ['soss']
        """
        from catalog.store.history.runs import saved_searches

        with self._database.read() as connection:
            return [saved.search for saved in saved_searches(connection)]

    def saved_search(self, name: str) -> Search:
        """Return one saved search.

        Parameters
        ----------
        name : str
            The name of the search.

        Returns
        -------
        Search
            The search as it is saved now.

        Raises
        ------
        NoSuchSearch
            If no search is saved under the name; the error names the nearest one.

        Examples
        --------
        >>> catalog.saved_search("soss").instrument
        'niriss'
        """
        from catalog.store.history.runs import saved_search

        with self._database.read() as connection:
            return saved_search(connection, name).search

    def search_states(self) -> list[SearchState]:
        """Return the saved searches, sorted by name, each with how much it matches.

        Returns
        -------
        list of catalog.questions.search_states.SearchState
            The searches as of the last run of each.

        Raises
        ------
        CatalogError
            If there is no catalog, or it cannot be read.

        Examples
        --------
        >>> (state,) = catalog.search_states()
        >>> state.search.name, state.matches == len(catalog.find())
        ('soss', True)
        """
        from catalog.questions.search_states import search_states

        return search_states(self._database)

    def search_edits(self, name: str) -> list[Edit]:
        """Return the edits and renamings of a saved search, oldest first, each with what the search was before.

        Parameters
        ----------
        name : str
            The name of the search.

        Returns
        -------
        list of catalog.store.history.search_edits.Edit
            Empty if the search is as it was first saved.

        Raises
        ------
        NoSuchSearch
            If no search is saved under the name.

        Examples
        --------
        >>> all(edit.act in ("edited", "renamed") for edit in catalog.search_edits("soss"))
        True
        """
        from catalog.questions.search_states import search_edits

        return search_edits(self._database, name)

    def unsaved(self, names: Sequence[str]) -> set[str]:
        """Return the names under which no search is saved yet.

        Parameters
        ----------
        names : sequence of str
            Names of searches.

        Returns
        -------
        set of str
            Those of ``names`` that are not saved; all of them if there is no catalog.

        Examples
        --------
        >>> catalog.unsaved(["soss", "other"])
        {'other'}
        """
        return set(names) - {search.name for search in (self.searches() if self.exists() else [])}

    def save_search(self, search: Search) -> None:
        """Save a search without harvesting it; if there is no catalog, nothing happens.

        Parameters
        ----------
        search : Search
            The search; it is saved under its name.

        Raises
        ------
        BadValue
            If the name belongs to another search.

        Examples
        --------
        >>> catalog.save_search(catalog.saved_search("soss"))
        """
        from catalog.store.history.runs import save_search

        if self.exists():
            with self._database.write() as connection:
                save_search(connection, search)

    def discard_search(self, name: str) -> None:
        """Discard a search that brought nothing, as if it had never been saved; its runs stay.

        Parameters
        ----------
        name : str
            The name of the search; it need not be saved.

        Examples
        --------
        >>> catalog.discard_search("never saved")
        """
        from catalog.store.history.search_edits import drop_search

        if self.exists():
            with self._database.write() as connection:
                drop_search(connection, name)

    def revise_search(
        self, name: str, criteria: Sequence[str] = (), *, instrument: str | None = None, cone: str | None = None
    ) -> Search:
        """Give a saved search other criteria, another instrument or another cone; the rest stays.

        Parameters
        ----------
        name : str
            The name of a saved search.
        criteria : sequence of str
            The new criteria, as after ``-k``; they replace all former ones.
        instrument : str, optional
            For a search for files.
        cone : str, optional
            For a search for observations.

        Returns
        -------
        Search
            The search as it is now. Its next harvest reads everything.

        Raises
        ------
        NoSuchSearch
            If no search is saved under the name.
        UsageError
            If nothing is given, or if this kind of search does not have what is given.

        Examples
        --------
        >>> catalog.revise_search("soss", catalog.saved_search("soss").written).name
        'soss'
        """
        from catalog.store.history.runs import saved_search
        from catalog.store.history.search_edits import edit_search
        from catalog.vocabulary.search import revised

        with self._database.write() as connection:
            search = revised(saved_search(connection, name).search, criteria, instrument, cone)
            edit_search(connection, search)
        return search

    def archive_counts(self) -> Iterator[tuple[str, int]]:
        """Ask the archive how many rows each saved search matches now.

        Yields
        ------
        tuple of str and int
            The name of a search, and its count.

        Raises
        ------
        ArchiveError
            If the archive does not answer.
        CatalogError
            If there is no catalog, or it cannot be read.

        Examples
        --------
        >>> counts = dict(catalog.archive_counts())
        >>> counts["soss"] == len(catalog.find())
        True
        """
        from catalog.archive.client import AnswerLimits, MastArchive
        from catalog.archive.partition import WholeQueries
        from catalog.archive.retry import Patience

        with MastArchive(self.server, AnswerLimits(read=_COUNTED_IN, total=_COUNTED_IN)) as archive:
            whole = WholeQueries(archive, Patience(attempts=3, silence=_COUNTED_IN))
            for search in self.searches():
                yield search.name, sum(whole.count(archive.query(part)) for part in search.parts)

    def requests(self, *searches: Search | str, time_limit: float | None = None) -> list[Request]:
        """Write the first requests of a harvest, and ask the archive how many rows each has.

        Parameters
        ----------
        *searches : Search or str
            Searches, or names of saved searches.
        time_limit : float, optional
            How many seconds the whole may take.

        Returns
        -------
        list of catalog.harvest.requests.Request
            One for each search and instrument. Nothing is written to the catalog.

        Raises
        ------
        NoSuchSearch
            If no search is saved under the name.
        ArchiveError
            If the archive does not answer.

        Examples
        --------
        >>> (request,) = catalog.requests("soss")
        >>> request.request["service"], request.rows > 0
        ('Mast.Jwst.Filtered.Niriss', True)
        """
        from catalog.harvest.requests import requests

        until = math.inf if time_limit is None else time.monotonic() + time_limit
        described = [self.saved_search(search) if isinstance(search, str) else search for search in searches]
        return requests(self.server, described, until)

    def refuse_other_archives(self, names: Sequence[str]) -> None:
        """Refuse to harvest searches that were harvested from another archive before; nothing is asked.

        Parameters
        ----------
        names : sequence of str
            Names of searches.

        Raises
        ------
        OtherArchive
            The error has both addresses.

        Examples
        --------
        >>> catalog.refuse_other_archives(["soss"])
        """
        from catalog.harvest.origin import refuse_other_archives

        refuse_other_archives(self._database, names, self.server)

    def edit_search(self, search: Search) -> None:
        """Give a saved search other criteria. Its next harvest reads everything, and its history stays.

        Parameters
        ----------
        search : Search
            The new search, under the name of a saved one.

        Raises
        ------
        NoSuchSearch
            If no search is saved under the name.
        BadValue
            If one of them is for files and the other for observations.

        Examples
        --------
        >>> catalog.edit_search(Search.parse("soss", "niriss", ["exp_type=NIS_SOSS", "category=COM"]))
        >>> catalog.saved_search("soss").written
        ('exp_type=NIS_SOSS', 'category=COM')
        """
        from catalog.store.history.search_edits import edit_search

        with self._database.write() as connection:
            edit_search(connection, search)

    def rename_search(self, name: str, new: str) -> None:
        """Give a saved search another name, also in its history.

        Parameters
        ----------
        name : str
            The present name.
        new : str
            The new name.

        Raises
        ------
        NoSuchSearch
            If no search is saved under the name.
        BadValue
            If the new name is not valid, or belongs or belonged to another search.

        Examples
        --------
        >>> catalog.rename_search("soss", "soss-2022")
        >>> [search.name for search in catalog.searches()]
        ['soss-2022']
        >>> catalog.rename_search("soss-2022", "soss")
        """
        from catalog.store.history.search_edits import rename_search

        with self._database.write() as connection:
            rename_search(connection, name, new)

    def remove_search(self, name: str) -> None:
        """Remove a saved search; what it found stays in the history.

        Parameters
        ----------
        name : str
            The name of the search.

        Raises
        ------
        NoSuchSearch
            If no search is saved under the name.

        Examples
        --------
        >>> harvest = catalog.harvest(Search.parse("imaging", "niriss", ["exp_type=NIS_IMAGE"]))
        >>> catalog.remove_search("imaging")
        >>> [search.name for search in catalog.searches()]
        ['soss']
        """
        from catalog.store.history.search_edits import remove_search

        with self._database.write() as connection:
            remove_search(connection, name)
