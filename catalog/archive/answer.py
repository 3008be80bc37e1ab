"""What MAST answers, as Arrow: no Python object per cell.

An answer is one JSON object: ``status``, ``msg``, ``data`` (a list of row objects), ``fields`` (name and type
of each column) and ``paging``. The envelope is read first, with ``data`` left as bytes; then Arrow reads the
rows with the types that ``fields`` names: as lines, one row each, which takes half the time of a list.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json

from catalog.errors import Garbled, QueryTimeout, Refused
from catalog.keywords import all_archive_columns

_WIRE_TYPES = {
    "int": pa.int64(),
    "short": pa.int64(),
    "long": pa.int64(),
    "number": pa.int64(),
    "float": pa.float64(),
    "double": pa.float64(),
    "decimal": pa.float64(),
    "boolean": pa.bool_(),
    "binary": pa.bool_(),
}
_TIMES_OUT = re.compile(r"time[d]?[ -]?out|timeout", re.IGNORECASE)
_DATE = r"^/Date\((-?\d+)\)/$"
_CONFLICT = re.compile(r"Column\(/(?:data/\[\]/)?(.+?)\) changed from (\w+) to (\w+)")
_BETWEEN_ROWS = re.compile(rb"\}\s*,\s*\{")
_BLOCK_SIZE = 16 << 20
_SELECTED = "_selected_"  # the portal's own check box, not the archive's


class Field(msgspec.Struct):
    """Name and type of one column of an answer."""

    name: str
    type: str = "string"


class Envelope(msgspec.Struct):
    """An answer with its rows still as bytes."""

    status: str | None = None
    msg: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"[]")
    fields: list[Field] = []
    paging: dict[str, Any] | None = None


@dataclass(frozen=True)
class Answer:
    """One page of rows.

    Attributes
    ----------
    rows : pyarrow.Table
        Typed: booleans as bool, dates as timestamps (UTC), numbers as int64 and float64, text as string.
    total : int
        How many rows the question has in all, by the answer's own paging.
    """

    rows: pa.Table
    total: int


def read_envelope(body: bytes) -> Envelope:
    """Read an answer's envelope.

    Raises
    ------
    Garbled
        For anything but the JSON object of the protocol.
    """
    try:
        return msgspec.json.decode(body, type=Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError):
        start = body[:200].lstrip().lower()
        if start.startswith((b"<!doctype", b"<html")):
            raise Garbled("the archive answered with an HTML page; it may be under maintenance") from None
        raise Garbled(f"the archive's answer is not whole JSON ({len(body):,} bytes)") from None


def complete(body: bytes | Envelope) -> Envelope:
    """Return an answer's envelope if the archive completed the question.

    Parameters
    ----------
    body : bytes or Envelope
        The answer, or its envelope where that was read already.

    Raises
    ------
    QueryTimeout
        If the archive says that it ran out of time.
    Refused
        If it says no for another reason.
    Garbled
        See `read_envelope`.
    """
    envelope = body if isinstance(body, Envelope) else read_envelope(body)
    if envelope.status == "COMPLETE":
        return envelope
    reason = " ".join((envelope.msg or "no reason given").split())
    if _TIMES_OUT.search(reason):
        raise QueryTimeout(f"the archive ran out of time: {reason}")
    raise Refused(f"the archive refused: {reason}")


def read_answer(body: bytes | Envelope) -> Answer:
    """Read a completed answer's rows.

    Parameters
    ----------
    body : bytes or Envelope
        As of `complete`.

    Raises
    ------
    QueryTimeout, Refused, Garbled
        See `complete`.
    """
    envelope = complete(body)
    fields = _distinct([field for field in envelope.fields if field.name != _SELECTED])
    rows = _rows(envelope.data, {field.name: _WIRE_TYPES.get(field.type, pa.string()) for field in fields})
    dates = {field.name for field in fields if _is_date(field, {other.name for other in fields})}
    typed = [_typed(name, rows.column(name), name in dates) for name in rows.column_names]
    total = int((envelope.paging or {}).get("rowsFiltered", rows.num_rows))
    return Answer(pa.table(dict(zip(rows.column_names, typed, strict=True))), total)


def read_count(body: bytes | Envelope) -> int:
    """Read the answer to ``COUNT_BIG(*)``.

    Raises
    ------
    QueryTimeout, Refused, Garbled
        See `complete`; and where there is no number.
    """
    envelope = complete(body)
    try:
        (row,) = msgspec.json.decode(envelope.data, type=list[dict[str, Any]])
        return int(next(iter(row.values())))
    except (ValueError, TypeError, StopIteration, msgspec.DecodeError):
        raise Garbled("the archive's answer to a count holds no number") from None


def _distinct(fields: list[Field]) -> list[Field]:
    return list({field.name.lower(): field for field in reversed(fields)}.values())[::-1]


def _rows(raw: msgspec.Raw, types: dict[str, pa.DataType]) -> pa.Table:
    """Read the row objects; a column whose values are not of the named type is read as what they are."""
    named = dict(types)
    for _ in range(len(types) + 1):
        try:
            return _as_named(_read_json(raw, types), named)
        except pa.ArrowInvalid as error:
            conflict = _CONFLICT.search(str(error))
            if conflict is None or conflict[1] not in types:
                break
            types = {**types, conflict[1]: _other_type(types[conflict[1]], conflict[3])}
    return _read_slowly(raw, named)


def _read_json(raw: msgspec.Raw, types: dict[str, pa.DataType]) -> pa.Table:
    lines, schema = _lines(raw), pa.schema(list(types.items()))
    if not types or not lines or lines.isspace():
        return schema.empty_table()
    return pa_json.read_json(
        pa.BufferReader(lines),
        read_options=pa_json.ReadOptions(block_size=max(_BLOCK_SIZE, _longest(lines)), use_threads=False),
        parse_options=pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
    )


def _lines(raw: msgspec.Raw) -> bytearray:
    """Turn the list of row objects into lines, in one copy: the comma between two of them becomes the end of a line.

    A text that holds this very separator is cut in two by it, which is no JSON any more, and so found out.
    """
    lines = bytearray(memoryview(raw)[1:-1])
    between = _BETWEEN_ROWS.search(lines)
    if between is None:
        return lines
    separator, comma = between[0], between[0].index(b",")
    at = between.start()
    while at >= 0:
        lines[at + comma] = ord("\n")
        at = lines.find(separator, at + len(separator))
    return lines


def _longest(lines: bytearray) -> int:
    """Return a size that holds any line: twice the first, or all of them where they are few."""
    first = lines.find(b"\n")
    return len(lines) + 1 if first < 0 or len(lines) < _BLOCK_SIZE else 16 * first


def _other_type(tried: pa.DataType, found: str) -> pa.DataType:
    """Return the type to try after a column turned out not to be of the one tried."""
    if found == "number":
        return pa.float64() if tried == pa.int64() else pa.int64()
    return {"string": pa.string(), "boolean": pa.bool_()}.get(found, pa.string())


def _as_named(rows: pa.Table, named: dict[str, pa.DataType]) -> pa.Table:
    """Give a column that was read as something else its named type, where every value allows it."""
    for index, (name, wanted) in enumerate(named.items()):
        if rows.schema.field(name).type != wanted:
            try:
                rows = rows.set_column(index, name, rows.column(name).cast(wanted))
            except pa.ArrowInvalid:
                continue
    return rows


def _read_slowly(raw: msgspec.Raw, types: dict[str, pa.DataType]) -> pa.Table:
    """Read rows whose columns mix types, cell by cell; not met in the record."""
    rows = msgspec.json.decode(raw, type=list[dict[str, Any]])
    return pa.table({name: _mixed([row.get(name) for row in rows], kind) for name, kind in types.items()})


def _mixed(values: list[Any], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        texts = [v if v is None or isinstance(v, str) else msgspec.json.encode(v).decode() for v in values]
        return pa.array(texts, pa.string())


def _is_date(field: Field, names: set[str]) -> bool:
    return field.type in ("date", "datetime") or f"{field.name}_mjd" in names


@lru_cache(maxsize=1)
def _dictionary_types() -> dict[str, str]:
    return {column.name: "flag" if column.flag else column.type for column in all_archive_columns()}


def _typed(name: str, column: pa.ChunkedArray, is_date: bool) -> pa.ChunkedArray:
    """Turn text into what it stands for, if every value of the column does."""
    if not pa.types.is_string(column.type):
        return column
    known = _dictionary_types().get(name)
    if column.null_count == len(column):  # says nothing of its own type
        return pa.chunked_array([pa.nulls(len(column), _empty_type(known, is_date))])
    if is_date:
        return _timestamps(column)
    if known == "flag":
        return _flags(column)
    return column


def _empty_type(known: str | None, is_date: bool) -> pa.DataType:
    if is_date:
        return pa.timestamp("us")
    types = {"flag": pa.bool_(), "boolean": pa.bool_(), "int": pa.int64(), "float": pa.float64(), "string": pa.string()}
    return types.get(known or "", pa.null())


def _timestamps(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pc.all(pc.match_substring_regex(column, _DATE)).as_py():
        milliseconds = pc.utf8_slice_codeunits(column, 6, -2).cast(pa.int64())
        return milliseconds.cast(pa.timestamp("ms")).cast(pa.timestamp("us"))
    try:
        return column.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        return column


def _flags(column: pa.ChunkedArray) -> pa.ChunkedArray:
    lower = pc.utf8_lower(column)
    if pc.all(pc.is_in(lower, pa.array(["t", "f", None]))).as_py():
        return pc.equal(lower, "t")
    return column
