"""Lists of files that members of a group share: who has this file, so that nobody fetches it twice.

The lists lie in ``shared`` where the catalog is published: in a folder (`catalog.publish.shared_folder`), or in a
bucket (`catalog.publish.shared_bucket`). A list that is none is left out, and told.
"""

from __future__ import annotations

import getpass
import os
import socket
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from catalog.errors import UsageError
from catalog.publish.names import is_address
from catalog.publish.shared_folder import ListsInFolder
from catalog.publish.shared_lists import Head, Lists, Row, new_head
from catalog.store.database import Database
from catalog.store.history.local_files import BELOW
from catalog.store.history.runs import utc_now
from catalog.text import harmless

_READABLE = stat.S_IRGRP | stat.S_IROTH


@dataclass(frozen=True)
class SharedFolder:
    """A folder that somebody shares.

    Attributes
    ----------
    folder : str
        The folder.
    by, host : str
        Who shares it, and from which machine.
    at : str
        When the list was written, UTC; in a bucket, by the clock of the object store.
    files, bytes : int
        The number and the size of the files.
    left_out : int
        How many of the folder's files are not in the list, as others cannot read them, or they are not the archive's;
        known only to the one who shares it.
    """

    folder: str
    by: str
    host: str
    at: str
    files: int
    bytes: int
    left_out: int = 0


@dataclass(frozen=True)
class SharedFile:
    """A file that somebody shares.

    Attributes
    ----------
    filename, path : str
        The file.
    state : str
        current, stale or unverified, by the archive's checksum as the catalog has it; absent if there is no such file
        on this machine. If the list is in a bucket, a file of another machine is elsewhere, or stale.
    size : int
        Its size in bytes.
    by, host : str
        Who shares it, and from which machine.
    at : str
        When the list was written, UTC; in a bucket, by the clock of the object store.
    """

    filename: str
    path: str
    state: str
    size: int
    by: str
    host: str
    at: str


def share(database: Database, place: str, folder: str | os.PathLike[str]) -> SharedFolder:
    """Add the list of a folder's files to a published catalog, in place of the older list of the same person.

    If no file of the folder can be listed, the older list is taken back.

    Parameters
    ----------
    database : Database
        The catalog with the local files.
    place : str
        The published folder or the bucket, as the user named it.
    folder : path-like
        The folder to share.

    Raises
    ------
    UsageError
        If the catalog is not published in a folder or a bucket, or others cannot read the folder to share.
    DiskError
        If the list cannot be written into the published folder.
    ArchiveError
        If the object store does not answer, or refuses.
    """
    lists = require_sharing(place, [folder])
    shared = os.path.abspath(folder)  # noqa: PTH100 - links stay as the user named them
    rows, left_out = _rows(database, shared)
    head = new_head(shared, _user(), socket.gethostname(), utc_now().isoformat(timespec="seconds"))
    lists.put(head, rows)
    return SharedFolder(shared, head.by, head.host, head.at, len(rows), _bytes(rows), left_out)


def require_sharing(place: str, folders: Iterable[str | os.PathLike[str]]) -> Lists:
    """Return the place of the lists, if lists of these folders can be added to it; see `share`.

    Raises
    ------
    UsageError
        The error says what to do.
    """
    lists = _lists(place)
    lists.require_writable()
    for folder in folders:
        shared = os.path.abspath(folder)  # noqa: PTH100
        if any("\ud800" <= character <= "\udfff" for character in shared):
            raise UsageError(f"{harmless(shared)} cannot be shared: the name is not UTF-8")
        _require_readable(Path(shared))
    return lists


def _lists(place: str) -> Lists:
    if is_address(place):
        from catalog.publish.shared_bucket import ListsAtAddress

        return ListsAtAddress(place)
    if not Path(place).is_dir():
        raise UsageError(
            "files are shared where a catalog is published, in a folder or a bucket; name it: --catalog DIR/, or "
            "--catalog s3://BUCKET/PREFIX"
        )
    return ListsInFolder(Path(os.path.abspath(place)))  # noqa: PTH100


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # the machine knows no name for this user
        return f"user {os.getuid()}"


