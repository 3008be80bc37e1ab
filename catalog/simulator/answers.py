"""Answers to queries, as the archive's JSON, made by DuckDB column by column and never row by row in Python.

The rows of an answer are strings in one Arrow buffer, which is sent as the body. A column with one value in all rows of
a table becomes part of the text around the other columns.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catalog.missions import JWST
from catalog.simulator.caom import OBSERVATION_TYPES
from catalog.simulator.filters import BadRequestError, WhereClause, add_cone, add_filters, column_sql, real_name
from catalog.simulator.product_lists import LISTED, RELATION
from catalog.simulator.state import ArchiveState

TIMEOUT = "Timeout expired.  The timeout period elapsed prior to completion of the operation."
Positions = npt.NDArray[np.int64]
_INSTRUMENTS = {service: instrument for instrument, service in JWST.services.items()}
_FEW, _STRETCHES = 4096, 64
_OBSERVATION_SERVICES = ("Mast.Caom.Filtered", "Mast.Caom.Cone", "Mast.Caom.Filtered.Position")
_ALL = "Mast.Caom.All"
_OTHER_NAMES = {
    "Mast.Caom.Filtered.JwstOps": "Mast.Caom.Filtered",
    "Mast.Caom.Products.JwstOps": "Mast.Caom.Products",
}
_SERVICES = {
    name.lower(): _OTHER_NAMES.get(name, name)
    for name in (*_INSTRUMENTS, *_OBSERVATION_SERVICES, "Mast.Caom.Products", _ALL, *_OTHER_NAMES)
}
"""Services by their names in lower case, since the archive ignores case in these names."""


@dataclass(frozen=True)
class JsonBody:
    """A body in pieces, and the number of its rows."""

    pieces: tuple[bytes | memoryview, ...]
    rows: int

    @property
    def size(self) -> int:
        """The size of the body in bytes."""
        return sum(len(piece) for piece in self.pieces)


@dataclass(frozen=True)
class Spoiling:
    """The faults in the rows of one answer, made on purpose."""

    lost: bool = False
    doubled: bool = False
    lost_and_doubled: bool = False
    count_refused: bool = False
    stale_sizes: bool = False
    count_moves: bool = False


@dataclass(frozen=True)
class Relation:
    """The source of a service's rows: SQL, the types of its columns, and its parameters."""

    source: str
    types: Mapping[str, str]
    condition: WhereClause
    table: str | None = None


def status_body(state: str, message: str) -> JsonBody:
    """Return an answer without rows."""
    return JsonBody((json.dumps({"status": state, "msg": message}).encode(),), 0)


def answer(state: ArchiveState, request: Mapping[str, Any], spoiling: Spoiling) -> JsonBody:
    """Answer one request of ``/api/v0/invoke``.

    Parameters
    ----------
    state : ArchiveState
        The archive as it is now.
    request : mapping
        The decoded request.
    spoiling : Spoiling
        Faults in the rows, to be made on purpose.
    """
    with state.reading() as con:
        try:
            if _service(request) == _ALL:
                return _everything(con)
            relation = _relation(state, con, request)
            return _rows_or_count(state, con, relation, request, spoiling)
        except BadRequestError as error:
            return status_body("ERROR", str(error))
        except (ValueError, TypeError, AttributeError, duckdb.Error):
            return status_body("ERROR", "Error converting the request.")


def _service(request: Mapping[str, Any]) -> str:
    name = str(request.get("service"))
    return _SERVICES.get(name.lower(), name)


def _everything(con: duckdb.DuckDBPyConnection) -> JsonBody:
    """Answer how many observations each collection has, in the form that ``list_missions`` reads."""
    counted = con.execute("SELECT obs_collection, count(*) FROM observation WHERE NOT _gone GROUP BY ALL").fetchall()
    column = {"text": "obs_collection", "ExtendedProperties": {"histObj": {"hist": [], **dict(counted)}}}
    body = {"status": "COMPLETE", "msg": "", "data": {"Tables": [{"Columns": [column]}]}}
    return JsonBody((json.dumps(body).encode(),), 0)


def _relation(state: ArchiveState, con: duckdb.DuckDBPyConnection, request: Mapping[str, Any]) -> Relation:
    service, params = _service(request), request.get("params") or {}
    condition = WhereClause()
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
        return _products(state, con, params, condition)
    raise BadRequestError(f"Unknown service: {service}")


def _observations(service: str, params: Mapping[str, Any], condition: WhereClause) -> Relation:
    condition.clauses.append("NOT _gone AND _listed")
    types = dict(OBSERVATION_TYPES)
    place: list[Any] = [params.get("ra"), params.get("dec"), params.get("radius")]
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


