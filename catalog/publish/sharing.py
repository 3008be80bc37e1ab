"""Lists of files that members of a group share: who has this file, so that nobody fetches it twice.

The lists lie in the folder ``shared`` of a published folder, one JSON text a line. A list has the folder that is
shared, who shares it, and the files in it. Its name is made of the person and the folder, and a number that counts up,
so that no name is ever replaced: a network disk answers those who read a replaced file with an error.

Whoever may write there can write anything. So every line is judged when it is read, and what is no list is left out
and told.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import socket
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import msgspec

from catalog.errors import DiskError, UsageError
from catalog.publish.names import is_address
from catalog.store.database import Database
from catalog.store.history.local_files import BELOW
from catalog.store.history.runs import utc_now
from catalog.text import harmless

FOLDER = "shared"
_NAME = re.compile(r"([0-9a-f]{16})-(\d{6})\.jsonl")
_FORM = 1
_MOST_LISTS = 10_000
_MOST_BYTES = 1 << 28
_LARGEST = 1 << 50
_KILLED_SECONDS = 3600
"""Age of an unfinished list whose writer was killed."""
_READABLE = stat.S_IRGRP | stat.S_IROTH


class _Head(msgspec.Struct, forbid_unknown_fields=True):
    """The first line of a list."""

    form: int
    folder: str
    by: str
    host: str
    at: str


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    """A file: its path below the folder, its size, and its MD5 if that is known."""

    path: str
    size: int
    md5: str | None = None


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
        When the list was written, UTC.
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
        on this machine.
    size : int
        Its size in bytes.
    by, host : str
        Who shares it, and from which machine.
    at : str
        When that was noted, UTC.
    """

    filename: str
    path: str
    state: str
    size: int
    by: str
    host: str
    at: str


def share(database: Database, place: str, folder: str | os.PathLike[str]) -> SharedFolder:
    """Add the list of a folder's files to a published folder, in place of the older list of the same person.

    Parameters
    ----------
    database : Database
        The catalog with the local files.
    place : str
        The published folder, as the user named it.
    folder : path-like
        The folder to share.

    Raises
    ------
    UsageError
        If the catalog is not in a published folder, or others cannot read the folder.
    DiskError
        If the list cannot be written there.
    """
    published = require_sharing(place, [folder])
    shared = os.path.abspath(folder)  # noqa: PTH100 - links stay as the user named them
    rows, left_out = _rows(database, shared)
    head = _Head(_FORM, shared, _user(), socket.gethostname(), utc_now().isoformat(timespec="seconds"))
    encoder = msgspec.json.Encoder()
    content = b"\n".join(encoder.encode(each) for each in (head, *rows)) + b"\n"
    mark = hashlib.sha256(f"{head.by}\n{shared}".encode("utf-8", "surrogateescape")).hexdigest()[:16]
    try:
        _put(published / FOLDER, mark, content)
    except OSError as error:
        raise DiskError(f"cannot share in {published / FOLDER}: {error.strerror or error}") from error
    return SharedFolder(shared, head.by, head.host, head.at, len(rows), sum(row.size for row in rows), left_out)


def require_sharing(place: str, folders: Iterable[str | os.PathLike[str]]) -> Path:
    """Return the published folder, if lists of these folders can be added to it; see `share`.

    Raises
    ------
    UsageError
        The error says what to do.
    """
    published = _published_folder(place)
    for folder in folders:
        shared = os.path.abspath(folder)  # noqa: PTH100
        if any("\ud800" <= character <= "\udfff" for character in shared):
            raise UsageError(f"{harmless(shared)} cannot be shared: the name is not UTF-8")
        _require_readable(Path(shared))
    return published


def _published_folder(place: str) -> Path:
    if is_address(place):
        raise UsageError(
            f"{harmless(place)} has no lists of shared files, which name paths of a shared disk; publish into "
            "a folder of that disk too (mastlake publish DIR), and name it: --catalog DIR/"
        )
    if not Path(place).is_dir():
        raise UsageError("files are shared in a published folder of a shared disk; name that one: --catalog DIR/")
    return Path(os.path.abspath(place))  # noqa: PTH100


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


def _rows(database: Database, folder: str) -> tuple[list[_Row], int]:
    """Return the files in a folder that are the archive's, and that others can read; and how many others there are."""
    with database.read() as connection:
        listed = connection.execute(
            f"""SELECT path, size, lower(checksum), coalesce(state IN ('corrupt', 'modified', 'unknown'), false)
                FROM local_files LEFT JOIN local_verdict USING (file_id) WHERE {BELOW} ORDER BY path""",
            {"path": folder},
        ).fetchall()
    rows = [
        _Row(os.path.relpath(path, folder), size, md5) for path, size, md5, odd in listed if not odd and _is_open(path)
    ]
    return rows, len(listed) - len(rows)


def _is_open(path: str) -> bool:
    with suppress(OSError):
        return bool(Path(path).stat().st_mode & _READABLE)
    return False


