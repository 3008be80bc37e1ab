"""Unfinished files: their bytes, the version of which they are, and how they get their final name.

``.NAME.part`` has the bytes, and ``.NAME.part.json`` has their identity. When the bytes are proven and on disk, the
file is renamed to its final name. Until then, whatever has that name stays as it is.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from catalog.errors import DiskError
from catalog.sync.names import identity_path, part_path

try:
    import fcntl
except ImportError:  # on Windows, users must not run two syncs of one folder at once
    fcntl = None  # type: ignore[assignment]

_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_OPEN = os.O_RDWR | os.O_CREAT | getattr(os, "O_NONBLOCK", 0) | _NO_LINK
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK
_LARGEST_NOTE = 1 << 16
_CHUNK = 1 << 20
_WRITE_BACK = 32 << 20
"""Each time so many bytes have come, writing them to disk begins, so that the last fsync does not wait for long."""
QUARANTINE = ".mastlake-quarantine"


@dataclass(frozen=True)
class Identity:
    """One version of one product, as far as it can be identified.

    Parameters
    ----------
    uri : str
        The ``data_uri`` of the product.
    checksum : str or None
        The checksum that the archive listed.
    length : int or None
        The length in bytes.
    etag : str or None
        The strong validator of the answer that had the bytes.
    """

    uri: str
    checksum: str | None = None
    length: int | None = None
    etag: str | None = None

    @classmethod
    def read(cls, final: Path) -> Identity | None:
        """Return the identity of the unfinished bytes for a final path; None if it cannot be read."""
        try:
            note = json.loads(read_own(identity_path(final), _LARGEST_NOTE))
            texts, length = (note["uri"], note["checksum"], note["etag"]), note["length"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        whole = length is None or (type(length) is int and 0 <= length < 1 << 63)
        if not whole or texts[0] is None or not all(text is None or _is_plain(text) for text in texts):
            return None
        return cls(texts[0], texts[1], length, texts[2])

    def continues(self, other: Identity) -> bool:
        """Whether bytes of this version can be the beginning of the other version."""
        if self.uri != other.uri or self.length != other.length:
            return False
        return self.checksum == other.checksum and bool(other.checksum or self.etag)


def _is_plain(text: object) -> bool:
    """Whether something is a text that a header and a table can hold."""
    return isinstance(text, str) and text.isprintable()


class PartialFile:
    """The bytes of one file so far, and their MD5.

    Parameters
    ----------
    final : Path
        The final path of the file; its folder exists.
    wanted : Identity
        The version to fetch; bytes of another version are dropped.
    """

    def __init__(self, final: Path, identity: Identity) -> None:
        self.final = final
        self.path = part_path(final)
        self._file = _open_locked(self.path)
        self.md5 = hashlib.md5(usedforsecurity=False)
        self.size = self._written_back = 0
        before = Identity.read(final)
        self.identity = identity
        if before and before.continues(identity):
            self.identity = before
            self._read_back()
        else:
            os.ftruncate(self._file, 0)
        self.found = self.size

    def _read_back(self) -> None:
        while chunk := os.pread(self._file, _CHUNK, self.size):
            self.md5.update(chunk)
            self.size += len(chunk)
        os.lseek(self._file, self.size, os.SEEK_SET)
        self._written_back = self.size

    def start(self, identity: Identity) -> None:
        """Begin again without bytes; bytes of this identity will come."""
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        self.md5 = hashlib.md5(usedforsecurity=False)
        self.size = self._written_back = 0
        self.identity = identity
        write_own(identity_path(self.final), json.dumps(asdict(identity)).encode())

    def write(self, chunk: bytes | memoryview) -> None:
        """Append bytes."""
        view = memoryview(chunk)
        while view:
            view = view[os.write(self._file, view) :]
        self.md5.update(chunk)
        self.size += len(chunk)
        if self.size - self._written_back >= _WRITE_BACK:
            self._write_back()

    def _write_back(self) -> None:
        """Let the kernel begin to write the bytes that came since the last call.

        Python has no sync_file_range. On Linux, the advice that pages are not needed makes the kernel begin to write
        those that are dirty, and it keeps them.
        """
        if hasattr(os, "posix_fadvise"):
            since = self._written_back
            with suppress(OSError):  # advice may fail
                os.posix_fadvise(self._file, since, self.size - since, os.POSIX_FADV_DONTNEED)
        self._written_back = self.size

    def head(self, count: int) -> bytes:
        """Return the first bytes of the file."""
        return os.pread(self._file, count, 0)

    def fileno(self) -> int:
        """Return the descriptor of the open file, for reading at offsets."""
        return self._file

    def digest(self) -> str:
        """Return the MD5 of the bytes so far."""
        return self.md5.hexdigest()

    def flush(self) -> None:
        """Wait until the bytes are on disk."""
        os.fsync(self._file)

    def finish(self) -> os.stat_result:
        """Give the proven bytes, once they are on disk, their final name, and return the status of the file.

        The name itself is on disk only after `fsync_folder`, which several files can share.
        """
        self.flush()
        self.path.replace(self.final)
        identity_path(self.final).unlink(missing_ok=True)
        return os.fstat(self._file)

    def quarantine(self, root: Path, reason: str) -> Path | None:
        """Move wrong bytes to the quarantine, with a note that says why; return None if there are no bytes."""
        if self.size == 0:
            return None
        folder = quarantine_of(root)
        os.fsync(self._file)
        put_aside = folder / f"{self.final.name}.{self.digest()[:8]}"
        self.path.replace(put_aside)
        identity_path(self.final).unlink(missing_ok=True)
        note = {**asdict(self.identity), "md5": self.digest(), "bytes": self.size, "reason": reason}
        write_own(put_aside.with_name(put_aside.name + ".json"), (json.dumps(note, indent=1) + "\n").encode())
        return put_aside

    def discard(self) -> None:
        """Remove the bytes and their identity."""
        identity_path(self.final).unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; its bytes stay for the next time. An empty file is removed."""
        if self._file < 0:
            return
        if self.size == 0 and self.path.exists() and os.fstat(self._file).st_ino == self.path.lstat().st_ino:
            self.discard()
        os.close(self._file)
        self._file = -1


