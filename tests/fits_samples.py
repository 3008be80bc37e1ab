"""FITS headers for tests: made of all forms of cards, valid and broken, and read by astropy for comparison."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from typing import Any

from astropy.io import fits
from astropy.io.fits.card import Undefined

from catalog.fits.blocks import Header
from catalog.headers.batch import Cards, read_cards

BLOCK = 2880
UNREADABLE = object()


def block(cards: list[bytes] | list[str], end: bool = True) -> bytes:
    """Whole blocks of cards."""
    images = [(card.encode("latin1") if isinstance(card, str) else card).ljust(80) for card in cards]
    if end:
        images.append(b"END".ljust(80))
    joined = b"".join(images)
    return joined + b" " * (-len(joined) % BLOCK)


def primary(*cards: str, axes: tuple[int, ...] = (), bitpix: int = 8) -> bytes:
    """A primary header."""
    sizes = [f"NAXIS{n}  = {length:20d}" for n, length in enumerate(axes, 1)]
    return block([f"SIMPLE  = {'T':>20}", f"BITPIX  = {bitpix:20d}", f"NAXIS   = {len(axes):20d}", *sizes, *cards])


def extension(*cards: str, axes: tuple[int, ...] = (), bitpix: int = 8, kind: str = "IMAGE") -> bytes:
    """An extension's header."""
    sizes = [f"NAXIS{n}  = {length:20d}" for n, length in enumerate(axes, 1)]
    start = [f"XTENSION= '{kind:8}'", f"BITPIX  = {bitpix:20d}", f"NAXIS   = {len(axes):20d}", *sizes]
    return block([*start, f"PCOUNT  = {0:20d}", f"GCOUNT  = {1:20d}", *cards])


def padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % BLOCK)


def sample(name: str = "a", **values: str) -> bytes:
    """A file of two HDUs, with some keywords in its primary header."""
    words = [
        f"{keyword.replace('_', '-') if keyword.startswith('DATE') else keyword:8}= {value}"
        for keyword, value in values.items()
    ]
    return (
        primary(f"TELESCOP= 'JWST    '           / {name}", *words)
        + extension("EXTNAME = 'SCI     '", axes=(4,))
        + padded(b"data")
    )


def read_ours(headers: list[bytes]) -> list[list[tuple[str, str, str | None, str]]]:
    """Read headers (cards only) as the index does."""
    cards = read_cards([Header(0, cards, 0, 0, ()) for cards in headers])
    return [_cards_of(cards, n) for n in range(len(headers))]


def _cards_of(cards: Cards, hdu: int) -> list[tuple[str, str, str | None, str]]:
    texts = cards.text.to_pylist()
    found = []
    for code in cards.code[cards.first[hdu] : cards.first[hdu + 1]].tolist():
        keyword, kind, comment = cards.labels[cards.label[code]]
        found.append((keyword, kind, texts[code], comment))
    return found


