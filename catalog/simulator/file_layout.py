"""The layout of every made-up file: which extensions it has, how large they are, and so how long the file is.

The length of a file depends on its layout alone. So a million rows can have true sizes before a single file has been
made. The sides of images are an eighth of JWST's, or less.
"""

from __future__ import annotations

from dataclasses import dataclass

BLOCK = 2880
HEADER_BLOCKS = 6
"""How many blocks the primary header has; this is fixed, so that a row's text does not change a file's length."""
SPECTRUM_ROWS = 256
SPECTRUM_ROW_BYTES = 28  # WAVELENGTH, FLUX, FLUX_ERROR as doubles, DQ as a 32-bit integer
MAX_PAD = 9


@dataclass(frozen=True)
class FileLayout:
    """The extensions of one file.

    Attributes
    ----------
    shape : tuple of int
        The shape of the SCI image, in numpy's order; empty for a spectrum.
    spectra : int
        How many EXTRACT1D tables there are.
    raw : bool
        True for unsigned 16-bit counts without ERR and DQ.
    dispersed : bool
        True if the image shows the trace of a spectrum.
    """

    shape: tuple[int, ...]
    spectra: int
    raw: bool
    dispersed: bool

    @property
    def size(self) -> int:
        """The size of the file in bytes, without the data of its ASDF extension."""
        return (HEADER_BLOCKS + 1) * BLOCK + sum(BLOCK + whole_blocks(length) for length in self._lengths())

    def _lengths(self) -> list[int]:
        if self.spectra:
            return [SPECTRUM_ROWS * SPECTRUM_ROW_BYTES] * self.spectra
        pixels = 1
        for axis in self.shape:
            pixels *= axis
        return [2 * pixels] if self.raw else [4 * pixels] * 3


def whole_blocks(length: int) -> int:
    """Round up to whole FITS blocks."""
    return -(-length // BLOCK) * BLOCK


def file_layout(suffix: str, spectral: bool, tso: bool) -> FileLayout:
    """Return the layout of a file with this suffix, for a kind of exposure."""
    if suffix in ("x1d", "x1dints"):
        return FileLayout((), 2 if suffix == "x1dints" else 1, raw=False, dispersed=True)
    plane = (32, 256) if tso and spectral else (48, 48)
    if suffix in ("uncal", "stream"):
        return FileLayout((1, 3, *plane), 0, raw=True, dispersed=spectral)
    if suffix in ("rateints", "calints"):
        return FileLayout((2, *plane), 0, raw=False, dispersed=spectral)
    if suffix == "s3d":
        return FileLayout((8, 16, 16), 0, raw=False, dispersed=False)
    return FileLayout(plane, 0, raw=False, dispersed=spectral)
