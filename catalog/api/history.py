"""History from Python: which runs there were, and what changed from one to another."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.api.catalog_base import CatalogBase

if TYPE_CHECKING:
    from catalog.changes import Changes
    from catalog.questions.search_states import SearchDetails
    from catalog.store.history.row_changes import RowChange
    from catalog.store.history.runs import Run


class History(CatalogBase):
    """The part of a `mastlake.Catalog` that knows the past."""

    def runs(self, search: str | None = None) -> list[Run]:
        """List the runs of all searches, or of one, the oldest first.

        Parameters
        ----------
        search : str, optional
            The name of the search.

        Returns
        -------
        list of catalog.store.history.runs.Run
            Runs, with the numbers of what each found new, changed, withdrawn and returned.

        Raises
        ------
        NoSuchSearch
            If no search has or had the name.
        CatalogError
            If there is no catalog, or it cannot be read.

        Examples
        --------
        >>> [(run.run, run.kind) for run in catalog.runs("soss")][0]
        (1, 'full')
        """
        from catalog.changes.span import require_search
        from catalog.store.history.runs import runs

        with self._database.read() as connection:
            listed = [run for run in runs(connection) if search in (None, run.search)]
            if search is not None and not listed:  # a search that was removed has runs all the same
                require_search(connection, search)
        return listed

    def search_details(self, name: str) -> SearchDetails:
        """Return a saved search with its edits and its runs.

        Parameters
        ----------
        name : str
            The name of the search.

        Returns
        -------
        catalog.questions.search_states.SearchDetails
            Its state, and its edits and runs, oldest first.

        Raises
        ------
        NoSuchSearch
            If no search is saved under the name.

        Examples
        --------
        >>> details = catalog.search_details("soss")
        >>> details.state.search.name, details.runs[0].kind
        ('soss', 'full')
        """
        from catalog.questions.search_states import search_details

        return search_details(self._database, name)

    def diff(self, first: int, second: int) -> list[RowChange]:
        """Compare the catalog as it stood after two runs.

        Parameters
        ----------
        first, second : int
            The numbers of the runs.

        Returns
        -------
        list of catalog.store.history.row_changes.RowChange
            One for each file, observation or product that differs; ``columns`` are those that changed.

        Raises
        ------
        UsageError
            If there was no run with this number.

        Examples
        --------
        >>> catalog.diff(1, 1)
        []
        """
        from catalog.changes.span import require_run
        from catalog.store.history.row_changes import differences

        with self._database.read() as connection:
            for run in (first, second):
                require_run(connection, run)
            return differences(connection, first, second)

    def changes(
        self,
        *,
        since: int | str | date | None = None,
        run: int | None = None,
        search: str | None = None,
        what: str | None = None,
        local: bool = False,
        with_rows: bool = False,
    ) -> Changes:
        """Tell what changed in the archive. A value that changed twice counts once, from the oldest to the newest.

        Parameters
        ----------
        since : int, str or datetime.date, optional
            The run after which changes count, or a date; by default, when ``mastlake changes`` last showed changes.
        run : int, optional
            Only the changes of this run.
        search : str, optional
            Only what this search matches, or to which it leads.
        what : str, optional
            ``file``, ``observation`` or ``product``.
        local : bool
            Only what is on this disk; and what must be reduced again because its inputs are stale.
        with_rows : bool
            Read old and new values at once; by default, they are read when they are first used.

        Returns
        -------
        catalog.changes.Changes
            ``groups`` of what changed in the same way, and ``rows`` with old and new values.

        Raises
        ------
        NoSuchSearch, UsageError
            If there is no such search, run or date.

        Examples
        --------
        >>> found = catalog.changes(since=0, search="soss")
        >>> {group.change for group in found.groups}
        {'new'}
        """
        from catalog.changes import changes

        text = since.isoformat() if isinstance(since, date) else None if since is None else str(since)
        return changes(self._database, since=text, run=run, search=search, what=what, local=local, with_rows=with_rows)

    def remember_seen(self, found: Changes) -> bool:
        """Remember that a person has seen changes, so that the next `changes` begins after them.

        Parameters
        ----------
        found : catalog.changes.Changes
            The changes that were seen.

        Returns
        -------
        bool
            False if neither the catalog's folder nor the home folder can be written.

        Examples
        --------
        >>> seen = catalog.remember_seen(catalog.changes(since=0))
        """
        from catalog.changes import remember

        return remember(self._database, found)

    def check_report(self, path: str | os.PathLike[str]) -> None:
        """Refuse the path of a report whose ending stands for no form.

        Parameters
        ----------
        path : path-like
            The path of the report.

        Raises
        ------
        UsageError
            The error names all endings.

        Examples
        --------
        >>> catalog.check_report("changes.html")
        """
        from catalog.changes.report import check_ending

        check_ending(Path(path))

    def write_report(
        self, path: str | os.PathLike[str], *, since: int | str | date | None = None, failures: Sequence[str] = ()
    ) -> None:
        """Write what changed as a page to be mailed; the ending of the path makes it text, Markdown (.md) or HTML.

        Parameters
        ----------
        path : path-like
            The path of the page, which is put there when it is whole.
        since : int, str or datetime.date, optional
            As for `changes`.
        failures : sequence of str
            The failures; the page begins with these lines.

        Raises
        ------
        UsageError
            If the ending stands for no form.
        DiskError
            If the file cannot be written.

        Examples
        --------
        >>> catalog.write_report(folder / "changes.md", since=0)
        """
        from catalog.changes.report import report_of, write_report

        changes = self.changes(since=since, with_rows=True)
        write_report(Path(path), report_of(changes, f"What changed in {self._database.path.name}", failures))
