"""Lists of shared files in a folder of a published folder, which is on a disk that the group shares.

The name of a list is made of the person and the folder, and a number that counts up, so that no name is ever replaced:
a network disk answers those who read a replaced file with an error.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from catalog.errors import DiskError
from catalog.publish.shared_lists import (
    FOLDER,
    MOST_BYTES,
    MOST_LISTS,
    Head,
    Row,
    SharedList,
    content_of,
    mark_of,
    parse_list,
)

_NAME = re.compile(r"([0-9a-f]{16})-(\d{6})\.jsonl")
_KILLED_SECONDS = 3600
"""Age of an unfinished list whose writer was killed."""


class ListsInFolder:
    """The lists in a published folder.

    Parameters
    ----------
    published : Path
        The published folder.
    """

    is_on_disk = True

    def __init__(self, published: Path) -> None:
        self._folder = published / FOLDER

    @property
    def name(self) -> str:
        """The folder with the lists."""
        return str(self._folder)

    def require_writable(self) -> None:
        """Do nothing: the system says whether the user may write."""

    def put(self, head: Head, rows: list[Row]) -> None:
        """Write a list in place of the older list of the same person and folder; without rows, take that one back."""
        mark = mark_of(head.by, head.folder)
        try:
            if rows:
                _put(self._folder, mark, content_of(head, rows, MOST_BYTES))
            elif self._folder.exists():
                _remove_own(self._folder, mark, before=None)
        except OSError as error:
            raise DiskError(f"cannot share in {self.name}: {error.strerror or error}") from error

    def read(self) -> tuple[list[SharedList], list[str]]:
        """Return the newest list of each person and folder, and a line for each list that was left out."""
        lists: list[SharedList] = []
        odd: list[str] = []
        newest: dict[tuple[str, int], Path] = {}
        with suppress(FileNotFoundError):
            paths = sorted(path for path in self._folder.iterdir() if _NAME.fullmatch(path.name))
            if len(paths) > MOST_LISTS:
                odd.append(f"{self.name} has more than {MOST_LISTS:,} lists; those after them were left out")
            for path in paths[:MOST_LISTS]:  # nobody's list takes the place of that of another owner
                newest[path.name.partition("-")[0], _owner(path)] = path
        for path in newest.values():
            try:
                lists.append(_read_list(path))
            except (OSError, ValueError) as error:
                odd.append(f"{path} is no list of shared files, and was left out ({error})")
        return lists, odd


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
    _remove_own(folder, mark, before=number - 1)


def _remove_own(folder: Path, mark: str, before: int | None) -> None:
    """Remove the user's lists before a number, or all of them, and what a killed writer left."""
    for path in folder.iterdir():
        named = _NAME.fullmatch(path.name)
        is_older = named is not None and named[1] == mark and (before is None or int(named[2]) < before)
        if (is_older and _owner(path) == os.geteuid()) or (
            path.name.startswith(f".{mark}-") and time.time() - path.lstat().st_mtime > _KILLED_SECONDS
        ):
            with suppress(OSError if before is not None else FileNotFoundError):
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


def _read_list(path: Path) -> SharedList:
    about = path.lstat()
    if not stat.S_ISREG(about.st_mode) or about.st_size > MOST_BYTES:
        raise ValueError("it is no file, or larger than a list can be")
    return parse_list(path.read_bytes())