def _require_readable(folder: Path) -> None:
    """Refuse a folder that only its owner can enter: a list of it would help nobody."""
    try:
        for each in (folder, *folder.parents):
            if not each.stat().st_mode & (stat.S_IXGRP | stat.S_IXOTH):
                raise UsageError(f"others cannot enter {each}, so it cannot be shared; allow it: chmod g+rx {each}")
    except OSError as error:
        raise UsageError(f"cannot share {folder}: {error.strerror}") from error


def _rows(database: Database, folder: str) -> tuple[list[Row], int]:
    """Return the files in a folder that are the archive's, and that others can read; and how many others there are."""
    with database.read() as connection:
        listed = connection.execute(
            f"""SELECT path, size, lower(checksum), coalesce(state IN ('corrupt', 'modified', 'unknown'), false)
                FROM local_files LEFT JOIN local_verdict USING (file_id) WHERE {BELOW} ORDER BY path""",
            {"path": folder},
        ).fetchall()
    rows = [
        Row(os.path.relpath(path, folder), size, md5) for path, size, md5, odd in listed if not odd and _is_open(path)
    ]
    return rows, len(listed) - len(rows)


def _is_open(path: str) -> bool:
    with suppress(OSError):
        return bool(Path(path).stat().st_mode & _READABLE)
    return False


def shared_folders(place: str) -> tuple[list[SharedFolder], list[str]]:
    """Return what is shared where a catalog is published, and a line for each list that is none."""
    lists, odd = _lists(place).read()
    folders = [
        SharedFolder(each.head.folder, each.head.by, each.head.host, each.head.at, len(each.rows), _bytes(each.rows))
        for each in lists
    ]
    return sorted(folders, key=lambda each: (each.folder, each.by)), odd


def _bytes(rows: Iterable[Row]) -> int:
    return sum(row.size for row in rows)


def shared_files(database: Database, place: str, names: Sequence[str]) -> tuple[list[SharedFile], list[str]]:
    """Return who shares files with these names, and a line for each list that is none.

    Parameters
    ----------
    database : Database
        The catalog.
    place : str
        The place where it is published.
    names : sequence of str
        Names of files; ``*`` and ``?`` stand for any text and any character.
    """
    place_of_lists = _lists(place)
    lists, odd = place_of_lists.read()
    named = ((each.head, row, PurePosixPath(row.path).name) for each in lists for row in each.rows)
    matching = [(head, row, filename) for head, row, filename in named if any(fnmatchcase(filename, n) for n in names)]
    checksums = _checksums(database, sorted({filename for _, _, filename in matching}))
    files = [
        _shared_file(head, row, checksums.get(filename), place_of_lists.is_on_disk) for head, row, filename in matching
    ]
    return sorted(files, key=lambda file: (file.filename, file.state != "current", file.path)), odd


def _shared_file(head: Head, row: Row, checksum: str | None, is_on_disk: bool) -> SharedFile:
    path = os.path.join(head.folder, row.path)  # noqa: PTH118
    is_here = _has_size(path, row.size)
    is_known = row.md5 is not None and checksum is not None
    if not is_here and (is_on_disk or head.host == socket.gethostname()):
        state = "absent"
    elif is_known and row.md5 != checksum:
        state = "stale"
    elif not is_here:
        state = "elsewhere"
    else:
        state = "current" if is_known else "unverified"
    return SharedFile(PurePosixPath(path).name, path, state, row.size, head.by, head.host, head.at)


def _has_size(path: str, size: int) -> bool:
    try:
        about = os.stat(path)  # noqa: PTH116 - the name is data, and may hold a null character
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(about.st_mode) and about.st_size == size


def _checksums(database: Database, filenames: list[str]) -> dict[str, str]:
    if not filenames:
        return {}
    with database.read() as connection:
        if "checksum" not in database.columns(connection, "files"):
            return {}
        rows = connection.execute(
            """SELECT filename, lower(checksum) FROM files
               WHERE checksum IS NOT NULL AND list_contains(?, filename)""",
            [filenames],
        ).fetchall()
    return {str(filename): str(checksum) for filename, checksum in rows}
