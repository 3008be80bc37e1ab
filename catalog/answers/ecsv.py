"""ECSV: astropy writes the header, and this module writes the rows, column by column.

astropy splits a file into lines wherever Python does, even at a form feed or a next-line character in a quoted text. It
takes a line that begins with ``#`` for a comment, and strips blanks from the ends of a text. A column with a text that
this would change is written as JSON, for which the format has a subtype. In other columns, texts are quoted if
necessary. Only the end of a column shows whether it has such a text, so rows wait in a temporary file.
"""

from __future__ import annotations

import io
import tempfile
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc

from catalog.answers.portable_columns import in_one_line, portable_columns, small
from catalog.answers.tables import astropy_table
from catalog.answers.text_columns import column_as_texts, iso_texts, joined

_IN_MEMORY = 8_000_000
_BLANK = r"\s\x{0b}\x{1c}-\x{1f}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
_CHANGED = rf"^[{_BLANK}]|[{_BLANK}]$|[\x00\r\x0b\x0c\x1c-\x1e\x{{85}}\x{{2028}}\x{{2029}}]"
"""Characters with which astropy would not read a text back as it is."""
_QUOTED = r"""["'\s#,]|^$"""


def write_ecsv(rows: pa.RecordBatchReader, sink: IO[bytes]) -> int:
    """Write the rows, and return how many there were."""
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as waiting:
        odd = _spool(portable_columns(in_one_line(rows), "numbers"), waiting)
        waiting.seek(0)
        reader = pa.ipc.open_stream(waiting)
        sink.write(_header(reader.schema, odd))
        count = 0
        for batch in small(reader):
            columns = [
                _cell_texts(column, name in odd) for name, column in zip(batch.schema.names, batch.columns, strict=True)
            ]
            sink.write(joined(columns, " ", "", "\n"))
            count += batch.num_rows
    return count


def _spool(rows: pa.RecordBatchReader, waiting: Any) -> set[str]:
    """Keep the rows in a file, with times as text; return the columns that must be written as JSON."""
    fields = [pa.field(field.name, pa.string()) if _is_time(field.type) else field for field in rows.schema]
    schema = pa.schema(fields)
    odd: set[str] = set()
    with pa.ipc.new_stream(waiting, schema) as writer:
        for batch in rows:
            columns = [iso_texts(column) if _is_time(column.type) else column for column in batch.columns]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
            for field, column in zip(rows.schema, columns, strict=True):
                if _is_text(field.type) and field.name not in odd:
                    changed = pc.any(pc.match_substring_regex(column, _CHANGED)).as_py()
                    odd |= {field.name} if changed else set()
    return odd


def _header(schema: pa.Schema, odd: set[str]) -> bytes:
    """Let astropy write a table without rows; keep its comments and its line of names."""
    import numpy as np
    from astropy.table import MaskedColumn

    table = astropy_table(schema.empty_table())
    for name in odd:
        old = table[name]
        table[name] = MaskedColumn(np.array([], dtype=object), description=old.description)
    out = io.StringIO()
    table.write(out, format="ascii.ecsv")
    return out.getvalue().encode()


def _cell_texts(column: pa.Array, as_json: bool) -> pa.Array:
    if pa.types.is_boolean(column.type):
        return pc.if_else(column, "True", "False").fill_null('""')
    if as_json:
        encoded = [None if text is None else _ascii_json(text) for text in column.to_pylist()]
        return _quoted(pa.array(encoded, pa.string())).fill_null('""')
    if not _is_text(column.type):
        return column_as_texts(column).fill_null('""')
    return pc.if_else(pc.match_substring_regex(column, _QUOTED), _quoted(column), column).fill_null('""')


def _quoted(column: pa.Array) -> pa.Array:
    inside = pc.replace_substring(column, '"', '""')
    return pc.binary_join_element_wise('"', inside, '"', "")


def _ascii_json(text: str) -> str:
    r"""Return JSON without any character that ends a line.

    Examples
    --------
    >>> _ascii_json("a\x85b")
    '"a\\u0085b"'
    """
    import json

    return json.dumps(text)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))
