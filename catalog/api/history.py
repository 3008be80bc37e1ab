"""History from Python: which runs there were, and what changed between them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.api.catalog_base import CatalogBase

if TYPE_CHECKING:
    from catalog.changes import Changes
    from catalog.store.history.row_changes import RowChange
    from catalog.store.history.runs import Run


class History(CatalogBase):
    """The part of a `mastlake.Catalog` that tells what was."""

    def runs(self, search: str | None = None) -> list[Run]:
        """List the runs of all searches, or of one, the oldest first.

        Parameters
        ----------
        search : str, optional
            Its name.

        Returns
        -------
        list of catalog.store.history.runs.Run
            With numbers of what each run found new, changed, withdrawn and returned.

        Raises
        ------
        NoSuchSearch
            For a name that no search has or had.
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
            if search is not None and not listed:  # a search that was removed still has runs
                require_search(connection, search)
        return listed

    def diff(self, first: int, second: int) -> list[RowChange]:
        """Compare the catalog as it stood after two runs.

        Parameters
        ----------
        first, second : int
            Numbers of runs.

        Returns
        -------
        list of catalog.store.history.row_changes.RowChange
            One a file, observation or product that is not the same; ``columns`` differ where it changed.

        Raises
        ------
        UsageError
            For the number of a run that never was.

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
        """Tell what changed in the archive, as a net effect: what changed twice counts once, from the oldest value.

        Parameters
        ----------
        since : int, str or datetime.date, optional
            The run after which changes count, or a date; without it, since ``mastlake changes`` was last looked at.
        run : int, optional
            This run alone.
        search : str, optional
            Only what this search matches or leads to.
        what : str, optional
            ``file``, ``observation`` or ``product``.
        local : bool
            Only what is on this disk, and what is to be reduced again because its inputs are stale.
        with_rows : bool
            Read old and new values at once; else they are read when they are first asked for.

        Returns
        -------
        catalog.changes.Changes
            With ``groups`` of what changed alike, and ``rows`` with old and new values.

        Raises
        ------
        NoSuchSearch, UsageError
            For a search, run or date that there is not.

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
            What was seen.

        Returns
        -------
        bool
            Whether that was possible: a folder that cannot be written, and no home folder, make it impossible.

        Examples
        --------
        >>> seen = catalog.remember_seen(catalog.changes(since=0))
        """
        from catalog.changes import remember

        return remember(self._database, found)

    def check_report(self, path: str | os.PathLike[str]) -> None:
        """Refuse the path of a report whose ending names no form.

        Parameters
        ----------
        path : path-like
            Where the report is to go.

        Raises
        ------
        UsageError
            It names the endings that there are.

        Examples
        --------
        >>> catalog.check_report("changes.html")
        """
        from catalog.changes.report import check_ending

        check_ending(Path(path))

    def write_report(
        self, path: str | os.PathLike[str], *, since: int | str | date | None = None, failures: Sequence[str] = ()
    ) -> None:
        """Write what changed as a page that can be mailed: text, Markdown (.md) or HTML, by the file's ending.

        Parameters
        ----------
        path : path-like
            Where the page goes; it is put in place when it is whole.
        since : int, str or datetime.date, optional
            As for `changes`.
        failures : sequence of str
            What could not be done; the page begins with it.

        Raises
        ------
        UsageError
            For an ending that names no form.
        DiskError
            If the file cannot be written.

        Examples
        --------
        >>> catalog.write_report(folder / "changes.md", since=0)
        """
        from catalog.changes.report import report_of, write_report

        found = self.changes(since=since, with_rows=True)
        write_report(Path(path), report_of(found, f"What changed in {self._database.path.name}", failures))
