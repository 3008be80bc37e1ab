"""Single changes, with the old and the new value of every column that differs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import duckdb

from catalog.changes.net import COMPARED, ComparedTable, comparable_columns
from catalog.changes.span import Span
from catalog.store.duckdb_file import dialect_of
from catalog.store.sql import literal, quoted
from catalog.text import shown

if TYPE_CHECKING:
    import pyarrow as pa  # importing it takes as long as a question

_PLAIN = frozenset({"VARCHAR", "BOOLEAN", "BIGINT", "INTEGER", "SMALLINT", "TINYINT", "DOUBLE", "FLOAT"})
"""Types that Arrow and JSON have as well; values of other types, such as times, become text."""

_VALUES = 8
"""For how many columns one row of a report writes out the values."""
_CELL = 60
"""The most characters of one value."""


@dataclass(frozen=True)
class Row:
    """One file, observation or product that changed.

    Attributes
    ----------
    run : int
        The newest run that changed it.
    search : str or None
        The search of that run.
    kind : str
        new, changed, withdrawn, returned, ``came and went`` or ``reduce again``.
    what : str
        file, observation or product.
    key : str
        The filename, obs_id or data_uri.
    columns : dict
        The old and the new value of each column that differs.
    """

    run: int
    search: str | None
    kind: str
    what: str
    key: str
    columns: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def told_values(self, most: int | None = _VALUES) -> str:
        """Write the old and the new values: ``cal_ver 1.5.3 -> 1.8.2; ...``.

        Parameters
        ----------
        most : int or None
            For how many columns the values are written out; the others are counted.
        """
        moves = [f"{name} {_short(old)} -> {_short(new)}" for name, (old, new) in self.columns.items()]
        if most is not None and len(moves) > most:
            moves = [*moves[:most], f"{len(moves) - most} columns more"]
        return "; ".join(moves)


def _short(value: Any) -> str:
    if value is None:
        return "nothing"
    text = shown(value)
    return text if len(text) <= _CELL else f"{text[: _CELL - 3]}..."


def read_rows(connection: duckdb.DuckDBPyConnection, span: Span) -> list[pa.Table]:
    """Read the rows of the temporary table ``net`` and their values in a compact form, which `iterate` unfolds."""
    tables = [
        connection.execute(
            """SELECT run, search, kind, what, key, columns FROM net WHERE kind <> 'changed'
               ORDER BY what, kind, key, search"""
        ).to_arrow_table()
    ]
    return tables + [_values(connection, compared, span) for compared in COMPARED]


def _values(connection: duckdb.DuckDBPyConnection, compared: ComparedTable, span: Span) -> pa.Table:
    table, key, what = compared.versions.table, compared.versions.key, compared.versions.what
    row = dialect_of(connection).row
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE pair AS SELECT key FROM net WHERE what = {literal(what)} AND kind = 'changed'"
    )
    columns = comparable_columns(connection, compared.versions, {"since": span.since, "until": span.until})
    values = "".join(
        f", {_value('a', name, kind)} AS old_{number}, {_value('b', name, kind)} AS new_{number}"
        for number, (name, kind) in enumerate(columns.items())
    )
    rows = connection.execute(
        f"""SELECT n.run, n.search, n.kind, n.what, n.key, n.columns{values} FROM net n
            JOIN {table} a ON {row("a", key)} = n.old_row JOIN {table} b ON {row("b", key)} = n.new_row
            WHERE n.what = {literal(what)} AND n.kind = 'changed' ORDER BY n.key"""
    ).to_arrow_table()
    names = [name for column in columns for name in (f"old {column}", f"new {column}")]
    return rows.rename_columns([*rows.column_names[:6], *names])


def _value(side: str, name: str, kind: str) -> str:
    column = f"{side}.{quoted(name)}"
    if kind.startswith("TIMESTAMP"):
        return f"replace(CAST({column} AS VARCHAR), ' ', 'T')"
    return column if kind in _PLAIN else f"CAST({column} AS VARCHAR)"


def iterate(tables: list[pa.Table]) -> Iterator[Row]:
    """Unfold the tables of `read_rows`, a few thousand rows at a time."""
    for table in tables:
        places = {name: number for number, name in enumerate(table.column_names)}
        for batch in table.to_batches(max_chunksize=2000):
            columns = [column.to_pylist() for column in batch.columns]
            for run, search, kind, what, key, names, *values in zip(*columns, strict=True):
                moved = {
                    name: (values[places[f"old {name}"] - 6], values[places[f"new {name}"] - 6])
                    for name in names
                    if f"old {name}" in places
                }
                yield Row(run, search, kind, what, key, moved)
