"""Saved searches from Python: list, edit, rename and remove them; harvests save them."""

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
"""Seconds that the archive may take for one count: a person waits for nothing else."""


class SavedSearches(CatalogBase):
    """The part of a `mastlake.Catalog` that keeps searches."""

    def searches(self) -> list[Search]:
        """Return the saved searches.

        Returns
        -------
        list of Search
            In the order of their names.

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
            The name that it was saved under.

        Returns
        -------
        Search
            As it is saved now.

        Raises
        ------
        NoSuchSearch
            For a name under which none is saved, with the nearest that is.

        Examples
        --------
        >>> catalog.saved_search("soss").instrument
        'niriss'
        """
        from catalog.store.history.runs import saved_search

        with self._database.read() as connection:
            return saved_search(connection, name).search

    def search_states(self) -> list[SearchState]:
        """Return the saved searches with how much each matches, by name.

        Returns
        -------
        list of catalog.questions.search_states.SearchState
            As of the last run of each.

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
        """Return what became of a saved search, oldest first: edits and renames, with what it was before.

        Parameters
        ----------
        name : str
            Of the search.

        Returns
        -------
        list of catalog.store.history.search_edits.Edit
            Empty for a search that is as it was first saved.

        Raises
        ------
        NoSuchSearch
            For a name under which none is saved.

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
            Those of ``names``; all of them without a catalog.

        Examples
        --------
        >>> catalog.unsaved(["soss", "other"])
        {'other'}
        """
        return set(names) - {search.name for search in (self.searches() if self.exists() else [])}

    def save_search(self, search: Search) -> None:
        """Save a search without harvesting it; nothing happens without a catalog.

        Parameters
        ----------
        search : Search
            Under its name.

        Raises
        ------
        BadValue
            If the name means another search.

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
            Of the search; it need not be saved.

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
        """Give a saved search other criteria, another instrument or another cone, and leave what is not given.

        Parameters
        ----------
        name : str
            Of a saved search.
        criteria : sequence of str
            In place of all that there were, as after ``-k``.
        instrument : str, optional
            For a search for files.
        cone : str, optional
            For a search for observations.

        Returns
        -------
        Search
            As it is now. Its next harvest reads everything.

        Raises
        ------
        NoSuchSearch
            For a name under which none is saved.
        UsageError
            If nothing is given, or something that this kind of search does not have.

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
        """Write the requests that a harvest would begin with, and ask the archive how many rows each has.

        Parameters
        ----------
        *searches : Search or str
            Searches, or names of saved ones.
        time_limit : float, optional
            Give up after so many seconds.

        Returns
        -------
        list of catalog.harvest.requests.Request
            One for each search and instrument. Nothing is written to the catalog.

        Raises
        ------
        NoSuchSearch
            For a name under which none is saved.
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
            With both addresses.

        Examples
        --------
        >>> catalog.refuse_other_archives(["soss"])
        """
        from catalog.harvest.origin import refuse_other_archives

        refuse_other_archives(self._database, names, self.server)

    def edit_search(self, search: Search) -> None:
        """Give a saved search other criteria; its next harvest reads everything, and what it was stays known.

        Parameters
        ----------
        search : Search
            Under the name of a saved one.

        Raises
        ------
        NoSuchSearch
            For a name under which none is saved.
        BadValue
            If one is for files and the other for observations.

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
        """Give a saved search another name, in its history too.

        Parameters
        ----------
        name : str
            The name that it has.
        new : str
            The name that it gets.

        Raises
        ------
        NoSuchSearch
            For a name under which none is saved.
        BadValue
            For a new name that is no name, or that is or was another search's.

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
            The name that it was saved under.

        Raises
        ------
        NoSuchSearch
            For a name under which none is saved.

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