def _put(folder: Path, mark: str, content: bytes) -> None:
    """Write a list under a new name, and remove those that were there two lists before."""
    folder.mkdir(exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{mark}-", dir=folder)  # others may write here: no name can be foreseen
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, 0o644)
            file.write(content)
            file.flush()
            os.fsync(handle)
        number = max(_numbers(folder, mark), default=0) + 1
        while not _has_got_name(partial, folder / _name(mark, number)):
            number += 1
    finally:
        partial.unlink(missing_ok=True)
    for path in folder.iterdir():
        named = _NAME.fullmatch(path.name)
        is_older = named is not None and named[1] == mark and int(named[2]) < number - 1
        if (is_older and _owner(path) == os.geteuid()) or (
            path.name.startswith(f".{mark}-") and time.time() - path.lstat().st_mtime > _KILLED_SECONDS
        ):
            with suppress(OSError):
                path.unlink()


def _has_got_name(partial: Path, name: Path) -> bool:
    """Give a file a name, unless the name is taken; say whether it has got it."""
    try:
        os.link(partial, name)  # unlike a rename, this replaces nothing
    except FileExistsError:
        return False
    except OSError:  # the file system has no links
        if os.path.lexists(name):
            return False
        partial.rename(name)
    return True


def _name(mark: str, number: int) -> str:
    return f"{mark}-{number:06d}.jsonl"


def _numbers(folder: Path, mark: str) -> list[int]:
    """Return the numbers of the user's own lists: those of others with the same name and folder count by themselves."""
    return [
        int(named[2])
        for path in folder.iterdir()
        if (named := _NAME.fullmatch(path.name)) and named[1] == mark and _owner(path) == os.geteuid()
    ]


def _owner(path: Path) -> int:
    try:
        return path.lstat().st_uid
    except OSError:  # it was removed meanwhile
        return -1


@dataclass(frozen=True)
class _List:
    head: _Head
    rows: list[_Row]


def shared_folders(place: str) -> tuple[list[SharedFolder], list[str]]:
    """Return what is shared in a published folder, and a line for each list that is none."""
    lists, odd = _read_lists(place)
    folders = [
        SharedFolder(each.head.folder, each.head.by, each.head.host, each.head.at, len(each.rows), _bytes(each.rows))
        for each in lists
    ]
    return sorted(folders, key=lambda each: (each.folder, each.by)), odd


def _bytes(rows: Iterable[_Row]) -> int:
    return sum(row.size for row in rows)


def shared_files(database: Database, place: str, names: Sequence[str]) -> tuple[list[SharedFile], list[str]]:
    """Return who shares files with these names, and a line for each list that is none.

    Parameters
    ----------
    database : Database
        The catalog.
    place : str
        The published folder.
    names : sequence of str
        Names of files; ``*`` and ``?`` stand for any text and any character.
    """
    lists, odd = _read_lists(place)
    named = ((each.head, row, PurePosixPath(row.path).name) for each in lists for row in each.rows)
    matching = [(head, row, filename) for head, row, filename in named if any(fnmatchcase(filename, n) for n in names)]
    checksums = _checksums(database, sorted({filename for _, _, filename in matching}))
    files = [_shared_file(head, row, filename, checksums.get(filename)) for head, row, filename in matching]
    return sorted(files, key=lambda file: (file.filename, file.state != "current", file.path)), odd


def _shared_file(head: _Head, row: _Row, filename: str, checksum: str | None) -> SharedFile:
    path = os.path.join(head.folder, row.path)  # noqa: PTH118
    if not _has_size(path, row.size):
        state = "absent"
    elif row.md5 is None or checksum is None:
        state = "unverified"
    else:
        state = "current" if row.md5 == checksum else "stale"
    return SharedFile(filename, path, state, row.size, head.by, head.host, head.at)


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


def _read_lists(place: str) -> tuple[list[_List], list[str]]:
    """Read the newest list of each person and folder, and say what was left out."""
    folder = _published_folder(place) / FOLDER
    lists: list[_List] = []
    odd: list[str] = []
    newest: dict[tuple[str, int], Path] = {}
    with suppress(FileNotFoundError):
        paths = sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
        if len(paths) > _MOST_LISTS:
            odd.append(f"{folder} has more than {_MOST_LISTS:,} lists; those after them were left out")
        for path in paths[:_MOST_LISTS]:  # nobody's list takes the place of that of another owner
            newest[path.name.partition("-")[0], _owner(path)] = path
    for path in newest.values():
        try:
            lists.append(_read_list(path))
        except (OSError, ValueError) as error:
            odd.append(f"{path} is no list of shared files, and was left out ({error})")
    return lists, odd


def _read_list(path: Path) -> _List:
    about = path.lstat()
    if not stat.S_ISREG(about.st_mode) or about.st_size > _MOST_BYTES:
        raise ValueError("it is no file, or larger than a list can be")
    lines = path.read_bytes().splitlines()
    head = msgspec.json.decode(lines[0] if lines else b"", type=_Head)
    if head.form != _FORM or not os.path.isabs(head.folder):  # noqa: PTH117
        raise ValueError("it has another form; upgrade mastlake")
    decoder = msgspec.json.Decoder(_Row)
    return _List(head, list(_judged(decoder.decode(line) for line in lines[1:])))


def _judged(rows: Iterator[_Row]) -> Iterator[_Row]:
    for row in rows:
        parts = PurePosixPath(row.path).parts
        if not parts or row.path.startswith("/") or ".." in parts or "\0" in row.path or not 0 <= row.size <= _LARGEST:
            raise ValueError("a path in it leads out of its folder, or a size is none that a file can have")
        yield row
