"""What becomes of a column of the catalog when an answer has values of another type.

A column is widened only where that loses nothing and changes nothing that stands in it: whole numbers become numbers
with a fraction. Any other value that the column cannot hold is an odd cell: null in the column, and its text in
``odd_cells``. A column becomes text if most of what came, and not only a few cells, cannot be held otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from catalog.store.sql import literal, quoted

MANY = 20
"""Values from which on most of them tell what a column holds."""
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
    """

    kind: str
    value: str
    misfit: str | None = None
    text: str = "NULL"


def fitted(
    connection: duckdb.DuckDBPyConnection, table: str, column: str, known: str, staged: tuple[str, str, str]
) -> Fitted:
    """Say how staged values go into a column, and widen it where it must be wider.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        In a transaction.
    table, column, known : str
        The catalog's column and its type.
    staged : (str, str, str)
        The relation, the column and the type of what came.

    Returns
    -------
    Fitted
        Its SQL names the staged relation ``s``.
    """
    relation, name, kind = staged
    value = f"s.{quoted(name)}"
    if known != kind and _is_empty(connection, table, column):
        _retype(connection, table, column, kind, f"CAST(NULL AS {kind})")
        known = kind
    if known in (kind, "VARCHAR"):
        return Fitted(known, f"CAST({value} AS {known})")
    if (known, kind) == ("BIGINT", "DOUBLE") and _all_exact(connection, table, column):
        _retype(connection, table, column, "DOUBLE", f"CAST({quoted(column)} AS DOUBLE)")
        return Fitted("DOUBLE", value)
    fit = _fit(known, kind, value)
    filled, odd = _counts(connection, relation, value, fit.misfit)
    if not odd:
        return Fitted(known, fit.value)
    if filled >= MANY and 2 * odd > filled:
        as_text = f"CASE WHEN {quoted(column)} THEN 't' ELSE 'f' END" if known == "BOOLEAN" else quoted(column)
        _retype(connection, table, column, "VARCHAR", f"CAST({as_text} AS VARCHAR)")
        return Fitted("VARCHAR", f"CAST({value} AS VARCHAR)")
    return fit


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


def _is_empty(connection: duckdb.DuckDBPyConnection, table: str, column: str) -> bool:
    row = connection.execute(f"SELECT count({quoted(column)}) = 0 FROM {table}").fetchone()
    return bool(row and row[0])


def _all_exact(connection: duckdb.DuckDBPyConnection, table: str, column: str) -> bool:
    row = connection.execute(
        f"SELECT coalesce(max(abs({quoted(column)}::HUGEINT)), 0) <= {_EXACT} FROM {table}"
    ).fetchone()
    return bool(row and row[0])


def _retype(connection: duckdb.DuckDBPyConnection, table: str, column: str, kind: str, using: str) -> None:
    connection.execute(f"ALTER TABLE {table} ALTER COLUMN {quoted(column)} SET DATA TYPE {kind} USING {using}")
