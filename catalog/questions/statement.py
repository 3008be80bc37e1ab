"""Ask the catalog: criteria or read-only SQL in, Arrow out."""

from __future__ import annotations

import math
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from catalog.errors import CatalogError, DiskError, UsageError
from catalog.questions.meant_columns import meant
from catalog.store.database import Database
from catalog.store.faults import damaged, is_interrupt
from catalog.store.sql import quoted
from catalog.store.statements import NotProven, prove, tree_of
from catalog.store.work import Work, at_work
from catalog.vocabulary.criteria import Criterion, Range
from catalog.vocabulary.dates import iso

if TYPE_CHECKING:
    import pyarrow as pa  # which takes a third of the time of a short question's process, and a table needs none

ROWS_AT_ONCE = 10_000
_IN_MEMORY = 32 << 20
"""Bytes of an answer that need no file."""

_YEAR_9999_MJD = 2_973_000

_EXPLAIN = re.compile(
    r"""(?: \s | --[^\n]*\n | /\*(?:(?!/\*).)*?\*/ )* EXPLAIN \b
        (?: \s | --[^\n]*\n | /\*(?:(?!/\*).)*?\*/ )* (?P<analyze> ANALYZE \b )?""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


class BadQuery(UsageError):
    """SQL that is not one read-only statement, or that DuckDB does not understand."""


@contextmanager
def answering(
    database: Database, sql: str, values: Sequence[object] = (), *, ours: bool = False
) -> Iterator[pa.RecordBatchReader]:
    """Run one read-only statement, and stream its rows.

    Parameters
    ----------
    database : Database
        Opened for reading only, shut off from files, network, extensions and settings.
    sql : str
        One SELECT (or FROM, WITH, DESCRIBE, SHOW, SUMMARIZE, EXPLAIN).
    values : sequence
        For the ``?`` marks in it.
    ours : bool
        Whether it was written by this program, which need not be proven to read only.

    Yields
    ------
    pyarrow.RecordBatchReader
        Valid inside the block.

    Raises
    ------
    BadQuery
        For anything but one statement that reads.
    CatalogError
        If the catalog cannot be read.
    """
    with _asked(database, sql, values, ours) as (result, work):
        with explained():
            reader = work(result.to_arrow_reader, ROWS_AT_ONCE)
        try:
            yield _told(reader, work)
        finally:
            reader.close()  # a reader that was left early would keep the file open


@contextmanager
def kept_aside(
    database: Database, sql: str, values: Sequence[object] = (), most: int | None = None
) -> Iterator[pa.RecordBatchReader]:
    """Run one read-only statement, let go of the catalog, and stream its rows from a temporary file.

    So whoever takes the rows may take their time, and may harvest and sync meanwhile.

    Parameters
    ----------
    database, sql, values
        See `answering`.
    most : int, optional
        Rows at most.

    Yields
    ------
    pyarrow.RecordBatchReader
        Valid inside the block.

    Raises
    ------
    BadQuery, CatalogError
        See `answering`.
    DiskError
        If there is no room for the rows.
    """
    import pyarrow as pa

    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
        with answering(database, sql, values) as reader:
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
        file.seek(0)
        with pa.ipc.open_stream(file) as stored:
            yield stored


def _told(reader: pa.RecordBatchReader, work: Work) -> pa.RecordBatchReader:
    """Return a reader that tells DuckDB's errors in our words; those of who takes the rows are none of ours."""
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
def _asked(
    database: Database, sql: str, values: Sequence[object], ours: bool
) -> Iterator[tuple[duckdb.DuckDBPyConnection, Work]]:
    with database.read(sealed=True) as connection, at_work(connection) as work:
        sql = sql if ours else checked(connection, sql)
        with explained():
            result = work(connection.execute, sql, list(values))
            if not ours and (shown := _with_texts(sql, result.description or ())):
                result = work(connection.execute, shown, list(values))
        yield result, work


_WITHOUT_FORM = re.compile(r"\b(VARIANT|BIT|GEOMETRY|TYPE|BIGNUM|AGGREGATE_STATE)\b")
"""DuckDB's types that Arrow or Python have no form for, also within lists and structures."""


def _with_texts(sql: str, description: Sequence[Sequence[Any]]) -> str | None:
    """Return the statement that gives columns without a form elsewhere as DuckDB's own text; None if there are none."""
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


def rows(database: Database, sql: str, values: Sequence[object] = (), *, ours: bool = False) -> pa.Table:
    """Run one read-only statement, and return all its rows.

    Raises
    ------
    BadQuery, CatalogError
        See `answering`.
    """
    with answering(database, sql, values, ours=ours) as reader:
        return reader.read_all()


def first_rows(
    database: Database, sql: str, values: Sequence[object], most: int
) -> tuple[list[str], list[tuple[Any, ...]], bool]:
    """Run one read-only statement, and return its columns, its first rows as Python values, and whether there are more.

    Raises
    ------
    BadQuery, CatalogError
        See `answering`.
    """
    with _asked(database, sql, values, False) as (result, work), explained():
        columns = [str(name) for name, *_ in result.description or ()]
        found = work(result.fetchmany, most + 1)
    return columns, found[:most], len(found) > most


def checked(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """Return the statement to run, once it is proven to be one that only reads the catalog.

    DuckDB's own parser takes it apart: what runs is one SELECT (or an EXPLAIN of one), and each function that stands
    where a table could is on the list of those that stay within the catalog. This comes on top of the connection's own
    seal and of the file being open for reading only, for two reasons: a few of DuckDB's table functions take addresses
    in memory and crash the process when called from SQL, and others change settings without being a SET.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A sealed one; nothing of the statement is run.
    sql : str
        What the user typed.

    Raises
    ------
    BadQuery
        Says what stands in the way.
    """
    if re.search("[\0\ud800-\udfff]", sql):
        raise BadQuery("a statement is UTF-8 text, without NUL characters")
    with explained():
        statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise BadQuery(_not_one(sql, len(statements)))
    kind = statements[0].type
    if kind == duckdb.StatementType.EXPLAIN:
        return _checked_explain(connection, sql)
    if kind != duckdb.StatementType.SELECT:
        raise BadQuery(f"the catalog is read only here: {kind.name} is not a question")
    _only_reads(connection, sql)
    return sql


def _not_one(sql: str, count: int) -> str:
    if count == 0:
        return "there is no statement; try SELECT count(*) FROM files"
    if "pivot" in sql.lower():
        return "one statement at a time; a PIVOT must name its values: PIVOT files ON category IN ('COM', 'ERS')"
    return f"one statement at a time, not {count}"


def _checked_explain(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """Check the statement behind EXPLAIN, and put together anew what runs."""
    head = _EXPLAIN.match(sql)
    if head is None or _EXPLAIN.match(sql, head.end()):
        raise BadQuery("write it as EXPLAIN SELECT ... or EXPLAIN ANALYZE SELECT ...")
    behind = sql[head.end() :]
    return f"EXPLAIN {head['analyze'] or ''} {checked(connection, behind)}"


def _only_reads(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Look at every node of the statement's tree."""
    try:
        with explained():
            tree = tree_of(connection, sql)
        prove(tree, lambda name: _is_of_the_catalog(connection, name))
    except NotProven as error:
        raise BadQuery(str(error)) from None


def _is_of_the_catalog(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Say whether a name is that of a macro in the catalog, and of nothing of DuckDB's own."""
    row = connection.execute(
        """SELECT count(*) FILTER (function_type = 'table_macro' AND NOT internal), count(*) FILTER (internal)
           FROM duckdb_functions() WHERE lower(function_name) = ?""",
        [name],
    ).fetchone()
    return row is not None and row[0] > 0 and row[1] == 0


@contextmanager
def explained() -> Iterator[None]:
    """Turn DuckDB's words about a statement into one line, also those that come with the rows, by way of Arrow."""
    try:
        yield
    except (duckdb.InterruptException, RuntimeError) as error:
        if not is_interrupt(error):
            raise
        raise KeyboardInterrupt from None  # what DuckDB made of it
    except duckdb.OutOfMemoryException as error:
        raise CatalogError("the question needs more memory than it may use; ask for less, or in steps") from error
    except duckdb.IOException as error:
        lost = damaged(error, "the catalog")
        raise lost or CatalogError(f"the answer cannot be worked out: {str(error).splitlines()[0]}") from error
    except Exception as error:
        if not isinstance(error, (duckdb.Error, *_arrow_errors())):
            raise
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        kept = [line for line in lines if not line.startswith(("LINE ", "^", "CREATE "))]
        raise BadQuery(" ".join(kept[:3]) + meant(str(error))) from error


def _arrow_errors() -> tuple[type[Exception], ...]:
    """What Arrow raises, where it is in use."""
    return (sys.modules["pyarrow"].ArrowException,) if "pyarrow" in sys.modules else ()


@dataclass(frozen=True)
class Condition:
    """A piece of a WHERE clause.

    Attributes
    ----------
    sql : str
        With ``?`` marks.
    values : tuple
        For these.
    """

    sql: str
    values: tuple[object, ...] = ()


def condition(criterion: Criterion, column: str | None = None, kind: str | None = None) -> Condition:
    """Write a criterion as SQL over `files`, with MAST's own meaning: no regard to case, closed ranges.

    Parameters
    ----------
    criterion : Criterion
        As `catalog.vocabulary.search` reads it.
    column : str, optional
        The column that holds the keyword, where it has another name.
    kind : str, optional
        Its DuckDB type, where that is known; else what a harvest makes of such a keyword.

    Examples
    --------
    >>> condition(Criterion("exp_type", ("NIS_SOSS",))).sql
    'lower(exp_type) = ?'
    """
    name = _as_written(column or criterion.keyword)
    parts: list[Condition] = []
    if criterion.values:
        parts.append(_any_of(name, criterion.values, kind))
    parts += [_within(name, one, kind) for one in criterion.ranges]
    if criterion.pattern is not None:
        text = name if kind == "VARCHAR" else f"CAST({name} AS VARCHAR)"
        parts.append(Condition(f"{text} ILIKE ?", (criterion.pattern,)))
    sql = " OR ".join(part.sql for part in parts)
    return Condition(sql if len(parts) == 1 else f"({sql})", tuple(value for part in parts for value in part.values))


def _as_written(column: str) -> str:
    """Quote a name only where SQL needs it."""
    return column if re.fullmatch(r"[A-Za-z_]\w*", column) else quoted(column)


def _any_of(name: str, values: tuple[str | int | bool, ...], kind: str | None) -> Condition:
    if all(value in (True, False, "t", "f") and not _is_number(value) for value in values) and kind != "VARCHAR":
        return _in(name, [value in (True, "t") for value in values])
    if all(_is_number(value) for value in values):
        return _in(f"TRY_CAST({name} AS DOUBLE)" if kind == "VARCHAR" else name, list(values))
    words = [{True: "t", False: "f"}.get(value, value) if isinstance(value, bool) else value for value in values]
    text = name if kind in ("VARCHAR", None) else f"CAST({name} AS VARCHAR)"
    return _in(f"lower({text})", [str(word).lower() for word in words])


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _in(expression: str, values: Sequence[object]) -> Condition:
    if len(values) == 1:
        return Condition(f"{expression} = ?", tuple(values))
    return Condition(f"{expression} IN ({', '.join('?' for _ in values)})", tuple(values))


def _within(name: str, one: Range, kind: str | None) -> Condition:
    """Times get their date beside the MJD, so that people can read them."""
    number = f"TRY_CAST({name} AS DOUBLE)" if kind == "VARCHAR" else name
    low, high = (math.isfinite(end) for end in (one.low, one.high))
    ends = tuple(end for end in (one.low, one.high) if math.isfinite(end))
    is_date = name.endswith("_mjd") and all(0 <= end < _YEAR_9999_MJD for end in ends)
    dates = f" /* {' to '.join(iso(end) for end in ends)} */" if is_date else ""
    if low and high:
        return Condition(f"{number} BETWEEN ? AND ?{dates}", ends)
    return Condition(f"{number} {'>=' if low else '<='} ?{dates}", ends)


def cone(ra: float, dec: float, radius: float) -> Condition:
    """Return the condition that a file's target lies within a circle on the sky.

    Parameters
    ----------
    ra, dec : float
        Degrees, ICRS.
    radius : float
        Degrees.

    Notes
    -----
    The cuts in declination and right ascension come on top because they let DuckDB skip most rows. A circle about the
    pole has all right ascensions; any other reaches ``asin(sin(radius) / cos(dec))`` to either side (W. M. Smart,
    Textbook on Spherical Astronomy, 6th ed., section 7).
    """
    ends = (dec - radius, dec + radius)
    sql, values = "targ_dec BETWEEN ? AND ?", list(ends)
    if ends[0] > -90 and ends[1] < 90:
        reach = math.degrees(math.asin(math.sin(math.radians(radius)) / math.cos(math.radians(dec)))) + 1e-9
        within = reach <= ra <= 360 - reach
        sql += " AND targ_ra BETWEEN ? AND ?" if within else " AND (targ_ra >= ? OR targ_ra <= ?)"
        values += [ra - reach, ra + reach] if within else [(ra - reach) % 360, (ra + reach) % 360]
    return Condition(f"{sql} AND separation(targ_ra, targ_dec, ?, ?) <= ?", (*values, ra, dec, radius))


def written_out(sql: str, values: Sequence[object]) -> str:
    """Put values into a statement's ``?`` marks, for people to read and copy.

    Examples
    --------
    >>> written_out("SELECT ? + ?", [1, "it's"])
    "SELECT 1 + 'it''s'"
    """
    parts = sql.split("?")
    shown = [
        "'" + v.replace("'", "''") + "'" if isinstance(v, str) else str(v).upper() if isinstance(v, bool) else repr(v)
        for v in values
    ]
    return "".join(part + value for part, value in zip(parts, [*shown, ""], strict=True))
