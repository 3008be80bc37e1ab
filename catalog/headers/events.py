"""What an index run tells while it works, and its report at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class IndexFailure:
    """A file that could not be read, or not to its end.

    Attributes
    ----------
    path : str
        Absolute.
    hdu : int or None
        Counted from 0; None where the file could not be opened.
    byte : int or None
        Where in the (uncompressed) file.
    reason : str
        One line.
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
        FITS and association files found so far.
    about : int
        How many the catalog knows there; 0 where it knows none.
    """

    files: int
    about: int = 0


@dataclass(frozen=True)
class LinksLeftOut:
    """Links to folders were met, and not followed.

    Attributes
    ----------
    paths : tuple of str
        Where they are.
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
        Those that are new or changed.
    associations : int
        Association files that are to be read besides.
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
        FITS and association files so far, and in all.
    """

    done: int
    total: int


@dataclass(frozen=True)
class FilesIndexed:
    """A batch of files is in the catalog for good.

    Attributes
    ----------
    done, total : int
        Files so far, and in all.
    """

    done: int
    total: int


@dataclass(frozen=True)
class FileMoved:
    """A file was found again at another path; its headers were not read again."""

    path: str
    now: str


Event = IndexFailure | FilesFound | LinksLeftOut | FoldersWalked | FilesRead | FilesIndexed | FileMoved
OnEvent = Callable[[Event], None]


@dataclass(frozen=True)
class IndexReport:
    """What an index run found.

    Attributes
    ----------
    files : int
        FITS files in the folders.
    read : int
        Whose headers were read; the others are unchanged.
    unchanged : int
        Not opened, since size, time and inode are those of the catalog.
    removed : int
        In the catalog, and no longer on disk.
    failed : int
        Could not be opened, or are damaged.
    hdus, cards : int
        Read in this run.
    seconds : float
        It took.
    failures : list of IndexFailure
        What was wrong with the failed ones.
    verified, unverified : int or None
        Of the files whose bytes were read: those with a checksum to compare them with, and those without. None where
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
