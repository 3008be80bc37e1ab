"""Open a FITS file for drawing: the HDUs that are sound, and a line for everything that is left out."""

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
    """A part of a file cannot be read; the text says why, in one line."""


@dataclass
class OpenFits:
    """An open file.

    Attributes
    ----------
    path : Path
        The path of the file.
    hdus : list of HDU
        The HDUs whose structure is sound, the primary one first.
    left_out : list of str
        The parts that are not drawn, such as damaged HDUs, each with its reason.
    numbers : list of int
        The numbers of ``hdus`` in the file.
    """

    path: Path
    hdus: list[Any] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)

    def leave_out(self, hdu: Any, reason: object) -> None:
        """Note an HDU that is not drawn."""
        self.left_out.append(f"HDU {hdu_name(hdu) or 'without a name'}: {reason}")

    def named(self, name: str) -> Any:
        """Return the HDU with a name or number; None if there is none."""
        if name.isdecimal() and len(name) < 10:
            return dict(zip(self.numbers, self.hdus, strict=True)).get(int(name))
        return next((hdu for hdu in self.hdus if hdu_name(hdu).upper() == name.upper()), None)

    def nothing(self, instead: str) -> DiskError | UsageError:
        """Return the error to raise if nothing could be drawn: what is wrong, or what the file has instead."""
        if self.left_out:
            return DiskError(f"cannot read {self.path} as FITS: {self.left_out[0]}")
        return UsageError(instead)


def check_regular(path: Path) -> None:
    """Refuse a path that is not a file with bytes in it.

    Raises
    ------
    UsageError
        If it is a folder.
    DiskError
        If it is anything else, or the path cannot be read.
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
    """Open a file, and read all of its HDUs that are sound.

    Raises
    ------
    UsageError
        If the path is a folder.
    DiskError
        If it cannot be read, or none of its HDUs is sound.
    """
    from astropy.io import fits

    check_regular(path)
    opened = OpenFits(path)
    sound = _sound_hdus(opened)
    with warnings.catch_warnings(), path.open("rb") as file:  # after an error, astropy would not close it
        warnings.simplefilter("ignore")  # small faults against the standard do not matter here
        with reading_file(path):
            hdus = fits.open(file, memmap=False, lazy_load_hdus=True)
        with hdus:
            for number in range(max(sound) + 1):
                try:
                    with reading_contents():
                        hdu = hdus[number]
                except Unreadable as error:
                    opened.left_out.append(f"HDU {number}: {error}")
                    break
                if number in sound:
                    opened.hdus.append(hdu)
                    opened.numbers.append(number)
            if not opened.hdus:
                raise opened.nothing(f"{path} has nothing to draw")
            yield opened


def _sound_hdus(opened: OpenFits) -> set[int]:
    """Return the numbers of the HDUs without harm, and note the harm of the others."""
    with reading_file(opened.path):
        scan, _ = scan_file(str(opened.path), careful=True)
    harm: dict[int, str] = {}
    for finding in scan.findings:
        if finding.harm:
            harm.setdefault(finding.hdu, finding.reason)
    opened.left_out += [f"HDU {hdu}: {reason}" for hdu, reason in sorted(harm.items())]
    sound = set(range(len(scan.headers))) - harm.keys()
    if not sound:
        raise opened.nothing(f"{opened.path} has no HDU")
    return sound


@contextmanager
def reading_file(path: Path) -> Iterator[None]:
    """Turn an error of the disk, or of astropy, into one line about the file."""
    try:
        with reading_contents():
            yield
    except Unreadable as error:
        raise DiskError(f"cannot read {path} as FITS: {error}") from error


@contextmanager
def reading_contents() -> Iterator[None]:
    """Turn any error of astropy about the contents of a file into one line.

    For a malformed header astropy raises errors of many classes, so all are caught. Only astropy's code may run inside.
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
    """Return the name of an HDU as text; empty if none can be read."""
    try:
        with reading_contents():
            return str(hdu.name or "")
    except Unreadable:
        return ""


def hdu_version(hdu: Any) -> int:
    """Return the version of an HDU (EXTVER); 1 if none can be read."""
    try:
        with reading_contents():
            return int(hdu.ver)
    except Unreadable:
        return 1


def image_shape(hdu: Any) -> tuple[int, ...]:
    """Return the axes of an image; an empty tuple if no image can be read."""
    try:
        with reading_contents():
            return tuple(int(length) for length in hdu.shape) if hdu.is_image else ()
    except Unreadable:
        return ()
