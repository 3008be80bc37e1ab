"""Write what a published catalog has now as Parquet files, which other programs read without mastlake.

Rows are sorted by program and time, and each row group has the least and the greatest value of every column. So a
reader that filters by program, time or place skips most row groups.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from catalog.publish.manifest import LICENCE, Manifest
from catalog.store.database import Database, columns_of
from catalog.store.sql import quoted

ROWS_OF_GROUP = 20_480
GROUPS_OF_FILE = 25


@dataclass(frozen=True)
class _Exported:
    """A view, the column by whose values its rows are split into files, and the columns by which they are sorted."""

    view: str
    split: str | None
    sort: tuple[str, ...]


_EXPORTED = (
    _Exported("files", "instrument", ("program", "date_obs_mjd", "filename")),
    _Exported("observations", "instrument_name", ("proposal_id", "t_min", "obs_id")),
    _Exported("products", None, ("proposal_id", "obs_id", "data_uri")),
    _Exported("observation_products", None, ("obs_id", "data_uri")),
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
            counts[exported.view] = _write_view(connection, exported, comments, manifest, folder)
    pq.write_table(pa.Table.from_pylist(dictionary), folder / "columns.parquet", compression="zstd")
    (folder / "README.md").write_text(_readme(manifest, counts), encoding="utf-8")


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
    manifest: Manifest,
    folder: Path,
) -> int:
    """Write the rows of a view, and return how many there are."""
    there_are = columns_of(connection, exported.view)
    order = ", ".join(quoted(name) for name in exported.sort if name in there_are) or "ALL"
    split = quoted(exported.split) if exported.split in there_are else "NULL"
    values = connection.execute(f"SELECT DISTINCT {split} FROM {exported.view} ORDER BY ALL").fetchall() or [(None,)]
    (folder / exported.view).mkdir()
    rows = 0
    for number, (value,) in enumerate(values):
        reader = connection.execute(
            f"SELECT * FROM {exported.view} WHERE {split} IS NOT DISTINCT FROM $value ORDER BY {order}",
            {"value": value},
        ).to_arrow_reader(ROWS_OF_GROUP)
        schema = _described(reader.schema, exported.view, comments, manifest)
        stem = f"{_plain(value) or exported.view}-{number:02}"
        rows += _write_parts(reader, schema, folder / exported.view, stem)
    return rows


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


def _described(schema: pa.Schema, view: str, comments: dict[str, str], manifest: Manifest) -> pa.Schema:
    fields = [field.with_metadata({"comment": comments.get(field.name, "")}) for field in schema]
    about: dict[Any, Any] = {
        "comment": comments.get("", view),
        "licence": LICENCE,
        "run": str(manifest.run),
        "published_at": manifest.published_at,
    }
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

`columns.parquet` has the meaning of every column. Each file has the same in the metadata of its schema (`comment`).
Rows are split by instrument, and sorted by program and time. A filter by program, time or place reads few row groups.

    duckdb -c "FROM 'files/*.parquet' WHERE program = 1366"
    polars.scan_parquet("files/*.parquet").filter(polars.col("program") == 1366).collect()
    pandas.read_parquet("files", filters=[("program", "==", 1366)])
    pyarrow.dataset.dataset("files").to_table(filter=pyarrow.dataset.field("program") == 1366)

{manifest.licence}
{manifest.left_out}
"""
