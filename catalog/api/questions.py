"""Questions to a catalog from Python; they neither change it nor ask the archive."""

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
    from catalog.vocabulary.criteria import CriterionValue


class Questions(CatalogBase):
    """The part of a `mastlake.Catalog` that answers questions."""

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
        **keywords: CriterionValue | None,
    ) -> Result:
        """Find files by keyword; only the catalog is asked.

        Parameters
        ----------
        *written : str
            Criteria, ``keyword=value``, as on the command line.
        target : str, optional
            The name of a target; ``%`` and ``*`` are wildcards, and case, spaces and hyphens do not matter.
        cone : str or tuple, optional
            Right ascension, declination and radius in degrees (ICRS); or a `SkyCoord` and an angle. In a text, the
            radius may end in d, m or s, and the name of a harvested target can stand for its place.
        footprint : str, optional
            A region that the file's footprint must overlap: ``POLYGON RA DEC ...``, ``CIRCLE RA DEC RADIUS``, or a
            cone.
        since, until : str or Time, optional
            Observed on this ISO date or later; observed before this time.
        program : int, str or list, optional
            The number of a program, or several; a text can have commas, or a range.
        pi : str, optional
            A part of the principal investigator's name.
        instrument : str, optional
            An instrument, or several, separated by commas.
        release : str, optional
            ``public`` or ``exclusive``: who may fetch the file now.
        everything : bool
            All columns, instead of the few that people look at first.
        limit : int, optional
            The most rows to return.
        **keywords
            Keywords with their values; see `catalog.vocabulary.criteria.criterion`. A value can also be a `Time` of
            astropy, or a `Quantity`, which is converted to the keyword's unit.

        Returns
        -------
        Result
            Files in the order of observation; ``sql`` is the question as SQL.

        Raises
        ------
        UnknownKeyword, BadValue
            If a criterion cannot be understood; the error names the nearest right spelling.
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

    def ask_files(self, *written: str, everything: bool = False, limit: int | None = None, **keywords: Any) -> Question:
        """Write the question that `find` asks, without asking it.

        Parameters
        ----------
        *written, everything, limit, **keywords
            As for `find`.

        Returns
        -------
        Question
            The question. It can be written without a catalog, but then names of targets have no place.

        Raises
        ------
        UnknownKeyword, BadValue
            If a criterion cannot be understood; the error names the nearest right spelling.

        Examples
        --------
        >>> print(catalog.ask_files(exp_type="NIS_SOSS", everything=True).sql)
        SELECT *
        FROM files
        WHERE lower(exp_type) = 'nis_soss'
        ORDER BY date_obs_mjd, filename
        """
        from catalog.questions.find import statement

        criteria = file_criteria(written, keywords)
        database = self._database if self._database.exists() else None
        sql, values = statement(criteria, everything=everything, limit=limit, database=database)
        return Question(self._database, sql, values, criteria)

    def ask(self, statement: str, values: Sequence[object] = ()) -> Question:
        """Make a question of SQL, without asking it; its rows can be taken one by one, as a table, or into a file.

        Parameters
        ----------
        statement, values
            As for `sql`.

        Returns
        -------
        Question
            The question; it is asked each time that its rows are taken.

        Examples
        --------
        >>> catalog.ask("SELECT count(*) FROM files").first_rows(1)[0]
        ['count_star()']
        """
        return Question(self._database, statement, values)

    def sql(self, statement: str, values: Sequence[object] = ()) -> Result:
        """Ask the catalog in SQL (DuckDB's). A question can write nothing, and read nothing but the catalog.

        Parameters
        ----------
        statement : str
            One SELECT (or FROM, WITH, DESCRIBE, SHOW, SUMMARIZE, EXPLAIN).
        values : sequence
            The values for its ``?`` marks.

        Returns
        -------
        Result
            All rows; if they are more than memory holds, use `stream`.

        Raises
        ------
        BadQuery
            If this is not one statement that reads, or DuckDB does not understand it.
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
        """Ask as `sql` does, and take the rows batch by batch, if they are more than memory holds.

        Parameters
        ----------
        statement, values
            As for `sql`.

        Yields
        ------
        pyarrow.RecordBatchReader
            A reader that is valid inside the block. The rows are in a temporary file, so the catalog is free meanwhile.

        Examples
        --------
        >>> with catalog.stream("SELECT filename FROM files") as batches:
        ...     sum(batch.num_rows for batch in batches) == len(catalog.find())
        True
        """
        with self.ask(statement, values).stream() as reader:
            yield reader

    def ask_tables(self) -> Question:
        """Make the question for the views, tables and macros of the catalog, and what is in each.

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
        """Make the question for the columns of a table or view, with type, unit and meaning.

        Parameters
        ----------
        table : str
            The name of the table or view. If the catalog does not have it, there are no rows.

        Returns
        -------
        Question
            Its rows have a name, a type, a unit and a meaning.

        Examples
        --------
        >>> catalog.ask_columns("files").result()["name"][0]
        'filename'
        """
        from catalog.questions.catalog_contents import columns_sql

        return Question(self._database, columns_sql(self._database), [table])

    def sql_names(self) -> SqlNames:
        """Return the words that SQL over this catalog can have: tables, columns, functions, and words of SQL.

        Returns
        -------
        catalog.questions.catalog_contents.SqlNames
            The words, for completion and for finding the one nearest to a misspelt word.

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
        """List products: those of a saved search, those of a query, or all.

        Parameters
        ----------
        search : str, optional
            The name of the search.
        **filters
            Filters; see `Filters` for their names.

        Returns
        -------
        Result
            One row for each product, in the order of their file names.

        Raises
        ------
        NoSuchSearch, UsageError
            If the search is not saved, or the SQL fails.

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
        """List a few columns of products as Python values, without Arrow.

        Parameters
        ----------
        columns : sequence of str
            The names of columns; ``filename`` is one of them.
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
        """Say in one line why filters select no product of a search or the catalog, and what there is instead.

        Parameters
        ----------
        search : str, optional
            The name of the search.

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