def remove_leftovers(final: Path) -> None:
    """Remove an unfinished file and its note, if the file is ours and no other sync uses it."""
    if Identity.read(final) is None:
        return
    try:
        file = _open_locked(part_path(final)) if os.path.lexists(part_path(final)) else None
    except (DiskError, OSError):
        return
    with suppress(OSError):
        identity_path(final).unlink(missing_ok=True)
        part_path(final).unlink(missing_ok=True)
    if file is not None:
        os.close(file)


def quarantine_of(root: Path) -> Path:
    """Make the folder of a destination in which bytes are put aside, and return it.

    Raises
    ------
    DiskError
        If a link or a file has its name.
    """
    folder = root / QUARANTINE
    with suppress(FileExistsError):
        folder.mkdir()
    if folder.is_symlink() or not folder.is_dir():
        raise DiskError(f"{folder} is a link or no folder; remove it, bytes are put aside there")
    return folder


def put_aside(root: Path) -> frozenset[str]:
    """List the files in the quarantine."""
    folder = root / QUARANTINE
    return frozenset(path.name for path in folder.iterdir()) if folder.is_dir() else frozenset()


def write_own(path: Path, content: bytes) -> None:
    """Write a small file of our own, whatever has its name now: a link is removed, and its target not written."""
    path.unlink(missing_ok=True)
    file = os.open(path, _NEW, 0o666)
    try:
        os.write(file, content)
    finally:
        os.close(file)


def read_own(path: Path, most: int) -> bytes:
    """Read a small file of our own. Only a regular file is read: no link and no named pipe.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    file = os.open(path, os.O_RDONLY | _NO_LINK | getattr(os, "O_NONBLOCK", 0))
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(f"{path} is no regular file")
        return os.read(file, most)
    finally:
        os.close(file)


def _open_locked(path: Path) -> int:
    """Open an unfinished file for this process alone.

    Another sync may have renamed the file while we waited for its lock. So the path is looked at again: it must still
    be the file that is locked. And the file must have no other name, through which somebody else could change its
    bytes.
    """
    while True:
        try:
            file = os.open(path, _OPEN, 0o666)
        except OSError as error:
            if path.is_symlink() or path.is_dir() or path.exists():
                raise DiskError(f"{path} is a link, a folder or unreadable; remove it") from error
            raise
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                os.close(file)
                raise DiskError(f"{path} is no regular file; remove it")
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and status.st_ino == path.lstat().st_ino:
                if status.st_nlink == 1:
                    return file
                path.unlink()
        except BlockingIOError:
            os.close(file)
            raise DiskError(f"another sync is fetching {path.name[1:-5]}; leave it to that one") from None
        os.close(file)


def fsync_folder(folder: Path) -> None:
    """Write the names in a folder to disk for good."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
