"""Unfinished files: their bytes, which version they are of, and how they become final.

``.NAME.part`` holds the bytes and ``.NAME.part.json`` their identity. The final name appears by a rename, after
the bytes are proven and on disk; until then whatever had that name stays as it was.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from catalog.errors import DiskError
from catalog.sync.names import identity_path, part_path

try:
    import fcntl
except ImportError:  # Windows: two syncs of one folder are then the user's care
    fcntl = None  # type: ignore[assignment]

_OPEN = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
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
            with identity_path(final).open(encoding="utf-8") as file:
                kept = json.loads(file.read(1 << 16))
            return cls(str(kept["uri"]), kept["checksum"], kept["length"], kept["etag"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def continues(self, wanted: Identity) -> bool:
        """Whether bytes of this version may be the start of the wanted one."""
        if self.uri != wanted.uri or self.length != wanted.length:
            return False
        return self.checksum == wanted.checksum and bool(wanted.checksum or self.etag)


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
        kept = identity_path(self.final)
        note = os.open(kept, _OPEN | os.O_TRUNC, 0o666)
        try:
            os.write(note, json.dumps(asdict(identity)).encode())
        finally:
            os.close(note)

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

    def finish(self) -> os.stat_result:
        """Put the proven bytes, once they are on disk, under their final name, and return what is there now.

        The name itself is on disk after `fsync_folder`; many can share one.
        """
        os.fsync(self._file)
        self.path.replace(self.final)
        identity_path(self.final).unlink(missing_ok=True)
        return os.fstat(self._file)

    def quarantine(self, root: Path, reason: str) -> Path | None:
        """Put bytes that are not what they should be out of the way, with a note why; None: there are none."""
        if self.size == 0:
            return None
        folder = root / QUARANTINE
        folder.mkdir(exist_ok=True)
        os.fsync(self._file)
        kept = folder / f"{self.final.name}.{self.digest()[:8]}"
        self.path.replace(kept)
        identity_path(self.final).unlink(missing_ok=True)
        note = {**asdict(self.identity), "md5": self.digest(), "bytes": self.size, "reason": reason}
        kept.with_name(kept.name + ".json").write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")
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


def put_aside(root: Path) -> frozenset[str]:
    """List what is in quarantine."""
    folder = root / QUARANTINE
    return frozenset(path.name for path in folder.iterdir()) if folder.is_dir() else frozenset()


def _open_locked(path: Path) -> int:
    """Open an unfinished file for this process alone.

    Who waited for another sync's lock may hold a file that has its final name by now, so the name is read again.
    """
    while True:
        try:
            file = os.open(path, _OPEN, 0o666)
        except OSError as error:
            if path.is_symlink():
                raise DiskError(f"{path} is a link; remove it") from error
            raise
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.fstat(file).st_ino == path.lstat().st_ino:
                return file
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
