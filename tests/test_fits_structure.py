"""One judge of FITS structure, for the header index and for transfers alike."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings

from catalog.fits.blocks import Finding
from catalog.fits.scan import scan_file
from catalog.fits.whole import fits_problem
from catalog.headers.extract import extract
from tests.fits_samples import block, extension, padded, primary

SIMPLE, BITPIX, NAXIS = f"SIMPLE  = {'T':>20}", f"BITPIX  = {8:20d}", f"NAXIS   = {0:20d}"
IMAGE, TABLE = "XTENSION= 'IMAGE   '", "XTENSION= 'BINTABLE'"
PCOUNT, GCOUNT, TFIELDS = f"PCOUNT  = {0:20d}", f"GCOUNT  = {1:20d}", f"TFIELDS = {0:20d}"
TWO = [f"NAXIS   = {2:20d}", f"NAXIS1  = {0:20d}", f"NAXIS2  = {0:20d}"]


def card(keyword: str, value: object) -> str:
    return f"{keyword:8}= {value!s:>20}"


def findings(folder: Path, content: bytes) -> list[Finding]:
    """What the index and a transfer find; they agree on what does harm."""
    path = folder / "a.fits"
    path.write_bytes(content)
    rows = extract([str(path)]).findings.to_pylist()
    found = [Finding(row["hdu"], row["byte"], row["reason"], row["harm"]) for row in rows]
    with path.open("rb") as file:
        problem = fits_problem(file.fileno(), len(content))
    assert (problem is not None) == any(one.harm for one in found), (problem, found)
    return found


HARMFUL = {
    "no BITPIX": ([SIMPLE, NAXIS], "BITPIX is missing"),
    "no NAXIS": ([SIMPLE, BITPIX], "NAXIS is missing"),
    "BITPIX 7": ([SIMPLE, card("BITPIX", 7), NAXIS], "BITPIX is 7"),
    "BITPIX 8.0": ([SIMPLE, card("BITPIX", "8.0"), NAXIS], "BITPIX is not a whole number"),
    "NAXIS a text": ([SIMPLE, BITPIX, "NAXIS   = 'two     '"], "NAXIS is not a whole number"),
    "NAXIS true": ([SIMPLE, BITPIX, card("NAXIS", "T")], "NAXIS is not a whole number"),
    "NAXIS negative": ([SIMPLE, BITPIX, card("NAXIS", -1)], "NAXIS is negative"),
    "NAXIS twice": ([SIMPLE, BITPIX, NAXIS, card("NAXIS", 1), card("NAXIS1", 1)], "NAXIS stands twice, with different"),
    "an axis missing": ([SIMPLE, BITPIX, card("NAXIS", 2), card("NAXIS1", 1)], "NAXIS2 is missing"),
    "an axis negative": ([SIMPLE, BITPIX, card("NAXIS", 1), card("NAXIS1", -1)], "NAXIS1 is negative"),
    "an axis beyond 64 bits": ([SIMPLE, BITPIX, card("NAXIS", 1), card("NAXIS1", 10**19)], "beyond 64 bits"),
    "axes that multiply beyond 64 bits": (
        [SIMPLE, BITPIX, card("NAXIS", 2), card("NAXIS1", 10**18), card("NAXIS2", 10**18)],
        "beyond 64 bits",
    ),
    "SIMPLE F": ([card("SIMPLE", "F"), BITPIX, NAXIS], "does not conform"),
    "SIMPLE a number": ([card("SIMPLE", 1), BITPIX, NAXIS], "neither T nor F"),
}

HARMFUL_EXTENSIONS = {
    "negative PCOUNT": ([IMAGE, BITPIX, NAXIS, card("PCOUNT", -1), GCOUNT], "PCOUNT is negative"),
    "GCOUNT a text": ([IMAGE, BITPIX, NAXIS, PCOUNT, "GCOUNT  = 'one     '"], "GCOUNT is not a whole number"),
    "PCOUNT beyond 64 bits": ([TABLE, BITPIX, *TWO, card("PCOUNT", 10**19), GCOUNT, TFIELDS], "beyond 64 bits"),
    "no TFIELDS": ([TABLE, BITPIX, *TWO, PCOUNT, GCOUNT], "TFIELDS is missing"),
    "no TFORM": (
        [TABLE, BITPIX, *TWO, PCOUNT, GCOUNT, card("TFIELDS", 3), "TFORM2  = 'D       '"],
        "TFORM1 and 1 more",
    ),
    "a table of floats": ([TABLE, card("BITPIX", -32), *TWO, PCOUNT, GCOUNT, TFIELDS], "in BINTABLE it must be 8"),
    "a table of one axis": (
        [TABLE, BITPIX, card("NAXIS", 1), card("NAXIS1", 0), PCOUNT, GCOUNT, TFIELDS],
        "NAXIS is 1; in BINTABLE it must be 2",
    ),
    "no XTENSION": ([BITPIX, IMAGE, NAXIS, PCOUNT, GCOUNT], "does not begin with XTENSION"),
    "XTENSION blank": (["XTENSION= '        '", BITPIX, NAXIS, PCOUNT, GCOUNT], "does not say what"),
}

SLOPPY = {
    "wrong order": ([IMAGE, NAXIS, BITPIX, PCOUNT, GCOUNT], "in their order"),
    "another card between": ([IMAGE, BITPIX, "EXTNAME = 'SCI     '", NAXIS, PCOUNT, GCOUNT], "in their order"),
    "no PCOUNT": ([IMAGE, BITPIX, NAXIS, GCOUNT], "PCOUNT is missing"),
    "PCOUNT of an image": ([IMAGE, BITPIX, NAXIS, card("PCOUNT", 5), GCOUNT], "in IMAGE it must be 0"),
    "the same twice": ([IMAGE, BITPIX, BITPIX, NAXIS, PCOUNT, GCOUNT], "BITPIX stands twice"),
    "free format": ([IMAGE, "BITPIX  = 8", NAXIS, PCOUNT, GCOUNT], "BITPIX is not in fixed format"),
    "a short type": (["XTENSION= 'IMAGE'", BITPIX, NAXIS, PCOUNT, GCOUNT], "XTENSION is not in fixed format"),
}


@pytest.mark.parametrize("name", HARMFUL)
def test_a_primary_header_that_does_not_tell_its_data_does_harm(name: str, tmp_path: Path) -> None:
    cards, reason = HARMFUL[name]
    found = findings(tmp_path, block(cards))
    assert any(one.harm and reason in one.reason for one in found), found


@pytest.mark.parametrize("name", HARMFUL_EXTENSIONS)
def test_an_extension_that_does_not_tell_its_data_does_harm(name: str, tmp_path: Path) -> None:
    cards, reason = HARMFUL_EXTENSIONS[name]
    found = findings(tmp_path, primary() + block(cards))
    assert any(one.harm and one.hdu == 1 and reason in one.reason for one in found), found


@pytest.mark.parametrize("name", SLOPPY)
def test_what_everybody_reads_alike_is_told_and_does_no_harm(name: str, tmp_path: Path) -> None:
    cards, reason = SLOPPY[name]
    found = findings(tmp_path, primary() + block(cards))
    assert any(reason in one.reason for one in found), found
    assert not any(one.harm for one in found)


def test_the_byte_of_a_finding_is_that_of_the_card(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, primary() + block([IMAGE, card("BITPIX", 7), NAXIS, PCOUNT, GCOUNT]))
    assert (found.hdu, found.byte) == (1, 2880 + 80)


def test_a_header_cut_short_misses_no_more_than_its_data(tmp_path: Path) -> None:
    content = (primary() + extension(axes=(256,)))[:-1000]
    reasons = [one.reason for one in findings(tmp_path, content)]
    assert "the header's last block is cut short" in reasons
    assert "truncated: 256 of 256 bytes of data are missing" in reasons


def sound_file() -> bytes:
    groups = fits.BinTableHDU.from_columns([fits.Column("a", "PJ()", array=np.array([[1, 2], [3]], object))])
    hdus = [fits.PrimaryHDU(np.ones((3, 4), "i2")), fits.ImageHDU(np.ones(5), name="SCI"), groups]
    file = io.BytesIO()
    fits.HDUList([*hdus, fits.CompImageHDU(np.arange(100.0).reshape(10, 10))]).writeto(file)
    return file.getvalue()


SOUND = sound_file()


def test_nothing_is_found_in_what_astropy_writes(tmp_path: Path) -> None:
    assert findings(tmp_path, SOUND) == []
    path = tmp_path / "a.fits"
    assert scan_file(str(path), careful=True)[0] == scan_file(str(path))[0]


_HEADER = SOUND[: 2 * 2880]
_places = st.integers(0, 12 * 80) | st.integers(0, len(SOUND) - 1)
_bytes = st.sampled_from([b"", b" ", b"0", b"1", b"9", b"-", b".", b"'", b"=", b"/", b"T", b"F", b"N", b"\xff", b"END"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(_places, _bytes), max_size=4), st.integers(0, len(SOUND)))
def test_index_and_transfer_agree_on_any_file(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, bytes]], cut: int
) -> None:
    content = bytearray(SOUND)
    for place, new in changes:
        content[place : place + max(len(new), 1)] = new
    findings(tmp_path_factory.getbasetemp(), bytes(content[: cut if cut % 3 == 0 else len(content)]))


_usual_card = st.sampled_from(
    [one.ljust(80).encode() for one in (SIMPLE, BITPIX, NAXIS, IMAGE, TABLE, PCOUNT, GCOUNT, TFIELDS, *TWO)]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(min_size=80, max_size=80) | _usual_card, max_size=12), st.booleans())
def test_any_cards_are_judged_alike_and_without_an_error(
    tmp_path_factory: pytest.TempPathFactory, cards: list[bytes], behind: bool
) -> None:
    header = block(cards)
    findings(tmp_path_factory.getbasetemp(), primary() + header if behind else header)


def compressed_by_lzw(content: bytes) -> bytes:
    """As compress writes it, a code of 9 bits for each byte, with the table cleared before codes grow longer."""
    bits, count, out = 0, 0, bytearray(b"\x1f\x9d\x90")
    codes: list[int] = []
    for start in range(0, len(content), 200):
        piece = list(content[start : start + 200])
        piece += [256] if start + 200 < len(content) else []
        codes += piece + [0] * (-len(piece) % 8 if 256 in piece else 0)  # a clear code ends its group of eight
    for code in codes:
        bits |= code << count
        count += 9
        while count >= 8:
            out.append(bits & 255)
            bits, count = bits >> 8, count - 8
    return bytes(out) + (bytes([bits]) if count else b"")


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.fits", content)
    return file.getvalue()


WAYS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "Z": compressed_by_lzw,
    "zip": zipped,
}


@pytest.mark.parametrize("ending", WAYS)
def test_a_compressed_file_reads_as_the_plain_one(ending: str, tmp_path: Path) -> None:
    (tmp_path / "a.fits").write_bytes(SOUND)
    (tmp_path / f"a.fits.{ending}").write_bytes(WAYS[ending](SOUND))
    assert scan_file(str(tmp_path / f"a.fits.{ending}"))[0] == scan_file(str(tmp_path / "a.fits"))[0]
    with fits.open(tmp_path / f"a.fits.{ending}") as hdus:  # astropy reads it as well
        assert len(hdus) == 4


@pytest.mark.parametrize("ending", WAYS)
def test_a_compressed_file_that_is_cut_short_is_no_whole_file(ending: str, tmp_path: Path) -> None:
    packed = WAYS[ending](primary() + extension(axes=(50_000,)) + padded(os.urandom(50_000)))
    path = tmp_path / f"a.fits.{ending}"
    path.write_bytes(packed[: len(packed) // 2])
    with path.open("rb") as file:
        assert fits_problem(file.fileno(), len(packed) // 2, packed=True)


def test_a_file_in_a_compression_that_is_not_read_is_told_as_compressed(tmp_path: Path) -> None:
    (tmp_path / "a.fits").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(3000))
    ((_, _, reason, harm),) = scan_file(str(tmp_path / "a.fits"))[0].findings
    assert harm
    assert reason == "it is compressed with zstd, which is not read: unpack it first"


def test_a_plain_name_promises_plain_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.fits").write_bytes(gzip.compress(SOUND))
    with (tmp_path / "a.fits").open("rb") as file:
        assert fits_problem(file.fileno(), 999)
