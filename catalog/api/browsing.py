"""Browsing the catalog from Python: counts by facet, pages of files, versions of a file, and time limits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from catalog.api.catalog_base import CatalogBase

if TYPE_CHECKING:
    from threading import Event

    from catalog.questions.browse import Choice, Facet, Leaf, Table
    from catalog.questions.one_file import FileVersion


class Browsing(CatalogBase):
    """The part of a `mastlake.Catalog` that the pages of ``mastlake serve`` use."""

    def facets(self, choice: Choice | None = None) -> tuple[int, list[Facet]]:
        """Count files by facet: instrument, exposure type, filter, program, target, access, state on disk and others.

        Parameters
        ----------
        choice : catalog.questions.browse.Choice, optional
            The files that are meant; by default, all files.

        Returns
        -------
        int
            How many files the choice has.
        list of catalog.questions.browse.Facet
            The facets. The values that are picked in a facet do not narrow the facet's own counts.

        Raises
        ------
        UnknownKeyword, BadValue
            If a criterion cannot be understood.
        CatalogError
            If there is no catalog, or it cannot be read.

        Examples
        --------
        >>> total, counted = catalog.facets()
        >>> total == len(catalog.find()), counted[0].name
        (True, 'instrument')
        """
        from catalog.questions.browse import Choice, facets

        return facets(self._database, choice or Choice())

    def leaf(self, choice: Choice, table: Table) -> Leaf:
        """Return one page of a table of files. The key of its last row leads to the next page.

        Parameters
        ----------
        choice : catalog.questions.browse.Choice
            The files that are meant.
        table : catalog.questions.browse.Table
            The columns, their order, and the file after which the page begins.

        Returns
        -------
        catalog.questions.browse.Leaf
            The rows, the key after which the next page begins, and the SQL.

        Raises
        ------
        UnknownKeyword, BadValue
            If a criterion or a column cannot be understood.
        CatalogError
            If there is no catalog, or it cannot be read.

        Examples
        --------
        >>> from catalog.questions.browse import Choice, Table
        >>> catalog.leaf(Choice(), Table(("targname",), limit=2)).rows.column_names
        ['filename', 'targname']
        """
        from catalog.questions.browse import leaf

        return leaf(self._database, choice, table)

    def any_file(self, choice: Choice) -> bool:
        """Say whether a choice has any file.

        Parameters
        ----------
        choice : catalog.questions.browse.Choice
            The files that are meant.

        Returns
        -------
        bool
            True if there is a file.

        Examples
        --------
        >>> from catalog.questions.browse import Choice
        >>> catalog.any_file(Choice())
        True
        """
        from catalog.questions.browse import any_file

        return any_file(self._database, choice)

    def chosen_sql(self, choice: Choice) -> str:
        """Write the statement that returns all columns of the chosen files, in the order of observation.

        Parameters
        ----------
        choice : catalog.questions.browse.Choice
            The files that are meant.

        Returns
        -------
        str
            The statement, with its values written into it.

        Examples
        --------
        >>> from catalog.questions.browse import Choice
        >>> catalog.chosen_sql(Choice())
        'SELECT * FROM files ORDER BY date_obs_mjd, filename'
        """
        from catalog.questions.browse import statement_of
        from catalog.questions.conditions import written_out

        return written_out(*statement_of(self._database, choice))

    def days(self, choice: Choice) -> list[tuple[int, int]]:
        """Count the chosen files by the day of observation (MJD, UTC).

        Parameters
        ----------
        choice : catalog.questions.browse.Choice
            The files that are meant.

        Returns
        -------
        list of (int, int)
            Days, each with its number of files; files without a day are left out.

        Examples
        --------
        >>> from catalog.questions.browse import Choice
        >>> sum(files for day, files in catalog.days(Choice())) == len(catalog.find())
        True
        """
        from catalog.questions.browse import days

        return days(self._database, choice)

    def cells(self, choice: Choice) -> list[tuple[int, int, int]]:
        """Count the chosen files by cells of the sky.

        Parameters
        ----------
        choice : catalog.questions.browse.Choice
            The files that are meant.

        Returns
        -------
        list of (int, int, int)
            Right ascension and declination of a corner of a cell of 4 degrees, and its number of files.

        Examples
        --------
        >>> from catalog.questions.browse import Choice
        >>> all(ra % 4 == dec % 4 == 0 for ra, dec, files in catalog.cells(Choice()))
        True
        """
        from catalog.questions.browse import sky_cells

        return sky_cells(self._database, choice)

    def versions(self, filename: str) -> list[FileVersion]:
        """List the versions of a file, the oldest first, each with what changed since the one before.

        Parameters
        ----------
        filename : str
            The name of the file.

        Returns
        -------
        list of catalog.questions.one_file.FileVersion
            An empty list if the archive never listed the file.

        Raises
        ------
        CatalogError
            If there is no catalog, or it cannot be read.

        Examples
        --------
        >>> catalog.versions("no such file")
        []
        """
        from catalog.questions.one_file import versions

        return versions(self._database, filename)

    @contextmanager
    def limited(self, seconds: float, stop: Event | None = None) -> Iterator[None]:
        """Limit the questions that this thread asks in the block: to some seconds in all, or until they are stopped.

        Parameters
        ----------
        seconds : float
            For all questions of the block together.
        stop : threading.Event, optional
            When it is set, the current question ends.

        Yields
        ------
        None
            A question that must end raises `catalog.errors.QuestionStopped`.

        Examples
        --------
        >>> with catalog.limited(seconds=60):
        ...     catalog.sql("SELECT 1 AS one")["one"]
        [1]
        """
        from catalog.store.limits import limited

        with limited(seconds, stop):
            yield
