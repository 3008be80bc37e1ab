"""Searches that ``mastlake.toml`` describes: they are saved as described, and follow the file when it changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from catalog.api.saved_searches import SavedSearches

if TYPE_CHECKING:
    from catalog.vocabulary.search import Search


class DescribedSearches(SavedSearches):
    """The part of a `mastlake.Catalog` that keeps saved searches as ``mastlake.toml`` describes them."""

    def _described_searches(self) -> dict[str, Search]:
        """Return the searches that ``mastlake.toml`` describes, by name."""
        described = {} if self._settings is None else self._settings.searches
        return {name: each.search for name, each in described.items()}

    def _search_named(self, name: str) -> Search:
        """Return a search of ``mastlake.toml``, which is saved as described there; or else a saved search."""
        described = self._described_searches().get(name)
        if described is None:
            return self.saved_search(name)
        self.follow_settings([described])
        return described

    def follow_settings(self, searches: Sequence[Search]) -> list[str]:
        """Edit the saved searches that ``mastlake.toml`` now describes differently.

        Parameters
        ----------
        searches : sequence of Search
            The searches as the file describes them.

        Returns
        -------
        list of str
            The names of the searches that were edited.

        Examples
        --------
        >>> catalog.follow_settings(catalog.searches())
        []
        """
        from catalog.store.history.runs import mean_the_same

        if not searches or not self.exists():
            return []
        saved = {search.name: search for search in self.searches()}
        edited = [
            search for search in searches if search.name in saved and not mean_the_same(saved[search.name], search)
        ]
        for search in edited:
            self.edit_search(search)
        return [search.name for search in edited]

    def searches_of_settings(self) -> set[str]:
        """Return the names of the searches that ``mastlake.toml`` described when they last ran.

        Returns
        -------
        set of str
            The names; empty if there is no catalog.

        Examples
        --------
        >>> catalog.searches_of_settings()
        set()
        """
        from catalog.store.history.search_edits import declared_searches

        if not self.exists():
            return set()
        with self._database.read() as connection:
            return declared_searches(connection)

    def note_settings(self, names: Mapping[str, bool]) -> None:
        """Remember of some searches whether ``mastlake.toml`` describes them.

        Parameters
        ----------
        names : mapping of str to bool
            Whether the file describes a search, by the search's name.

        Examples
        --------
        >>> catalog.note_settings({"soss": False})
        """
        from catalog.store.history.search_edits import mark_declared

        noted = self.searches_of_settings()
        moved = {name: described for name, described in names.items() if described != (name in noted)}
        if moved and self.exists():
            with self._database.write() as connection:
                for name, described in moved.items():
                    mark_declared(connection, name, described)
