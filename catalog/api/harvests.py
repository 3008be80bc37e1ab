"""Harvests from Python."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from catalog.api.described_searches import DescribedSearches

if TYPE_CHECKING:
    from catalog.harvest import Harvest, Progress
    from catalog.vocabulary.search import Search


class Harvests(DescribedSearches):
    """The part of a `mastlake.Catalog` that harvests."""

    def harvest(
        self,
        search: Search | str,
        *,
        full: bool = False,
        server_moved: bool = False,
        allow_empty: bool = False,
        time_limit: float | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Harvest:
        """Bring the catalog up to date with what the archive has for a search: files, observations and products.

        Parameters
        ----------
        search : Search or str
            A search, which is saved under its name; or the name of a saved search, or of one in ``mastlake.toml``.
        full : bool
            Read every row and product list again, as the first harvest does.
        server_moved : bool
            The archive has moved: it is the one from which the search was harvested before, at another address.
        allow_empty : bool
            Accept that a search which matched something before matches nothing now.
        time_limit : float, optional
            How many seconds the whole may take.
        on_progress : callable, optional
            Called with `catalog.harvest.Progress`.

        Returns
        -------
        Harvest
            The run as the catalog recorded it, and what the archive did not answer.

        Raises
        ------
        NoSuchSearch
            If no search is saved under the name.
        BadValue
            If the name belongs to another search already.
        OtherArchive
            If the search was harvested from another archive before, and ``server_moved`` is false; nothing was asked.
        Emptied
            If it matched something before and matches nothing now, and ``allow_empty`` is false; nothing changed.
        ArchiveError
            If the archive does not answer, or not in time; the catalog did not change.
        CatalogError
            If the catalog cannot be used; it did not change.

        Examples
        --------
        >>> again = catalog.harvest("soss")
        >>> again.run.kind, again.run.new
        ('incremental', 0)
        """
        from catalog.archive.client import AnswerLimits, MastArchive
        from catalog.archive.retry import Patience
        from catalog.harvest import harvest

        self.require_writable()
        if isinstance(search, str):
            search = self._search_named(search)
        until = math.inf if time_limit is None else time.monotonic() + time_limit
        with MastArchive(self.server, AnswerLimits(until=until)) as archive:
            return harvest(
                self._database,
                archive,
                search,
                full=full,
                server_moved=server_moved,
                allow_empty=allow_empty,
                patience=Patience(until=until),
                on_progress=on_progress,
            )
