"""Small valid FITS files in the style of JWST's, made from keyword rows when they are asked for.

A file has the same bytes whenever it is made from the same row. Its primary header has the keywords of the row. Then
come SCI, ERR and DQ images or EXTRACT1D tables, and an ASDF table whose length and contents change with every version,
so that bytes of two versions that are joined never have the digest of either.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

from catalog.simulator.file_layout import (
    BLOCK,
    HEADER_BLOCKS,
    SPECTRUM_ROW_BYTES,
    SPECTRUM_ROWS,
    FileLayout,
    file_layout,
)

CARD = 80
_ARCHIVE_ONLY = {
    "ArchiveFileID", "fileSetName", "productLevel", "fileSize", "checksum", "FileTypeID", "isRestricted", "isItar",
    "isStale", "FileSetId", "dataURI", "isJitter", "ingestStartDate", "ingestCompletionDate", "publicReleaseDate",
    "s_region",
}  # fmt: skip
_ZERO_FILLED = {"program": 5, "observtn": 3, "visit": 3}
_AS_TEXT = {"seq_id", "exposure", "cont_id"}
_FIRST = ("date", "origin", "timesys", "filename", "datamodl", "telescop")

Pixels = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Body:
    """The bytes of a file as pieces with numbers of repetitions, so that a large file needs no memory.

    Examples
    --------
    >>> body = Body(((b"ab", 3), (b"c", 1)))
    >>> body.size, b"".join(body.read(1, 6))
    (7, b'babab')
    """

    pieces: tuple[tuple[bytes, int], ...]

    @property
    def size(self) -> int:
        """The size in bytes."""
        return sum(len(piece) * times for piece, times in self.pieces)

    @property
    def memory(self) -> int:
        """The bytes in memory, where each piece is held once."""
        return sum(len(piece) for piece, _ in self.pieces)

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from start up to stop."""
        at = 0
        for piece, times in self.pieces:
            length = len(piece) * times
            if at < stop and at + length > start:
                yield from _repeated(piece, max(0, start - at), min(length, stop - at))
            at += length

    def digest(self) -> str:
        """Return the MD5 of all bytes, as the archive's ``checksum`` gives it."""
        md5 = hashlib.md5(usedforsecurity=False)
        for chunk in self.read(0, self.size):
            md5.update(chunk)
        return md5.hexdigest()


class BodyCache:
    """Files that were made lately; the oldest are dropped when there are too many bytes."""

    def __init__(self, budget_bytes: int) -> None:
        self._budget = budget_bytes
        self._kept: dict[tuple[str, int, int], Body] = {}
        self._held = 0

    def get(self, key: tuple[str, int, int]) -> Body | None:
        """Return a file by table, number and version, or None."""
        return self._kept.get(key)

    def keep(self, key: tuple[str, int, int], body: Body) -> None:
        """Keep a file."""
        if key in self._kept:
            return
        self._kept[key] = body
        self._held += body.memory
        while self._held > self._budget:
            self._held -= self._kept.pop(next(iter(self._kept))).memory


