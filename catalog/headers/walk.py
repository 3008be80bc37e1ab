"""List the files of folders, and compare the list with the catalog."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISDIR, S_ISREG

import duckdb
import pyarrow as pa

from catalog.errors import DiskError
from catalog.headers.names import FITS_ENDINGS, INDEXED_ENDINGS, is_association, is_resource_fork
from catalog.inodes import signed
from catalog.store.history.local_files import UNKNOWN_STATE, FolderState, without_known_folders

_NOWHERE = "it is a link that leads nowhere"
_SIGN = 1 << 63  # larger inodes are stored as negative numbers


@dataclass
class WalkedFiles:
    """Files that were found, column by column.

    Attributes
    ----------
    path, size, mtime_ns, inode : list
        One entry for each file.
    unread : list of tuple
        Folders and files that could not be read, and why.
    links : list of str
        Links to folders. They are not followed, since they may lead in a circle or to the whole disk.
    roots : list of str
        The absolute paths of the folders and files to look at.
    folders : dict
        Every folder that was listed, with the state that it had before.
    """

    path: list[str] = field(default_factory=list)
    size: list[int] = field(default_factory=list)
    mtime_ns: list[int] = field(default_factory=list)
    inode: list[int] = field(default_factory=list)
    unread: list[tuple[str, str]] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    roots: list[str] = field(default_factory=list)
    folders: dict[str, FolderState] = field(default_factory=dict)

    def table(self) -> pa.Table:
        """Return the list as an Arrow table."""
        return pa.table(
            {
                "path": pa.array(self.path, pa.string()),
                "size": pa.array(self.size, pa.int64()),
                "mtime_ns": pa.array(self.mtime_ns, pa.int64()),
                "inode": pa.array(self.inode, pa.int64()),
            }
        )


@dataclass(frozen=True)
class MovedFile:
    """A file that the catalog knows at another path."""

    file_id: int
    path: str
    now: str


@dataclass(frozen=True)
class FolderChanges:
    """The work that a walk found: files to read, moved files, and files that are gone.

    Attributes
    ----------
    to_read : list of str
        Files that are new or changed, or that were fetched and never indexed.
    moved : list of MovedFile
        Files at a new path, with the same bytes.
    gone : list of int
        The ``file_id`` of files that are no longer on disk.
    files : int
        How many FITS files were found.
    unchanged : int
        How many FITS files are as the catalog knows them.
    removed : int
        How many of the files that are gone are FITS files.
    folders : dict
        Folders that changed since the catalog last looked at them, with their states.
    to_digest : frozenset of str
        Files to read that a sync fetched and that changed since: their MD5 tells whether the bytes changed.
    """

    to_read: list[str]
    moved: list[MovedFile]
    gone: list[int]
    files: int
    unchanged: int
    removed: int
    to_digest: frozenset[str] = frozenset()
    folders: dict[str, FolderState] = field(default_factory=dict)


def walk(folders: Iterable[str | os.PathLike[str]], tell: Callable[[int], None] | None = None) -> WalkedFiles:
    """List the FITS and association files in folders and their subfolders.

    Parameters
    ----------
    folders : iterable of path-like
        Folders or files; one that is named twice, or that is inside another, is listed once.
    tell : callable, optional
        Called after each folder with the number of files found so far.

    Raises
    ------
    DiskError
        If a folder does not exist or cannot be read: its files must not count as deleted.
    """
    walked = WalkedFiles()
    seen: set[str] = set()
    files: dict[str, os.stat_result] = {}
    for root in dict.fromkeys(absolute(folder) for folder in folders):
        try:
            status = os.stat(root)  # noqa: PTH116  # the walk uses calls of os, for speed
        except FileNotFoundError as error:
            if os.path.lexists(root):
                raise DiskError(f"cannot read {root}: {_NOWHERE}") from error
            raise DiskError(f"no such folder or file: {root}") from error
        except OSError as error:
            raise DiskError(f"cannot read {root}: {error.strerror}") from error
        if not _is_text(root, walked):
            continue
        walked.roots.append(root)
        if S_ISDIR(status.st_mode):
            _walk(root, walked, seen, tell)
        else:
            files[root] = status
    for root, status in files.items():
        folder, name = os.path.split(root)
        if folder not in seen or not name.lower().endswith(INDEXED_ENDINGS) or is_resource_fork(name, root):
            _add(root, status, walked)
            walked.folders.setdefault(folder, UNKNOWN_STATE)  # its other files are not looked at
    return walked


def absolute(path: str | os.PathLike[str]) -> str:
    """Return an absolute path without ``..``; the same place always gives the same path.

    A ``..`` after a link leads to the folder in which the link's target is, as it does for the operating system. Other
    links stay in the path, as the user sees it.
    """
    whole = Path(path).absolute()
    built = whole.anchor
    for part in whole.parts[1:]:
        if part != "..":
            built = os.path.join(built, part)  # noqa: PTH118  # paths are texts here
            continue
        parent, meant = os.path.dirname(built), f"{built}/.."  # noqa: PTH120
        try:
            built = parent if os.path.samefile(parent, meant) else os.path.realpath(meant)  # noqa: PTH121
        except OSError:
            built = meant
    return built


def _walk(folder: str, walked: WalkedFiles, seen: set[str], tell: Callable[[int], None] | None) -> None:
    pending = [folder]
    while pending:
        folder = pending.pop()
        if folder in seen:
            continue
        seen.add(folder)
        try:
            status = os.stat(folder)  # noqa: PTH116 - for speed
            with os.scandir(folder) as entries:
                _look_at(entries, pending, walked)
            if _encodes(folder):
                walked.folders[folder] = (status.st_mtime_ns, signed(status.st_ino))
        except OSError as error:
            if folder in walked.roots:
                raise DiskError(f"cannot read {folder}: {error.strerror}") from error
            walked.unread.append((folder, error.strerror or str(error)))
        if tell is not None:
            tell(len(walked.path))


def _look_at(entries: Iterable[os.DirEntry[str]], pending: list[str], walked: WalkedFiles) -> None:
    path, size, mtime, inode = walked.path.append, walked.size.append, walked.mtime_ns.append, walked.inode.append
    for entry in entries:
        name = entry.name
        if name.lower().endswith(INDEXED_ENDINGS):
            try:
                status = entry.stat()
            except OSError:  # the file was just deleted, or it is a link without a target
                if entry.is_symlink() and _is_text(entry.path, walked):
                    walked.unread.append((entry.path, _NOWHERE))
                continue
            where, number = entry.path, status.st_ino
            if S_ISREG(status.st_mode):
                if (where.isascii() or _is_text(where, walked)) and not is_resource_fork(name, where):
                    path(where)
                    size(status.st_size)
                    mtime(status.st_mtime_ns)
                    inode(number if number < _SIGN else number - 2 * _SIGN)
                continue
        if entry.is_dir(follow_symlinks=False):
            pending.append(entry.path)
        elif entry.is_symlink() and entry.is_dir():
            walked.links.append(entry.path)


def _add(path: str, status: os.stat_result, walked: WalkedFiles) -> None:
    if not S_ISREG(status.st_mode):
        walked.unread.append((path, "it is not a regular file"))
        return
    walked.path.append(path)
    walked.size.append(status.st_size)
    walked.mtime_ns.append(status.st_mtime_ns)
    walked.inode.append(signed(status.st_ino))


def _is_text(path: str, walked: WalkedFiles) -> bool:
    """Say whether a path can be stored; note a path that cannot."""
    if _encodes(path):
        return True
    walked.unread.append((path.encode(errors="replace").decode(), "its name is not UTF-8"))
    return False


def _encodes(path: str) -> bool:
    if path.isascii():
        return True
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def compare(connection: duckdb.DuckDBPyConnection, walked: WalkedFiles, everything: bool = False) -> Comparison:
    """Compare a walk with the catalog.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection to the catalog.
    walked : WalkedFiles
        The files on disk.
    everything : bool
        Read unchanged files as well.
    """
    connection.register("walked", walked.table())
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE to_read AS
        SELECT w.path, w.size, w.mtime_ns, w.inode, l.path IS NULL AS new,
               l.fetched_checksum IS NOT NULL
                   AND (w.size, w.mtime_ns, w.inode) <> (l.size, l.mtime_ns, l.inode) AS digest
        FROM walked w LEFT JOIN local_files l USING (path)
        WHERE l.path IS NULL OR NOT (l.indexed AND (w.size, w.mtime_ns, w.inode) = (l.size, l.mtime_ns, l.inode))
    """)
    folders = without_known_folders(connection, walked.folders)
    gone = _gone(connection, walked)
    candidates = gone | _left_elsewhere(connection)
    moved_by_id, suspects = _possible_moves(connection, candidates) if candidates else ({}, [])
    indexed_rows = connection.execute(_INDEXED_ALREADY, [list(candidates)]).fetchall()
    to_read = connection.execute("SELECT path, digest FROM to_read").fetchall()
    connection.unregister("walked")
    return Comparison(
        walked,
        everything,
        gone,
        candidates,
        moved_by_id,
        suspects,
        frozenset(str(path) for (path,) in indexed_rows),
        to_read,
        folders,
    )


