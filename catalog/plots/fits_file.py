"""Open a FITS file for drawing: what is sound of it, and a line for everything that is left out."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any

from catalog.errors import DiskError, UsageError
from catalog.fits.scan import scan_file


class Unreadable(Exception):
    """A part of a file cannot be read; its text says why, in a line."""


@dataclass
class OpenFits:
    """An open file.

    Attributes
    ----------
    path : Path
        Where it is.
    hdus : list of HDU
        Those whose structure is sound, the primary one first.
    left_out : list of str
        What is wrong with the others, and whatever else is not drawn.
    numbers : list of int
        Of ``hdus``, as they are counted in the file.
    """

    path: Path
    hdus: list[Any] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)

    def leave_out(self, hdu: Any, reason: object) -> None:
        """Note an HDU that is not drawn."""
        self.left_out.append(f"HDU {hdu_name(hdu) or 'without a name'}: {reason}")

    def named(self, wanted: str) -> Any:
        """Return the HDU of a name or number; None where there is none."""
        if wanted.isdecimal() and len(wanted) < 10:
            return dict(zip(self.numbers, self.hdus, strict=True)).get(int(wanted))
        return next((one for one in self.hdus if hdu_name(one).upper() == wanted.upper()), None)

    def nothing(self, instead: str) -> DiskError | UsageError:
        """Return what to say where nothing could be drawn: what is wrong, or what the file has instead."""
        if self.left_out:
            return DiskError(f"cannot read {self.path} as FITS: {self.left_out[0]}")
        return UsageError(instead)


def check_regular(path: Path) -> None:
    """Refuse what is no file with bytes in it.

    Raises
    ------
    UsageError
        For a folder.
    DiskError
        For anything else, and where the path cannot be looked at.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise DiskError(f"cannot read {path}: {error.strerror}") from error
    if S_ISDIR(mode):
        raise UsageError(f"{path} is a folder; plot draws one file of it")
    if not S_ISREG(mode):
        raise DiskError(f"cannot read {path}: it is not a regular file")


@contextmanager
def open_fits(path: Path) -> Iterator[OpenFits]:
    """Open a file, and read as many of its HDUs as are sound.

    Raises
    ------
    UsageError
        For a folder.
    DiskError
        If it cannot be read, or no HDU of it is sound.
    """
    from astropy.io import fits

    check_regular(path)
    found = OpenFits(path)
    sound = _sound(found)
    with warnings.catch_warnings(), path.open("rb") as file:  # astropy would not close it after an error
        warnings.simplefilter("ignore")  # breaking the standard a little is not in the way
        with reading_file(path):
            hdus = fits.open(file, memmap=False, lazy_load_hdus=True)
        with hdus:
            for number in range(max(sound) + 1):
                try:
                    with reading_contents():
                        one = hdus[number]
                except Unreadable as error:
                    found.left_out.append(f"HDU {number}: {error}")
                    break
                if number in sound:
                    found.hdus.append(one)
                    found.numbers.append(number)
            if not found.hdus:
                raise found.nothing(f"{path} has nothing to draw")
            yield found


def _sound(found: OpenFits) -> set[int]:
    """Return the numbers of the HDUs without harm, and note the harm of the others."""
    with reading_file(found.path):
        scan, _ = scan_file(str(found.path), careful=True)
    harm: dict[int, str] = {}
    for one in scan.findings:
        if one.harm:
            harm.setdefault(one.hdu, one.reason)
    found.left_out += [f"HDU {hdu}: {reason}" for hdu, reason in sorted(harm.items())]
    sound = set(range(len(scan.headers))) - harm.keys()
    if not sound:
        raise found.nothing(f"{found.path} has no HDU")
    return sound


@contextmanager
def reading_file(path: Path) -> Iterator[None]:
    """Turn an error of the disk, or of astropy, into a line about the file."""
    try:
        with reading_contents():
            yield
    except Unreadable as error:
        raise DiskError(f"cannot read {path} as FITS: {error}") from error


@contextmanager
def reading_contents() -> Iterator[None]:
    """Turn any error of astropy's about what is in a file into one line.

    A malformed header makes it raise errors of many classes, so all are taken. Nothing else may be done within.
    """
    try:
        yield
    except Unreadable:
        raise
    except OSError as error:
        raise Unreadable(error.strerror or _line(error)) from error
    except MemoryError as error:
        raise Unreadable("it is larger than the memory") from error
    except Exception as error:
        raise Unreadable(f"astropy cannot read it: {_line(error)} ({type(error).__name__})") from error


def _line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def hdu_name(hdu: Any) -> str:
    """Return the name of an HDU as text; empty where it has none that can be read."""
    try:
        with reading_contents():
            return str(hdu.name or "")
    except Unreadable:
        return ""


def hdu_version(hdu: Any) -> int:
    """Return the version of an HDU (EXTVER), 1 where none can be read."""
    try:
        with reading_contents():
            return int(hdu.ver)
    except Unreadable:
        return 1


def image_shape(hdu: Any) -> tuple[int, ...]:
    """Return the axes of an image; none where there is no image that can be read."""
    try:
        with reading_contents():
            return tuple(int(length) for length in hdu.shape) if hdu.is_image else ()
    except Unreadable:
        return ()
