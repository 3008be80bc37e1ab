"""What becomes of a column of the catalog when an answer has values of another type.

A column is widened only where that loses nothing and changes nothing that stands in it: whole numbers become numbers
with a fraction. A value that the column cannot hold is null in the column, and kept beside it:

- A few such values are odd cells: their text is in ``odd_cells``.
- If most of what came, and not only a few cells, is such a value, the archive has another idea of the column. Then
  these values get a column of their own, with the type that they came with, and `column_finding` says so. The column
  and its history stay as they are.

The new column is called as the first, with a percent sign and what the values are: ``nints%text``. No column of the
archive has such a name in the catalog (`catalog.vocabulary.spelling`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import duckdb

from catalog.store.duckdb_file import engine_of
from catalog.store.history.versions import Versions
from catalog.store.sql import columns_of, literal, quoted

MANY = 20
"""Values from which on most of them tell what a column holds."""
WORDS: Mapping[str, str] = {
    "VARCHAR": "text", "BIGINT": "integer", "DOUBLE": "number", "BOOLEAN": "boolean", "TIMESTAMP": "time",
}  # fmt: skip
"""What values are, by their type, in the name of a column for values that came with another type."""
_EXACT = 2**53  # up to here every whole number is a DOUBLE
_TRUE_OR_FALSE = "('t', 'f', 'true', 'false')"


@dataclass(frozen=True)
class Fitted:
    """How the values of a staged column go into the catalog's.

    Attributes
    ----------
    kind : str
        The type that the column has from now on.
    value : str
        SQL for a staged value as the column holds it.
    misfit : str or None
        A condition in SQL: the column cannot hold this value. None where it holds all of them.
    text : str
        SQL for the JSON text of a staged value.
    beside : str or None
        The column that has the values which this one cannot hold; None where they are odd cells.
    """

    kind: str
    value: str
    misfit: str | None = None
    text: str = "NULL"
    beside: str | None = None


@dataclass(frozen=True)
class Place:
    """A column of the catalog that gets staged values.

    Attributes
    ----------
    versions : Versions
        Its table.
    column, kind : str
        Its name and type.
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


def fitted(connection: duckdb.DuckDBPyConnection, place: Place, staged: tuple[str, str, str]) -> Fitted:
    """Say how staged values go into a column; widen it, or make one beside it, where that is needed.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        In a transaction.
    place : Place
        The catalog's column.
    staged : (str, str, str)
        The relation, the column and the type of what came.

    Returns
    -------
    Fitted
        Its SQL names the staged relation ``s``.
    """
    (relation, name, kind), known, table = staged, place.kind, place.versions.table
    value = f"s.{quoted(name)}"
    if known != kind and _is_empty(connection, place):
        connection.execute(f"ALTER TABLE {table} DROP COLUMN {quoted(place.column)}")
        connection.execute(f"ALTER TABLE {table} ADD COLUMN {quoted(place.column)} {kind}")
        known = kind
    if known in (kind, "VARCHAR"):
        return Fitted(known, f"CAST({value} AS {known})")
    if (known, kind) == ("BIGINT", "DOUBLE") and _may_widen(connection, place):
        engine_of(connection).widen(connection, table, place.column, "DOUBLE")
        return Fitted("DOUBLE", value)
    fit = _fit(known, kind, value)
    beside = f"{place.column}%{WORDS.get(kind, 'text')}"
    if beside in columns_of(connection, table):
        return replace(fit, beside=beside)
    filled, odd = _counts(connection, relation, value, fit.misfit)
    if not odd:
        return Fitted(known, fit.value)
    if filled >= MANY and 2 * odd > filled and place.has_room:
        _make_beside(connection, place, beside, kind)
        return replace(fit, beside=beside)
    return fit


