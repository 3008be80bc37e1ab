"""Files that a sync fetched and that have no headers: previews, tables, logs. They can change and move as well."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa

from catalog.headers.extract import md5_of
from catalog.headers.names import INDEXED_ENDINGS
from catalog.headers.walk import MovedFile
from catalog.inodes import signed


@dataclass
class OtherFileChanges:
    """The files of this kind that changed or moved.

    Attributes
    ----------
    paths : list of str
        Files that changed since they were last read.
    moved : list of MovedFile
        Files at a new path, with the same bytes.
    """

    paths: list[str] = field(default_factory=list)
    moved: list[MovedFile] = field(default_factory=list)

    def files(self) -> pa.Table:
        """Return one row for each changed file, in the form that the catalog's writer takes; their bytes are read."""
        return pa.Table.from_pylist([_row(path) for path in self.paths], schema=_SCHEMA)


_SCHEMA = pa.schema(
    [
        ("size", pa.int64()), ("mtime_ns", pa.int64()), ("inode", pa.int64()), ("checksum", pa.string()),
        ("problem", pa.string()), ("unread", pa.string()),
    ]
)  # fmt: skip


def _row(path: str) -> dict[str, object]:
    try:
        status, checksum, unread = Path(path).stat(), md5_of(path), None
    except OSError as error:
        return {"unread": error.strerror or str(error)}
    return {
        "size": status.st_size, "mtime_ns": status.st_mtime_ns, "inode": signed(status.st_ino),
        "checksum": checksum, "problem": None, "unread": unread,
    }  # fmt: skip


def look_at_others(
    connection: duckdb.DuckDBPyConnection, roots: Sequence[str], *, everything: bool
) -> OtherFileChanges:
    """Find which of these files changed or moved below some folders.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection to the catalog.
    roots : sequence of str
        Absolute paths of folders.
    everything : bool
        Treat files that did not change as changed, so that their bytes are read.
    """
    endings = " OR ".join("ends_with(lower(filename), ?)" for _ in INDEXED_ENDINGS)
    rows = connection.execute(
        f"""SELECT file_id, path, filename, size, mtime_ns, inode FROM local_files
            WHERE fetched_checksum IS NOT NULL AND NOT ({endings})""",
        list(INDEXED_ENDINGS),
    ).fetchall()
    changes, gone = OtherFileChanges(), {}
    for file_id, path, filename, *seen in rows:
        try:
            status = os.stat(path)  # noqa: PTH116 - called for each file, so it must be fast
        except OSError:
            gone[filename, seen[0]] = (int(file_id), str(path), *seen)
            continue
        changed = [status.st_size, status.st_mtime_ns, signed(status.st_ino)] != list(seen)
        if (changed or everything) and any(path == root or path.startswith(root + os.sep) for root in roots):
            changes.paths.append(str(path))
    if gone:
        changes.moved = list(_moved_files(gone, roots))
    return changes


def _moved_files(
    gone: dict[tuple[str, int], tuple[int, str, int, int, int]], roots: Sequence[str]
) -> Iterator[MovedFile]:
    """Find files below the roots that have the name and size, and the time or inode, of a file that is gone."""
    names_gone = {name for name, _ in gone}
    for folder, _, names in (entry for root in roots for entry in os.walk(root)):
        for name in names_gone.intersection(names):
            path = os.path.join(folder, name)  # noqa: PTH118 - os.walk gives paths as text
            status = os.lstat(path)
            former = gone.get((name, status.st_size))
            if former and (status.st_mtime_ns == former[3] or signed(status.st_ino) == former[4]):
                yield MovedFile(former[0], former[1], path)
                del gone[name, status.st_size]
