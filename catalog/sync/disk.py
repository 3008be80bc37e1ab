"""What lies under a destination: names, sizes where cheap, and unfinished files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa

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
    entries: list[tuple[str, list[str]]] = []
    for folder in folders:
        where = dest / folder if folder else dest
        if not refusal_of_path(folder or "x") and within(where, dest):
            entries.append((str(where), _names(where)))
    parts = [f"{where}/{name}" for where, names in entries for name in names if _is_part(name)]
    paths = [f"{where}/{name}" for where, names in entries for name in names if not name.startswith(".")]
    return _sizes(paths), _parts(parts)


def _names(folder: Path) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if name.isprintable()]  # noqa: PTH208 - names, not paths
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_part(name: str) -> bool:
    return name.startswith(".") and name.endswith(".part")


def _sizes(paths: list[str]) -> pa.Table:
    if len(paths) > STAT_LIMIT:
        empty = pa.nulls(len(paths), pa.int64())
        return pa.table([pa.array(paths, pa.string()), empty, empty], schema=DISK)
    rows = []
    for path in paths:
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
