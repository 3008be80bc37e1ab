"""Ask the catalog: read-only SQL goes in, and Arrow comes out."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import duckdb

from catalog.errors import DiskError
from catalog.questions.query_errors import explained
from catalog.questions.read_only import checked
from catalog.store.again import asks_again
from catalog.store.database import Database
from catalog.store.lakes.columns import hide_columns_of_files
from catalog.store.sql import quoted
from catalog.store.work import Work, at_work

if TYPE_CHECKING:
    import pyarrow as pa  # its import takes a third of the time of a short question, and a table on screen needs none

ROWS_AT_ONCE = 10_000
_IN_MEMORY = 32 << 20
"""The size up to which an answer stays in memory; a larger one goes to a file."""


@contextmanager
def run_question(
    database: Database, sql: str, values: Sequence[object] = (), *, ours: bool = False
) -> Iterator[pa.RecordBatchReader]:
    """Run one read-only statement, and stream its rows.

    Parameters
    ----------
    database : Database
        The catalog. It is opened for reading only, and cannot reach files, network, extensions or settings.
    sql : str
        One SELECT (or FROM, WITH, DESCRIBE, SHOW, SUMMARIZE, EXPLAIN).
    values : sequence
        The values for its ``?`` marks.
    ours : bool
        Whether this program wrote the statement; then it need not be proven to only read.

    Yields
    ------
    pyarrow.RecordBatchReader
        A reader that is valid inside the block.

    Raises
    ------
    BadQuery
        If this is not one statement that reads.
    CatalogError
        If the catalog cannot be read.
    """
    with _result_of(database, sql, values, ours) as (result, work):
        with explained():
            reader = work(result.to_arrow_reader, ROWS_AT_ONCE)
        try:
            yield _with_our_errors(reader, work)
        finally:
            if not work.is_abandoned:
                reader.close()  # else a reader that was not read to its end would keep the file open


@contextmanager
def kept_aside(
    database: Database, sql: str, values: Sequence[object] = (), most: int | None = None
) -> Iterator[pa.RecordBatchReader]:
    """Run one read-only statement, close the catalog, and stream the rows from a temporary file.

    So the caller may take a long time over the rows, and other processes can harvest and sync meanwhile.

    Parameters
    ----------
    database, sql, values
        See `run_question`.
    most : int, optional
        The most rows to return.

    Yields
    ------
    pyarrow.RecordBatchReader
        A reader that is valid inside the block.

    Raises
    ------
    BadQuery, CatalogError
        See `run_question`.
    DiskError
        If there is no space for the rows.
    """
    import pyarrow as pa

    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
        _keep_aside(database, sql, values, most, file)
        file.seek(0)
        with pa.ipc.open_stream(file) as stored:
            yield stored


@asks_again
def _keep_aside(database: Database, sql: str, values: Sequence[object], most: int | None, file: IO[bytes]) -> None:
    """Write the rows of an answer to a file."""
    import pyarrow as pa

    file.seek(0)
    file.truncate()
    with run_question(database, sql, values) as reader:
        try:
            with pa.ipc.new_stream(file, reader.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as sink:
                left = most
                while left != 0 and (batch := next(reader, None)) is not None:
                    sink.write_batch(batch.slice(0, left))
                    left = None if left is None else max(0, left - batch.num_rows)
        except OSError as error:
            raise DiskError(
                f"no room for the answer in {tempfile.gettempdir()}: {error.strerror or error}; "
                "set TMPDIR to a folder with more, or ask for less"
            ) from error


def _with_our_errors(reader: pa.RecordBatchReader, work: Work) -> pa.RecordBatchReader:
    """Return a reader that turns DuckDB's errors into ours; errors of the code that takes the rows stay as they are."""
    import pyarrow as pa

    def batches() -> Iterator[pa.RecordBatch]:
        while True:
            with explained():
                batch = work(next, reader, None)
            if batch is None:
                return
            yield batch

    return pa.RecordBatchReader.from_batches(reader.schema, batches())


@contextmanager
def _result_of(
    database: Database, sql: str, values: Sequence[object], ours: bool
) -> Iterator[tuple[duckdb.DuckDBPyConnection, Work]]:
    with database.read(sealed=True) as connection, at_work(connection) as work:
        sql = sql if ours else checked(connection, sql)
        with explained():
            if not ours:
                hide_columns_of_files(connection, sql)
            result = work(connection.execute, sql, list(values))
            if not ours and (shown := _instead(connection, sql, result.description or ())):
                result = work(connection.execute, shown, list(values))
        yield result, work


def _instead(connection: duckdb.DuckDBPyConnection, sql: str, description: Sequence[Sequence[Any]]) -> str | None:
    """Return a statement that tells more than this one, or has types that other tools know; None if none is needed."""
    from catalog.questions.describe import describe_with_meanings

    def unkept() -> list[tuple[str, str, str]]:
        from catalog.store.schema.comments import unkept_comments

        return unkept_comments(connection)

    names = [str(name) for name, *_ in description]
    return describe_with_meanings(_without_semicolon(sql), names, unkept) or _with_texts(sql, description)


_WITHOUT_FORM = re.compile(r"\b(UHUGEINT|VARIANT|BIT|GEOMETRY|TYPE|BIGNUM|AGGREGATE_STATE)\b")
"""DuckDB's types for which Arrow or Python has no type, also within lists and structures.

Arrow would give the upper half of UHUGEINT as negative numbers."""


def _with_texts(sql: str, description: Sequence[Sequence[Any]]) -> str | None:
    """Return the statement that gives columns of such types as DuckDB's text; None if there are no such columns."""
    kinds = [re.sub(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", "", str(kind)) for _, kind, *_ in description]
    odd = [_WITHOUT_FORM.search(kind) is not None for kind in kinds]
    if not any(odd):
        return None
    names = [f"c{number}" for number in range(len(kinds))]
    shown = ", ".join(
        f"{f'CAST({name} AS VARCHAR)' if is_odd else name} AS {quoted(str(column[0]))}"
        for name, is_odd, column in zip(names, odd, description, strict=True)
    )
    return f"SELECT {shown} FROM (\n{_without_semicolon(sql)}\n) AS t({', '.join(names)})"


def _without_semicolon(sql: str) -> str:
    raw = sql.encode()
    ends = [at for at, kind in duckdb.tokenize(sql) if kind == duckdb.token_type.operator and raw[at : at + 1] == b";"]
    return raw[: ends[-1]].decode() if ends else sql


@asks_again
def rows(database: Database, sql: str, values: Sequence[object] = (), *, ours: bool = False) -> pa.Table:
    """Run one read-only statement, and return all its rows.

    Raises
    ------
    BadQuery, CatalogError
        See `run_question`.
    """
    with run_question(database, sql, values, ours=ours) as reader:
        return reader.read_all()


@asks_again
def first_rows(
    database: Database, sql: str, values: Sequence[object], most: int
) -> tuple[list[str], list[tuple[Any, ...]], bool]:
    """Run one read-only statement; return its columns, its first rows as Python values, and whether there are more.

    Raises
    ------
    BadQuery, CatalogError
        See `run_question`.
    """
    with _result_of(database, sql, values, False) as (result, work), explained():
        columns = [str(name) for name, *_ in result.description or ()]
        fetched = work(result.fetchmany, most + 1)
    return columns, fetched[:most], len(fetched) > most
