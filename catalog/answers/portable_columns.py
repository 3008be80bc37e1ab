"""Convert columns of DuckDB's types into columns of the types that the formats of other tools have."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from catalog.answers.text_columns import iso_texts
from catalog.errors import BadValue

Need = Literal["arrow", "text", "objects", "numbers", "longs"]
"""The types that a writer understands. ``arrow``: nearly all types. ``text``: no lists, but exact decimals.
``objects``: lists, but only binary fractions. ``numbers``: neither lists nor decimals. ``longs``: also no unsigned
64-bit numbers."""

_PIECE_BYTES = 1_000_000
_UNSHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]")

_JSON = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True)
class _Change:
    """The conversion of a column."""

    to: pa.DataType
    how: Callable[[pa.Array], pa.Array]


def portable_columns(rows: pa.RecordBatchReader, need: Need) -> pa.RecordBatchReader:
    """Convert the columns that a writer does not understand, batch by batch.

    Parameters
    ----------
    rows : pyarrow.RecordBatchReader
        Any answer.
    need : str
        The types that the writer understands.

    Returns
    -------
    pyarrow.RecordBatchReader
        Without enumerations, intervals, unions and numbers beyond 64 bits; all names are different.
    """
    changes = [_change(field.type, need) for field in rows.schema]
    names = _different([field.name for field in rows.schema])
    schema = pa.schema([
        pa.field(name, change.to if change else field.type, field.nullable, field.metadata)
        for name, field, change in zip(names, rows.schema, changes, strict=True)
    ])  # fmt: skip
    return pa.RecordBatchReader.from_batches(schema, _converted_batches(rows, schema, changes))


def with_texts(rows: pa.Table, reads: Callable[[pa.ChunkedArray], object] = lambda column: column) -> pa.Table:
    """Turn columns for which a library of data frames has no type into text, and number repeated names.

    Parameters
    ----------
    rows : pyarrow.Table
        Any answer.
    reads : callable
        Reads a column as the library does; fails if the library has no type for a value.
    """
    for number, field in enumerate(rows.schema):
        column = rows.column(number)
        if not _is_without_form(field.type):
            try:
                reads(column)
                continue
            except (ValueError, OverflowError, NotImplementedError, pa.ArrowException):
                pass
        texts = pa.chunked_array([_texts(chunk) for chunk in column.chunks], pa.string())
        rows = rows.set_column(number, field.name, texts)
    return rows.rename_columns(_different(rows.column_names))


def in_one_line(rows: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """Write line ends and invisible characters in names of columns as the catalog does (``%0A``)."""
    names = _different([_UNSHOWN.sub(_percented, name) for name in rows.schema.names])
    schema = pa.schema([field.with_name(name) for field, name in zip(rows.schema, names, strict=True)])
    return pa.RecordBatchReader.from_batches(
        schema, (pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in rows)
    )


def _percented(character: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in character[0].encode())


def _converted_batches(
    rows: pa.RecordBatchReader, schema: pa.Schema, changes: list[_Change | None]
) -> Iterator[pa.RecordBatch]:
    for batch in rows:
        columns = []
        for field, column, change in zip(schema, batch.columns, changes, strict=True):
            try:
                columns.append(change.how(column) if change else column)
            except (OverflowError, pa.ArrowInvalid) as error:
                raise BadValue(
                    f"{field.name} has a value that this format cannot hold; CAST it AS VARCHAR ({error})"
                ) from error
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def small(rows: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """Cut batches into pieces of a few megabytes, since Python values take many times their size."""
    for batch in rows:
        step = max(1, int(_PIECE_BYTES * batch.num_rows / max(batch.nbytes, 1)))
        yield from (batch.slice(start, step) for start in range(0, batch.num_rows, step))


def _different(names: list[str]) -> list[str]:
    """Number the names that are repeated.

    Examples
    --------
    >>> _different(["a", "b", "a"])
    ['a', 'b', 'a_1']
    """
    seen: dict[str, None] = {}
    for name in names:
        number, free = 0, name
        while free in seen:
            number += 1
            free = f"{name}_{number}"
        seen[free] = None
    return list(seen)


def _change(kind: pa.DataType, need: Need) -> _Change | None:
    if pa.types.is_dictionary(kind):
        return _Change(pa.string(), lambda column: column.cast(pa.string()))
    if _is_for_text(kind, need):
        return _Change(pa.string(), _texts)
    if kind == pa.uint64() and need == "longs":
        return _Change(pa.int64(), lambda column: pc.cast(column, pa.int64()))
    if need == "objects" and pa.types.is_decimal(kind) and kind.scale == 0:  # numbers in JSON have any length
        return None
    if pa.types.is_decimal(kind) and need in ("objects", "numbers", "longs"):
        to = pa.int64() if kind.scale == 0 else pa.float64()
        return _Change(to, lambda column: pc.cast(column, to))
    return None


def _is_for_text(kind: pa.DataType, need: Need) -> bool:
    if _is_without_form(kind):
        return True
    if need == "arrow":
        return False
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return True
    return need != "objects" and (pa.types.is_nested(kind) or pa.types.is_time(kind))


def _is_without_form(kind: pa.DataType) -> bool:
    """Say whether other tools have no type for this type, or for one inside it."""
    if pa.types.is_interval(kind) or pa.types.is_union(kind) or isinstance(kind, pa.BaseExtensionType):
        return True
    return any(_is_without_form(kind.field(number).type) for number in range(kind.num_fields))


def _texts(column: pa.Array) -> pa.Array:
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    return pa.array([None if value is None else text(value) for value in python_values(column)], pa.string())


def python_values(column: pa.Array, maps: Literal["lossy"] | None = None) -> list[Any]:
    """Return Python values, with dates and times as text: Python's dates end in the year 9999, and at microseconds."""
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return list(iso_texts(column).to_pylist())
    try:
        return list(column.to_pylist(maps_as_pydicts=maps))
    except (OverflowError, ValueError):  # such a date or time is inside a list or a structure
        return list(pc.cast(column, _times_as_text(column.type)).to_pylist(maps_as_pydicts=maps))
    except TypeError:  # a map whose keys are lists or structures
        return python_values(column)


def _times_as_text(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_temporal(kind):
        return pa.string()
    if pa.types.is_map(kind):
        return pa.map_(_times_as_text(kind.key_type), _times_as_text(kind.item_type))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_times_as_text(field.type)) for field in kind])
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_times_as_text(kind.value_type), kind.list_size)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_times_as_text(kind.value_type))
    return kind


def text(value: Any) -> str:
    r"""Return a value as text: bytes in hexadecimal, lists and structures as JSON.

    Examples
    --------
    >>> text(b"\x01\xff"), text([1, None]), text({"a": 1.5}), text(pa.MonthDayNano((0, 1, 5 * 10**9)))
    ('01ff', '[1,null]', '{"a":1.5}', '1 day, 0:00:05')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, pa.MonthDayNano):
        months = f"{value.months} months " if value.months else ""
        return f"{months}{timedelta(value.days, microseconds=value.nanoseconds // 1000)}"
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return _JSON.encode(jsonable(value)).decode()


def jsonable(value: Any) -> Any:
    """Return a value that JSON can hold: NaN and infinities as null, bytes in hexadecimal, maps as objects."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes | pa.MonthDayNano):
        return text(value)
    if isinstance(value, dict):
        return {str(key): jsonable(element) for key, element in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(element) for element in value]
    if hasattr(value, "nanosecond"):  # Arrow makes this of nanoseconds if pandas is installed
        return value.isoformat()
    return value
