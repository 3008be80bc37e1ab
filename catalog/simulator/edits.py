"""Edits by hand: single changes of named files, for tests that must know exactly what changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catalog.missions import JWST
from catalog.simulator.changes import process_again, set_gone
from catalog.simulator.columns import SQL_TYPES
from catalog.simulator.filters import column_sql, real_name
from catalog.simulator.plan import epoch_end_mjd
from catalog.simulator.state import ArchiveState


def _located(state: ArchiveState, filenames: Sequence[str]) -> dict[str, list[int]]:
    """Return the numbers of files by the table of the keyword search that lists them."""
    rows = state.con.execute(
        "SELECT filename, _instrument, _file FROM product"
        " WHERE _file IS NOT NULL AND filename IN (SELECT unnest($names)) ORDER BY _file",
        {"names": list(filenames)},
    ).fetchall()
    missing = set(filenames) - {name for name, _, _ in rows}
    if missing:
        raise ValueError(f"no such file: {', '.join(sorted(missing))}")
    places: dict[str, list[int]] = {}
    for _, instrument, number in rows:
        places.setdefault(f"si_{instrument}", []).append(int(number))
    return places


def withdraw(state: ArchiveState, filenames: Sequence[str], gone: bool = True) -> None:
    """Take files out of the archive, or put them back as they were."""
    with state.lock:
        for table, numbers in _located(state, filenames).items():
            set_gone(state, table, numbers, str(gone).lower())
        state.touched()


def reprocess(state: ArchiveState, filenames: Sequence[str], keep_size: bool | None = None) -> None:
    """Process files again under their names; each is ingested a second after the last edit."""
    with state.lock:
        for table, numbers in _located(state, filenames).items():
            state.edits += 1
            process_again(state, table, numbers, f"ms({epoch_end_mjd(state.epoch)}) + {state.edits * 1000}", keep_size)
        state.touched()


def set_stale(state: ArchiveState, filenames: Sequence[str], stale: bool = True) -> None:
    """Set ``isStale`` and nothing else."""
    with state.lock:
        for table, numbers in _located(state, filenames).items():
            state.con.execute(
                f'UPDATE {table} SET "isStale" = $stale WHERE _file IN (SELECT unnest($numbers))',
                {"stale": stale, "numbers": numbers},
            )
        state.touched()


def edit(state: ArchiveState, filename: str, column: str, value: object) -> None:
    """Set one column of one file without a trace: bytes, checksum and time of ingest stay."""
    with state.lock:
        ((table, (number, *_)),) = _located(state, [filename]).items()
        name = real_name(column, state.types(table))
        row = state.con.execute(f"SELECT {column_sql(name)} FROM {table} WHERE _file = $n", {"n": number}).fetchone()
        state.made_from.setdefault((table, number), {}).setdefault(name, row[0] if row else None)
        state.not_constant(table, name)
        state.con.execute(
            f"UPDATE {table} SET {column_sql(name)} = $value WHERE _file = $n", {"value": value, "n": number}
        )
        state.touched()


def add_file(state: ArchiveState, filename: str, like: str, changes: Mapping[str, object]) -> None:
    """Ingest a new file: its row is like another file's, with its own name, URI, numbers and bytes."""
    with state.lock:
        ((table, (number, *_)),) = _located(state, [like]).items()
        state.edits += 1
        row = state.con.execute("SELECT max(_file) + 1, max(_product) + 1 FROM product").fetchone()
        new_file, new_product = row if row else (0, 0)
        named: dict[str, Any] = {
            "fileName" if table == "si_guidestar" else "filename": filename,
            "dataURI": f"mast:JWST/product/{filename}", "ArchiveFileID": 5_000_000 + int(new_file) * 3, **changes,
        }  # fmt: skip
        set_to = {real_name(column, state.types(table)): value for column, value in named.items()}
        for column in set_to:
            state.not_constant(table, column)
        _insert_like(state, table, number, {**set_to, "_file": new_file, "_gone": False, "_born": 0})
        if filename.rsplit("_", 1)[-1] != like.rsplit("_", 1)[-1]:
            raise ValueError("a file like another has the same suffix")
        old_product = {"filename": filename, "_file": new_file, "_product": new_product, "_gone": False, "_born": 0}
        _insert_like(state, "product", number, old_product)
        process_again(state, table, [int(new_file)], f"ms({epoch_end_mjd(state.epoch)}) + {state.edits * 1000}")
        state.touched()


def _insert_like(state: ArchiveState, table: str, number: int, values: Mapping[str, object]) -> None:
    """Copy the row of a file, and replace some columns."""
    replaced = ", ".join(f"${place} AS {column_sql(column)}" for place, column in enumerate(values, start=2))
    state.con.execute(
        f"INSERT INTO {table} SELECT * REPLACE ({replaced}) FROM {table} WHERE _file = $1", [number, *values.values()]
    )


@dataclass(frozen=True)
class NewColumn:
    """A column that no answer had before: its search, name, type in ``fields``, and value."""

    instrument: str
    name: str
    kind: str
    value: object


def add_column(state: ArchiveState, column: NewColumn, filenames: Sequence[str] | None) -> None:
    """Give the answers of one keyword search another column, with the value in the named files or in all files."""
    if column.kind not in SQL_TYPES or column.instrument not in JWST.services:
        raise ValueError(f"no such type or instrument: {column.kind}, {column.instrument}")
    table, name = f"si_{column.instrument}", column_sql(column.name)
    with state.lock:
        files = None if filenames is None else _located(state, filenames).get(table, [])
        state.con.execute(f"ALTER TABLE {table} ADD COLUMN {name} {SQL_TYPES[column.kind]}")
        state.types(table)[column.name] = column.kind
        state.not_constant(table, column.name)
        where = "true" if files is None else "_file IN (SELECT unnest($files))"
        bound = {"value": column.value} if files is None else {"value": column.value, "files": files}
        state.con.execute(f"UPDATE {table} SET {name} = $value WHERE {where}", bound)
        state.touched()


def set_rights(state: ArchiveState, obs_ids: Sequence[str], exclusive: bool) -> None:
    """Make observations exclusive or public, whether they are listed or not."""
    with state.lock:
        state.con.execute(
            'UPDATE observation SET "dataRights" = $rights, t_obs_release = $until'
            " WHERE obs_id IN (SELECT unnest($names))",
            {"rights": "EXCLUSIVE_ACCESS" if exclusive else "PUBLIC", "names": list(obs_ids),
             "until": epoch_end_mjd(state.epoch) + (180.0 if exclusive else -1.0)},
        )  # fmt: skip
        state.touched()


def renumber(state: ArchiveState, obs_ids: Sequence[str]) -> None:
    """Give observations another ``obsid``."""
    with state.lock:
        state.con.execute(
            "UPDATE observation SET obsid = (obsid::BIGINT + 1000000000)::VARCHAR"
            " WHERE obs_id IN (SELECT unnest($names))",
            {"names": list(obs_ids)},
        )
        state.touched()
