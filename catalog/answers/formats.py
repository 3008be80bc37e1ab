"""Write rows in the formats that other tools read; the library that owns a format writes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal

import msgspec
import pyarrow as pa

from catalog.answers.portable_columns import jsonable, portable_columns, python_values, small
from catalog.atomic_file import put_in_place
from catalog.errors import UsageError
from catalog.text import nearest
from catalog.vocabulary.keywords import dictionary

Format = Literal["csv", "json", "jsonl", "parquet", "votable", "ecsv"]
FORMATS: tuple[Format, ...] = ("csv", "json", "jsonl", "parquet", "votable", "ecsv")
_ROW_GROUP = 50_000

BY_SUFFIX: dict[str, Format] = {
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
    """Return the format that the ending of a file's name stands for.

    Raises
    ------
    UsageError
        If the ending stands for no format.
    """
    form = BY_SUFFIX.get(path.suffix.lower())
    if form is None:
        raise UsageError(f"{path.name} names no format; end it in {', '.join(BY_SUFFIX)}, or give a format")
    return form


def write(rows: pa.RecordBatchReader, form: Format, sink: IO[bytes]) -> int:
    """Write rows to an open binary file, a few thousand at a time, so that an answer need not fit into memory.

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
        If the format cannot hold a value, such as a number beyond 64 bits.
    """
    if form == "csv":
        return _csv(portable_columns(rows, "text"), sink)
    if form == "parquet":
        return _parquet(portable_columns(rows, "arrow"), sink)
    if form in ("json", "jsonl"):
        return _json(rows, sink, _AS_LIST if form == "json" else _AS_LINES)
    if form == "ecsv":
        from catalog.answers.ecsv import write_ecsv

        return write_ecsv(rows, sink)
    from catalog.answers.votable import write_votable

    return write_votable(rows, sink)


def write_file(rows: pa.RecordBatchReader, form: Format, path: Path) -> int:
    """Write rows to a file, whole or not at all.

    Raises
    ------
    DiskError
        If the file cannot be written.
    """
    with put_in_place(path) as sink:
        return write(rows, form, sink)


def limited_reader(rows: pa.RecordBatchReader, limit: int) -> pa.RecordBatchReader:
    """Return a reader of the first rows only."""

    def batches() -> Iterator[pa.RecordBatch]:
        left = limit
        for batch in rows:
            yield batch.slice(0, left)
            left -= batch.num_rows
            if left <= 0:
                return

    return pa.RecordBatchReader.from_batches(rows.schema, batches())


def objects(rows: pa.RecordBatchReader) -> Iterator[dict[str, Any]]:
    """Yield rows as objects for JSON: times as ISO 8601 text, NaN as null."""
    for batch in small(portable_columns(rows, "objects")):
        names = batch.schema.names
        columns = [python_values(column, "lossy") for column in batch.columns]
        for values in zip(*columns, strict=True):
            yield {name: jsonable(value) for name, value in zip(names, values, strict=True)}


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
"""The texts before, between and after objects, and the text if there are no objects."""


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
    """Write row groups of a size that suits readers; the metadata of the fields have units and meanings."""
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


def checked_format(text: str) -> Format:
    """Return the format with a name.

    Raises
    ------
    UsageError
        If there is no such format.
    """
    if text not in FORMATS:
        near = nearest(text, ["table", *FORMATS])
        hint = f"did you mean {near}?" if near else f"there are table, {', '.join(FORMATS)}"
        raise UsageError(f"no format {text!r}; {hint}")
    return text
