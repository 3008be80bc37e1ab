"""Events that an index run sends while it works, and its report at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class IndexFailure:
    """A file that could not be read completely.

    Attributes
    ----------
    path : str
        The absolute path.
    hdu : int or None
        The number of the HDU, from 0; None if the file could not be opened.
    byte : int or None
        The position in the (uncompressed) file.
    reason : str
        The reason in one line.
    """

    path: str
    hdu: int | None
    byte: int | None
    reason: str


@dataclass(frozen=True)
class FilesFound:
    """The folders are being listed.

    Attributes
    ----------
    files : int
        How many FITS and association files were found so far.
    about : int
        How many files the catalog knows there; 0 if it knows none.
    """

    files: int
    about: int = 0


@dataclass(frozen=True)
class LinksLeftOut:
    """Links to folders were found, and not followed.

    Attributes
    ----------
    paths : tuple of str
        The paths of the links.
    """

    paths: tuple[str, ...]


@dataclass(frozen=True)
class FoldersWalked:
    """The folders were listed and compared with the catalog.

    Attributes
    ----------
    files : int
        FITS files found.
    to_read : int
        How many of them are new or changed.
    associations : int
        How many association files must be read as well.
    """

    files: int
    to_read: int
    associations: int = 0


@dataclass(frozen=True)
class FilesRead:
    """Files were read, and will be in the catalog soon.

    Attributes
    ----------
    done, total : int
        How many FITS and association files were read so far, and how many there are to read.
    """

    done: int
    total: int


@dataclass(frozen=True)
class FilesIndexed:
    """A batch of files is in the catalog for good.

    Attributes
    ----------
    done, total : int
        How many files are stored so far, and how many in all.
    """

    done: int
    total: int


@dataclass(frozen=True)
class FileMoved:
    """A file was found at another path than before; its headers were not read again."""

    path: str
    now: str


Event = IndexFailure | FilesFound | LinksLeftOut | FoldersWalked | FilesRead | FilesIndexed | FileMoved
OnEvent = Callable[[Event], None]


@dataclass(frozen=True)
class IndexReport:
    """The result of an index run.

    Attributes
    ----------
    files : int
        How many FITS files are in the folders.
    read : int
        How many had their headers read; the others are unchanged.
    unchanged : int
        How many were not opened, since size, time and inode are those in the catalog.
    removed : int
        How many are in the catalog, and no longer on disk.
    failed : int
        How many could not be opened, or are damaged.
    hdus, cards : int
        How many were read in this run.
    seconds : float
        How long the run took.
    failures : list of IndexFailure
        The failed files, each with its reason.
    verified, unverified : int or None
        How many of the files whose bytes were read have a checksum to compare with, and how many have none. None if
        the bytes were not read.
    """

    files: int = 0
    read: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: int = 0
    hdus: int = 0
    cards: int = 0
    seconds: float = 0.0
    failures: list[IndexFailure] = field(default_factory=list)
    verified: int | None = None
    unverified: int | None = None
