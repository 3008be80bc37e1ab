"""The place where rows wait between the archive and the catalog.

A harvest takes minutes to hours, and has the catalog open for its last second only. Until then, rows are in Arrow
files in a folder beside the catalog. The harvest removes this folder when it ends. If it was killed, the next harvest
removes it.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
import uuid
import weakref
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from catalog.errors import CatalogUnwritable
from catalog.process.interrupts import held_back

_LZ4 = pa.ipc.IpcWriteOptions(compression="lz4")


class Spool:
    """Tables of rows on disk, each under a name.

    Parameters
    ----------
    catalog : Path
        The catalog file into which the rows will go.

    Notes
    -----
    Use it as a context manager: the folder is removed at the end.
    """

    def __init__(self, catalog: Path) -> None:
        self.folder = catalog.with_name(f"{catalog.name}.spool-{os.getpid()}-{uuid.uuid4().hex[:8]}")
        self._schemas: dict[str, list[pa.Schema]] = {}
        self._lengths: dict[str, list[int]] = {}

    def __enter__(self) -> Spool:
        with _space(self.folder), held_back():
            _sweep(self.folder)
            self.folder.mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with held_back():
            shutil.rmtree(self.folder, ignore_errors=True)

    def add(self, name: str, rows: pa.Table) -> None:
        """Append rows; their columns and types may differ from those that are already there.

        Raises
        ------
        CatalogUnwritable
            If the disk is full.
        """
        start = self.rows(name)
        numbered = rows.append_column("staged_row", pa.array(np.arange(start, start + rows.num_rows, dtype=np.int64)))
        parts = self._schemas.setdefault(name, [])
        path = self.folder / name / f"{len(parts):06d}.arrow"
        with _space(path):
            path.parent.mkdir(exist_ok=True)
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, numbered.schema, options=_LZ4) as writer:
                writer.write_table(numbered, max_chunksize=2048)
        parts.append(numbered.schema)
        self._lengths.setdefault(name, []).append(rows.num_rows)

    def begun_anew(self, name: str, schema: pa.Schema) -> Staged:
        """Remove the rows of a name, and return it as a place for rows of a schema."""
        shutil.rmtree(self.folder / name, ignore_errors=True)
        self._schemas.pop(name, None)
        self._lengths.pop(name, None)
        self.add(name, schema.empty_table())
        return self.staged(name)

    def rows(self, name: str) -> int:
        """Return how many rows a name has."""
        return sum(self._lengths.get(name, []))

    def schema(self, name: str) -> pa.Schema:
        """Return the one schema into which all rows of a name fit."""
        columns: dict[str, pa.DataType] = {}
        for schema in self._schemas.get(name, []):
            for field in schema:
                columns[field.name] = _common(columns.get(field.name), field.type)
        return pa.schema([(column, pa.string() if kind == pa.null() else kind) for column, kind in columns.items()])

    def offer(self, connection: duckdb.DuckDBPyConnection, name: str) -> bool:
        """Make the rows a relation of that name on a connection; return whether there are any rows."""
        if not self.rows(name):
            return False
        dataset = ds.dataset(str(self.folder / name), format="ipc", schema=self.schema(name))
        connection.register(name, dataset)
        return True

    def staged(self, name: str, relation: str | None = None) -> Staged:
        """Return the rows of a name in the form that `merge_versions` takes."""
        return Staged(self, name, relation or name)

    def read(self, name: str, columns: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Read the rows in order, in batches that all have the same schema; only some columns, if these are given."""
        schema = self.schema(name)
        if columns is not None:
            schema = pa.schema([field for field in schema if field.name in columns])
        for path, stored in zip(sorted((self.folder / name).iterdir()), self._schemas[name], strict=True):
            wanted = [place for place, column in enumerate(stored.names) if column in schema.names]
            some = pa.ipc.IpcReadOptions(included_fields=wanted)
            with pa.memory_map(str(path)) as source, pa.ipc.open_file(source, options=some) as file:
                for number in range(file.num_record_batches):
                    yield _in_schema(file.get_batch(number), schema)
            pa.default_memory_pool().release_unused()


