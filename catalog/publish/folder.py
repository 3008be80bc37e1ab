"""A folder into which catalogs are published."""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from catalog.errors import CatalogLocked, DiskError, NotACatalog
from catalog.publish.manifest import LATEST, Manifest, named_by, no_manifest, parse_manifest, sha256_of
from catalog.publish.place import PARTIAL, Entry
from catalog.store.turns import LockWait, StillHeld, held

_LOCK = ".publishing"


class PublishingFolder:
    """A folder as a place to publish.

    Parameters
    ----------
    folder : Path
        The folder; it is made if it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def name(self) -> str:
        """The folder."""
        return str(self._folder)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock file of the folder."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with _locked(self._folder):
                yield
        except NotACatalog:
            raise
        except OSError as error:
            raise DiskError(f"cannot publish into {self._folder}: {error.strerror or error}") from error

    def newest(self) -> Manifest | None:
        """Return the manifest that ``LATEST`` points to."""
        return newest_in(self._folder)

    def entries(self) -> list[Entry]:
        """Return what is in the folder."""
        return [Entry(path.name, path.lstat().st_mtime) for path in self._folder.iterdir()]

    def has_all_of(self, folder: str) -> bool:
        """Say whether a folder has its name: it gets it when it is whole."""
        return (self._folder / folder).exists()

    def has(self, name: str, sha256: str, md5: str) -> bool:
        """Compare the SHA-256 of a file."""
        path = self._folder / name
        try:
            return not path.is_symlink() and sha256_of(path) == sha256
        except OSError:
            return False

    def draft(self, name: str) -> Path:
        """Return a path in the folder, so that a rename suffices; a relative one could look like an address."""
        return self._folder.absolute() / f"{PARTIAL}{os.getpid()}.{name}"

    def at_hand(self, name: str) -> Path | None:
        """Return the path of a file."""
        return self._folder / name

    def put(self, draft: Path, name: str, same: Mapping[str, str] | None = None) -> None:
        """Rename a file or folder that was made here; a file that an older run has too becomes a link to it."""
        for path, older in (same or {}).items():
            _share(draft / path, self._folder / older)
        draft.rename(self._folder / name)

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole, and wait until it is on disk."""
        partial = self.draft(name)
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._folder / name)
        handle = os.open(self._folder, os.O_RDONLY)
        try:
            with suppress(OSError):  # some file systems cannot sync a folder
                os.fsync(handle)
        finally:
            os.close(handle)

    def read(self, name: str) -> bytes:
        """Return the content of a file; it is empty if there is none."""
        try:
            return (self._folder / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return b""

    def point(self, manifest: Manifest) -> None:
        """Replace ``LATEST`` by a rename; the lock keeps other publishers away."""
        self.write(LATEST, f"{manifest.name}\n".encode())

    def index_lists(self) -> None:
        """Do nothing: whoever reads the folder sees which lists there are."""

    def remove(self, name: str) -> None:
        """Remove a file or a folder."""
        path = self._folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def newest_in(folder: Path) -> Manifest | None:
    """Return the manifest that ``LATEST`` of a folder points to; None if nothing was published there.

    Raises
    ------
    NotACatalog
        If the pointer or the manifest is not as mastlake writes it.
    OSError
        If the manifest cannot be read.
    """
    try:
        with (folder / LATEST).open("rb") as file:
            name = named_by(file.read(200), str(folder))
    except FileNotFoundError:
        return None
    try:
        with (folder / name).open("rb") as file:
            return parse_manifest(file.read(1 << 20), name, str(folder))
    except FileNotFoundError:
        raise no_manifest(name, str(folder)) from None


def _share(path: Path, older: Path) -> None:
    """Replace a file by a hard link to an older one, if their bytes are the same and the file system has links.

    A file that does not exist becomes a link, or else a copy.
    """
    if not path.exists():
        try:
            os.link(older, path)
        except OSError:
            shutil.copyfile(older, path)
        return
    link = path.with_name(f"{path.name}.link")
    with suppress(OSError):
        if filecmp.cmp(path, older, shallow=False) and not older.is_symlink():
            os.link(older, link)
            link.replace(path)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    lock = held(folder / _LOCK, LockWait(0), "another publisher")
    try:
        lock.__enter__()
    except StillHeld:
        raise CatalogLocked(f"another mastlake is publishing into {folder}; try again when it is done") from None
    try:
        yield
    finally:
        lock.__exit__(None, None, None)
