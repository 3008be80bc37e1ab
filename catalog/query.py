"""Ask the catalog: criteria or read-only SQL in, Arrow out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from catalog.errors import UsageError
from catalog.search import Criterion
from catalog.store.database import Database, quoted

ROWS_AT_ONCE = 10_000


class BadQuery(UsageError):
    """SQL that is not one read-only statement, or that DuckDB does not understand."""


@contextmanager
def answering(database: Database, sql: str, values: Sequence[object] = ()) -> Iterator[pa.RecordBatchReader]:
    """Run one read-only statement, and stream its rows.

    Parameters
    ----------
    database : Database
        Opened for reading only, shut off from files, network, extensions and settings.
    sql : str
        One SELECT (or FROM, WITH, DESCRIBE, SHOW, SUMMARIZE, EXPLAIN).
    values : sequence
        For the ``?`` marks in it.

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
    with database.read(sealed=True) as connection:
        _only_reads(connection, sql)
        with explained():
            result = connection.execute(sql, list(values))
            yield result.to_arrow_reader(ROWS_AT_ONCE)


def rows(database: Database, sql: str, values: Sequence[object] = ()) -> pa.Table:
    """Run one read-only statement, and return all its rows.

    Raises
    ------
    BadQuery, CatalogError
        See `answering`.
    """
    with answering(database, sql, values) as reader:
        return reader.read_all()


def _only_reads(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    with explained():
        statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise BadQuery(f"one statement at a time, not {len(statements)}")
    kind = statements[0].type
    if kind not in (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN):
        raise BadQuery(f"the catalog is read only here: {kind.name} is not a question")


@contextmanager
def explained() -> Iterator[None]:
    """Turn DuckDB's words about a statement into one line."""
    try:
        yield
    except (duckdb.IOException, duckdb.OutOfMemoryException):
        raise
    except duckdb.Error as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        kept = [line for line in lines if not line.startswith(("LINE ", "^", "CREATE "))]
        raise BadQuery(" ".join(kept[:3])) from error


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


def condition(criterion: Criterion) -> Condition:
    """Write a criterion as SQL over `files`, with MAST's own meaning: no regard to case, closed ranges.

    Examples
    --------
    >>> condition(Criterion("exp_type", ("NIS_SOSS",))).sql
    '(lower(CAST("exp_type" AS VARCHAR)) IN (?))'
    """
    column = quoted(criterion.keyword)
    parts: list[str] = []
    values: list[object] = []
    flags = [value for value in criterion.values if isinstance(value, bool) or value in ("t", "f")]
    if criterion.values and len(flags) == len(criterion.values):
        parts.append(f"{column} IN ({_marks(flags)})")
        values += [value in (True, "t") for value in flags]
    elif criterion.values:
        parts.append(f"lower(CAST({column} AS VARCHAR)) IN ({_marks(criterion.values)})")
        values += [str(value).lower() for value in criterion.values]
    for one in criterion.ranges:
        ends = [(">=", one.low), ("<=", one.high)]
        bounded = [(sign, end) for sign, end in ends if math.isfinite(end)]
        parts.append("(" + " AND ".join(f"{column} {sign} ?" for sign, _ in bounded) + ")")
        values += [end for _, end in bounded]
    if criterion.pattern is not None:
        parts.append(f"CAST({column} AS VARCHAR) ILIKE ?")
        values.append(criterion.pattern)
    return Condition("(" + " OR ".join(parts) + ")", tuple(values))


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" for _ in values)


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
    The haversine formula (R. W. Sinnott, Sky and Telescope 68, 159, 1984), which is exact enough at small angles,
    after a cut in declination, which lets DuckDB skip most rows.
    """
    return Condition(
        """(targ_dec BETWEEN ? AND ? AND pow(sin(radians(targ_dec - ?) / 2), 2)
            + cos(radians(targ_dec)) * cos(radians(?)) * pow(sin(radians(targ_ra - ?) / 2), 2)
            <= pow(sin(radians(?) / 2), 2))""",
        (dec - radius, dec + radius, dec, dec, ra, min(radius, 180.0)),
    )


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
