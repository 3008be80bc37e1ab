"""ECSV: astropy writes the header, and the rows follow column by column.

astropy splits a file into lines wherever Python does, also at the form feed and the next-line character within a quoted
text; it takes a line that begins with ``#`` for a comment, and strips blanks from a text's ends. A column that holds a
text that this would change is written as JSON, which the format has a subtype for; in any other column, texts that need
it are quoted. Whether a column holds one is known only at its end, so rows wait in a temporary file.
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
"""What astropy would not read back as it stands."""
_QUOTED = r"""["'\s#,]|^$"""


def write_ecsv(rows: pa.RecordBatchReader, sink: IO[bytes]) -> int:
    """Write rows; return how many they were."""
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as waiting:
        odd = _spool(portable_columns(in_one_line(rows), "numbers"), waiting)
        waiting.seek(0)
        reader = pa.ipc.open_stream(waiting)
        sink.write(_header(reader.schema, odd))
        count = 0
        for batch in small(reader):
            columns = [
                _cells(column, name in odd) for name, column in zip(batch.schema.names, batch.columns, strict=True)
            ]
            sink.write(joined(columns, " ", "", "\n"))
            count += batch.num_rows
    return count


def _spool(rows: pa.RecordBatchReader, waiting: Any) -> set[str]:
    """Keep the rows, times as text, and return which columns are to be JSON."""
    fields = [pa.field(one.name, pa.string()) if _is_time(one.type) else one for one in rows.schema]
    schema = pa.schema(fields)
    odd: set[str] = set()
    with pa.ipc.new_stream(waiting, schema) as writer:
        for batch in rows:
            columns = [iso_texts(column) if _is_time(column.type) else column for column in batch.columns]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
            for one, column in zip(rows.schema, columns, strict=True):
                if _is_text(one.type) and one.name not in odd:
                    changed = pc.any(pc.match_substring_regex(column, _CHANGED)).as_py()
                    odd |= {one.name} if changed else set()
    return odd


def _header(schema: pa.Schema, odd: set[str]) -> bytes:
    """Let astropy write a table without rows, and keep its comments and its line of names."""
    import numpy as np
    from astropy.table import MaskedColumn

    table = astropy_table(schema.empty_table())
    for name in odd:
        old = table[name]
        table[name] = MaskedColumn(np.array([], dtype=object), description=old.description)
    out = io.StringIO()
    table.write(out, format="ascii.ecsv")
    return out.getvalue().encode()


def _cells(column: pa.Array, as_json: bool) -> pa.Array:
    if pa.types.is_boolean(column.type):
        return pc.if_else(column, "True", "False").fill_null('""')
    if as_json:
        encoded = [None if one is None else _ascii_json(one) for one in column.to_pylist()]
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
