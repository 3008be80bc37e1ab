"""Write what a published catalog has now as Parquet files, which other programs read without mastlake.

Rows are sorted by program and time, and each row group has the least and the greatest value of every column. So a
reader that filters by program, time or place skips most row groups.

A file has the rows of a few neighbouring programs. Where it ends depends on the names of the programs alone, and
nothing in it names the run. So the files of programs that did not change have the same bytes in the next run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any
from zlib import crc32

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from catalog.publish.manifest import LICENCE, Manifest
from catalog.publish.parquet_parts import PARTS, Part, PartFile, Parts, described, to_json
from catalog.store.database import Database, columns_of
from catalog.store.sql import quoted

ROWS_OF_GROUP = 20_480
GROUPS_OF_FILE = 25


SUMS = "SHA256SUMS"
"""The name of the list of checksums, in the form that ``sha256sum --check`` reads."""
_ONE_IN = 8
"""After one in so many programs, a file ends."""


@dataclass(frozen=True)
class _Exported:
    """A view, the column by whose values its rows are split into files, and the columns by which they are sorted.

    `program` is an expression that orders rows as the sort does; a file has whole programs.
    """

    view: str
    split: str | None
    sort: tuple[str, ...]
    program: str | None = None


_EXPORTED = (
    _Exported("files", "instrument", ("program", "date_obs_mjd", "filename"), "program"),
    _Exported("observations", "instrument_name", ("proposal_id", "t_min", "obs_id"), "proposal_id"),
    _Exported("products", None, ("proposal_id", "obs_id", "data_uri"), "proposal_id"),
    _Exported("observation_products", None, ("obs_id", "data_uri"), "left(obs_id, 7)"),
    _Exported("keywords", None, ("name",)),
)


def write_parquet(catalog: Path, manifest: Manifest, folder: Path, older: Parts | None = None) -> list[PartFile]:
    """Write the current views into a new folder, with a list of columns and a README.

    Parameters
    ----------
    catalog : Path
        The published catalog file.
    manifest : Manifest
        Its manifest.
    folder : Path
        The folder, which must not exist.
    older : Parts, optional
        The files of an older run.

    Returns
    -------
    list of PartFile
        The files that an older run has with the same rows; they were not written.
    """
    folder.mkdir()
    parts: list[Part] = []
    dictionary: list[dict[str, str]] = []
    counts: dict[str, int] = {}
    with Database(catalog).read() as connection:
        for exported in _EXPORTED:
            comments = _comments(connection, exported.view)
            kinds = columns_of(connection, exported.view)
            dictionary += [
                {"table": exported.view, "column": name, "type": kind, "meaning": comments.get(name, "")}
                for name, kind in kinds.items()
            ]
            written = _write_view(_Writing(connection, exported, comments, folder, older or Parts([], lambda _: False)))
            counts[exported.view] = sum(part.rows for part in written)
            parts += written
    (folder / PARTS).write_text(to_json(parts), encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(dictionary), folder / "columns.parquet", compression="zstd")
    (folder / "README.md").write_text(_readme(manifest, counts), encoding="utf-8")
    listed = [file for part in parts for file in part.files]
    beside = [described(folder / name, folder) for name in (PARTS, "README.md", "columns.parquet")]
    lines = sorted(f"{file.sha256}  {file.path}\n" for file in [*listed, *beside])
    (folder / SUMS).write_text("".join(sorted(lines, key=lambda line: line[66:])), encoding="utf-8")
    return [file for file in listed if not (folder / file.path).exists()]


def parse_sums(text: bytes) -> dict[str, str]:
    """Return the path of a file for each checksum in a list of checksums.

    Examples
    --------
    >>> parse_sums(b"1f" * 32 + b"  files/niriss-00-1366-0000.parquet")
    {'1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f': 'files/niriss-00-1366-0000.parquet'}
    """
    lines = text.decode("ascii", "replace").splitlines()
    matches = (re.fullmatch(r"([0-9a-f]{64})  ((?:[a-z_]+/)?[a-z0-9_-]+\.parquet)", line) for line in lines)
    return {match[1]: match[2] for match in matches if match}


def _comments(connection: duckdb.DuckDBPyConnection, view: str) -> dict[str, str]:
    """Return what the columns of a view mean; the view's own meaning is under the empty name."""
    rows = connection.execute(
        """SELECT column_name, comment FROM duckdb_columns() WHERE table_name = $view AND comment IS NOT NULL
           UNION ALL SELECT '', comment FROM duckdb_views() WHERE view_name = $view AND comment IS NOT NULL
           UNION ALL SELECT '', comment FROM duckdb_tables() WHERE table_name = $view AND comment IS NOT NULL""",
        {"view": view},
    ).fetchall()
    return {str(name): str(comment) for name, comment in rows}


@dataclass(frozen=True)
class _Writing:
    """What is needed to write the files of a view."""

    connection: duckdb.DuckDBPyConnection
    exported: _Exported
    comments: dict[str, str]
    folder: Path
    older: Parts