_INDEXED_ALREADY = "SELECT path FROM local_files WHERE indexed AND file_id IN (SELECT unnest(?::BIGINT[]))"


@dataclass(frozen=True)
class Comparison:
    """A walk, compared with the catalog; the bytes of files that may have moved must still be read.

    Attributes
    ----------
    walked : WalkedFiles
        The files on disk.
    everything : bool
        Read unchanged files as well.
    gone : dict
        Paths, by ``file_id``, of local files under the roots that are no longer there.
    candidates : dict
        Paths, by ``file_id``, of all local files that may be one of the new files.
    found : dict
        New paths, by ``file_id``, of files with the same inode.
    suspects : list of tuple
        ``file_id``, MD5 and new path of files that may have the same bytes.
    indexed : frozenset of str
        Former paths of those candidates whose headers are in the catalog.
    to_read : list of tuple
        Paths of new and changed files, each with whether its MD5 is needed.
    folders : dict
        Folders that changed since the catalog last looked at them, with their states.
    """

    walked: WalkedFiles
    everything: bool
    gone: dict[int, str]
    candidates: dict[int, str]
    found: dict[int, str]
    suspects: list[tuple[int, str, str]]
    indexed: frozenset[str]
    to_read: list[tuple[str, bool]]
    folders: dict[str, FolderState]

    def settled(self) -> FolderChanges:
        """Read the files that may have moved, and return what must be done with all files."""
        moved_by_id = dict(self.found)
        _match_digests(self.suspects, moved_by_id)
        moved = [MovedFile(file_id, self.candidates[file_id], path) for file_id, path in moved_by_id.items()]
        moved_to = {move.now for move in moved if move.path in self.indexed}
        to_read = self.walked.path if self.everything else [p for p, _ in self.to_read if p not in moved_to]
        files = len(self.walked.path) - sum(map(is_association, self.walked.path))
        moved_from = {move.file_id for move in moved}
        left = [file_id for file_id in self.gone if file_id not in moved_from]
        read = len(to_read) - sum(map(is_association, to_read))
        removed = sum(self.gone[file_id].lower().endswith(FITS_ENDINGS) for file_id in left)
        to_digest = frozenset(path for path, digest in self.to_read if digest)
        return FolderChanges(sorted(to_read), moved, left, files, files - read, removed, to_digest, self.folders)