@dataclass(frozen=True)
class Staged:
    """Rows of a spool, ready to be merged.

    Attributes
    ----------
    spool : Spool
        The spool that has them.
    name : str
        Their name in the spool.
    relation : str
        Their name in SQL: the same name, or a view over it that has a column ``staged_row``.
    """

    spool: Spool
    name: str
    relation: str

    @property
    def columns(self) -> list[str]:
        """The names of their columns."""
        return list(self.spool.schema(self.name).names)

    @contextmanager
    def in_passing(
        self, connection: duckdb.DuckDBPyConnection, columns: Collection[str] | None = None
    ) -> Iterator[None]:
        """Let the relation be read once, with only few of its rows in memory; with all columns, or ``columns`` alone.

        If columns are given, ``staged_row`` must be among them.
        """
        rows = self.spool.read(self.name, columns)
        schema = self.spool.schema(self.name)
        if columns is not None:
            schema = pa.schema([field for field in schema if field.name in columns])
        with few_at_a_time(rows, schema, "staged_row") as reader:
            connection.register(self.name, reader)
            yield
            self.spool.offer(connection, self.name)

    @contextmanager
    def picked(self, connection: duckdb.DuckDBPyConnection, rows_wanted: pa.Table) -> Iterator[None]:
        """Let some rows be read once, in order, as the relation ``picked``.

        A join would make a table of all their columns in memory.

        Parameters
        ----------
        connection : duckdb.DuckDBPyConnection
            The connection that gets the relation.
        rows_wanted : pyarrow.Table
            The ``staged_row`` of each row, ascending, its ``staged_hash``, and further columns that the row gets.
        """
        numbers = rows_wanted.column("staged_row").to_numpy()
        further = rows_wanted.drop_columns("staged_row").combine_chunks()
        schema = self.spool.schema(self.name)
        for field in further.schema:
            schema = schema.append(field)

        def rows() -> Iterator[pa.RecordBatch]:
            for batch in self.spool.read(self.name):
                own = batch.column("staged_row").to_numpy()
                first, end = (int(i) for i in numbers.searchsorted([own[0], own[-1] + 1]))
                if first < end:
                    whole = end - first == len(own)
                    taken = batch if whole else batch.take(pa.array(numbers[first:end] - own[0]))
                    cells = [_one_piece(column) for column in further.slice(first, end - first).columns]
                    yield pa.RecordBatch.from_arrays([*taken.columns, *cells], schema=schema)

        with few_at_a_time(rows(), schema, "staged_hash") as reader:
            connection.register("picked", reader)
            yield
            connection.unregister("picked")


@contextmanager
def few_at_a_time(
    batches: Iterator[pa.RecordBatch], schema: pa.Schema, token: str, at_once: int = 4, patience: float = 5.0
) -> Iterator[pa.RecordBatchReader]:
    """Let a reader hold only a few batches at a time.

    DuckDB reads through Arrow's scanner, which lets up to 1 GiB of batches wait, whatever read-ahead is set. Here the
    next batch is handed out only when an earlier one has been freed.

    Parameters
    ----------
    batches : iterator of pyarrow.RecordBatch
        The rows.
    schema : pyarrow.Schema
        The schema of all batches.
    token : str
        A column that the reader reads, and that has no columns within it. A batch counts as freed when the memory of
        this column is freed.
    at_once : int
        The largest number of batches that the reader may hold.
    patience : float
        Seconds after which the next batch is handed out even if none was freed: a question that fails waits for the
        next batch before it raises its error.

    Yields
    ------
    pyarrow.RecordBatchReader
        A reader to use within the block. After the block, no thread of Arrow waits for a batch any more.
    """
    room, busy, over = threading.Semaphore(at_once), threading.Lock(), threading.Event()

    def following() -> pa.RecordBatch | None:
        with busy:
            room.acquire(timeout=patience)
            batch = None if over.is_set() else next(batches, None)
            if batch is None:
                return None
            place = batch.schema.get_field_index(token)
            return batch.set_column(
                place, batch.schema.field(place), _with_own_memory(batch.column(place), room.release)
            )

    try:
        yield pa.RecordBatchReader.from_batches(schema, iter(following, None))
    finally:
        over.set()
        room.release()
        with busy:
            room.release()  # wakes a thread that comes late


def _with_own_memory(column: pa.Array, freed: Callable[[], object]) -> pa.Array:
    """Return a column whose values, or whose offsets of values, are in memory of their own; call when it is freed."""
    nulls, values, *further = column.buffers()
    memory = np.frombuffer(values or b"", np.uint8).copy()
    weakref.finalize(memory, freed)
    buffers = [nulls, pa.py_buffer(memory), *further]
    return pa.Array.from_buffers(column.type, len(column), buffers, offset=column.offset)


def _one_piece(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _in_schema(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    if batch.schema.equals(schema):
        return batch
    columns = [
        batch.column(field.name).cast(field.type)
        if field.name in batch.schema.names
        else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.record_batch(columns, schema=schema)


def _common(first: pa.DataType | None, second: pa.DataType) -> pa.DataType:
    """Return the narrowest type that holds the values of both types."""
    if first is None or first == pa.null() or first == second:
        return second
    if second == pa.null():
        return first
    if {first, second} == {pa.int64(), pa.float64()}:
        return pa.float64()
    return pa.string()


def _sweep(folder: Path) -> None:
    """Remove what killed harvests of this catalog left behind."""
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
