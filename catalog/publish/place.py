"""Where a publisher puts files: the steps are the same for a folder and for a bucket."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from catalog.publish.manifest import Manifest

PARTIAL = ".partial-"
"""How the names of unfinished files begin; the next publisher removes them."""


@dataclass(frozen=True)
class Entry:
    """A file, or a folder of files, that is at a place.

    Attributes
    ----------
    name : str
        Its name, without folders.
    modified : float
        When it was put there, in seconds since 1970.
    """

    name: str
    modified: float


class Place(Protocol):
    """A folder, or a prefix in a bucket, into which one publisher at a time puts files that never change."""

    @property
    def name(self) -> str:
        """The place as it is told to the user, without a slash at the end."""

    def alone(self) -> AbstractContextManager[None]:
        """Keep other publishers out; every fault of the place within is one line.

        Raises
        ------
        CatalogLocked
            If another process is publishing there.
        """

    def newest(self) -> Manifest | None:
        """Return the manifest that ``LATEST`` points to; None if nothing was published there."""

    def entries(self) -> list[Entry]:
        """Return what is there."""

    def has_all_of(self, folder: str) -> bool:
        """Say whether a folder of files is there, and whole."""

    def has(self, name: str, sha256: str, md5: str) -> bool:
        """Say whether a file is there with these checksums; which of them is compared depends on the place."""

    def draft(self, name: str) -> Path:
        """Return a path on this disk at which a file or folder can be made before it is put there."""

    def at_hand(self, name: str) -> Path | None:
        """Return the path of a file that is there, if this machine can open it."""

    def put(self, draft: Path, name: str, same: Mapping[str, str] | None = None) -> None:
        """Give a finished file or folder its name, and prove that it arrived.

        Parameters
        ----------
        draft : Path
            The file or folder on this disk.
        name : str
            The name that it gets.
        same : mapping, optional
            For paths in the folder, the name of a file that is at the place already and should have the same bytes.
            Such a file is not written again. If there is no file at the path in the draft, `has` was asked before.

        Raises
        ------
        CatalogLocked
            If a file that is at the place already is gone meanwhile, or is another one.
        """

    def write(self, name: str, content: bytes) -> None:
        """Put a small file there."""

    def read(self, name: str) -> bytes:
        """Return the content of a small file; it is empty if there is none."""

    def point(self, manifest: Manifest) -> None:
        """Let ``LATEST`` name a manifest, at one moment, unless another publisher has moved it meanwhile."""

    def index_lists(self) -> None:
        """Write down which lists of shared files are there, for readers who cannot see it themselves."""

    def remove(self, name: str) -> None:
        """Remove a file, or a folder of files; it need not be there."""
