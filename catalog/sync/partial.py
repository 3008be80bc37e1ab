"""Unfinished files: their bytes, which version they are of, and how they become final.

``.NAME.part`` holds the bytes and ``.NAME.part.json`` their identity. The final name appears by a rename, after
the bytes are proven and on disk; until then whatever had that name stays as it was.
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
except ImportError:  # Windows: two syncs of one folder are then the user's care
    fcntl = None  # type: ignore[assignment]

_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_OPEN = os.O_RDWR | os.O_CREAT | getattr(os, "O_NONBLOCK", 0) | _NO_LINK
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK
_LARGEST_NOTE = 1 << 16
_CHUNK = 1 << 20
_WRITE_BACK = 32 << 20
"""So many bytes at a time go to the disk while more come, so that the last fsync has little left to wait for."""
QUARANTINE = ".mastlake-quarantine"


@dataclass(frozen=True)
class Identity:
    """One version of one product, as far as it can be told.

    Parameters
    ----------
    uri : str
        Its ``data_uri``.
    checksum : str or None
        What the archive listed.
    length : int or None
        In bytes.
    etag : str or None
        The strong validator of the answer that the bytes came from.
    """

    uri: str
    checksum: str | None = None
    length: int | None = None
    etag: str | None = None

    @classmethod
    def read(cls, final: Path) -> Identity | None:
        """What the unfinished bytes for a final path are of; None where that cannot be read."""
        try:
            kept = json.loads(read_own(identity_path(final), _LARGEST_NOTE))
            texts, length = (kept["uri"], kept["checksum"], kept["etag"]), kept["length"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        whole = length is None or (type(length) is int and 0 <= length < 1 << 63)
        if not whole or texts[0] is None or not all(text is None or _is_plain(text) for text in texts):
            return None
        return cls(texts[0], texts[1], length, texts[2])

    def continues(self, wanted: Identity) -> bool:
        """Whether bytes of this version may be the start of the wanted one."""
        if self.uri != wanted.uri or self.length != wanted.length:
            return False
        return self.checksum == wanted.checksum and bool(wanted.checksum or self.etag)


def _is_plain(text: object) -> bool:
    """Whether something is a text that a header and a table can hold."""
    return isinstance(text, str) and text.isprintable()


class Part:
    """The bytes of one file so far, and their MD5.

    Parameters
    ----------
    final : Path
        What they will be; its folder exists.
    wanted : Identity
        The version that is to be fetched; bytes of another are dropped.
    """

    def __init__(self, final: Path, wanted: Identity) -> None:
        self.final = final
        self.path = part_path(final)
        self._file = _open_locked(self.path)
        self.md5 = hashlib.md5(usedforsecurity=False)
        self.size = self._written_back = 0
        known = Identity.read(final)
        self.identity = wanted
        if known and known.continues(wanted):
            self.identity = known
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
        """Begin again from nothing, with bytes of this identity to come."""
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
        """Let the kernel begin to write what came since the last time.

        Python has no sync_file_range. On Linux, advice that pages are not needed begins to write those that are dirty,
        and keeps them.
        """
        if hasattr(os, "posix_fadvise"):
            since = self._written_back
            with suppress(OSError):  # it is only advice
                os.posix_fadvise(self._file, since, self.size - since, os.POSIX_FADV_DONTNEED)
        self._written_back = self.size

    def head(self, count: int) -> bytes:
        """Return the first bytes."""
        return os.pread(self._file, count, 0)

    def fileno(self) -> int:
        """Return the open file's number, for reading at offsets."""
        return self._file

    def digest(self) -> str:
        """Return the MD5 of the bytes so far."""
        return self.md5.hexdigest()

    def flush(self) -> None:
        """Wait until the bytes are on disk."""
        os.fsync(self._file)

    def finish(self) -> os.stat_result:
        """Put the proven bytes, once they are on disk, under their final name, and return what is there now.

        The name itself is on disk after `fsync_folder`; many can share one.
        """
        self.flush()
        self.path.replace(self.final)
        identity_path(self.final).unlink(missing_ok=True)
        return os.fstat(self._file)

    def quarantine(self, root: Path, reason: str) -> Path | None:
        """Put bytes that are not what they should be out of the way, with a note why; None: there are none."""
        if self.size == 0:
            return None
        folder = quarantine_of(root)
        os.fsync(self._file)
        kept = folder / f"{self.final.name}.{self.digest()[:8]}"
        self.path.replace(kept)
        identity_path(self.final).unlink(missing_ok=True)
        note = {**asdict(self.identity), "md5": self.digest(), "bytes": self.size, "reason": reason}
        write_own(kept.with_name(kept.name + ".json"), (json.dumps(note, indent=1) + "\n").encode())
        return kept

    def discard(self) -> None:
        """Remove the bytes and their identity."""
        identity_path(self.final).unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file; its bytes stay for the next time. An empty one is removed."""
        if self._file < 0:
            return
        if self.size == 0 and self.path.exists() and os.fstat(self._file).st_ino == self.path.lstat().st_ino:
            self.discard()
        os.close(self._file)
        self._file = -1


def sweep(final: Path) -> None:
    """Remove what is left of an unfinished file, if it is ours and no other sync has it."""
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
    """Make the folder of a destination where bytes are put aside, and return it.

    Raises
    ------
    DiskError
        Where there is a link or a file instead.
    """
    folder = root / QUARANTINE
    with suppress(FileExistsError):
        folder.mkdir()
    if folder.is_symlink() or not folder.is_dir():
        raise DiskError(f"{folder} is a link or no folder; remove it, bytes are put aside there")
    return folder


def put_aside(root: Path) -> frozenset[str]:
    """List what is in quarantine."""
    folder = root / QUARANTINE
    return frozenset(path.name for path in folder.iterdir()) if folder.is_dir() else frozenset()


def write_own(path: Path, content: bytes) -> None:
    """Write a small file of our own, whatever has its name: a link there is removed and not written through."""
    path.unlink(missing_ok=True)
    file = os.open(path, _NEW, 0o666)
    try:
        os.write(file, content)
    finally:
        os.close(file)


def read_own(path: Path, most: int) -> bytes:
    """Read a small file of our own; what is no regular file, such as a link or a named pipe, is not read.

    Raises
    ------
    OSError
        Where it cannot be read.
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
    be the file that is locked, and must have no other name, under which its bytes would change as well.
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
    """Make the names in a folder last."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
