"""Mutated files, tables and catalogs, drawn: a picture, or one line that says why not.

Run by ``make fuzz``: ``python -m tests.fuzz_pictures [HOW_MANY] [SEED]``. The short form runs with the tests.
"""

from __future__ import annotations

import io
import random
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

from astropy.io import fits

from catalog.errors import MastlakeError
from catalog.plots import Drawing, draw_file
from tests import pictured_files as files

_MAKERS = (
    files.sky_image, files.soss_image, files.rectified_image, files.ramp, files.x1d, files.old_x1dints,
    files.new_x1dints,
)  # fmt: skip
_VALUES = (
    b"T", b"F", b"0", b"-1", b"1", b"2", b"3", b"7", b"8.0", b"1E300", b"1E999", b"NaN", b"99999999999999999999", b"''",
    b"'text    '", b"'A$_{b$C '", b"'1D      '", b"'PE()    '", b"(1, 2)", b"", b"'unclosed", b"1000000000000000000",
)  # fmt: skip
_SPICE = b" '=/0123456789-.ETF$\0\xff"


def originals() -> list[bytes]:
    """One small file of each layout."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "a.fits"
        made = []
        for make in _MAKERS:
            if make(path, side=40) if make is files.sky_image else make(path):
                made.append(path.read_bytes())
            path.unlink()
        made.append(_packed())
        return made


def _packed() -> bytes:
    import numpy as np

    file = io.BytesIO()
    image = fits.CompImageHDU(np.arange(900.0, dtype="f4").reshape(30, 30), name="SCI")
    fits.HDUList([files.primary(), image]).writeto(file)
    return file.getvalue()


def mutated(content: bytes, rng: random.Random) -> bytes:
    """A file with some values of its cards replaced, some bytes changed, or its end cut off."""
    changed = bytearray(content)
    cards = [at for at in range(0, len(content), 80) if content[at + 8 : at + 10] == b"= "]
    for _ in range(rng.choice((1, 1, 2, 3))):
        match rng.randrange(8):
            case 0:
                at = rng.randrange(len(changed))
                changed[at : at + 1] = bytes([rng.choice(_SPICE)])
            case 1:
                at = rng.choice(cards)
                changed[at : at + 80] = bytes(rng.choices(_SPICE, k=80))
            case 2:
                at, other = rng.choice(cards), rng.choice(cards)
                changed[at : at + 80] = changed[other : other + 80]
            case _:
                at = rng.choice(cards)
                changed[at + 10 : at + 80] = (rng.choice(_VALUES).rjust(20) + b" / changed").ljust(70)
    return bytes(changed[: rng.randrange(len(changed)) if rng.random() < 0.1 else len(changed)])


def drawn(path: Path) -> str:
    """Draw a file, and return what was told of it; an error that is no `MastlakeError` is a bug."""
    try:
        drawing = draw_file(path)
        finished(drawing)
    except MastlakeError as error:
        told = str(error)
    else:
        told = "; ".join([drawing.told, *drawing.left_out])
    assert "\n" not in told
    assert told
    return told


def finished(drawing: Drawing) -> None:
    """Bring a drawing to the end, without making a picture as fine as one for the eye."""
    drawing.figure.set_dpi(40)
    drawing.png()


def fuzz(count: int, seed: int) -> int:
    """Draw so many mutated files; return how many could be drawn."""
    rng = random.Random(seed)
    sources = originals()
    outcomes: Counter[bool] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a$b.fits"
        for number in range(count):
            content = mutated(rng.choice(sources), rng)
            path.write_bytes(content)
            try:
                outcomes[not drawn(path).startswith(("cannot", "it holds"))] += 1
            except BaseException:
                kept = Path(tempfile.gettempdir()) / f"fuzz_pictures_{seed}_{number}.fits"
                kept.write_bytes(content)
                print(f"file {number} of seed {seed} is kept as {kept}", file=sys.stderr)
                raise
    return outcomes[True]


if __name__ == "__main__":
    many = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    start = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    print(
        f"{fuzz(many, start)} of {many} mutated files from seed {start} were drawn; of the others a line says why not"
    )
