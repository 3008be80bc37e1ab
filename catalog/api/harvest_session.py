"""Several searches that are harvested one after another, as one command does it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.errors import ArchiveError, Emptied, UsageError

if TYPE_CHECKING:
    from catalog.api.catalog import Catalog
    from catalog.harvest import Harvest, Progress
    from catalog.harvest.requests import Request
    from catalog.vocabulary.search import Search

ShowProgress = Callable[["Search"], AbstractContextManager[Callable[["Progress"], None]]]
"""Returns, for a search, a context manager that yields the function to call with the progress of its harvest."""


@dataclass(frozen=True)
class HarvestOptions:
    """How searches are harvested; see `Catalog.harvest`.

    Attributes
    ----------
    full, server_moved, allow_empty : bool
        As for `Catalog.harvest`.
    until : float
        When all searches together must be done, as a time of `time.monotonic`.
    """

    full: bool
    server_moved: bool
    allow_empty: bool
    until: float


@dataclass(frozen=True)
class SearchOutcome:
    """The outcome of one search.

    Attributes
    ----------
    search : Search
        The search.
    result : Harvest or None
        The result; None if there is an error.
    error : ArchiveError or None
        Why the search could not be harvested; the next search may succeed all the same.
    seconds : float
        How long the harvest took.
    is_new : bool
        Whether the search was not saved before, and mastlake.toml does not describe it.
    """

    search: Search
    result: Harvest | None
    error: ArchiveError | None
    seconds: float
    is_new: bool

    @property
    def is_emptied(self) -> bool:
        """Whether a search that matched something matches nothing now, which only a person can confirm."""
        return isinstance(self.error, Emptied)

    @property
    def why_useless(self) -> str:
        """Why a new search brought nothing, so that perhaps it should not be saved; empty otherwise."""
        if not self.is_new or self.is_emptied:
            return ""
        if self.error is not None:
            return f"failed: {self.error}"
        assert self.result is not None
        return "" if self.result.run.files or self.result.run.observations else "matched nothing"


class HarvestSession:
    """Searches to harvest; `Catalog.harvest_session` makes it.

    Parameters
    ----------
    lake : Catalog
        The catalog.
    names : sequence of str
        Names of searches; none stands for all of them.
    defined : Search or None
        A search that is defined now, which then is the only one.
    declared : mapping of str to Search
        The searches that mastlake.toml describes.
    options : HarvestOptions
        How to harvest them.

    Attributes
    ----------
    searches : list of Search
        The searches, in order.
    vanished : list of str
        Names of saved searches that are left out, because mastlake.toml described them once and no longer does.
    new_under_way : Search or None
        The search that is being harvested, if it is new.
    """

    def __init__(
        self,
        lake: Catalog,
        names: Sequence[str],
        defined: Search | None,
        declared: Mapping[str, Search],
        options: HarvestOptions,
    ) -> None:
        self._lake = lake
        self._declared = declared
        self._options = options
        self._before = 0
        self.vanished: list[str] = []
        self.searches = [defined] if defined is not None else self._searches(names)
        self.new_under_way: Search | None = None

    def _searches(self, names: Sequence[str]) -> list[Search]:
        if not self._lake.exists() and self._declared and set(names) <= set(self._declared):
            return [self._declared[name] for name in names or self._declared]
        if not self._lake.exists() and not names:
            raise UsageError("there is no catalog yet: mastlake harvest NAME --instrument ... -k ...")
        if names:
            return [self._declared.get(name) or self._lake.saved_search(name) for name in names]
        saved = {search.name: search for search in self._lake.searches()}
        gone = self._lake.searches_of_settings() - set(self._declared)
        self.vanished = sorted(gone & set(saved))
        still_named = {name: search for name, search in saved.items() if name not in gone}
        searches = list((still_named | dict(self._declared)).values())
        if not searches:
            raise UsageError("no search is saved yet: mastlake harvest NAME --instrument ... -k ...")
        return searches

    def requests(self) -> list[Request]:
        """Return the first requests of the searches, with the numbers of their rows; nothing is changed."""
        self._refuse_other_archives()
        return self._lake.requests(*self.searches, time_limit=self._options.until - time.monotonic())

    def begin(self, report: Path | None = None) -> list[str]:
        """Refuse what cannot be harvested, and let saved searches follow mastlake.toml.

        Parameters
        ----------
        report : Path, optional
            Where `write_report` will write.

        Returns
        -------
        list of str
            The names of the saved searches that were edited.

        Raises
        ------
        CatalogUnwritable
            If the catalog is one that others published.
        OtherArchive
            If a search was harvested from another archive before.
        UsageError
            If the ending of the report's path stands for no form.
        """
        self._lake.require_writable()
        self._refuse_other_archives()
        if report is not None:
            self._lake.check_report(report)
            if self._lake.exists():
                self._before = max((run.run for run in self._lake.runs()), default=0)
        return self._lake.follow_settings(
            [search for search in self.searches if self._declared.get(search.name) == search]
        )

    def run(self, progress: ShowProgress) -> Iterator[SearchOutcome]:
        """Harvest the searches one after another, and yield what became of each.

        Parameters
        ----------
        progress : callable
            Shows the progress of a search.
        """
        names = {search.name for search in self.searches} - set(self._declared)
        new = self._lake.unsaved(sorted(names)) if names else names
        for search in self.searches:
            is_new = search.name in new
            self.new_under_way = search if is_new else None
            outcome = self._harvest(search, is_new, progress)
            self.new_under_way = None
            yield outcome
        self._lake.note_settings({search.name: search.name in self._declared for search in self.searches})

    def _harvest(self, search: Search, is_new: bool, progress: ShowProgress) -> SearchOutcome:
        began = time.perf_counter()
        result, fault = None, None
        try:
            with progress(search) as show:
                result = self._lake.harvest(
                    search,
                    full=self._options.full,
                    server_moved=self._options.server_moved,
                    allow_empty=self._options.allow_empty,
                    time_limit=self._options.until - time.monotonic(),
                    on_progress=show,
                )
        except ArchiveError as error:
            fault = error
        seconds = round(time.perf_counter() - began, 3)
        return SearchOutcome(search, result, fault, seconds, is_new)

    def keep(self, search: Search, is_wanted: bool) -> None:
        """Save a new search that brought nothing, or discard it."""
        if is_wanted:
            self._lake.save_search(search)
        else:
            self._lake.discard_search(search.name)

    def write_report(self, path: Path, failures: Sequence[str]) -> bool:
        """Write a report of what these harvests changed; return False if there is no catalog to report on."""
        if not self._lake.exists():
            return False
        self._lake.write_report(path, since=self._before, failures=failures)
        return True

    def _refuse_other_archives(self) -> None:
        """Refuse all searches before the first request, and not only when it is the turn of one."""
        if not self._options.server_moved:
            self._lake.refuse_other_archives([search.name for search in self.searches])