def _write_view(writing: _Writing) -> list[Part]:
    """Write the rows of a view, but for those that an older run has in the same files."""
    connection, exported = writing.connection, writing.exported
    there_are = columns_of(connection, exported.view)
    split = quoted(exported.split) if exported.split in there_are else "NULL"
    by_program = exported.program if exported.sort[0] in there_are and exported.program else "NULL"
    (writing.folder / exported.view).mkdir()
    rows = connection.execute(
        f"""SELECT {split}, {by_program}, count(*), sum(hash(row_of)) FROM {exported.view} AS row_of
            GROUP BY ALL ORDER BY ALL"""
    ).fetchall()
    how = [duckdb.__version__, pa.__version__, ROWS_OF_GROUP, GROUPS_OF_FILE, there_are, writing.comments]
    parts = []
    for number, (value, of_value) in enumerate(_by_value(rows or [(None, None, 0, 0)])):
        for programs in _parts(of_value):
            name = _plain(programs[0][0]) or "all"
            stem = f"{exported.view}/{_plain(value) or exported.view}-{number:02}-{name}"
            fingerprint = sha256(repr([how, value, programs]).encode()).hexdigest()
            part = writing.older.same(stem, fingerprint)
            if part is None:
                bounds = {"value": value, "first": programs[0][0], "last": programs[-1][0]}
                files = _write_part(writing, split, by_program, bounds, stem)
                part = Part(stem, fingerprint, sum(count for _, count, _ in programs), files)
            parts.append(part)
    return parts


_Program = tuple[object, int, int]
"""A program, the number of its rows, and the sum of their hashes."""


def _by_value(rows: list[tuple[Any, ...]]) -> Iterator[tuple[object, list[_Program]]]:
    for value, of_value in groupby(rows, lambda row: row[0]):
        yield value, [(program, int(count), int(marks or 0)) for _, program, count, marks in of_value]


def _parts(programs: list[_Program]) -> list[list[_Program]]:
    """Return the programs of each file; a file ends after a program whose name says so, whatever its rows are."""
    parts: list[list[_Program]] = [[]]
    for program in programs:
        if program[0] is None:
            parts.append([])
        parts[-1].append(program)
        if program[0] is not None and crc32(str(program[0]).encode()) % _ONE_IN == 0:
            parts.append([])
    return [part for part in parts if part]


def _write_part(
    writing: _Writing, split: str, by_program: str, bounds: dict[str, object], stem: str
) -> tuple[PartFile, ...]:
    """Write the rows of some programs."""
    view = writing.exported.view
    there_are = columns_of(writing.connection, view)
    order = ", ".join(quoted(name) for name in writing.exported.sort if name in there_are) or "ALL"
    reader = writing.connection.execute(
        f"""SELECT * FROM {view} WHERE {split} IS NOT DISTINCT FROM $value
            AND ({by_program} BETWEEN $first AND $last OR {by_program} IS NULL AND $first IS NULL)
            ORDER BY {order}""",
        bounds,
    ).to_arrow_reader(ROWS_OF_GROUP)
    paths = _write_files(reader, _described(reader.schema, view, writing.comments), writing.folder, stem)
    return tuple(described(path, writing.folder) for path in paths)


def _write_files(reader: pa.RecordBatchReader, schema: pa.Schema, folder: Path, stem: str) -> list[Path]:
    """Write files of `GROUPS_OF_FILE` row groups; there is one file even if there are no rows."""
    paths: list[Path] = []
    groups: Iterator[pa.RecordBatch] = iter(reader)
    batch = next(groups, None)
    while batch is not None or not paths:
        path = folder / f"{stem}-{len(paths):04}.parquet"
        with pq.ParquetWriter(path, schema, compression="zstd", write_statistics=True) as writer:
            for _ in range(GROUPS_OF_FILE):
                if batch is None:
                    break
                writer.write_table(pa.Table.from_batches([batch]).cast(schema), row_group_size=ROWS_OF_GROUP)
                batch = next(groups, None)
        paths.append(path)
    return paths


def _described(schema: pa.Schema, view: str, comments: dict[str, str]) -> pa.Schema:
    fields = [field.with_metadata({"comment": comments.get(field.name, "")}) for field in schema]
    about: dict[Any, Any] = {"comment": comments.get("", view), "licence": LICENCE}
    return pa.schema(fields, metadata=about)


def _plain(value: object) -> str:
    """Return the letters and digits of a value; it becomes part of a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", str(value or "").lower().encode("ascii", "ignore").decode()).strip("-")[:40]


def _readme(manifest: Manifest, counts: dict[str, int]) -> str:
    rows = "\n".join(f"| `{view}/` | {count:,} |" for view, count in counts.items())
    return f"""# What the JWST archive (MAST) lists

Written by mastlake {manifest.mastlake} at {manifest.published_at}.
It is what run {manifest.run} found, which ended at {manifest.run_ended_at} (UTC).

| folder | rows |
|---|---|
{rows}

`columns.parquet` has the meaning of every column, `SHA256SUMS` the checksum of every file, and `PARTS.json` what the
next publish compares.
Each file has the meanings in the metadata of its schema (`comment`).
Rows are split by instrument, and sorted by program and time. A filter by program, time or place reads few row groups.

    duckdb -c "FROM 'files/*.parquet' WHERE program = 1366"
    polars.scan_parquet("files/*.parquet").filter(polars.col("program") == 1366).collect()
    pandas.read_parquet("files", filters=[("program", "==", 1366)])
    pyarrow.dataset.dataset("files").to_table(filter=pyarrow.dataset.field("program") == 1366)

{manifest.licence}
{manifest.left_out}
"""