def _gone(connection: duckdb.DuckDBPyConnection, walked: WalkedFiles) -> dict[int, str]:
    """Return the local files under the roots that are no longer there."""
    connection.register("roots", pa.table({"root": pa.array(walked.roots, pa.string())}))
    rows = connection.execute("""
        SELECT DISTINCT l.file_id, l.path FROM local_files l ANTI JOIN walked w USING (path), roots r
        WHERE l.path = r.root OR starts_with(l.path, r.root || '/')
    """).fetchall()
    connection.unregister("roots")
    closed = tuple(folder + os.sep for folder, _ in walked.unread)
    return {
        int(file_id): str(path)
        for file_id, path in rows
        if not (closed and path.startswith(closed)) and not os.path.lexists(path)
    }


def _left_elsewhere(connection: duckdb.DuckDBPyConnection) -> dict[int, str]:
    """Return the local files outside the roots that are no longer on disk; they may be among the new files."""
    rows = connection.execute("""
        SELECT DISTINCT l.file_id, l.path FROM local_files l
        JOIN (SELECT size, mtime_ns, parse_filename(path) AS filename FROM to_read WHERE new) t ON t.size = l.size
            AND (t.mtime_ns = l.mtime_ns OR t.filename = l.filename AND l.checksum IS NOT NULL)
    """).fetchall()
    return {int(file_id): str(path) for file_id, path in rows if not os.path.lexists(path)}


def _possible_moves(
    connection: duckdb.DuckDBPyConnection, gone: dict[int, str]
) -> tuple[dict[int, str], list[tuple[int, str, str]]]:
    """Return new paths with the inode of a file that is gone, and new paths that may have its bytes by their size."""
    connection.register("gone", pa.table({"file_id": pa.array(list(gone), pa.int64())}))
    by_inode = connection.execute("""
        SELECT min(l.file_id), t.path FROM to_read t
        JOIN local_files l USING (size, mtime_ns, inode) JOIN gone USING (file_id)
        WHERE t.new GROUP BY t.path
    """).fetchall()
    suspects = connection.execute("""
        SELECT l.file_id, l.checksum, t.path FROM to_read t
        JOIN local_files l USING (size) JOIN gone USING (file_id)
        WHERE t.new AND l.checksum IS NOT NULL ORDER BY t.path, l.file_id
    """).fetchall()
    connection.unregister("gone")
    return {int(file_id): str(path) for file_id, path in by_inode}, suspects


def _match_digests(suspects: Sequence[tuple[int, str, str]], moved_by_id: dict[int, str]) -> None:
    from catalog.headers.extract import md5_of

    digests: dict[str, str | None] = {}
    taken = set(moved_by_id.values())
    for file_id, checksum, path in suspects:
        if file_id in moved_by_id or path in taken:
            continue
        if path not in digests:
            digests[path] = md5_of(path)
        if digests[path] == checksum:
            moved_by_id[file_id] = path
            taken.add(path)
