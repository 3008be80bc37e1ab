"""Look at the disk: which known files have gone, moved or changed since the catalog last saw them.

If a folder has the modification time that the catalog knows, no name in it has come or gone, so one `stat` answers for
all its files. Only changed folders are listed. The folder does not show a change inside a file. So up to
`FILES_LOOKED_AT` known files are also looked at one by one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import duckdb

from catalog.inodes import signed

if TYPE_CHECKING:
    import pyarrow as pa

FILES_LOOKED_AT = 100_000
"""With more known files than this, only folders are looked at; `index` looks at each file."""
_BYTES_READ = 1 << 30
"""How many bytes of changed files are read for their MD5; files beyond that stay unverified until the next index."""


@dataclass
class Presence:
    """The known files that have gone, moved or changed since the catalog last saw them.

    Attributes
    ----------
    gone : dict
        Paths, by ``file_id``, of files that have gone and were not found elsewhere.
    moved : dict
        The present paths of moved files, by ``file_id``.
    changed : list of dict
        ``file_id``, ``size``, ``mtime_ns``, ``inode`` and ``checksum`` (None if not read) of files that changed in
        place.
    """

    gone: dict[int, str] = field(default_factory=dict)
    moved: dict[int, str] = field(default_factory=dict)
    changed: list[dict[str, object]] = field(default_factory=list)


@dataclass(frozen=True)
class _Known:
    file_id: int
    path: str
    size: int
    mtime_ns: int
    inode: int
    fetched: bool

    def is_same(self, status: os.stat_result) -> bool:
        return (status.st_size, status.st_mtime_ns, signed(status.st_ino)) == (self.size, self.mtime_ns, self.inode)


def look_at_folders(connection: duckdb.DuckDBPyConnection) -> Presence:
    """Compare the folders of known files with the disk; nothing is written.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection to the catalog.
    """
    presence = Presence()
    folders = connection.execute("SELECT path, mtime_ns, inode FROM local_folder").fetchall()
    differing = [(str(path), int(inode)) for path, mtime_ns, inode in folders if _mtime(path) != mtime_ns]
    if differing:
        _find_again(connection, _absent(connection, [path for path, _ in differing]), differing, presence)
    row = connection.execute("SELECT count(*) FROM local_files").fetchone()
    if row is not None and row[0] <= FILES_LOOKED_AT:
        _look_at_files(connection, presence)
    return presence


def _absent(connection: duckdb.DuckDBPyConnection, folders: Sequence[str]) -> list[_Known]:
    """Return the known files in some folders whose names are no longer there."""
    import pyarrow as pa

    listed = {folder: names for folder in folders if (names := _names(folder)) is not None}
    connection.register("listed", pa.table({"folder": pa.array(list(listed), pa.string())}))
    there = [pa.table({"path": _paths_below(folder, names)}) for folder, names in listed.items()]
    connection.register("there", pa.concat_tables([pa.table({"path": pa.array([], pa.string())}), *there]))
    rows = connection.execute(
        f"""SELECT {_COLUMNS} FROM (FROM local_files ANTI JOIN there USING (path))
            SEMI JOIN listed ON listed.folder = left(path, len(path) - len(filename) - 1)"""
    ).fetchall()
    connection.unregister("listed")
    connection.unregister("there")
    return [_Known(*row) for row in rows]


_COLUMNS = "file_id, path, size, mtime_ns, inode, fetched_checksum IS NOT NULL AS fetched"


def _paths_below(folder: str, names: Sequence[str]) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = [name for name in names if name.isascii() or name.isprintable()]
    return pc.binary_join_element_wise(pa.scalar(folder), pa.array(texts, pa.string()), "/")


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 - paths are texts here, for speed
    except OSError:
        return None


def _mtime(path: str) -> int | None:
    status = _stat(path)
    return status.st_mtime_ns if status else None


def _names(folder: str) -> list[str] | None:
    """Return the names in a folder; an empty list if the folder is gone.

    None means that the folder exists but cannot be read: its files must not count as deleted.
    """
    try:
        return os.listdir(folder)  # noqa: PTH208 - names only, since there can be a million
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError:
        return None


def _find_again(
    connection: duckdb.DuckDBPyConnection,
    absent: Sequence[_Known],
    differing: Sequence[tuple[str, int]],
    presence: Presence,
) -> None:
    """Look for absent files where a person may have moved them: in a renamed folder, or in another known folder."""
    if not absent:
        return
    renamed = [now for path, inode in differing if (now := _renamed(path, inode))]
    places = {*renamed, *(path for path, _ in differing)}
    known_paths = {str(path) for (path,) in connection.execute("SELECT path FROM local_files").fetchall()}
    candidates = {
        (signed(status.st_ino), status.st_size, status.st_mtime_ns): path
        for path, status in _statuses(places)
        if path not in known_paths
    }
    for file in absent:
        now = candidates.get((file.inode, file.size, file.mtime_ns))
        if now:
            presence.moved[file.file_id] = now
        else:
            presence.gone[file.file_id] = file.path


def _renamed(folder: str, inode: int) -> str | None:
    """Return the new name of a folder that is gone, if it is still in the same folder as before."""
    if os.path.lexists(folder):
        return None
    try:
        with os.scandir(os.path.dirname(folder)) as entries:  # noqa: PTH120
            return next(
                (e.path for e in entries if signed(e.inode()) == inode and e.is_dir(follow_symlinks=False)), None
            )
    except OSError:
        return None


def _statuses(folders: Iterable[str]) -> Iterator[tuple[str, os.stat_result]]:
    for folder in folders:
        try:
            with os.scandir(folder) as entries:
                yield from ((e.path, e.stat(follow_symlinks=False)) for e in entries if not e.is_dir())
        except OSError:
            continue


def _look_at_files(connection: duckdb.DuckDBPyConnection, presence: Presence) -> None:
    """Find the files that changed in place, and read those that a sync fetched."""
    budget = _BYTES_READ
    for file in (_Known(*row) for row in connection.execute(f"SELECT {_COLUMNS} FROM local_files").fetchall()):
        if file.file_id in presence.gone or file.file_id in presence.moved:
            continue
        status = _stat(file.path)
        if status is None:
            if not os.path.lexists(file.path) and os.path.isdir(os.path.dirname(file.path)):  # noqa: PTH112, PTH120
                presence.gone[file.file_id] = file.path
        elif not file.is_same(status):
            checksum = _md5(file.path) if file.fetched and status.st_size <= budget else None
            budget -= status.st_size if checksum else 0
            presence.changed.append(
                {"file_id": file.file_id, "size": status.st_size, "mtime_ns": status.st_mtime_ns,
                 "inode": signed(status.st_ino), "checksum": checksum}
            )  # fmt: skip


def _md5(path: str) -> str | None:
    import hashlib

    try:
        with open(path, "rb") as file:  # noqa: PTH123 - paths are texts here
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError:
        return None
