"""Where rows wait between the archive and the catalog.

A harvest takes minutes to hours; the catalog is open for its last second only. Meanwhile rows lie in Arrow
files in a folder beside the catalog, which is gone when the harvest ends, and swept by the next one where it
was killed.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from catalog.errors import CatalogUnwritable

_LZ4 = pa.ipc.IpcWriteOptions(compression="lz4")


class Spool:
    """Rows by name, on disk.

    Parameters
    ----------
    catalog : Path
        The catalog file that they wait for.

    Notes
    -----
    Use it as a context manager: the folder is removed at the end.
    """

    def __init__(self, catalog: Path) -> None:
        self.folder = catalog.with_name(f"{catalog.name}.spool-{os.getpid()}-{uuid.uuid4().hex[:8]}")
        self._schemas: dict[str, list[pa.Schema]] = {}
        self._lengths: dict[str, list[int]] = {}

    def __enter__(self) -> Spool:
        _sweep(self.folder)
        with _space(self.folder):
            self.folder.mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def add(self, name: str, rows: pa.Table) -> None:
        """Append rows; columns and types may differ from what is there.

        Raises
        ------
        CatalogUnwritable
            Where the disk is full.
        """
        start = self.rows(name)
        numbered = rows.append_column("staged_row", pa.array(range(start, start + rows.num_rows), pa.int64()))
        parts = self._schemas.setdefault(name, [])
        path = self.folder / name / f"{len(parts):06d}.arrow"
        with _space(path):
            path.parent.mkdir(exist_ok=True)
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, numbered.schema, options=_LZ4) as writer:
                writer.write_table(numbered, max_chunksize=1024)
        parts.append(numbered.schema)
        self._lengths.setdefault(name, []).append(rows.num_rows)

    def rows(self, name: str) -> int:
        """Say how many rows lie under a name."""
        return sum(self._lengths.get(name, []))

    def schema(self, name: str) -> pa.Schema:
        """Return the one schema that all rows of a name fit."""
        columns: dict[str, pa.DataType] = {}
        for schema in self._schemas.get(name, []):
            for field in schema:
                columns[field.name] = _common(columns.get(field.name), field.type)
        return pa.schema([(column, pa.string() if kind == pa.null() else kind) for column, kind in columns.items()])

    def in_parts(
        self, connection: duckdb.DuckDBPyConnection, name: str, rows_at_once: int
    ) -> Iterator[tuple[int, int]]:
        """Let the relation of a name be one part of its rows after the other.

        Yields
        ------
        first, end : int
            The part has the rows with ``staged_row`` from ``first`` up to, not including, ``end``.
        """
        schema, files, first, end = self.schema(name), list[str](), 0, 0
        lengths = self._lengths.get(name, [])
        for number, rows in enumerate(lengths):
            files.append(str(self.folder / name / f"{number:06d}.arrow"))
            end += rows
            if end - first >= rows_at_once or number + 1 == len(lengths):
                part = ds.dataset(files, format="ipc", schema=schema)
                # All columns, and little read ahead: a dataset would have many batches decompressed and waiting.
                connection.register(name, part.scanner(batch_readahead=4, fragment_readahead=1))
                yield first, end
                pa.default_memory_pool().release_unused()
                files, first = [], end
        self.offer(connection, name)

    def offer(self, connection: duckdb.DuckDBPyConnection, name: str) -> bool:
        """Make the rows a relation of that name on a connection; say whether there are any."""
        if not self.rows(name):
            return False
        dataset = ds.dataset(str(self.folder / name), format="ipc", schema=self.schema(name))
        connection.register(name, dataset)
        return True


def _common(known: pa.DataType | None, other: pa.DataType) -> pa.DataType:
    """Return the narrowest type that holds both."""
    if known is None or known == pa.null() or known == other:
        return other
    if other == pa.null():
        return known
    if {known, other} == {pa.int64(), pa.float64()}:
        return pa.float64()
    return pa.string()


def _sweep(folder: Path) -> None:
    """Remove what killed harvests of this catalog left."""
    prefix = folder.name.rpartition("-")[0].rpartition("-")[0]
    for left in folder.parent.glob(f"{prefix}-*") if folder.parent.exists() else ():
        process = re.fullmatch(re.escape(prefix) + r"-(\d+)-[0-9a-f]{8}", left.name)
        if process and not _alive(int(process[1])):
            shutil.rmtree(left, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextlib.contextmanager
def _space(path: Path):  # type: ignore[no-untyped-def]
    try:
        yield
    except OSError as error:
        raise CatalogUnwritable(
            f"cannot write {path.parent}: {error.strerror or error}; nothing was changed"
        ) from error
