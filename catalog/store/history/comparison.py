"""Compare staged rows with the open versions: which are new, which differ, and in what.

Every function runs in the caller's transaction.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import pyarrow as pa

from catalog.store.duckdb_file import dialect_of
from catalog.store.history.row_hash import ROWS_AT_ONCE, row_hashes
from catalog.store.history.versions import FILES, Versions
from catalog.store.history.widening import TargetColumn, fit_values, with_odd_cells
from catalog.store.spool import Staged
from catalog.store.sql import columns_of, literal, quoted
from catalog.vocabulary.keywords import all_archive_columns
from catalog.vocabulary.spelling import MOST_COLUMNS, ODD_CELLS


@dataclass(frozen=True)
class StagedColumn:
    """A column of the archive: its name, and SQL that turns a value of the staged rows ``s`` into the value to keep.

    The name is in the catalog's spelling already (`catalog.vocabulary.spelling`), so it is none of the catalog's own.
    """

    name: str
    value: str


@dataclass(frozen=True)
class Comparison:
    """What staged rows are, compared with the open versions.

    Attributes
    ----------
    columns : list of StagedColumn
        The columns of the staged rows.
    grown : bool
        Whether the table got or changed columns; then the views must be made again.
    opens : bool
        Whether any row is new or differs; in most harvests, most tables have no such row.
    """

    columns: list[StagedColumn]
    grown: bool
    opens: bool


def compare_versions(connection: duckdb.DuckDBPyConnection, versions: Versions, staged: Staged, run: int) -> Comparison:
    """Find the staged rows that are new or differ, and give the table the columns that they need.

    This leaves the temporary table ``{what}_merge``: key, fresh (the row had no open version), differing (the columns
    that differ from the open version; null if none does).

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection in a transaction.
    versions : Versions
        The table to merge into.
    staged : Staged
        The rows, in the order in which they are stored. If several have the same key, one of them is taken.
    run : int
        The run that brings the rows.
    """
    columns, grown = _ensure_columns(connection, versions, staged.relation, run)
    _compare(connection, versions, staged, columns)
    opens = f"FROM {versions.what}_merge WHERE fresh OR differing IS NOT NULL LIMIT 1"
    return Comparison(columns, grown, connection.execute(opens).fetchone() is not None)


def _ensure_columns(
    connection: duckdb.DuckDBPyConnection, versions: Versions, staged: str, run: int
) -> tuple[list[StagedColumn], bool]:
    """Add new columns, widen columns for values that do not fit, and return whether the table changed."""
    have = {name.lower(): (name, kind) for name, kind in columns_of(connection, versions.table).items()}
    room = max(0, MOST_COLUMNS + len(versions.own) - len(have))
    described = _staged_columns(connection, staged, set(have), room)
    unseen = [name for name, kind in described.items() if kind == "VARCHAR" and name.lower() not in have]
    flags = _only_flags(connection, staged, unseen) if versions is FILES else set()
    types = dialect_of(connection).types
    columns, grown = [], False
    odd = f"s.{ODD_CELLS}" if ODD_CELLS in described else "CAST(NULL AS VARCHAR)"
    for name, kind in described.items():
        value = f"s.{quoted(name)}"
        if name.lower() not in have:
            final = "BOOLEAN" if name in flags else kind if kind in types else "VARCHAR"
            connection.execute(f"ALTER TABLE {versions.table} ADD COLUMN {quoted(name)} {final}")
            columns.append(StagedColumn(name, f"CAST({value} AS {final})"))
            grown = True
        elif name != ODD_CELLS:
            kept, present_kind = have[name.lower()]
            fit = fit_values(
                connection, TargetColumn(versions, kept, present_kind, run, room > 0), (staged, name, kind)
            )
            columns.append(StagedColumn(kept, fit.value))
            if fit.beside is not None:
                columns.append(StagedColumn(fit.beside, f"CASE WHEN {fit.misfit} THEN {value} END"))
            elif fit.misfit is not None:
                odd = with_odd_cells(odd, kept, fit)
            grown = grown or fit.kind != present_kind or (fit.beside or kept).lower() not in have
    return [*columns, StagedColumn(ODD_CELLS, odd)], grown


def _staged_columns(connection: duckdb.DuckDBPyConnection, staged: str, have: set[str], room: int) -> dict[str, str]:
    """Return the staged columns and their types, without new columns for which the table has no room."""
    described = {name: kind for name, kind in columns_of(connection, staged).items() if name != "staged_row"}
    beyond = [name for name in described if name.lower() not in have][room:]
    return {name: kind for name, kind in described.items() if name not in beyond}


def _only_flags(connection: duckdb.DuckDBPyConnection, staged: str, unseen: list[str]) -> set[str]:
    """Return the new columns whose text is only ever t or f, and which the dictionary does not have."""
    asked = [column for column in unseen if column not in {listed.name for listed in all_archive_columns()}]
    if not asked:
        return set()
    tests = ", ".join(f"bool_and(lower({quoted(column)}) IN ('t', 'f'))" for column in asked)
    row = connection.execute(f"SELECT {tests} FROM {staged}").fetchone() or ()
    return {column for column, is_flag in zip(asked, row, strict=True) if is_flag}


def _compare(
    connection: duckdb.DuckDBPyConnection,
    versions: Versions,
    staged: Staged,
    columns: list[StagedColumn],
) -> None:
    """Make ``{what}_merge`` from the staged rows and the open versions."""
    what, key = versions.what, versions.key
    key_column = next(c for c in columns if c.name.lower() == key)
    newest = next((c for c in columns if c.name == versions.newest), None)
    hashed = _hashed(connection, staged, columns, key_column.value, newest.value if newest else "0")
    with hashed.in_passing(connection):
        connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE {what}_merge AS
                WITH one_each AS (
                    SELECT key, min_by({{'row': row, 'hash': row_hash}}, (-coalesce(newest, 0), row_hash)) AS chosen
                    FROM {hashed.relation} GROUP BY key
                )
                SELECT o.key, o.chosen.row AS staged_row, o.chosen.hash AS row_hash, v.{key} IS NULL AS fresh,
                       v.row_hash IS DISTINCT FROM o.chosen.hash AND v.{key} IS NOT NULL AS suspect,
                       CAST(NULL AS VARCHAR[]) AS differing
                FROM one_each o LEFT JOIN {versions.table} v ON v.{key} = o.key AND {versions.is_open("v")}"""
        )
    suspects = connection.execute(f"SELECT count(*) FROM {what}_merge WHERE suspect").fetchone()
    if suspects is not None and suspects[0]:
        _name_differences(connection, versions, staged.relation, columns)
        _heal_hashes(connection, versions)


