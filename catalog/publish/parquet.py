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
from pathlib import Path
from typing import Any
from zlib import crc32

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from catalog.publish.manifest import LICENCE, Manifest, sha256_of
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


def write_parquet(catalog: Path, manifest: Manifest, folder: Path) -> None:
    """Write the current views into a new folder, with a list of columns and a README.

    Parameters
    ----------
    catalog : Path
        The published catalog file.
    manifest : Manifest
        Its manifest.
    folder : Path
        The folder, which must not exist.
    """
    folder.mkdir()
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
            counts[exported.view] = _write_view(connection, exported, comments, folder)
    pq.write_table(pa.Table.from_pylist(dictionary), folder / "columns.parquet", compression="zstd")
    (folder / "README.md").write_text(_readme(manifest, counts), encoding="utf-8")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = "".join(f"{sha256_of(path)}  {path.relative_to(folder).as_posix()}\n" for path in files)
    (folder / SUMS).write_text(sums, encoding="utf-8")


def parse_sums(text: bytes) -> dict[str, str]:
    """Return the path of a file for each checksum in a list of checksums.

    Examples
    --------
    >>> parse_sums(b"1f" * 32 + b"  files/niriss-00-1366-0000.parquet")
    {'1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f': 'files/niriss-00-1366-0000.parquet'}
    """
    lines = text.decode("ascii", "replace").splitlines()
    found = (re.fullmatch(r"([0-9a-f]{64})  ((?:[a-z_]+/)?[a-z0-9_-]+\.parquet)", line) for line in lines)
    return {one[1]: one[2] for one in found if one}


def _comments(connection: duckdb.DuckDBPyConnection, view: str) -> dict[str, str]:
    """Return what the columns of a view mean; the view's own meaning is under the empty name."""
    rows = connection.execute(
        """SELECT column_name, comment FROM duckdb_columns() WHERE table_name = $view AND comment IS NOT NULL
           UNION ALL SELECT '', comment FROM duckdb_views() WHERE view_name = $view AND comment IS NOT NULL
           UNION ALL SELECT '', comment FROM duckdb_tables() WHERE table_name = $view AND comment IS NOT NULL""",
        {"view": view},
    ).fetchall()
    return {str(name): str(comment) for name, comment in rows}


def _write_view(
    connection: duckdb.DuckDBPyConnection,
    exported: _Exported,
    comments: dict[str, str],
    folder: Path,
) -> int:
    """Write the rows of a view, and return how many there are."""
    there_are = columns_of(connection, exported.view)
    order = ", ".join(quoted(name) for name in exported.sort if name in there_are) or "ALL"
    split = quoted(exported.split) if exported.split in there_are else "NULL"
    by_program = exported.program if exported.sort[0] in there_are and exported.program else "NULL"
    values = connection.execute(f"SELECT DISTINCT {split} FROM {exported.view} ORDER BY ALL").fetchall() or [(None,)]
    (folder / exported.view).mkdir()
    rows = 0
    for number, (value,) in enumerate(values):
        for programs in _parts(connection, exported.view, split, value, by_program):
            reader = connection.execute(
                f"""SELECT * FROM {exported.view} WHERE {split} IS NOT DISTINCT FROM $value
                    AND ({by_program} BETWEEN $first AND $last OR {by_program} IS NULL AND $first IS NULL)
                    ORDER BY {order}""",
                {"value": value, "first": programs[0], "last": programs[-1]},
            ).to_arrow_reader(ROWS_OF_GROUP)
            schema = _described(reader.schema, exported.view, comments)
            stem = f"{_plain(value) or exported.view}-{number:02}-{_plain(programs[0]) or 'all'}"
            rows += _write_parts(reader, schema, folder / exported.view, stem)
    return rows


def _parts(
    connection: duckdb.DuckDBPyConnection, view: str, split: str, value: object, by_program: str
) -> list[list[object]]:
    """Return the programs of each file; a file ends after a program whose name says so, whatever its rows are."""
    programs = connection.execute(
        f"SELECT DISTINCT {by_program} AS program FROM {view} WHERE {split} IS NOT DISTINCT FROM $value ORDER BY ALL",
        {"value": value},
    ).fetchall()
    parts: list[list[object]] = [[]]
    for (program,) in programs:
        if program is None:
            parts.append([])
        parts[-1].append(program)
        if program is not None and crc32(str(program).encode()) % _ONE_IN == 0:
            parts.append([])
    return [part for part in parts if part] or [[None]]


def _write_parts(reader: pa.RecordBatchReader, schema: pa.Schema, folder: Path, stem: str) -> int:
    """Write files of `GROUPS_OF_FILE` row groups; there is one file even if there are no rows."""
    rows = part = 0
    groups: Iterator[pa.RecordBatch] = iter(reader)
    batch = next(groups, None)
    while batch is not None or part == 0:
        path = folder / f"{stem}-{part:04}.parquet"
        with pq.ParquetWriter(path, schema, compression="zstd", write_statistics=True) as writer:
            for _ in range(GROUPS_OF_FILE):
                if batch is None:
                    break
                writer.write_table(pa.Table.from_batches([batch]).cast(schema), row_group_size=ROWS_OF_GROUP)
                rows += batch.num_rows
                batch = next(groups, None)
        part += 1
    return rows


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

`columns.parquet` has the meaning of every column, and `SHA256SUMS` the checksum of every file.
Each file has the meanings in the metadata of its schema (`comment`).
Rows are split by instrument, and sorted by program and time. A filter by program, time or place reads few row groups.

    duckdb -c "FROM 'files/*.parquet' WHERE program = 1366"
    polars.scan_parquet("files/*.parquet").filter(polars.col("program") == 1366).collect()
    pandas.read_parquet("files", filters=[("program", "==", 1366)])
    pyarrow.dataset.dataset("files").to_table(filter=pyarrow.dataset.field("program") == 1366)

{manifest.licence}
{manifest.left_out}
"""
