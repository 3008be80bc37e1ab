"""What lies under a destination: names, sizes where cheap, and unfinished files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from catalog.sync.names import refusal_of_path, within
from catalog.sync.partial import Identity

STAT_LIMIT = 100_000
"""Above this many files, a listing gives names only: a million sizes cost more than the whole plan."""

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


def listing(dest: Path, folders: Iterable[str]) -> tuple[pa.Table, pa.Table]:
    """Read the folders of a destination once each.

    Parameters
    ----------
    dest : Path
        Absolute.
    folders : iterable of str
        Relative to it; those that lead out of it by a link are not looked at.

    Returns
    -------
    tuple of pyarrow.Table
        Files (``path``, ``size``, ``mtime_ns``; sizes are null above `STAT_LIMIT` files), and unfinished files
        (``path`` of the finished one, bytes they ``have``, and the identity they were of).
    """
    files, parts = [], []
    for folder in folders:
        where = dest / folder if folder else dest
        if refusal_of_path(folder or "here") or not within(where, dest):
            continue
        names = _names(where)
        hidden = pc.starts_with(names, ".")
        files.append(_paths(where, names.filter(pc.invert(hidden))))
        parts += [f"{where}/{name}" for name in names.filter(hidden).to_pylist() if name.endswith(".part")]
    return _sizes(pa.chunked_array(files, pa.string())), _parts(parts)


def _names(folder: Path) -> pa.Array:
    """The names in a folder; those that are no text are nobody's here."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - a million names, not paths
    except (FileNotFoundError, NotADirectoryError):
        names = []
    try:
        return pa.array(names, pa.string())
    except UnicodeEncodeError:
        return pa.array([name for name in names if name.isprintable()], pa.string())


def _paths(folder: Path, names: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(pa.scalar(str(folder)), names, "/")


def _sizes(paths: pa.ChunkedArray) -> pa.Table:
    if len(paths) > STAT_LIMIT:
        empty = pa.nulls(len(paths), pa.int64())
        return pa.table([paths, empty, empty], schema=DISK)
    rows = []
    for path in paths.to_pylist():
        try:
            stat = os.lstat(path)
        except FileNotFoundError:
            continue
        rows.append((path, stat.st_size, stat.st_mtime_ns))
    return _table(rows, DISK)


def _parts(paths: list[str]) -> pa.Table:
    rows = []
    for text in paths:
        part = Path(text)
        final = part.with_name(part.name[1 : -len(".part")])
        known = Identity.read(final)
        if known:
            size = part.lstat().st_size
            rows.append((str(final), size, known.uri, known.checksum, known.length))
    return _table(rows, PARTS)


def _table(rows: Sequence[tuple[object, ...]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def free_bytes(dest: Path) -> int:
    """Bytes that can still be written where the destination is, or will be made."""
    there = next(folder for folder in (dest, *dest.parents) if folder.exists())
    return shutil.disk_usage(there).free
