"""VOTable: astropy writes the document around the rows, and this module writes the rows, column by column.

The standard: F. Ochsenbein et al., VOTable Format Definition, version 1.4 (IVOA, 2019); for times, P. Dowler et al.,
Data Access Layer Interface, version 1.1, section 3.3.3.
"""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.answers.portable_columns import in_one_line, portable_columns, small
from catalog.answers.tables import unit_of
from catalog.answers.text_columns import column_as_texts, iso_texts, joined
from catalog.vocabulary.keywords import dictionary

_VERSION = "1.4"
_IN_MEMORY = 8_000_000
_IN_A_DAY = {"D": 1, "s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_EPOCH = np.datetime64("1970-01-01", "D")
_INTEGERS = {"int8": "short", "uint8": "unsignedByte", "int16": "short", "uint16": "int", "int32": "int"}
"""VOTable's integers are signed, except bytes; all others are `long`."""
_NO_XML = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x{fffe}\x{ffff}]"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_ROWS = re.compile(rb"<TABLEDATA>.*</TABLEDATA>", re.DOTALL)


def write_votable(rows: pa.RecordBatchReader, sink: IO[bytes]) -> int:
    """Write the rows, and return how many there were.

    A character that XML cannot hold becomes the replacement character. Null is an empty cell, and ``?`` for a boolean.

    Raises
    ------
    BadValue
        If a number does not fit into 64 bits with a sign. Then nothing was written.
    """
    with _standard(portable_columns(in_one_line(rows), "longs"), _has_refusable(rows.schema)) as standard_rows:
        head, tail = _document(standard_rows.schema)
        sink.write(head)
        count = 0
        for batch in small(standard_rows):
            sink.write(
                joined([_cell_texts(column) for column in batch.columns], "</TD><TD>", "<TR><TD>", "</TD></TR>\n")
            )
            count += batch.num_rows
        sink.write(tail)
    return count


def _has_refusable(schema: pa.Schema) -> bool:
    """Say whether a column can have a number for which VOTable has no type."""
    return any(field.type == pa.uint64() or pa.types.is_decimal(field.type) for field in schema)


@contextmanager
def _standard(rows: pa.RecordBatchReader, is_refusable: bool) -> Iterator[pa.RecordBatchReader]:
    """Yield rows in which a column of times is text if one time is infinite, or outside the years 0 to 9999.

    Times in the standard have years of four digits. Only the end of a column shows whether all its times do, or whether
    all its numbers fit, so rows wait in a temporary file.
    """
    if not is_refusable and not any(_is_time(field.type) for field in rows.schema):
        yield rows
        return
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as waiting:
        odd: set[str] = set()
        with pa.ipc.new_stream(waiting, rows.schema) as writer:
            for batch in rows:
                writer.write_batch(batch)
                odd |= {
                    field.name
                    for field, column in zip(batch.schema, batch.columns, strict=True)
                    if field.name not in odd and _is_time(field.type) and _has_other_years(column)
                }
        waiting.seek(0)
        stored = pa.ipc.open_stream(waiting)
        schema = pa.schema([field.with_type(pa.string()) if field.name in odd else field for field in stored.schema])
        yield pa.RecordBatchReader.from_batches(
            schema,
            (
                pa.RecordBatch.from_arrays(
                    [
                        iso_texts(column) if name in odd else column
                        for name, column in zip(schema.names, batch.columns, strict=True)
                    ],
                    schema=schema,
                )
                for batch in stored
            ),
        )


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _has_other_years(column: pa.Array) -> bool:
    kind = column.type
    counts = pc.cast(column, pa.int32() if kind == pa.date32() else pa.int64())
    unit = "D" if kind == pa.date32() else "ms" if kind == pa.date64() else kind.unit
    first, last = (int((np.datetime64(day, "D") - _EPOCH).astype(int)) for day in ("0000-01-01", "10000-01-01"))
    in_a_day = _IN_A_DAY[unit]
    ends = pc.min_max(counts).as_py()
    return ends["min"] is not None and not first * in_a_day <= ends["min"] <= ends["max"] < last * in_a_day


def _document(schema: pa.Schema) -> tuple[bytes, bytes]:
    """Return the text before and after the rows, taken from a document with one row."""
    from astropy.io.votable.tree import Resource, TableElement, VOTableFile

    document = VOTableFile(version=_VERSION)
    resource = Resource(type="results")
    table = TableElement(document)
    document.resources.append(resource)
    resource.tables.append(table)
    for number, field in enumerate(schema):
        table.fields.append(_field(document, number, field))
    table.create_arrays(1)
    table.array.mask = True
    out = io.BytesIO()
    document.to_xml(out, tabledata_format="tabledata")
    parts = _ROWS.split(out.getvalue())
    if len(parts) != 2:
        raise RuntimeError("astropy writes VOTables in an unknown way, so the place for the rows was not found")
    head = re.sub(rb' nrows="\d+"', b"", parts[0])
    return head + b"<TABLEDATA>\n", b"</TABLEDATA>" + parts[1]


def _field(document: Any, number: int, field: pa.Field) -> Any:
    from astropy.io.votable.tree import Field

    kind, more = _datatype(field.type)
    unit = unit_of(field.name, field.type)
    name = _in_xml(field.name) or f"column_{number}"
    made = Field(document, ID=_xml_id(field.name, number), name=name, datatype=kind, unit=unit, **more)
    word = dictionary().get(field.name)
    if word is not None and word.meaning:
        made.description = word.meaning
    return made


def _datatype(kind: pa.DataType) -> tuple[str, dict[str, str]]:
    if pa.types.is_boolean(kind):
        return "boolean", {}
    if pa.types.is_integer(kind):
        return _INTEGERS.get(str(kind), "long"), {}
    if pa.types.is_floating(kind):
        return "double" if kind == pa.float64() else "float", {}
    if _is_time(kind):
        return "char", {"arraysize": "*", "xtype": "timestamp"}
    return "unicodeChar", {"arraysize": "*"}


def _cell_texts(column: pa.Array) -> pa.Array:
    if pa.types.is_boolean(column.type):
        return pc.if_else(column, "T", "F").fill_null("?")
    cells = column_as_texts(column, "+Inf", "NaN")
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        cells = _escaped(cells)
    return cells.fill_null("")


def _escaped(column: pa.Array) -> pa.Array:
    column = pc.replace_substring_regex(column, _NO_XML, _REPLACEMENT)
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\r", "&#13;")):
        column = pc.replace_substring(column, character, entity)
    return column


def _xml_id(name: str, number: int) -> str:
    """Return the name if it can be an XML ID, by which programs may know a column; otherwise its number."""
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", name) else f"column_{number}"


def _in_xml(name: str) -> str:
    return re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]", _REPLACEMENT, name)
