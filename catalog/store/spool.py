"""Where rows wait between the archive and the catalog.

A harvest takes minutes to hours; the catalog is open for its last second only. Meanwhile rows lie in Arrow
files in a folder beside the catalog, which is gone when the harvest ends, and swept by the next one where it
was killed.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from catalog.errors import CatalogUnwritable

_LZ4 = pa.ipc.IpcWriteOptions(compression="lz4")
_LITTLE_AHEAD = {"batch_readahead": 4, "fragment_readahead": 1}


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
                writer.write_table(numbered, max_chunksize=2048)
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

    def offer(self, connection: duckdb.DuckDBPyConnection, name: str) -> bool:
        """Make the rows a relation of that name on a connection; say whether there are any."""
        if not self.rows(name):
            return False
        dataset = ds.dataset(str(self.folder / name), format="ipc", schema=self.schema(name))
        connection.register(name, dataset)
        return True

    def staged(self, name: str, relation: str | None = None) -> Staged:
        """Return the rows of a name as `merge_versions` takes them."""
        return Staged(self, name, relation or name)

    def read(self, name: str) -> pa.RecordBatchReader:
        """Read the rows in order, with few of them in memory."""
        folder, schema = self.folder / name, self.schema(name)

        def batches() -> Iterator[pa.RecordBatch]:
            for path in sorted(folder.iterdir()):
                # Little is read ahead: a dataset would have many batches decompressed and waiting.
                scanner = ds.dataset(str(path), format="ipc", schema=schema).scanner(**_LITTLE_AHEAD)
                yield from scanner.to_batches()
                pa.default_memory_pool().release_unused()

        return pa.RecordBatchReader.from_batches(schema, batches())


@dataclass(frozen=True)
class Staged:
    """Rows of a spool, ready to be merged.

    Attributes
    ----------
    spool : Spool
        Where they lie.
    name : str
        Under which name.
    relation : str
        What SQL calls them: the name, or a view over it that has a column ``staged_row``.
    """

    spool: Spool
    name: str
    relation: str

    @contextmanager
    def in_passing(self, connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Let the relation be read once, with all its columns and few of its rows in memory."""
        connection.register(self.name, self.spool.read(self.name))
        try:
            yield
        finally:
            self.spool.offer(connection, self.name)

    def picked(self, wanted: pa.Table) -> pa.RecordBatchReader:
        """Read some rows in order, without a join: that would make a table in memory of all their columns.

        Parameters
        ----------
        wanted : pyarrow.Table
            Their ``staged_row``, ascending; the other columns are appended to the rows.
        """
        numbers, more = wanted.column("staged_row").to_numpy(), wanted.drop_columns(["staged_row"]).combine_chunks()
        rows = self.spool.read(self.name)
        schema = pa.schema([*rows.schema, *more.schema])

        def batches() -> Iterator[pa.RecordBatch]:
            for batch in rows:
                own = batch.column("staged_row").to_numpy()
                first, end = (int(i) for i in numbers.searchsorted([own[0], own[-1] + 1]))
                if first == end:
                    continue
                taken = batch if end - first == len(own) else batch.take(pa.array(numbers[first:end] - own[0]))
                beside = [column.chunk(0).slice(first, end - first) for column in more.columns]
                yield pa.record_batch([*taken.columns, *beside], schema=schema)

        return pa.RecordBatchReader.from_batches(schema, batches())


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


@contextmanager
def _space(path: Path):  # type: ignore[no-untyped-def]
    try:
        yield
    except OSError as error:
        raise CatalogUnwritable(
            f"cannot write {path.parent}: {error.strerror or error}; nothing was changed"
        ) from error
