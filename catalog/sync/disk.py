"""The contents of a destination: names, sizes if there are not too many files, and unfinished files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.sync.names import Template, refusal_of_path, within
from catalog.sync.partial import Identity

STAT_LIMIT = 100_000
"""With more files than this, a listing has names only: reading a million sizes costs more than the whole plan."""

_NOTE = ".part.json"

DISK = pa.schema([("path", pa.string()), ("size", pa.int64()), ("mtime_ns", pa.int64())])
PARTS = pa.schema(
    [
        ("path", pa.string()),
        ("have", pa.int64()),
        ("uri", pa.string()),
        ("checksum", pa.string()),
        ("length", pa.int64()),
    ]
)


@dataclass
class Looking:
    """A listing of a destination that is made once for the same folders.

    Parameters
    ----------
    dest : Path
        The destination, an absolute path.
    thread : ThreadPoolExecutor
        It reads the folders.

    Attributes
    ----------
    orphans : list of Path
        Final paths of unfinished files of which only the note is left, as after a kill.
    """

    dest: Path
    thread: ThreadPoolExecutor
    orphans: list[Path] = field(default_factory=list)
    _begun: dict[tuple[str, ...], Future[tuple[pa.Table, pa.Table]]] = field(default_factory=dict)

    def begin(self, folders: Iterable[str]) -> Future[tuple[pa.Table, pa.Table]]:
        """Begin to read folders, unless they are being read already."""
        key = tuple(folders)
        if key not in self._begun:
            self._begun[key] = self.thread.submit(listing, self.dest, key, self.orphans)
        return self._begun[key]

    def __call__(self, folders: list[str]) -> tuple[pa.Table, pa.Table]:
        """Return the listing that `listing` makes."""
        return self.begin(folders).result()


@contextmanager
def looking(dest: Path, template: Template) -> Iterator[Looking]:
    """Yield an object that calls `listing` once for the same folders.

    A flat destination has one folder. It is read from the start in a thread of its own: the kernel takes a third of a
    microsecond for each name, and the catalog can be read meanwhile.

    Parameters
    ----------
    dest : Path
        The destination, an absolute path.
    template : Template
        How files lie below the destination.
    """
    with ThreadPoolExecutor(1, "listing") as thread:
        look = Looking(dest, thread)
        if template.flat:
            look.begin([""])
        yield look


def listing(dest: Path, folders: Iterable[str], orphans: list[Path] | None = None) -> tuple[pa.Table, pa.Table]:
    """Read each of the folders of a destination once.

    Parameters
    ----------
    dest : Path
        The destination, an absolute path.
    folders : iterable of str
        Folders relative to the destination; a folder that a link leads out of the destination is left out.
    orphans : list of Path, optional
        Gets the final paths of notes whose unfinished file is gone.

    Returns
    -------
    tuple of pyarrow.Table
        Files (``path``, relative to the destination; ``size``, ``mtime_ns``, both null if there are more than
        `STAT_LIMIT` files), and unfinished files (``path`` of the finished file, the bytes they ``have``, and their
        identity).
    """
    files, parts = [], []
    for folder in folders:
        where = dest / folder if folder else dest
        if refusal_of_path(folder or "here") or not within(where, dest):
            continue
        names = _names(where)
        hidden = pc.starts_with(names, ".")
        files.append(_paths_below(folder, names.filter(pc.invert(hidden)) if pc.any(hidden).as_py() else names))
        ours = set(names.filter(hidden).to_pylist())
        unfinished = [name for name in ours if name.endswith(".part")]
        if orphans is not None:
            notes = (name for name in ours if name.endswith(_NOTE) and name.removesuffix(".json") not in ours)
            orphans += [where / name[1 : -len(_NOTE)] for name in notes if name[1 : -len(_NOTE)]]
        parts += _paths_below(folder, pa.array(unfinished, pa.string())).to_pylist()
    return _sizes(dest, pa.chunked_array(files, pa.string())), _parts(dest, parts)


def _names(folder: Path) -> pa.Array:
    """Return the names in a folder; names that are no text cannot be those of products."""
    try:
        names = os.listdir(os.fsencode(folder))  # noqa: PTH208 - names only, since there can be a million
    except (FileNotFoundError, NotADirectoryError):
        names = []
    ends = np.zeros(len(names) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, names), np.int32, len(names)), out=ends[1:])
    array = pa.StringArray.from_buffers(len(names), pa.py_buffer(ends), pa.py_buffer(b"".join(names)))
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return pa.array([text for name in names if (text := os.fsdecode(name)).isprintable()], pa.string())
    return array


def _paths_below(folder: str, names: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(pa.scalar(folder), names, "/") if folder else names


def _sizes(dest: Path, paths: pa.ChunkedArray) -> pa.Table:
    if len(paths) > STAT_LIMIT:
        empty = pa.nulls(len(paths), pa.int64())
        return pa.table([paths, empty, empty], schema=DISK)
    rows = []
    for path in paths.to_pylist():
        try:
            stat = os.stat(f"{dest}/{path}")  # of a link, the file to which it leads  # noqa: PTH116
        except OSError:  # the file is gone, or is a link that leads nowhere
            continue
        rows.append((path, stat.st_size, stat.st_mtime_ns))
    return _table(rows, DISK)


def _parts(dest: Path, paths: list[str]) -> pa.Table:
    rows = []
    for path in paths:
        part = dest / path
        final = part.with_name(part.name[1 : -len(".part")])
        identity = Identity.read(final)
        try:
            size = part.lstat().st_size
        except FileNotFoundError:  # another sync has just finished it
            continue
        if identity:
            rows.append((final.relative_to(dest).as_posix(), size, identity.uri, identity.checksum, identity.length))
    return _table(rows, PARTS)


def _table(rows: Sequence[tuple[object, ...]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def free_bytes(dest: Path) -> int:
    """Return how many bytes can still be written at the destination, or where it will be made."""
    there = next(folder for folder in (dest, *dest.parents) if folder.exists())
    return shutil.disk_usage(there).free
