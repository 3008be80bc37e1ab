"""Questions to a catalog from Python; nothing here changes it, or asks the archive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Unpack

from catalog.api.arguments import Filters, file_criteria, selection
from catalog.api.catalog_base import CatalogBase
from catalog.api.question import Question

if TYPE_CHECKING:
    import pyarrow as pa

    from catalog.answers.result import Result
    from catalog.questions.catalog_contents import SqlNames
    from catalog.vocabulary.criteria import Wanted


class Questions(CatalogBase):
    """The part of a `mastlake.Catalog` that answers."""

    def find(
        self,
        *written: str,
        target: str | None = None,
        cone: str | tuple[float, float, float] | tuple[Any, Any] | None = None,
        footprint: str | None = None,
        since: str | None = None,
        until: str | None = None,
        program: int | str | Sequence[int] | None = None,
        pi: str | None = None,
        instrument: str | None = None,
        release: str | None = None,
        everything: bool = False,
        limit: int | None = None,
        **keywords: Wanted | None,
    ) -> Result:
        """Find files by keyword, in the catalog only.

        Parameters
        ----------
        *written : str
            Criteria as on the command line, ``keyword=value``.
        target : str, optional
            A target's name; ``%`` or ``*`` is a wildcard, and case, spaces and hyphens do not count.
        cone : str or tuple, optional
            Right ascension, declination and radius, degrees (ICRS); or a `SkyCoord` and an angle. As text the radius
            may end in d, m or s, and a harvested target's name may stand for its place.
        footprint : str, optional
            A region that the file's footprint overlaps: ``POLYGON RA DEC ...``, ``CIRCLE RA DEC RADIUS``, or a cone.
        since, until : str or Time, optional
            Observed on this ISO date or later; before this moment.
        program : int, str or list, optional
            Its number, or several; as text with commas, or a range.
        pi : str, optional
            A piece of the principal investigator's name.
        instrument : str, optional
            One, or several with commas.
        release : str, optional
            ``public`` or ``exclusive``, now.
        everything : bool
            All columns, or the few that people look at first.
        limit : int, optional
            Rows at most.
        **keywords
            See `catalog.vocabulary.criteria.criterion` for what a value can be; astropy's `Time`, and a `Quantity`,
            which is converted to the keyword's unit, can be one as well.

        Returns
        -------
        Result
            In the order of observation; its ``sql`` is the question as you could have asked it.

        Raises
        ------
        UnknownKeyword, BadValue
            For criteria that are not understood, with the nearest right spelling.
        CatalogError
            If there is no catalog, or it cannot be read.

        Examples
        --------
        >>> found = catalog.find(exp_type="NIS_SOSS", date_obs=("2022-06-01", "2022-08-04"), limit=5)
        >>> len(found), found.columns[:3]
        (5, ['filename', 'targname', 'exp_type'])
        """
        return self.ask_files(
            *written, target=target, cone=cone, footprint=footprint, since=since, until=until, program=program,
            pi=pi, instrument=instrument, release=release, everything=everything, limit=limit, **keywords,
        ).result()  # fmt: skip

    def ask_files(self, *written: str, everything: bool = False, limit: int | None = None, **wanted: Any) -> Question:
        """Write the question that `find` asks, without asking it.

        Parameters
        ----------
        *written, everything, limit, **wanted
            As for `find`.

        Returns
        -------
        Question
            Without a catalog it can be written, too; then names of targets have no place.

        Raises
        ------
        UnknownKeyword, BadValue
            For criteria that are not understood, with the nearest right spelling.

        Examples
        --------
        >>> print(catalog.ask_files(exp_type="NIS_SOSS", everything=True).sql)
        SELECT *
        FROM files
        WHERE lower(exp_type) = 'nis_soss'
        ORDER BY date_obs_mjd, filename
        """
        from catalog.questions.find import statement

        criteria = file_criteria(written, wanted)
        database = self._database if self._database.exists() else None
        sql, values = statement(criteria, everything=everything, limit=limit, database=database)
        return Question(self._database, sql, values, criteria)

    def ask(self, statement: str, values: Sequence[object] = ()) -> Question:
        """Make a question of SQL, without asking it; its rows can be had one by one, as a table, or in a file.

        Parameters
        ----------
        statement, values
            As for `sql`.

        Returns
        -------
        Question
            It asks each time its rows are taken.

        Examples
        --------
        >>> catalog.ask("SELECT count(*) FROM files").first_rows(1)[0]
        ['count_star()']
        """
        return Question(self._database, statement, values)

    def sql(self, statement: str, values: Sequence[object] = ()) -> Result:
        """Ask the catalog in SQL (DuckDB's); nothing can be written, and nothing else be read.

        Parameters
        ----------
        statement : str
            One SELECT (or FROM, WITH, DESCRIBE, SHOW, SUMMARIZE, EXPLAIN).
        values : sequence
            For the ``?`` marks in it.

        Returns
        -------
        Result
            All rows; see `stream` for more of them than memory holds.

        Raises
        ------
        BadQuery
            For anything but one statement that reads, and for one that DuckDB does not understand.
        CatalogError
            If there is no catalog, or it cannot be read.

        Examples
        --------
        >>> catalog.sql("SELECT count(*) AS n FROM files WHERE exp_type = ?", ["NIS_SOSS"])["n"][0] > 0
        True
        """
        return self.ask(statement, values).result()

    @contextmanager
    def stream(self, statement: str, values: Sequence[object] = ()) -> Iterator[pa.RecordBatchReader]:
        """Ask as `sql` does, and take the rows batch by batch: for more of them than memory holds.

        Parameters
        ----------
        statement, values
            As for `sql`.

        Yields
        ------
        pyarrow.RecordBatchReader
            Valid inside the block. The rows lie in a temporary file, so the catalog is free for all else meanwhile.

        Examples
        --------
        >>> with catalog.stream("SELECT filename FROM files") as batches:
        ...     sum(batch.num_rows for batch in batches) == len(catalog.find())
        True
        """
        with self.ask(statement, values).stream() as reader:
            yield reader

    def ask_tables(self) -> Question:
        """Make the question which views, tables and macros the catalog has, and what is in each.

        Returns
        -------
        Question
            Its rows have a name, a kind and a meaning.

        Examples
        --------
        >>> "files" in catalog.ask_tables().result()["name"]
        True
        """
        from catalog.questions.catalog_contents import TABLES_SQL

        return Question(self._database, TABLES_SQL)

    def ask_columns(self, table: str = "files") -> Question:
        """Make the question which columns a table or view has, with type, unit and meaning.

        Parameters
        ----------
        table : str
            Its name. There are no rows for a name that the catalog does not have.

        Returns
        -------
        Question
            Its rows have a name, a type, a unit and a meaning.

        Examples
        --------
        >>> catalog.ask_columns("files").result()["name"][0]
        'filename'
        """
        from catalog.questions.catalog_contents import COLUMNS_SQL

        return Question(self._database, COLUMNS_SQL, [table])

    def sql_names(self) -> SqlNames:
        """Return the words that SQL over this catalog can be written with: tables, columns, functions, SQL's own words.

        Returns
        -------
        catalog.questions.catalog_contents.SqlNames
            For completion, and for the names that are nearest to a misspelt one.

        Raises
        ------
        CatalogError
            If there is no catalog, or it cannot be read.

        Examples
        --------
        >>> "filename" in catalog.sql_names().columns["files"]
        True
        """
        from catalog.questions.catalog_contents import sql_names

        return sql_names(self._database)

    def products(self, search: str | None = None, **filters: Unpack[Filters]) -> Result:
        """List products: of a saved search, of a query, or all.

        Parameters
        ----------
        search : str, optional
            Its name.
        **filters
            As in `Filters`.

        Returns
        -------
        Result
            One row for each product, in the order of their file names.

        Raises
        ------
        NoSuchSearch, UsageError
            If the search was never saved, or the SQL does not run.

        Examples
        --------
        >>> found = catalog.products("soss", subgroups="X1DINTS")
        >>> set(found["productSubGroupDescription"])
        {'X1DINTS'}
        """
        from catalog.answers.result import Result
        from catalog.sync import products

        return Result(products(self._database, selection(search, filters)), f"-- the products of {search or 'all'}")

    def product_rows(
        self, columns: Sequence[str], search: str | None = None, **filters: Unpack[Filters]
    ) -> list[tuple[Any, ...]]:
        """List a few columns of products as Python's values, without Arrow.

        Parameters
        ----------
        columns : sequence of str
            Names of columns; ``filename`` is one.
        search, **filters
            As for `products`.

        Returns
        -------
        list of tuple
            The values of each product, in the order of ``columns``.

        Examples
        --------
        >>> catalog.product_rows(["productSubGroupDescription"], "soss", subgroups="X1DINTS")[0]
        ('X1DINTS',)
        """
        from catalog.sync.selection import product_rows

        return product_rows(self._database, selection(search, filters), columns)

    def why_no_products(self, search: str | None = None) -> str:
        """Say in one line why filters select no product of a search, or of the catalog, and what there is instead.

        Parameters
        ----------
        search : str, optional
            Its name.

        Returns
        -------
        str
            The product types and subgroups that the search, or the catalog, has.

        Examples
        --------
        >>> catalog.why_no_products("soss")[:44]
        'no product matches; those of soss have types'
        """
        from catalog.questions.hints import nothing_selected

        return nothing_selected(self._database, search)
