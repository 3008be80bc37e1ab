"""A question to a catalog: SQL and values, which can be read before the question is asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from catalog.answers.result import Result
    from catalog.questions.find import Criteria
    from catalog.store.database import Database


class Question:
    """A question that can be read before it is asked, and asked in several ways.

    `Catalog.ask` and `Catalog.ask_files` make it. The catalog is opened only when rows are needed.

    Attributes
    ----------
    statement : str
        One SELECT, with ``?`` marks.
    values : sequence
        The values for these marks.
    criteria : Criteria or None
        The criteria from which the statement was written, if there were any.

    Examples
    --------
    >>> question = catalog.ask("SELECT filename FROM files WHERE exp_type = ?", ["NIS_SOSS"])
    >>> columns, rows, has_more = question.first_rows(3)
    >>> columns, len(rows), has_more
    (['filename'], 3, True)
    """

    def __init__(
        self, database: Database, statement: str, values: Sequence[object] = (), criteria: Criteria | None = None
    ) -> None:
        self._database = database
        self.statement = statement
        self.values = values
        self.criteria = criteria

    @property
    def sql(self) -> str:
        """The statement; if it was written from criteria, with the values written into it."""
        if self.criteria is None:
            return self.statement
        from catalog.questions.conditions import written_out

        return written_out(self.statement, self.values)

    def __repr__(self) -> str:
        return f"<Question {self.sql}>"

    def _asked(self) -> tuple[str, Sequence[object]]:
        """Return the statement that is run, with its values: it has the same rows, and may read less."""
        if self.criteria is None or not self._database.is_distant:
            return self.statement, self.values
        from catalog.questions.first_dates import sorted_by_time_first

        return sorted_by_time_first(self._database, self.statement, self.values), self.values

    def first_rows(self, limit: int) -> tuple[list[str], list[tuple[Any, ...]], bool]:
        """Ask, and return the first rows as Python values, without Arrow.

        Parameters
        ----------
        limit : int
            The most rows to return.

        Returns
        -------
        columns : list of str
            The names of the columns.
        rows : list of tuple
            The values of each row.
        has_more : bool
            Whether the answer has more rows.

        Raises
        ------
        BadQuery
            If the statement does more than read, or DuckDB does not understand it.
        CatalogError
            If there is no catalog, or it cannot be read.

        Examples
        --------
        >>> catalog.ask("SELECT 1 AS one").first_rows(5)
        (['one'], [(1,)], False)
        """
        from catalog.questions.statement import first_rows

        return first_rows(self._database, *self._asked(), limit)

    def result(self) -> Result:
        """Ask, and return all rows.

        Returns
        -------
        Result
            All rows; if they are more than memory holds, use `stream`.

        Raises
        ------
        BadQuery, CatalogError
            As for `first_rows`.

        Examples
        --------
        >>> len(catalog.ask("SELECT 1 AS one").result())
        1
        """
        from catalog.answers.result import Result
        from catalog.questions.statement import rows

        return Result(rows(self._database, *self._asked(), ours=self.criteria is not None), self.sql)

    @contextmanager
    def stream(self, limit: int | None = None) -> Iterator[pa.RecordBatchReader]:
        """Ask, and return the rows batch by batch. Meanwhile the catalog is free for other processes.

        Parameters
        ----------
        limit : int, optional
            The most rows to return.

        Yields
        ------
        pyarrow.RecordBatchReader
            A reader that is valid inside the block. The rows are in a temporary file.

        Raises
        ------
        BadQuery, CatalogError
            As for `first_rows`.
        DiskError
            If there is no space for the temporary file.

        Examples
        --------
        >>> with catalog.ask("SELECT filename FROM files").stream(limit=2) as batches:
        ...     sum(batch.num_rows for batch in batches)
        2
        """
        from catalog.questions.statement import kept_aside

        with kept_aside(self._database, *self._asked(), limit) as reader:
            yield reader

    def write(self, sink: IO[bytes] | Path, form: str, limit: int | None = None) -> int:
        """Ask, and write the rows in a format that other tools read.

        Parameters
        ----------
        sink : binary file or Path
            An open file, which may take the bytes slowly; or a path, where the file is put when it is whole.
        form : str
            csv, json, jsonl, parquet, votable or ecsv.
        limit : int, optional
            The most rows to return.

        Returns
        -------
        int
            How many rows were written.

        Raises
        ------
        UsageError
            If the format is unknown.
        BadQuery, CatalogError, DiskError
            As for `stream`; also if the file cannot be written.

        Examples
        --------
        >>> catalog.ask("SELECT 1 AS one").write(folder / "one.csv", "csv")
        1
        """
        from catalog.answers.formats import checked_format, limited_reader, write, write_file
        from catalog.questions.statement import run_question
        from catalog.store.again import asks_again

        format_name = checked_format(form)
        if not isinstance(sink, Path):
            with self.stream(limit) as reader:
                return write(reader, format_name, sink)

        @asks_again
        def written(database: Database) -> int:
            with run_question(database, *self._asked()) as reader:
                return write_file(reader if limit is None else limited_reader(reader, limit), format_name, sink)

        return written(self._database)

    def why_nothing(self) -> str:
        """Say in one line why no file meets the criteria, and which values there are instead.

        Returns
        -------
        str
            The criteria that no file meets, with the nearest values that exist.

        Examples
        --------
        >>> catalog.ask_files(target="WASP-999").why_nothing()[:45]
        "no harvested target is called 'WASP-999'; did"
        """
        from catalog.questions.hints import why_nothing

        return "the statement has no rows" if self.criteria is None else why_nothing(self._database, self.criteria)
