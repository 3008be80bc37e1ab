"""Changes of rows between two runs."""

from __future__ import annotations

from typing import NamedTuple

import duckdb

from catalog.store.history.versions import FILES, OBSERVATIONS, PRODUCTS, Versions
from catalog.store.sql import columns_of, literal, objects_of_rows, quoted


class RowChange(NamedTuple):
    """The change of one row between two runs.

    Attributes
    ----------
    kind : str
        ``new``, ``withdrawn`` or ``changed``.
    what : str
        ``file``, ``observation`` or ``product``.
    key : str
        The key of the row.
    columns : list of str or None
        The columns that differ, if the row changed.
    """

    kind: str
    what: str
    key: str
    columns: list[str] | None


def differences(connection: duckdb.DuckDBPyConnection, first: int, second: int) -> list[RowChange]:
    """Compare the catalog as it stood after two runs.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection for reading.
    first, second : int
        Numbers of runs.

    Returns
    -------
    list of RowChange
        The changes from the first run to the second; ``new`` rows are only in the second.
    """
    row_changes: list[RowChange] = []
    for versions in (FILES, OBSERVATIONS, PRODUCTS):
        row_changes += _of_one_table(connection, versions, first, second)
    return row_changes


def _of_one_table(
    connection: duckdb.DuckDBPyConnection, versions: Versions, first: int, second: int
) -> list[RowChange]:
    key = versions.key
    columns = [c for c in columns_of(connection, versions.table) if c.lower() not in (*versions.own, key)]
    tests = ", ".join(f"CASE WHEN a.{quoted(c)} IS DISTINCT FROM b.{quoted(c)} THEN {literal(c)} END" for c in columns)
    differing = f"list_filter([{tests}], lambda c: c IS NOT NULL)" if columns else "[]::VARCHAR[]"
    at = "(SELECT * FROM {} WHERE since_run <= {} AND (until_run IS NULL OR until_run > {}))"
    before, after = (at.format(versions.table, run, run) for run in (int(first), int(second)))
    answered = connection.execute(
        f"""SELECT CASE WHEN a.{key} IS NULL THEN 'new' WHEN b.{key} IS NULL THEN 'withdrawn'
                        ELSE 'changed' END AS kind,
                   {literal(versions.what)} AS what, coalesce(a.{key}, b.{key}) AS key,
                   CASE WHEN a.{key} IS NOT NULL AND b.{key} IS NOT NULL THEN {differing} END AS columns
            FROM {before} a FULL JOIN {after} b ON a.{key} = b.{key}
            WHERE a.{key} IS NULL OR b.{key} IS NULL OR a.since_run <> b.since_run
            ORDER BY kind, key"""
    )
    return [row for row in objects_of_rows(RowChange, answered) if row.kind != "changed" or row.columns]
