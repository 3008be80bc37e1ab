"""Write rows in the formats that other tools read; each by the library that owns the format."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Literal, cast

import msgspec
import pyarrow as pa

from catalog.errors import BadValue, DiskError, UsageError
from catalog.keywords import dictionary
from catalog.plain import jsonable, plain, small

Format = Literal["csv", "json", "jsonl", "parquet", "votable", "ecsv"]
FORMATS: tuple[Format, ...] = ("csv", "json", "jsonl", "parquet", "votable", "ecsv")
_ROW_GROUP = 50_000

_BY_SUFFIX: dict[str, Format] = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".vot": "votable",
    ".xml": "votable",
    ".ecsv": "ecsv",
}


def format_of(path: Path) -> Format:
    """Return the format that a file's name asks for.

    Raises
    ------
    UsageError
        For an ending that names none.
    """
    form = _BY_SUFFIX.get(path.suffix.lower())
    if form is None:
        raise UsageError(f"{path.name} names no format; end it in {', '.join(_BY_SUFFIX)}, or give a format")
    return form


def write(rows: pa.RecordBatchReader, form: Format, sink: IO[bytes]) -> int:
    """Write rows to an open binary file, some thousand at a time: an answer need not fit into memory.

    Parameters
    ----------
    rows : pyarrow.RecordBatchReader
        Any answer.
    form : str
        One of `FORMATS`.
    sink : binary file
        Stays open.

    Returns
    -------
    int
        How many rows were written.

    Raises
    ------
    BadValue
        For a value that the format cannot hold, like a number beyond 64 bits.
    """
    if form == "csv":
        return _csv(plain(rows, "text"), sink)
    if form == "parquet":
        return _parquet(plain(rows, "arrow"), sink)
    if form in ("json", "jsonl"):
        return _json(rows, sink, _AS_LIST if form == "json" else _AS_LINES)
    if form == "ecsv":
        return _in_chunks(rows, sink, _ecsv_chunk)
    return _in_chunks(rows, sink, _votable_chunk)


def write_file(rows: pa.RecordBatchReader, form: Format, path: Path) -> int:
    """Write rows to a file, whole or not at all.

    Raises
    ------
    DiskError
        If the file cannot be written.
    """
    partial = path.with_name(f".{path.name}.part")
    try:
        with partial.open("wb") as sink:
            count = write(rows, form, sink)
        partial.replace(path)
        return count
    except OSError as error:
        raise DiskError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)


def objects(rows: pa.RecordBatchReader) -> Iterator[dict[str, Any]]:
    """Yield rows as JSON-ready objects: times as ISO 8601 text, NaN as null."""
    for batch in small(plain(rows, "objects")):
        try:
            found = batch.to_pylist(maps_as_pydicts="lossy")
        except OverflowError as error:
            raise BadValue(f"a date beyond the year 9999 does not fit; CAST it AS VARCHAR ({error})") from error
        yield from ({name: jsonable(value) for name, value in row.items()} for row in found)


def _csv(rows: pa.RecordBatchReader, sink: IO[bytes]) -> int:
    from pyarrow import csv

    count = 0
    with csv.CSVWriter(sink, rows.schema) as writer:
        for batch in rows:
            writer.write_batch(batch)
            count += batch.num_rows
    return count


_AS_LIST = (b"[\n ", b",\n ", b"\n]\n", b"[]\n")
_AS_LINES = (b"", b"\n", b"\n", b"")
"""What stands before, between and after objects, and where there is none."""


def _json(rows: pa.RecordBatchReader, sink: IO[bytes], marks: tuple[bytes, bytes, bytes, bytes]) -> int:
    before, between, after, none = marks
    encoder = msgspec.json.Encoder(decimal_format="number")
    count = 0
    for row in objects(rows):
        sink.write((between if count else before) + encoder.encode(row))
        count += 1
    sink.write(after if count else none)
    return count


def _parquet(rows: pa.RecordBatchReader, sink: IO[bytes]) -> int:
    """Write row groups of a size that readers like; units and meanings go into the fields' metadata."""
    from pyarrow import parquet

    schema = pa.schema([_explained(field) for field in rows.schema])
    count, waiting, waits = 0, [], 0
    with parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        for batch in rows:
            waiting.append(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
            waits, count = waits + batch.num_rows, count + batch.num_rows
            if waits >= _ROW_GROUP:
                writer.write_table(pa.Table.from_batches(waiting))
                waiting, waits = [], 0
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting))
    return count


def _explained(field: pa.Field) -> pa.Field:
    word = dictionary().get(field.name)
    if word is None:
        return field
    notes = {"unit": word.unit, "description": word.meaning}
    return field.with_metadata({key: note for key, note in notes.items() if note})


_Chunk = Callable[[Any], tuple[bytes, bytes, bytes]]
"""From an astropy table to what stands before its rows, its rows, and what stands after them."""


def _in_chunks(rows: pa.RecordBatchReader, sink: IO[bytes], chunk: _Chunk) -> int:
    """Let astropy write every chunk as a whole file, and keep of all but the first only the rows."""
    count, tail = 0, b""
    for number, table in enumerate(_astropy_tables(rows)):
        head, body, tail = chunk(table)
        sink.write(body if number else head + body)
        count += len(table)
    sink.write(tail)
    return count