def read_reference(header: bytes) -> list[tuple[str, Any, str]]:
    """Read a header as astropy does; where one card stops it, card by card."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            cards = fits.Header.fromstring(header)._cards
        except Exception:
            return [_reference_card(image) for image in _with_continuations(header)]
        return [_read_card(card) for card in cards]


def _with_continuations(header: bytes) -> list[bytes]:
    images: list[bytes] = []
    for start in range(0, len(header), 80):
        row = header[start : start + 80]
        if images and row.startswith(b"CONTINUE"):
            images[-1] += row
        else:
            images.append(row)
    return images


def _reference_card(image: bytes) -> tuple[str, Any, str]:
    try:
        (card,) = fits.Header.fromstring(image)._cards
    except Exception:
        return "", UNREADABLE, ""
    return _read_card(card)


def _read_card(card: fits.Card) -> tuple[str, Any, str]:
    try:
        return card.keyword, card.value, card.comment
    except Exception:
        return "", UNREADABLE, ""


def value_of(kind: str, text: str | None) -> Any:
    """The Python value that a stored card stands for."""
    if kind == "undefined":
        assert text is None
        return None
    assert text is not None
    readers: dict[str, Callable[[str], Any]] = {
        "integer": int,
        "number": float,
        "complex": complex,
        "boolean": lambda t: {"T": True, "F": False}[t],
    }
    return readers.get(kind, str)(text)


def assert_same(ours: list[tuple[str, str, str | None, str]], reference: list[tuple[str, Any, str]]) -> None:
    """The same cards, values and types."""
    assert len(ours) == len(reference)
    for (keyword, kind, text, comment), (their_keyword, value, their_comment) in zip(ours, reference, strict=True):
        if value is UNREADABLE:
            assert kind == "unreadable", (keyword, kind, text)
            continue
        assert (keyword, comment) == (their_keyword, their_comment)
        if isinstance(value, Undefined):
            assert kind == "undefined"
            continue
        got = value_of(kind, text)
        assert type(got) is type(value), (keyword, got, value)
        assert repr(got) == repr(value), (keyword, got, value)  # tells -0.0 from 0.0, and nan is nan


FORMS = [
    "SIMPLE  =                    T / conforms to FITS standard",
    "BITPIX  =                  -32 / bits",
    "NAXIS1  =                 2048",
    "EXPTIME =             107.3677 / [s] exposure time",
    "CDELT1  = 8.48358611111111E-06 / increment",
    "BIG     = 123456789012345678901234567890 / more than 64 bits",
    "EMPTY   =",
    "EMPTY2  =                      / only a comment",
    "NULLSTR = ''                   / a null string",
    "BLANKS  = '        '           / blanks",
    "TARGNAME= 'HD 147980'          / name",
    "PI_NAME = 'O''Brien, Conan'    / a quote / in it",
    "PROPOSER= 'it''s' / Proposer's name",
    "QUOTES  = '''' / one quote",
    "FREE    = 'free format' / x",
    "FREENUM = 12 / free",
    "FREEFLT =1.5",
    "COMPLEX = (1.0, -2.5E3) / complex",
    "ICOMPLEX= (1, 2)",
    "DEXP    = 1.5D10",
    "LOWEXP  = 1.5e-10",
    "SPACED  = - 1.5 E 3",
    "PLUS    = +7",
    "ZEROS   = 0007",
    "NEGZERO = -0.0",
    "POINT   = .5",
    "POINT2  = 5.",
    "HUGE    = 1E400",
    "COMMENT   a comment with 'quotes' / and = signs",
    "HISTORY = looks like a value",
    "        = blank keyword",
    "",
    "        Program information",
    "HIERARCH ESO DET CHIP1 NAME = 'CCD-44' / chip",
    "HIERARCH key.with-odd chars = 3",
    "HIERARCH=                    5",
    "DP1     = 'EXTVER: 2' / record valued",
    "DP2     = 'AXIS.1: 2.5'",
    "DP3     = 'AXIS.1: 2D5'",
    "COLON   = 'a: b'",
    "lower   = 5 / lower case",
    "Mixed_1 = 'abc' / mixed",
    "SHORT= 5 / indicator too early",
    "NOVALUE   a card without indicator",
    "TOOLONGKEY= 5",
    "BAD     = 'unclosed string",
    "BAD2    = 12abc / no number",
    "BAD3    = T F",
    "BAD4    = 'a' 'b'",
    "BAD5    = 1.2.3",
    "A.B     = 5",
    "TAB     = 'a\tb'",
    "UMLAUT  = 'M\xfcnchen' / \xe4",
    "NUL     = '\0'",
    "SLASH   = 'a/b'/no blank before it",
    "NOBLANK ='abc'",
    "END     = 5",
    "ENDED   = 5",
    "CONTINUE  'lonely'",
    "LONG    = 'a long string that goes on &'",
    "CONTINUE  'and on &' / with a comment",
    "CONTINUE  'to its end' / and another",
    "CONTINUE  '' / nothing more",
    "CONTINUE   no string",
    "CONTINUE  'it''s quoted'",
    "CONTINUE= 'odd'",
    "LONG2   = 'no ampersand' / comment",
    "CONTINUE  'still joined'",
    "LONG3   = 5 / a number",
    "CONTINUE  'what now'",
    "HISTORY once",
    "CONTINUE  'after history'",
    "HIERARCH ESO LONG = 'long &'",
    "T       = T/comment",
    "F       =                    F                                                 /",
    "SIGN    = -",
    "DOT     = .",
    "EXP     = 1E",
    "UNDER   = 1_000",
    "INF     = INF",
    "NAN     = NaN",
]
"""Cards of all forms of the standard, the conventions that astropy knows, and ones that are wrong."""

_SPICE = b" '/=&.:,+-0123456789EeDdTF()ABCz_\"\t\0\xe4"


def mutated(rng: random.Random, cards: list[bytes]) -> list[bytes]:
    """Cards with a few bytes changed, moved, dropped or put in."""
    changed = []
    for card in cards:
        image = bytearray(card.ljust(80)[:80])
        for _ in range(rng.choice((0, 1, 1, 2, 3))):
            image = image.ljust(80)
            place = min(rng.randrange(80), rng.randrange(80))
            match rng.randrange(5):
                case 0:
                    image[place] = rng.choice(_SPICE)
                case 1:
                    image[place] = rng.randrange(256)
                case 2:
                    del image[place]
                case 3:
                    image.insert(place, rng.choice(_SPICE))
                case 4:
                    other = rng.randrange(80)
                    image[place : place + 4] = image[other : other + 4]
        changed.append(bytes(image.ljust(80)[:80]))
    return changed
