"""Write rows in the formats that other tools read; each by the library that owns the format."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal, cast

import msgspec
import pyarrow as pa

from catalog.errors import DiskError, UsageError
from catalog.keywords import dictionary

Format = Literal["csv", "json", "jsonl", "parquet", "votable", "ecsv"]
FORMATS: tuple[Format, ...] = ("csv", "json", "jsonl", "parquet", "votable", "ecsv")

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


def format_of(path: Path) -> Format | None:
    """Return the format that a file's name asks for, or None."""
    return _BY_SUFFIX.get(path.suffix.lower())


def write(rows: pa.RecordBatchReader, form: Format, sink: IO[bytes]) -> int:
    """Write rows to an open binary file.

    Parameters
    ----------
    rows : pyarrow.RecordBatchReader
        Streamed in csv, json, jsonl and parquet; the others hold all rows in memory.
    form : str
        One of `FORMATS`.
    sink : binary file
        Stays open.

    Returns
    -------
    int
        How many rows were written.
    """
    writers = {"csv": _csv, "json": _json, "jsonl": _jsonl, "parquet": _parquet, "votable": _votable, "ecsv": _ecsv}
    return writers[form](rows, sink)


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
    for batch in rows:
        for row in batch.to_pylist():
            yield {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _csv(rows: pa.RecordBatchReader, sink: IO[bytes]) -> int:
    from pyarrow import csv

    count = 0
    with csv.CSVWriter(sink, _flat_schema(rows.schema)) as writer:
        for batch in rows:
            writer.write_batch(_flat(batch))
            count += batch.num_rows
    return count


def _flat_schema(schema: pa.Schema) -> pa.Schema:
    return pa.schema([(f.name, pa.string() if pa.types.is_nested(f.type) else f.type) for f in schema])


def _flat(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Write lists and structs, which CSV has not, as JSON text."""
    columns = [
        pa.array([None if v is None else msgspec.json.encode(v).decode() for v in column.to_pylist()], pa.string())
        if pa.types.is_nested(column.type)
        else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_flat_schema(batch.schema))


def _json(rows: pa.RecordBatchReader, sink: IO[bytes]) -> int:
    count = 0
    sink.write(b"[")
    for row in objects(rows):
        sink.write((b",\n " if count else b"\n ") + msgspec.json.encode(row))
        count += 1
    sink.write(b"\n]\n" if count else b"]\n")
    return count


def _jsonl(rows: pa.RecordBatchReader, sink: IO[bytes]) -> int:
    count = 0
    for row in objects(rows):
        sink.write(msgspec.json.encode(row) + b"\n")
        count += 1
    return count


def _parquet(rows: pa.RecordBatchReader, sink: IO[bytes]) -> int:
    from pyarrow import parquet

    count = 0
    with parquet.ParquetWriter(sink, rows.schema, compression="zstd") as writer:
        for batch in rows:
            writer.write_batch(batch)
            count += batch.num_rows
    return count


def _votable(rows: pa.RecordBatchReader, sink: IO[bytes]) -> int:
    table = astropy_table(rows.read_all())
    for name in table.colnames:  # VOTable has no times of its own
        if table[name].dtype.kind == "M":
            table[name] = _iso_texts(table[name])
    table.write(sink, format="votable")
    return len(table)


def _ecsv(rows: pa.RecordBatchReader, sink: IO[bytes]) -> int:
    import io

    table = astropy_table(rows.read_all())
    for name in table.colnames:
        if table[name].dtype.kind == "M":
            table[name] = _iso_texts(table[name])
    text = io.StringIO()
    table.write(text, format="ascii.ecsv")
    sink.write(text.getvalue().encode())
    return len(table)


def _iso_texts(column: Any) -> Any:
    import numpy as np
    from astropy.table import MaskedColumn

    mask = np.isnat(np.asarray(column))
    texts = np.where(mask, "", np.datetime_as_string(np.asarray(column), unit="ms"))
    return MaskedColumn(texts, mask=mask, name=column.name)


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
    for name in rows.column_names:
        column = _masked(rows.column(name).combine_chunks())
        word = dictionary().get(name)
        if word is not None:
            column.description = word.meaning or ""
            if word.unit and column.dtype.kind in "if":
                column.unit = _unit(word.unit)
        table[name] = column
    return table


def _masked(column: Any) -> Any:
    import numpy as np
    from astropy.table import MaskedColumn

    mask = column.is_null().to_numpy(zero_copy_only=False)
    if pa.types.is_nested(column.type) or pa.types.is_null(column.type):
        values: Any = np.array(["" if v is None else str(v) for v in column.to_pylist()], dtype=str)
    elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        values = np.array(["" if v is None else v for v in column.to_pylist()], dtype=str)
    elif pa.types.is_timestamp(column.type):
        values = column.cast(pa.timestamp("us")).to_numpy(zero_copy_only=False)
    else:
        kind = pa.float64() if pa.types.is_decimal(column.type) else column.type
        filler = False if pa.types.is_boolean(kind) else 0
        values = column.cast(kind).fill_null(pa.scalar(filler, kind)).to_numpy(zero_copy_only=False)
    return MaskedColumn(values, mask=mask)


def _unit(text: str) -> str | None:
    from astropy import units

    try:
        return cast("str", units.Unit(text).to_string())
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