def _make_beside(connection: duckdb.DuckDBPyConnection, place: Place, beside: str, kind: str) -> None:
    """Make a column for values of another type, and note it."""
    kept_as = kind if kind in WORDS else "VARCHAR"
    connection.execute(f"ALTER TABLE {place.versions.table} ADD COLUMN {quoted(beside)} {kept_as}")
    connection.execute(
        """INSERT INTO column_finding (run, mission, what, "column", kind, came_as, kept_in)
           VALUES (?, ?, ?, ?, ?, ?, ?)""",
        [place.run, place.versions.mission, place.versions.what, place.column, place.kind, kind, beside],
    )


def with_odd_cells(odd: str, column: str, fit: Fitted) -> str:
    """Return SQL for a row's odd cells with those that one more column cannot hold.

    Parameters
    ----------
    odd : str
        SQL for the odd cells so far.
    column : str
        As the catalog spells it.
    fit : Fitted
        With a `misfit`.
    """
    more = f"json_merge_patch(coalesce({odd}, '{{}}'), json_object({literal(column)}, {fit.text}))"
    return f"CASE WHEN {fit.misfit} THEN CAST({more} AS VARCHAR) ELSE {odd} END"


def _fit(known: str, kind: str, value: str) -> Fitted:
    if kind == "VARCHAR":
        tried, fits = _from_text(known, value)
        return Fitted(
            known, f"CASE WHEN {fits} THEN {tried} END", _not(fits, value), f"CAST(to_json({value}) AS VARCHAR)"
        )
    fits = {
        ("BIGINT", "DOUBLE"): f"{value} = trunc({value}) AND abs({value}) <= {_EXACT}",
        ("DOUBLE", "BIGINT"): f"{value} BETWEEN -{_EXACT} AND {_EXACT}",
        ("BOOLEAN", "BIGINT"): f"{value} IN (0, 1)",
        ("BOOLEAN", "DOUBLE"): f"{value} IN (0, 1)",
    }.get((known, kind), "false")
    cast = f"CASE WHEN {fits} THEN TRY_CAST({value} AS {known}) END" if fits != "false" else f"CAST(NULL AS {known})"
    return Fitted(known, cast, _not(fits, value), f"CAST(to_json({value}) AS VARCHAR)")


def _from_text(known: str, value: str) -> tuple[str, str]:
    """Return SQL for a text as a value of another type, and whether it is one."""
    tried = f"TRY_CAST({value} AS {known})"
    if known == "BIGINT":
        return tried, f"(regexp_full_match({value}, '[+-]?[0-9]{{1,19}}') AND {tried} IS NOT NULL)"
    if known == "DOUBLE":
        return tried, f"coalesce(isfinite({tried}), false)"
    if known == "BOOLEAN":
        return f"lower({value}) IN ('t', 'true')", f"lower({value}) IN {_TRUE_OR_FALSE}"
    return tried, f"{tried} IS NOT NULL"


def _not(fits: str, value: str) -> str:
    return f"({value} IS NOT NULL AND NOT ({fits}))"


def _counts(connection: duckdb.DuckDBPyConnection, relation: str, value: str, misfit: str | None) -> tuple[int, int]:
    row = connection.execute(
        f"SELECT count({value}), count(*) FILTER ({misfit or 'false'}) FROM {quoted(relation)} s"
    ).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def _is_empty(connection: duckdb.DuckDBPyConnection, place: Place) -> bool:
    row = connection.execute(f"SELECT count({quoted(place.column)}) = 0 FROM {place.versions.table}").fetchone()
    return bool(row and row[0])


def _may_widen(connection: duckdb.DuckDBPyConnection, place: Place) -> bool:
    """Say whether a column of whole numbers can hold fractions as well: all values exactly, all of one mission."""
    name = quoted(place.column)
    row = connection.execute(
        f"""SELECT coalesce(max(abs({name}::HUGEINT)), 0) <= {_EXACT} AND coalesce(bool_and(mission = ?), true)
            FROM {place.versions.table} WHERE {name} IS NOT NULL""",
        [place.versions.mission],
    ).fetchone()
    return bool(row and row[0])