def _products(
    state: ArchiveState, con: duckdb.DuckDBPyConnection, params: Mapping[str, Any], condition: WhereClause
) -> Relation:
    ids = sorted({part.strip() for part in str(params.get("obsid", "")).split(",") if part.strip()})
    if state.max_obsids and len(ids) > state.max_obsids:
        raise BadRequestError(TIMEOUT)
    types = state.types("product")
    con.register(RELATION, state.product_lists.of(ids))
    add_filters(condition, params.get("filters") or [], types)
    return Relation(f"({LISTED})", types, condition)


def _rows_or_count(
    state: ArchiveState,
    con: duckdb.DuckDBPyConnection,
    relation: Relation,
    request: Mapping[str, Any],
    spoiling: Spoiling,
) -> JsonBody:
    columns = (request.get("params") or {}).get("columns") or "*"
    asked = ",".join(map(str, columns)) if isinstance(columns, list) else str(columns)
    if asked.replace(" ", "").upper() == "COUNT_BIG(*)":
        if spoiling.count_refused:
            raise BadRequestError("Invalid column name 'COUNT_BIG(*)'.")
        return _count(con, relation, spoiling)
    names = _names(asked, relation.types)
    if spoiling.stale_sizes and "size" in relation.types:
        stale = "CASE WHEN lower(dataURI) LIKE '%.fits' THEN size ELSE size + 1000 END"
        relation = replace(relation, source=f"(SELECT * REPLACE ({stale} AS size) FROM {relation.source})")
    page = RowPage(max(1, int(request.get("page") or 1)), max(1, int(request.get("pagesize") or 50_000)))
    rows, order, total = _page_of_rows(con, relation, _json_sql(state, relation, names), page, _shuffle(state, request))
    order = _spoiled(order, spoiling)
    fields = [{"name": name, "type": relation.types[name]} for name in names]
    tail = {"fields": fields, "paging": page.paging(total)}
    pieces = (b'{"status":"COMPLETE","msg":"","data":[', *_in_order(rows, order), b"]," + json.dumps(tail).encode()[1:])
    return JsonBody(pieces, len(order))


def _names(asked: str, types: Mapping[str, str]) -> list[str]:
    if asked.strip() == "*":
        return list(types)
    return [real_name(part.strip(), types) for part in asked.split(",") if part.strip()]