def _hashed(
    connection: duckdb.DuckDBPyConnection, staged: Staged, columns: list[StagedColumn], key: str, newest: str
) -> Staged:
    """Spool key, position (``row``), hash and age of each staged row.

    They do not stay in memory: DuckDB frees the columns of a batch together, so a few of them would keep all.
    """
    values = "".join(f", {column.value}" for column in columns)
    hashed = staged.spool.begun_anew(f"{staged.name}_hashed", _HASHED)
    with staged.in_passing(connection):
        batches = connection.execute(
            f"""SELECT CAST({key} AS VARCHAR), staged_row, CAST({newest} AS DOUBLE){values}
                FROM {staged.relation} s"""
        ).to_arrow_reader(ROWS_AT_ONCE)
        for batch in batches:
            cells = dict(zip((column.name for column in columns), batch.columns[3:], strict=True))
            hashes = pa.array(row_hashes(cells, batch.num_rows))
            staged.spool.add(hashed.name, pa.Table.from_arrays([*batch.columns[:3], hashes], schema=_HASHED))
    return hashed


_HASHED = pa.schema([("key", pa.string()), ("row", pa.int64()), ("newest", pa.float64()), ("row_hash", pa.int64())])


def _name_differences(
    connection: duckdb.DuckDBPyConnection, versions: Versions, staged: str, columns: list[StagedColumn]
) -> None:
    """Write the names of the columns that differ into ``differing``, for rows whose hash differs."""
    what, key = versions.what, versions.key
    sent = {c.name.lower() for c in columns}
    gone = [name for name in columns_of(connection, versions.table) if name.lower() not in sent | set(versions.own)]
    tests = [f"CASE WHEN {c.value} IS DISTINCT FROM v.{quoted(c.name)} THEN {literal(c.name)} END" for c in columns]
    tests += [f"CASE WHEN v.{quoted(name)} IS NOT NULL THEN {literal(name)} END" for name in gone]
    connection.execute(
        f"""UPDATE {what}_merge m SET differing = d.differing FROM (
                SELECT s.staged_row, list_filter([{", ".join(tests)}], lambda c: c IS NOT NULL) AS differing
                FROM {staged} s JOIN {what}_merge m ON m.staged_row = s.staged_row AND m.suspect
                JOIN {versions.table} v ON v.{key} = m.key AND {versions.is_open("v")}
            ) d WHERE d.staged_row = m.staged_row AND len(d.differing) > 0"""
    )


def differing_columns(connection: duckdb.DuckDBPyConnection, staged: str, versions: Versions) -> list[str]:
    """Return one SQL condition for each column: a staged row ``o`` differs in it from a version ``v``.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection that has the relation of the staged rows.
    staged : str
        The name of that relation.
    versions : Versions
        The table to compare with; columns that it does not have are left out.
    """
    archived = {name.lower(): (name, kind) for name, kind in columns_of(connection, versions.table).items()}
    shared = [(name, *archived[name.lower()]) for name in columns_of(connection, staged) if name.lower() in archived]
    return [
        f"TRY_CAST(o.{quoted(name)} AS {kind}) IS DISTINCT FROM v.{quoted(kept)}"
        for name, kept, kind in shared
        if name != "staged_row"
    ]


def _heal_hashes(connection: duckdb.DuckDBPyConnection, versions: Versions) -> None:
    """Correct the hash of rows whose hash differed although no column does.

    This happens in a catalog of an older mastlake, after a column was widened, and where a hash was damaged. If they
    stayed wrong, every full harvest would compare all columns of such rows again.
    """
    table, what = versions.table, versions.what
    wrong = f"FROM {what}_merge WHERE suspect AND differing IS NULL LIMIT 1"
    if connection.execute(wrong).fetchone() is None:
        return
    connection.execute(
        f"""UPDATE {table} SET row_hash = m.row_hash FROM {what}_merge m
            WHERE {table}.{versions.key} = m.key AND {versions.is_open()} AND m.suspect AND m.differing IS NULL"""
    )
