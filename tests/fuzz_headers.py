"""A million mutated headers: no crash, no hang, no disagreement where astropy reads the card.

Run by ``make fuzz``: ``python -m tests.fuzz_headers [HOW_MANY] [SEED]``. One in twenty is a whole file, whose HDUs must
stand where astropy finds them. The short form runs with the tests.
"""

from __future__ import annotations

import io
import os
import random
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from types import FrameType

from astropy.io import fits

from catalog.fits.scan import scan_file
from catalog.headers.extract import extract
from tests.fits_samples import FORMS, assert_same, extension, mutated, padded, primary, read_ours, read_reference

_FORMS = [form.encode("latin1") for form in FORMS]
_PIECE = 5000
_HANG_SECONDS, _REFERENCE_SECONDS = 300, 3  # of processor time


def fuzz_cards(rng: random.Random, count: int) -> int:
    """Compare mutated headers card by card; return how many there were."""
    end = b"END".ljust(80)
    headers = []
    for _ in range(count):
        cards = mutated(rng, rng.choices(_FORMS, k=rng.randrange(1, 9)))
        headers.append(b"".join(card for card in cards if card != end))
    for header, ours in zip(headers, read_ours(headers), strict=True):
        assert_same(ours, read_reference(header))
    return count


def fuzz_files(rng: random.Random, count: int) -> int:
    """Compare where the HDUs of mutated files stand, and index the files; return how many there were."""
    contents = [_mutated_file(rng) for _ in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / f"{n}.fits") for n in range(count)]
        for path, content in zip(paths, contents, strict=True):
            Path(path).write_bytes(content)
        found: dict[int, list[tuple[int, int]]] = {n: [] for n in range(count)}
        for row in extract(paths).hdus.to_pylist():
            found[row["file"]].append((row["header_at"], row["data_at"]))
        for n, content in enumerate(contents):
            assert bool(found[n]) == bool(scan_file(paths[n])[0].headers)
            theirs = _reference(content)
            if theirs is not None:
                assert found[n][: len(theirs)] == theirs, b" ".join(content.replace(b"\0", b" ").split())
    return count


def _mutated_file(rng: random.Random) -> bytes:
    name = f"EXTNAME = 'E{rng.randrange(3)}'"
    size = rng.choice((0, 1, 2880, 3000))
    first = primary("EXTEND  =                    T", axes=(size,) if rng.random() < 0.3 else ())
    content = bytearray(first + (padded(bytes(size)) if b"NAXIS1" in first else b""))
    content += extension(name, "CHECKSUM= 'abc'", axes=(size,)) + padded(bytes(size))
    content += extension("EXTNAME = 'LAST'", axes=(2, 2)) + padded(b"data")
    for _ in range(rng.randrange(1, 4)):
        place = rng.choice((rng.randrange(800), rng.randrange(len(content))))
        content[place : place + rng.choice((0, 1, 1, 3))] = bytes(rng.choices(b"0123456789 '=/END\0\xff-.", k=1))
    return bytes(content[: rng.choice((len(content), len(content), rng.randrange(len(content))))])


def _reference(content: bytes) -> list[tuple[int, int]] | None:
    """Where astropy finds the HDUs; None where it finds none, gives up, or never ends (with an axis of -2880, say)."""
    with warnings.catch_warnings(), _limited(_REFERENCE_SECONDS):
        warnings.simplefilter("ignore")
        try:
            with fits.open(io.BytesIO(content), lazy_load_hdus=False, disable_image_compression=True) as hdus:
                return [(hdu._header_offset, hdu._data_offset) for hdu in hdus]
        except (Exception, _Endless):
            return None


class _Endless(BaseException):
    """Something takes too long; no Exception, since astropy catches those, and goes on."""


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise `_Endless` after so many seconds of processor time."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise _Endless

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, 0.1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def fuzz(count: int, seed: int) -> int:
    """Fuzz with one random sequence."""
    rng = random.Random(seed)
    files = count // 20
    return fuzz_cards(rng, count - files) + fuzz_files(rng, files)


def _fuzz_in_time(count: int, seed: int) -> int:
    signal.setitimer(signal.ITIMER_PROF, _HANG_SECONDS)  # a hang ends the process, and with it the run; load is none
    try:
        return fuzz(count, seed)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def main(count: int, seed: int) -> None:
    """Fuzz on all processors, and say how it goes."""
    began, done = time.monotonic(), 0
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        seeds = range(seed, seed + -(-count // _PIECE))
        for pieces, piece in enumerate(as_completed([pool.submit(_fuzz_in_time, _PIECE, one) for one in seeds]), 1):
            done += piece.result()
            if pieces % 20 == 0:
                print(f"{done} headers agree, {done / (time.monotonic() - began):.0f} a second", flush=True)
    print(f"{done} mutated headers from seed {seed}: no crash, no hang, no disagreement")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
