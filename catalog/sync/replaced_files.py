"""The bytes that a sync replaces: whose they are, and where they go.

A sync never destroys bytes that a person made. It drops only bytes that it can prove to be a version that the archive
had. All other bytes are moved aside, or stay where they are.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from catalog.errors import DiskError, MastlakeError
from catalog.sync.destination_places import DestinationPlaces, refuse_no_folder, refuse_no_text
from catalog.sync.partial import QUARANTINE, fsync_folder, quarantine_of, write_own
from catalog.sync.plan import Item
from catalog.sync.verification import ProvenFile, examine


class PersonsOwn(MastlakeError):
    """A file on disk differs from the archive's and from what was fetched, so it stays.

    Parameters
    ----------
    message : str
        Why the bytes count as a person's own, and what to do.
    done : ProvenFile or None
        The file on disk, for the catalog.
    """

    def __init__(self, message: str, done: ProvenFile | None = None) -> None:
        super().__init__(message)
        self.done = done


LEFT = "left as it is: --overwrite-modified replaces it, --keep-old DIR moves it aside first"


@dataclass(frozen=True)
class OldBytes:
    """The rules for bytes that a sync replaces.

    Parameters
    ----------
    keep : Path, optional
        A folder for all replaced files; each goes to a subfolder of its version. Without it, only bytes that are not
        proven to be the archive's are put aside, in the quarantine of the destination.
    overwrite_modified : bool
        Whether a person's own bytes are replaced. Without ``keep``, they are then lost.
    """

    keep: Path | None = None
    overwrite_modified: bool = False

    def __post_init__(self) -> None:
        if self.keep is not None:
            refuse_no_text(self.keep, "folder for replaced files")
            refuse_no_folder(self.keep, "--keep-old")

    @property
    def renews_modified(self) -> bool:
        """Whether a person's own bytes are replaced at all."""
        return self.overwrite_modified or self.keep is not None


@dataclass(frozen=True)
class FileBefore:
    """The file that had the name when the transfer began.

    Parameters
    ----------
    status : os.stat_result or None
        The status of the file; None if there was none.
    archived : bool
        Whether the bytes are a version that the archive had.
    """

    status: os.stat_result | None
    archived: bool

    def still(self, now: os.stat_result | None) -> bool:
        """Say whether the file is still the same."""
        return (now and _state(now)) == (self.status and _state(self.status))


def _state(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def look_before(item: Item, policy: OldBytes) -> FileBefore | ProvenFile:
    """Look at the file that has an item's name, before anything is fetched.

    Parameters
    ----------
    item : Item
        The item to fetch.
    policy : OldBytes
        The rule for a person's own bytes.

    Returns
    -------
    FileBefore or ProvenFile
        A `ProvenFile` if the right bytes are here already, so that nothing must be fetched.

    Raises
    ------
    PersonsOwn
        If the bytes are a person's own and stay.
    """
    path = Path(item.path)
    status = _status(path)
    if status is None:
        return FileBefore(None, archived=True)
    as_seen = item.seen == (status.st_size, status.st_mtime_ns)
    if item.action == "replace" and as_seen:
        return FileBefore(status, item.archived)
    examined = examine(item)
    archived = examined.done is not None and examined.done.md5 in item.former
    moved_on = item.state == "stale" and item.checksum is None and archived
    if examined.done is not None and examined.problem is None and not moved_on:
        return examined.done
    if not archived and examined.sound and not policy.renews_modified:
        raise PersonsOwn(f"it is intact, but not the archive's version: {examined.reason}; {LEFT}", examined.done)
    return FileBefore(status, archived)


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None


def keep_old(path: Path, before: FileBefore, policy: OldBytes, root: Path) -> Path | None:
    """Keep the bytes that a proven file is about to replace; return their new path, or None if nothing must be kept.

    The name stays in place until the new bytes get it, so a kill at any moment loses neither.

    Parameters
    ----------
    path : Path
        The final path of the file.
    before : FileBefore
        The result of `look_before`.
    policy : OldBytes
        The rule for a person's own bytes.
    root : Path
        The destination.
    """
    now = _status(path)
    if now is None or path.is_dir():
        return None
    ours = before.archived and before.still(now)
    if policy.keep is None and (ours or (policy.overwrite_modified and before.still(now))):
        return None
    try:
        copy = _free_name(_place(path, now, policy, root))
        _copy(path, copy, now)
        if policy.keep is None:
            note = {"path": str(path), "bytes": now.st_size, "reason": "replaced by the archive's version"}
            write_own(copy.with_name(copy.name + ".json"), (json.dumps(note, indent=1) + "\n").encode())
        fsync_folder(copy.parent)
    except OSError as error:
        where = policy.keep or root / QUARANTINE
        raise DiskError(f"cannot keep the old bytes in {where}: {error.strerror}; nothing was replaced") from error
    return copy


def _place(path: Path, status: os.stat_result, policy: OldBytes, root: Path) -> Path:
    """Return the path for old bytes; modification time (UTC) and inode tell their version."""
    made = datetime.fromtimestamp(status.st_mtime, UTC).strftime("%Y%m%dT%H%M%S")
    if policy.keep is None:
        return quarantine_of(root) / f"{path.name}.{made}"
    DestinationPlaces(policy.keep).make_folder(policy.keep / made)
    return policy.keep / made / path.name


def _free_name(path: Path) -> Path:
    name, number = path, 1
    while os.path.lexists(name):
        number += 1
        name = path.with_name(f"{path.name}.{number}")
    return name


def _copy(path: Path, copy: Path, status: os.stat_result) -> None:
    """Give bytes a second name; copy them if the file system cannot do that.

    Raises
    ------
    DiskError
        If somebody wrote the file while it was copied.
    """
    try:
        os.link(path, copy, follow_symlinks=False)
        return
    except OSError:
        pass
    unfinished = copy.with_name(f".{copy.name}.copy")
    try:
        unfinished.unlink(missing_ok=True)
        shutil.copy2(path, unfinished, follow_symlinks=False)
        if not unfinished.is_symlink():
            with unfinished.open("rb") as file:
                os.fsync(file.fileno())
        now = _status(path)
        if now is None or _state(now) != _state(status):
            raise DiskError(f"{path} was written while its old bytes were kept; nothing was replaced")
        unfinished.rename(copy)
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