def _ecsv_chunk(table: Any) -> tuple[bytes, bytes, bytes]:
    out = io.StringIO()
    table.write(out, format="ascii.ecsv")
    text = out.getvalue()
    names_at = re.match(r"(?:#[^\n]*\n)*", text).end()  # type: ignore[union-attr]
    rows_at = text.index("\n", names_at) + 1
    return text[:rows_at].encode(), text[rows_at:].encode(), b""


def _votable_chunk(table: Any) -> tuple[bytes, bytes, bytes]:
    """Every chunk must come to the same fields: text of any length, and the same number for null."""
    from astropy.io.votable import from_table
    from astropy.io.votable.exceptions import W03

    for name in table.colnames:
        column = table[name]
        if column.dtype.kind == "U":
            meta = {**(column.meta or {}), "_votable_string_dtype": "unicodeChar"}
            table[name] = column.astype(object)
            table[name].meta = meta
        elif column.dtype.kind in "iu":
            wide = column.astype(_VOTABLE_INTEGERS.get(column.dtype.str[1:], column.dtype))
            wide.meta = {"values": {"null": int(_lowest(wide.dtype))}}
            table[name] = wide
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", W03)  # a name like count(*) is no XML ID, so the field gets another ID
        from_table(table).to_xml(out, tabledata_format="tabledata")
    head, mark, rest = out.getvalue().partition(b"<TABLEDATA>\n")
    body, end, tail = rest.rpartition(b"    </TABLEDATA>")
    return re.sub(rb' nrows="\d+"', b"", head) + mark, body, end + tail


_VOTABLE_INTEGERS = {"i1": "i2", "u1": "i2", "u2": "i4", "u4": "i8", "u8": "i8"}
"""VOTable's integers have a sign, but for bytes; and null needs a number that is no value."""


def _lowest(dtype: Any) -> int:
    import numpy as np

    return int(np.iinfo(dtype).min)


def _astropy_tables(rows: pa.RecordBatchReader) -> Iterator[Any]:
    """Yield astropy tables of some thousand rows, times as ISO 8601 text; one without rows if there is none."""
    some = False
    for batch in small(rows):
        some = True
        yield _with_times_as_text(astropy_table(pa.Table.from_batches([batch])))
    if not some:
        yield _with_times_as_text(astropy_table(rows.schema.empty_table()))


def _with_times_as_text(table: Any) -> Any:
    """VOTable and ECSV have no times of their own."""
    import numpy as np
    from astropy.table import MaskedColumn

    for name in table.colnames:
        column = table[name]
        if column.dtype.kind == "M":
            absent = np.isnat(column.data.data) | column.mask
            texts = np.where(absent, "", np.datetime_as_string(column.data.data)).astype(str)
            table[name] = MaskedColumn(texts, mask=absent, description=column.description, meta={"xtype": "timestamp"})
    return table


def astropy_table(rows: pa.Table) -> Any:
    """Return rows as an `astropy.table.Table`, with the units and meanings of the keyword dictionary.

    Parameters
    ----------
    rows : pyarrow.Table
        Any result.

    Returns
    -------
    astropy.table.Table
        Nulls are masked; times are ``datetime64[us]``, UTC.
    """
    from astropy.table import Table

    table = Table()
    rows = plain(rows.to_reader(), "numbers").read_all()
    for name in rows.column_names:
        column = _masked(rows.column(name).combine_chunks())
        word = dictionary().get(name)
        if word is not None:
            column.description = word.meaning or ""
        column.unit = unit_of(name, rows.schema.field(name).type)
        table[name] = column
    return table


def _masked(column: Any) -> Any:
    import numpy as np
    from astropy.table import MaskedColumn

    mask = column.is_null().to_numpy(zero_copy_only=False)
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind):
        values: Any = np.array(["" if v is None else v for v in column.to_pylist()], dtype=str)
    elif pa.types.is_timestamp(kind):
        values = column.cast(pa.timestamp("us")).to_numpy(zero_copy_only=False)
    else:
        filler = pa.scalar(False if pa.types.is_boolean(kind) else 0, kind)
        values = column.fill_null(filler).to_numpy(zero_copy_only=False)
    return MaskedColumn(values, mask=mask)


def unit_of(name: str, kind: pa.DataType) -> str | None:
    """Return the unit of a column of numbers, as astropy writes it, where the keyword dictionary gives one.

    Examples
    --------
    >>> unit_of("effexptm", pa.float64()), unit_of("effexptm", pa.string())
    ('s', None)
    """
    from astropy import units

    word = dictionary().get(name)
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if word is None or not word.unit or not is_number:
        return None
    try:
        return cast("str", units.Unit(word.unit).to_string())
    except ValueError:
        return None


def checked_format(text: str) -> Format:
    """Return a format by its name.

    Raises
    ------
    UsageError
        For one that there is not.
    """
    if text not in FORMATS:
        raise UsageError(f"no format {text!r}; there are table, {', '.join(FORMATS)}")
    return text