@dataclass(frozen=True)
class RowPage:
    """One page of a result."""

    number: int
    size: int

    @property
    def span(self) -> slice:
        """The positions of its rows in the whole result."""
        return slice((self.number - 1) * self.size, self.number * self.size)

    def paging(self, total: int) -> dict[str, int]:
        """Return the paging block of an answer."""
        here = max(0, min(self.size, total - (self.number - 1) * self.size))
        return {
            "page": self.number, "pageSize": self.size, "pagesFiltered": max(1, -(-total // self.size)), "rows": here,
            "rowsFiltered": total, "rowsTotal": total,
        }  # fmt: skip


def _count(con: duckdb.DuckDBPyConnection, relation: Relation, spoiling: Spoiling) -> JsonBody:
    condition = relation.condition
    counted = con.execute(
        f"SELECT count(*) FROM {relation.source} WHERE {condition.sql}", condition.parameters
    ).fetchone()
    total = (int(counted[0]) if counted else 0) + (1 if spoiling.count_moves else 0)
    body = {
        "status": "COMPLETE", "msg": "", "data": [{"Column1": total}],
        "fields": [{"name": "Column1", "type": "string"}],
        "paging": RowPage(1, 1).paging(1),
    }  # fmt: skip
    return JsonBody((json.dumps(body).encode(),), 1)


def _shuffle(state: ArchiveState, request: Mapping[str, Any]) -> np.random.Generator:
    """Return the random numbers for an order: it differs from query to query, but not between pages of one query."""
    text = f"{state.options.seed}|{request.get('cacheBreaker', '')}"
    seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
    return np.random.default_rng(seed)


def _shuffled(total: int, shuffle: np.random.Generator) -> Positions:
    """Return an order of so many rows; many rows are shuffled in blocks, few rows one by one."""
    if total <= _FEW:
        return shuffle.permutation(total)
    cuts = np.sort(shuffle.choice(total - 1, _STRETCHES - 1, replace=False)) + 1
    stretches = np.split(np.arange(total), cuts)
    return np.concatenate([stretches[place] for place in shuffle.permutation(_STRETCHES)])


def _page_of_rows(
    con: duckdb.DuckDBPyConnection, relation: Relation, row: str, page: RowPage, shuffle: np.random.Generator
) -> tuple[pa.StringArray, Positions, int]:
    """Return the rows of a page as they are stored, the order in which to send them, and the number of all rows.

    A result that is longer than a page and comes from a table is first reduced to the numbers of its rows.
    """
    condition = relation.condition
    if relation.table is not None:
        row_numbers = con.execute(f"SELECT rowid FROM {relation.source} WHERE {condition.sql}", condition.parameters)
        ids = row_numbers.fetchnumpy()["rowid"]
        if len(ids) > page.size:
            page_ids = ids[_shuffled(len(ids), shuffle)[page.span]]
            order = np.argsort(np.argsort(page_ids))
            return _render_chosen(con, relation, row, np.sort(page_ids)), order, len(ids)
    rows = _render(con, row, relation.source, condition.sql, condition.parameters)
    return rows, _shuffled(len(rows), shuffle)[page.span], len(rows)


def _render_chosen(con: duckdb.DuckDBPyConnection, relation: Relation, row: str, ids: Positions) -> pa.StringArray:
    con.register("chosen", pa.table({"id": ids}))
    try:
        within = "rowid BETWEEN $first AND $last AND rowid IN (SELECT id FROM chosen)"
        ends = {"first": int(ids[0]), "last": int(ids[-1])} if len(ids) else {"first": 0, "last": -1}
        return _render(con, row, relation.source, within, ends)
    finally:
        con.unregister("chosen")


def _render(
    con: duckdb.DuckDBPyConnection, row: str, source: str, where: str, parameters: Mapping[str, object]
) -> pa.StringArray:
    chunks = con.execute(f"SELECT {row} AS j FROM {source} WHERE {where}", parameters).to_arrow_table()["j"].chunks
    if not chunks:
        return pa.array([], pa.string())
    return chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks)


def _json_sql(state: ArchiveState, relation: Relation, names: list[str]) -> str:
    """Return SQL for one row as JSON, followed by a comma."""
    constants = state.constants(relation.table) if relation.table else {}
    pieces: list[str] = []
    text = "{"
    for name in names:
        text += json.dumps(name) + ":"
        if name in constants:
            text += constants[name] + ","
            continue
        plain = relation.table is not None and name not in state.edited(relation.table)
        pieces += ["'" + text.replace("'", "''") + "'", _value_sql(name, relation.types[name], plain)]
        text = ","
    text = text.removesuffix(",") + "},"
    pieces.append("'" + text.replace("'", "''") + "'")
    return f"concat({', '.join(pieces)})"


def _value_sql(name: str, kind: str, plain: bool) -> str:
    """Return SQL for a value as JSON; ``plain`` text needs no escaping, as all text that the simulator makes."""
    column = column_sql(name)
    if kind == "date":
        return f"coalesce('\"/Date(' || {column} || ')/\"', 'null')"
    if kind in ("int", "float", "boolean"):
        return f"coalesce({column}::VARCHAR, 'null')"
    if plain:
        return f"coalesce('\"' || {column} || '\"', 'null')"
    return f"coalesce(to_json({column})::VARCHAR, 'null')"


def _spoiled(order: Positions, spoiling: Spoiling) -> Positions:
    total = len(order)
    if spoiling.lost:
        order = order[: total - max(1, total // 3)] if total else order
    if spoiling.lost_and_doubled and total > 1:
        order = np.concatenate([order[1:], order[-1:]])
    if spoiling.doubled:
        order = np.concatenate([order, order[: max(1, len(order) // 4)]])
    return order


def _in_order(rows: pa.StringArray, order: Positions) -> Iterator[bytes | memoryview]:
    """Yield the bytes of the rows in an order, without copying long blocks, and without the last comma."""
    if not len(order):
        return
    if len(order) <= _FEW:
        yield "".join(rows.take(pa.array(order)).to_pylist()).encode()[:-1]
        return
    offsets = np.frombuffer(rows.buffers()[1], dtype=np.int32)[rows.offset :]
    text = memoryview(rows.buffers()[2])
    starts = np.flatnonzero(np.diff(order, prepend=order[0] - 2) != 1)
    ends = np.append(starts[1:], len(order))
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        last = end == len(order)
        yield text[offsets[order[start]] : offsets[order[end - 1] + 1] - (1 if last else 0)]


def with_an_odd_cell(body: bytes) -> bytes:
    """Write ``NaN``, which is no JSON, for a number of the first row; numbers by which answers are split stay."""
    sent = json.loads(body)
    rows = sent.get("data")
    if not isinstance(rows, list) or not rows:
        return body
    kinds = {field["name"]: field["type"] for field in sent.get("fields", [])}
    names = [name for name, kind in kinds.items() if kind == "float" and not name.endswith("_mjd") and name != "t_min"]
    if names:
        rows[0][names[0]] = float("nan")
    return json.dumps(sent).encode()
