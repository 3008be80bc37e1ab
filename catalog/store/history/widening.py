"""Columns of the catalog for which an answer has values of another type.

A column is widened only if this changes none of its values: whole numbers become numbers with a fraction. A value
that the column cannot hold is null there, and kept elsewhere:

- If there are few such values, they are odd cells: ``odd_cells`` has their text.
- If most new values are like that, and not only a few, the archive means something else by the column. Then these
  values get a column of their own, with the type that they came with, and `column_finding` notes it. The first
  column and its history stay as they are.

The name of the new column is that of the first, a percent sign, and the type of the values: ``nints%text``. No column
of the archive has such a name in the catalog (`catalog.vocabulary.spelling`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import duckdb

from catalog.store.duckdb_file import dialect_of
from catalog.store.history.versions import Versions
from catalog.store.sql import columns_of, literal, quoted

MANY = 20
"""The least number of values from which the type of a column can be concluded."""
WORDS: Mapping[str, str] = {
    "VARCHAR": "text", "BIGINT": "integer", "DOUBLE": "number", "BOOLEAN": "boolean", "TIMESTAMP": "time",
}  # fmt: skip
"""The word for a type in the name of a column that was made for values of this type."""
_EXACT = 2**53  # up to this number, a DOUBLE holds every whole number exactly
_TRUE_OR_FALSE = "('t', 'f', 'true', 'false')"


@dataclass(frozen=True)
class FittedValues:
    """How the values of a staged column go into a column of the catalog.

    Attributes
    ----------
    kind : str
        The type that the column has from now on.
    value : str
        SQL that turns a staged value into a value of the column.
    misfit : str or None
        A condition in SQL: the column cannot hold this value. None if it holds all values.
    text : str
        SQL of the JSON text of a staged value.
    beside : str or None
        The column for the values that this one cannot hold; None if they are odd cells.
    """

    kind: str
    value: str
    misfit: str | None = None
    text: str = "NULL"
    beside: str | None = None


@dataclass(frozen=True)
class TargetColumn:
    """A column of the catalog that gets staged values.

    Attributes
    ----------
    versions : Versions
        The table of the column.
    column, kind : str
        The name and the type of the column.
    run : int
        The run that brings the values.
    has_room : bool
        Whether the table may get one more column.
    """

    versions: Versions
    column: str
    kind: str
    run: int
    has_room: bool = True


def fit_values(
    connection: duckdb.DuckDBPyConnection, place: TargetColumn, staged: tuple[str, str, str]
) -> FittedValues:
    """Decide how staged values go into a column; if necessary, widen it or make a column beside it.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection in a transaction.
    place : TargetColumn
        The catalog's column.
    staged : (str, str, str)
        The relation, the column and the type of the staged values.

    Returns
    -------
    FittedValues
        Its SQL calls the staged relation ``s``.
    """
    (relation, name, kind), column_kind, table = staged, place.kind, place.versions.table
    value = f"s.{quoted(name)}"
    if column_kind != kind and _is_empty(connection, place):
        connection.execute(f"ALTER TABLE {table} DROP COLUMN {quoted(place.column)}")
        connection.execute(f"ALTER TABLE {table} ADD COLUMN {quoted(place.column)} {kind}")
        column_kind = kind
    if column_kind in (kind, "VARCHAR"):
        return FittedValues(column_kind, f"CAST({value} AS {column_kind})")
    if (column_kind, kind) == ("BIGINT", "DOUBLE") and _may_widen(connection, place):
        dialect_of(connection).widen(connection, table, place.column, "DOUBLE")
        return FittedValues("DOUBLE", value)
    fit = _fit(column_kind, kind, value)
    beside = f"{place.column}%{WORDS.get(kind, 'text')}"
    if beside in columns_of(connection, table):
        return replace(fit, beside=beside)
    filled, odd = _counts(connection, relation, value, fit.misfit)
    if not odd:
        return FittedValues(column_kind, fit.value)
    if filled >= MANY and 2 * odd > filled and place.has_room:
        _make_beside(connection, place, beside, kind)
        return replace(fit, beside=beside)
    return fit


def _make_beside(connection: duckdb.DuckDBPyConnection, place: TargetColumn, beside: str, kind: str) -> None:
    """Make a column for values of another type, and note that it was made."""
    kept_as = kind if kind in WORDS else "VARCHAR"
    connection.execute(f"ALTER TABLE {place.versions.table} ADD COLUMN {quoted(beside)} {kept_as}")
    connection.execute(
        """INSERT INTO column_finding (run, mission, what, "column", kind, came_as, kept_in)
           VALUES (?, ?, ?, ?, ?, ?, ?)""",
        [place.run, place.versions.mission, place.versions.what, place.column, place.kind, kind, beside],
    )


def with_odd_cells(odd: str, column: str, fit: FittedValues) -> str:
    """Return SQL that adds the values which one more column cannot hold to the odd cells of a row.

    Parameters
    ----------
    odd : str
        SQL for the odd cells so far.
    column : str
        The column, in the catalog's spelling.
    fit : FittedValues
        The fit of the column; it has a `misfit`.
    """
    more = f"json_merge_patch(coalesce({odd}, '{{}}'), json_object({literal(column)}, {fit.text}))"
    return f"CASE WHEN {fit.misfit} THEN CAST({more} AS VARCHAR) ELSE {odd} END"


def _fit(column_kind: str, kind: str, value: str) -> FittedValues:
    if kind == "VARCHAR":
        tried, fits = _from_text(column_kind, value)
        return FittedValues(
            column_kind, f"CASE WHEN {fits} THEN {tried} END", _not(fits, value), f"CAST(to_json({value}) AS VARCHAR)"
        )
    fits = {
        ("BIGINT", "DOUBLE"): f"{value} = trunc({value}) AND abs({value}) <= {_EXACT}",
        ("DOUBLE", "BIGINT"): f"{value} BETWEEN -{_EXACT} AND {_EXACT}",
        ("BOOLEAN", "BIGINT"): f"{value} IN (0, 1)",
        ("BOOLEAN", "DOUBLE"): f"{value} IN (0, 1)",
    }.get((column_kind, kind), "false")
    cast = (
        f"CASE WHEN {fits} THEN TRY_CAST({value} AS {column_kind}) END"
        if fits != "false"
        else f"CAST(NULL AS {column_kind})"
    )
    return FittedValues(column_kind, cast, _not(fits, value), f"CAST(to_json({value}) AS VARCHAR)")


def _from_text(column_kind: str, value: str) -> tuple[str, str]:
    """Return SQL that turns a text into a value of another type, and SQL of whether it can be one."""
    tried = f"TRY_CAST({value} AS {column_kind})"
    if column_kind == "BIGINT":
        return tried, f"(regexp_full_match({value}, '[+-]?[0-9]{{1,19}}') AND {tried} IS NOT NULL)"
    if column_kind == "DOUBLE":
        return tried, f"coalesce(isfinite({tried}), false)"
    if column_kind == "BOOLEAN":
        return f"lower({value}) IN ('t', 'true')", f"lower({value}) IN {_TRUE_OR_FALSE}"
    return tried, f"{tried} IS NOT NULL"


def _not(fits: str, value: str) -> str:
    return f"({value} IS NOT NULL AND NOT ({fits}))"


def _counts(connection: duckdb.DuckDBPyConnection, relation: str, value: str, misfit: str | None) -> tuple[int, int]:
    row = connection.execute(
        f"SELECT count({value}), count(*) FILTER ({misfit or 'false'}) FROM {quoted(relation)} s"
    ).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def _is_empty(connection: duckdb.DuckDBPyConnection, place: TargetColumn) -> bool:
    row = connection.execute(f"SELECT count({quoted(place.column)}) = 0 FROM {place.versions.table}").fetchone()
    return bool(row and row[0])


def _may_widen(connection: duckdb.DuckDBPyConnection, place: TargetColumn) -> bool:
    """Say whether a column of whole numbers can become one of fractions: all values exact, and all of one mission."""
    name = quoted(place.column)
    row = connection.execute(
        f"""SELECT coalesce(max(abs({name}::HUGEINT)), 0) <= {_EXACT} AND coalesce(bool_and(mission = ?), true)
            FROM {place.versions.table} WHERE {name} IS NOT NULL""",
        [place.versions.mission],
    ).fetchone()
    return bool(row and row[0])