def _repeated(piece: bytes, start: int, stop: int) -> Iterator[bytes]:
    """Yield a part of a piece that is repeated without end, some hundred kilobytes at a time."""
    times = max(1, 262_144 // len(piece))
    large = piece * times if stop - start > len(piece) else piece
    while start < stop:
        offset = start % len(large)
        chunk = large[offset : offset + stop - start]
        yield chunk
        start += len(chunk)


@lru_cache(maxsize=20_000, typed=True)
def card(keyword: str, value: object, comment: str = "") -> bytes:
    """Return one 80-byte card, or several for a long string (FITS standard 4.0, section 4.2.1.2)."""
    if isinstance(value, str):
        text = "'" + value.replace("'", "''").ljust(8) + "'"
        if len(text) > CARD - 10:
            return _long_string(keyword, value)
        text = text.ljust(20)
    elif isinstance(value, bool):
        text = f"{'T' if value else 'F':>20}"
    elif isinstance(value, float):
        text = f"{repr(value).upper():>20}"
    else:
        text = f"{value:>20}"
    line = f"{keyword:<8}= {text}"
    if comment and len(line) + 3 < CARD:
        line += f" / {comment}"
    return line[:CARD].ljust(CARD).encode("ascii", "replace")


def _long_string(keyword: str, value: str) -> bytes:
    parts = [value[at : at + 30] for at in range(0, len(value), 30)]
    lines = []
    for place, part in enumerate(parts):
        more = "&" if place < len(parts) - 1 else ""
        head = f"{keyword:<8}= " if place == 0 else "CONTINUE  "
        lines.append((head + "'" + part.replace("'", "''") + more + "'").ljust(CARD))
    return "".join(lines).encode("ascii", "replace")


def header(cards: bytes, blocks: int | None = None) -> bytes:
    """End a header with END; blank cards before it fill up a fixed number of blocks."""
    if blocks is not None:
        cards = cards.ljust(blocks * BLOCK - CARD)
    raw = cards + b"END".ljust(CARD)
    return raw.ljust(-(-len(raw) // BLOCK) * BLOCK)


def fits_body(row: Mapping[str, object], version: int, pad: int, spectral: bool, tso: bool) -> Body:
    """Make the file of one keyword row.

    Parameters
    ----------
    row : mapping
        The keyword columns, with times in milliseconds.
    version : int
        How often the file was processed before.
    pad : int
        The number of blocks of its ASDF extension.
    spectral, tso : bool
        Properties of the kind of exposure, which decide the layout.
    """
    name = str(row.get("filename") or row.get("fileName"))
    suffix = name.rsplit("_", 1)[-1].removesuffix(".fits")
    shape = file_layout(suffix, spectral, tso)
    seed = int.from_bytes(hashlib.blake2b(f"{name}|{version}".encode(), digest_size=8).digest(), "big")
    rng = np.random.default_rng(seed)
    parts = [_primary(row, name)]
    if shape.spectra:
        parts += [_spectrum_table(rng, number + 1) for number in range(shape.spectra)]
    else:
        parts += _image_extensions(rng, shape)
    parts.append(_asdf_header(pad))
    return Body(((b"".join(parts), 1), (rng.bytes(BLOCK), pad)))


def _primary(row: Mapping[str, object], name: str) -> bytes:
    cards = [
        card("SIMPLE", True, "conforms to FITS standard"), card("BITPIX", 8, "array data type"),
        card("NAXIS", 0, "number of array dimensions"), card("EXTEND", True),
    ]  # fmt: skip
    ordered = [*_FIRST, *(column for column in row if column not in _FIRST)]
    for column in ordered:
        value = row.get(column)
        if value is not None and column not in _ARCHIVE_ONLY and not column.startswith("_"):
            cards.append(_keyword_cards(column, value))
    if "filename" not in row:
        cards.append(card("FILENAME", name, "Name of the file"))
    return header(b"".join(cards), HEADER_BLOCKS)


@lru_cache(maxsize=20_000, typed=True)
def _keyword_cards(column: str, value: object) -> bytes:
    if column.endswith("_mjd") or len(column) > 8:
        return b""
    keyword = column.upper().replace("DATE_", "DATE-")
    if column in _time_columns():
        return _time_cards(keyword, int(str(value)))
    if column in _ZERO_FILLED:
        return card(keyword, str(value).zfill(_ZERO_FILLED[column]))
    if column in _AS_TEXT:
        return card(keyword, str(value))
    if value in ("t", "f"):
        return card(keyword, value == "t")
    return card(keyword, value)


@cache
def _time_columns() -> frozenset[str]:
    from catalog.simulator.columns import TIMES

    return frozenset(TIMES)


def _time_cards(keyword: str, ms: int) -> bytes:
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}"
    if keyword == "DATE-OBS":
        day, clock = text.split("T")
        return card(keyword, day, "[yyyy-mm-dd] UTC date at start of exposure") + card(
            "TIME-OBS", clock, "[hh:mm:ss.sss] UTC time at start of exposure"
        )
    return card(keyword, text)


def _image_extensions(rng: np.random.Generator, shape: FileLayout) -> list[bytes]:
    picture = _picture(rng, shape)
    if shape.raw:
        return [_image("SCI", picture.astype(">i2"), 16, "DN", 32768)]
    error = np.sqrt(np.abs(picture) + 1.0)
    quality = np.zeros(shape.shape, np.int64)
    quality.flat[rng.integers(0, quality.size, 12)] = 1
    return [
        _image("SCI", picture.astype(">f4"), -32, "DN/s", None),
        _image("ERR", error.astype(">f4"), -32, "DN/s", None),
        _image("DQ", (quality - 2**31).astype(">i4"), 32, None, 2**31),
    ]


def _image(name: str, pixels: npt.NDArray[np.generic], bitpix: int, unit: str | None, zero: int | None) -> bytes:
    cards = [card("XTENSION", "IMAGE", "Image extension"), card("BITPIX", bitpix), card("NAXIS", pixels.ndim)]
    cards += [card(f"NAXIS{place + 1}", size) for place, size in enumerate(reversed(pixels.shape))]
    cards += [card("PCOUNT", 0), card("GCOUNT", 1)]
    if zero is not None:
        cards += [card("BSCALE", 1), card("BZERO", zero)]
    cards += [card("EXTNAME", name), card("EXTVER", 1)]
    if unit:
        cards.append(card("BUNIT", unit, "physical units of the array values"))
    return header(b"".join(cards)) + _filled(pixels.tobytes())


def _filled(raw: bytes) -> bytes:
    return raw.ljust(-(-len(raw) // BLOCK) * BLOCK, b"\0")


def _picture(rng: np.random.Generator, shape: FileLayout) -> Pixels:
    height, width = shape.shape[-2:]
    noise = rng.standard_normal(shape.shape) * 3.0 + 10.0
    scene = _traces(height, width) if shape.dispersed else _stars(rng, height, width)
    picture: Pixels = noise + scene
    if shape.raw:
        picture = np.clip(picture * 20.0, -30000, 30000)
    return picture


@cache
def _traces(height: int, width: int) -> Pixels:
    """Return two curved spectral traces, the second order short and faint, as SOSS has them."""
    column = np.linspace(0.0, 1.0, width)
    row = np.arange(height)[:, None]
    first = height * (0.25 + 0.45 * (column - 0.25) ** 2)
    second = height * (0.52 + 0.55 * (column - 0.65) ** 2)
    blaze = np.exp(-(((column - 0.45) / 0.35) ** 2))
    spread = max(1.0, height / 26.0)
    bright = 900.0 * blaze * np.exp(-0.5 * ((row - first) / spread) ** 2)
    faint = 250.0 * (column > 0.45) * blaze * np.exp(-0.5 * ((row - second) / spread) ** 2)
    dips: Pixels = (bright + faint) * (1.0 - 0.35 * np.exp(-0.5 * ((column - 0.6) / 0.012) ** 2))
    return dips


def _stars(rng: np.random.Generator, height: int, width: int) -> Pixels:
    row, column = np.mgrid[0:height, 0:width]
    scene = np.zeros((height, width))
    for y, x, flux in rng.uniform((2, 2, 50), (height - 2, width - 2, 900), (6, 3)):
        scene += flux * np.exp(-0.5 * ((row - y) ** 2 + (column - x) ** 2) / 1.6)
    return scene


_SPECTRUM = np.dtype([("WAVELENGTH", ">f8"), ("FLUX", ">f8"), ("FLUX_ERROR", ">f8"), ("DQ", ">i4")])


def _spectrum_table(rng: np.random.Generator, version: int) -> bytes:
    """Return a continuum with one absorption feature, as an EXTRACT1D table."""
    table = np.zeros(SPECTRUM_ROWS, _SPECTRUM)
    wavelength = np.linspace(0.85, 2.83, SPECTRUM_ROWS)
    feature = 1.0 - 0.3 * np.exp(-0.5 * ((wavelength - 1.42) / 0.05) ** 2)
    table["WAVELENGTH"] = wavelength
    table["FLUX"] = 0.05 * wavelength**-1.5 * feature * (1.0 + 0.01 * rng.standard_normal(SPECTRUM_ROWS))
    table["FLUX_ERROR"] = table["FLUX"] * 0.01
    cards = [
        card("XTENSION", "BINTABLE", "binary table extension"), card("BITPIX", 8), card("NAXIS", 2),
        card("NAXIS1", SPECTRUM_ROW_BYTES), card("NAXIS2", SPECTRUM_ROWS), card("PCOUNT", 0), card("GCOUNT", 1),
        card("TFIELDS", 4),
    ]  # fmt: skip
    columns = (("WAVELENGTH", "1D", "um"), ("FLUX", "1D", "Jy"), ("FLUX_ERROR", "1D", "Jy"), ("DQ", "1J", None))
    for place, (name, form, unit) in enumerate(columns, start=1):
        cards += [card(f"TTYPE{place}", name), card(f"TFORM{place}", form)]
        if unit:
            cards.append(card(f"TUNIT{place}", unit))
    cards += [card("EXTNAME", "EXTRACT1D"), card("EXTVER", version), card("SRCTYPE", "POINT")]
    return header(b"".join(cards)) + _filled(table.tobytes())


def _asdf_header(pad: int) -> bytes:
    length = pad * BLOCK
    cards = [
        card("XTENSION", "BINTABLE", "binary table extension"), card("BITPIX", 8), card("NAXIS", 2),
        card("NAXIS1", length), card("NAXIS2", 1), card("PCOUNT", 0), card("GCOUNT", 1), card("TFIELDS", 1),
        card("TTYPE1", "ASDF_METADATA"), card("TFORM1", f"{length}B"), card("EXTNAME", "ASDF"),
    ]  # fmt: skip
    return header(b"".join(cards))
