"""Answers to queries, as the archive's JSON, made by DuckDB column by column and never row by row in Python.

The rows of an answer are strings in one Arrow buffer; the body that travels is that buffer. Columns that have
one value throughout a table become part of the text around the others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from catalog.keywords import SERVICES
from catalog.simulator.caom import OBSERVATION_TYPES, PRODUCTS_OF
from catalog.simulator.filters import BadRequestError, Condition, add_cone, add_filters, quoted, real_name
from catalog.simulator.state import ArchiveState

TIMEOUT = "Timeout expired.  The timeout period elapsed prior to completion of the operation."
_INSTRUMENTS = {service: instrument for instrument, service in SERVICES.items()}
_OBSERVATION_SERVICES = ("Mast.Caom.Filtered", "Mast.Caom.Cone", "Mast.Caom.Filtered.Position")


@dataclass(frozen=True)
class Answer:
    """A body in pieces, and how many rows are in it."""

    pieces: tuple[bytes | memoryview, ...]
    rows: int

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(len(piece) for piece in self.pieces)


@dataclass(frozen=True)
class Spoiling:
    """What is wrong on purpose with the rows of one answer."""

    lost: bool = False
    doubled: bool = False
    count_moves: bool = False


@dataclass(frozen=True)
class Relation:
    """What a service's rows come from: SQL, its columns' types, and its parameters."""

    source: str
    types: Mapping[str, str]
    condition: Condition
    table: str | None = None


def status(state: str, message: str) -> Answer:
    """Return an answer without rows."""
    return Answer((json.dumps({"status": state, "msg": message}).encode(),), 0)


def answer(state: ArchiveState, request: Mapping[str, Any], spoiling: Spoiling) -> Answer:
    """Answer one request of ``/api/v0/invoke``.

    Parameters
    ----------
    state : ArchiveState
        The archive as it is.
    request : mapping
        The decoded request.
    spoiling : Spoiling
        Faults in the rows.
    """
    with state.reading() as con:
        try:
            relation = _relation(state, con, request)
            return _rows_or_count(state, con, relation, request, spoiling)
        except BadRequestError as error:
            return status("ERROR", str(error))


def _relation(state: ArchiveState, con: duckdb.DuckDBPyConnection, request: Mapping[str, Any]) -> Relation:
    service, params = str(request.get("service")), request.get("params") or {}
    condition = Condition()
    if service in _INSTRUMENTS:
        table = f"si_{_INSTRUMENTS[service]}"
        types: Mapping[str, str] = state.types(table)
        condition.clauses.append("NOT _gone")
        add_filters(condition, params.get("filters") or [], types)
        state.ensure_digests(con, table, params, condition)
        return Relation(table, types, condition, table)
    if service in _OBSERVATION_SERVICES:
        return _observations(service, params, condition)
    if service == "Mast.Caom.Products":
        return _products(state, params, condition)
    raise BadRequestError(f"Unknown service: {service}")


def _observations(service: str, params: Mapping[str, Any], condition: Condition) -> Relation:
    condition.clauses.append("NOT _gone AND _listed")
    types = dict(OBSERVATION_TYPES)
    place = [params.get("ra"), params.get("dec"), params.get("radius")]
    if service == "Mast.Caom.Filtered.Position":
        place = str(params.get("position", "")).split(",")
    source = "observation"
    if service != "Mast.Caom.Filtered":
        try:
            ra, dec, radius = (float(str(value)) for value in place)
        except ValueError as error:
            raise BadRequestError("Error converting data type varchar to float.") from error
        distance = add_cone(condition, ra, dec, radius)
        types["distance"] = "float"
        source = f"(SELECT *, {distance} AS distance FROM observation)"
    add_filters(condition, params.get("filters") or [], types)
    return Relation(source, types, condition)


def _products(state: ArchiveState, params: Mapping[str, Any], condition: Condition) -> Relation:
    ids = sorted({part.strip() for part in str(params.get("obsid", "")).split(",") if part.strip()})
    if state.max_obsids and len(ids) > state.max_obsids:
        raise BadRequestError(TIMEOUT)
    types = state.types("product")
    condition.parameters["obsids"] = ids
    add_filters(condition, params.get("filters") or [], types)
    return Relation(f"({PRODUCTS_OF})", types, condition)


def _rows_or_count(
    state: ArchiveState,
    con: duckdb.DuckDBPyConnection,
    relation: Relation,
    request: Mapping[str, Any],
    spoiling: Spoiling,
) -> Answer:
    asked = str((request.get("params") or {}).get("columns") or "*")
    if asked.replace(" ", "").upper() == "COUNT_BIG(*)":
        return _count(con, relation, spoiling)
    names = list(relation.types) if asked.strip() == "*" else [
        real_name(part.strip(), relation.types) for part in asked.split(",") if part.strip()
    ]  # fmt: skip
    page = Page(max(1, int(request.get("page") or 1)), max(1, int(request.get("pagesize") or 50_000)))
    order = _order_seed(state, request)
    rows, total = _page_of_rows(state, con, relation, names, page, order)
    rows = _spoiled(rows, spoiling)
    fields = [{"name": name, "type": relation.types[name]} for name in names]
    tail = {"fields": fields, "paging": page.paging(total)}
    body = _buffers(rows)
    return Answer((b'{"status":"COMPLETE","msg":"","data":[', *body, b"]," + json.dumps(tail).encode()[1:]), len(rows))


@dataclass(frozen=True)
class Page:
    """One page of a result."""

    number: int
    size: int

    @property
    def span(self) -> slice:
        """Where its rows are in the whole."""
        return slice((self.number - 1) * self.size, self.number * self.size)

    def paging(self, total: int) -> dict[str, int]:
        """Return the paging block of an answer."""
        here = max(0, min(self.size, total - (self.number - 1) * self.size))
        return {
            "page": self.number, "pageSize": self.size, "pagesFiltered": max(1, -(-total // self.size)), "rows": here,
            "rowsFiltered": total, "rowsTotal": total,
        }  # fmt: skip


def _count(con: duckdb.DuckDBPyConnection, relation: Relation, spoiling: Spoiling) -> Answer:
    condition = relation.condition
    found = con.execute(
        f"SELECT count(*) FROM {relation.source} WHERE {condition.sql}", condition.parameters
    ).fetchone()
    total = (int(found[0]) if found else 0) + (1 if spoiling.count_moves else 0)
    body = {
        "status": "COMPLETE", "msg": "", "data": [{"Column1": total}], "fields": [{"name": "Column1", "type": "string"}],
        "paging": Page(1, 1).paging(1),
    }  # fmt: skip
    return Answer((json.dumps(body).encode(),), 1)


def _order_seed(state: ArchiveState, request: Mapping[str, Any]) -> int:
    """The archive promises no order: it differs from query to query, not from page to page of one."""
    text = f"{state.options.seed}|{request.get('cacheBreaker', '')}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def _page_of_rows(
    state: ArchiveState,
    con: duckdb.DuckDBPyConnection,
    relation: Relation,
    names: list[str],
    page: Page,
    order: int,
) -> tuple[pa.StringArray, int]:
    """Render one page. A result longer than a page is first reduced to its row numbers, where it is a table."""
    condition = relation.condition
    shuffle = np.random.default_rng(order)
    if relation.table is not None:
        found = con.execute(f"SELECT rowid FROM {relation.source} WHERE {condition.sql}", condition.parameters)
        ids = found.fetchnumpy()["rowid"]
        if len(ids) > page.size:
            chosen = ids[shuffle.permutation(len(ids))[page.span]]
            rendered = _render_chosen(state, con, relation, names, np.sort(chosen))
            return rendered.take(pa.array(np.argsort(np.argsort(chosen)))), len(ids)
    rendered = _render(con, _json_sql(state, relation, names), relation.source, condition.sql, condition.parameters)
    total = len(rendered)
    return rendered.take(pa.array(shuffle.permutation(total)[page.span])), total


def _render_chosen(
    state: ArchiveState, con: duckdb.DuckDBPyConnection, relation: Relation, names: list[str], ids: np.ndarray[Any, Any]
) -> pa.StringArray:
    con.register("chosen", pa.table({"id": ids}))
    try:
        within = "rowid BETWEEN $first AND $last AND rowid IN (SELECT id FROM chosen)"
        ends = {"first": int(ids[0]), "last": int(ids[-1])} if len(ids) else {"first": 0, "last": -1}
        return _render(con, _json_sql(state, relation, names), relation.source, within, ends)
    finally:
        con.unregister("chosen")


def _render(
    con: duckdb.DuckDBPyConnection, row: str, source: str, where: str, parameters: Mapping[str, object]
) -> pa.StringArray:
    table = con.execute(f"SELECT {row} AS j FROM {source} WHERE {where}", parameters).to_arrow_table()
    return pa.concat_arrays(table["j"].chunks) if table.num_rows else pa.array([], pa.string())


def _json_sql(state: ArchiveState, relation: Relation, names: list[str]) -> str:
    """Return SQL for one row as JSON, with a comma behind it."""
    constants = state.constants(relation.table) if relation.table else {}
    pieces: list[str] = []
    text = "{"
    for name in names:
        text += json.dumps(name) + ":"
        if name in constants:
            text += constants[name] + ","
            continue
        pieces += ["'" + text.replace("'", "''") + "'", _value_sql(name, relation.types[name])]
        text = ","
    text = text.removesuffix(",") + "},"
    pieces.append("'" + text.replace("'", "''") + "'")
    return f"concat({', '.join(pieces)})"


def _value_sql(name: str, kind: str) -> str:
    column = quoted(name)
    if kind == "date":
        return f"coalesce('\"/Date(' || {column} || ')/\"', 'null')"
    if kind in ("int", "float", "boolean"):
        return f"coalesce({column}::VARCHAR, 'null')"
    return f"coalesce(to_json({column})::VARCHAR, 'null')"


def _spoiled(rows: pa.StringArray, spoiling: Spoiling) -> pa.StringArray:
    total = len(rows)
    if spoiling.lost:
        rows = rows.slice(0, total - max(1, total // 3)) if total else rows
    if spoiling.doubled and len(rows):
        rows = pa.concat_arrays([rows, rows.slice(0, max(1, len(rows) // 4))])
    return rows


def _buffers(rows: pa.StringArray) -> tuple[memoryview, ...]:
    """The bytes of all rows as they lie in memory, without the last comma."""
    if not len(rows):
        return ()
    offsets = np.frombuffer(rows.buffers()[1], dtype=np.int32)[rows.offset : rows.offset + len(rows) + 1]
    return (memoryview(rows.buffers()[2])[offsets[0] : offsets[-1] - 1],)
