"""Check the mandatory keywords of a header against the standard.

A fault does harm if the header does not tell what the data are and where they end, or if two of its cards tell it
differently. Other faults are harmless: all programs read the file in the same way.

References
----------
FITS standard 4.0, section 4.4.1 (primary header), 4.4.1.2 (conforming extensions), 6 (random groups), and 7.1 to 7.3
(IMAGE, TABLE and BINTABLE).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from catalog.fits.blocks import LARGEST
from catalog.fits.cards import Card, read_card

MOST_AXES = 999
_BITPIX = (8, 16, 32, 64, -32, -64)
_TABLES = ("TABLE", "BINTABLE", "A3DTABLE")
_FIXED_NUMBER = re.compile(rb"[A-Z0-9 ]{8}= +[+-]?[0-9]+")
_FIXED_TEXT = re.compile(rb"[A-Z0-9 ]{8}= '[ -&(-~]{8,}' *(/|$)")

Value = bool | int | float | str | None


class NumberedCard(NamedTuple):
    """One card of a header: the number of its row, its keyword as astropy reads it, and its 80 bytes."""

    number: int
    keyword: str
    image: bytes

    @property
    def value(self) -> Value:
        """The value; None if it is undefined or cannot be read."""
        return value_of(read_card(self.image))


class Fault(NamedTuple):
    """Something that is wrong with a header, and the row of it."""

    row: int
    reason: str
    harm: bool


def value_of(card: Card) -> Value:
    """Return the value of a card as a value of Python; None if it is undefined or cannot be read.

    Examples
    --------
    >>> value_of(Card("NAXIS", "integer", "2", ""))
    2
    """
    if card.text is None or card.kind in ("unreadable", "complex"):
        return None
    if card.kind == "boolean":
        return card.text == "T"
    return int(card.text) if card.kind == "integer" else float(card.text) if card.kind == "number" else card.text


def faults(rows: list[NumberedCard], primary: bool) -> list[Fault]:
    """Return what is wrong with the mandatory keywords of a header.

    Parameters
    ----------
    rows : list of NumberedCard
        At least the first card, and all cards whose keyword may be mandatory.
    primary : bool
        Whether this is the first header of its file.
    """
    first = {card.keyword: card for card in reversed(rows)}
    faults = list(_start(rows[0] if rows else None, first, primary))
    faults += _sizes(first)
    kind = _kind(first)
    naxis = _whole_number(first, "NAXIS")
    groups = primary and bool(naxis) and ("PCOUNT" in first or "GCOUNT" in first)
    if not primary or groups:
        faults += _counts(first, kind, primary)
    if kind in _TABLES:
        faults += _table(first, kind)
    expected = _expected(naxis or 0, kind, primary)
    faults += _order(first, expected)
    faults += _form(first, expected)
    faults += _repeats(rows, {*expected, "PCOUNT", "GCOUNT", "GROUPS"} if groups else set(expected))
    return sorted(faults)


def _kind(first: dict[str, NumberedCard]) -> str:
    value = first["XTENSION"].value if "XTENSION" in first and "SIMPLE" not in first else ""
    return value.rstrip() if isinstance(value, str) else ""


def _whole_number(first: dict[str, NumberedCard], keyword: str) -> int | None:
    """Return the whole number of a keyword; None if the keyword is missing or has another value."""
    value = first[keyword].value if keyword in first else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _start(start: NumberedCard | None, first: dict[str, NumberedCard], primary: bool) -> Iterator[Fault]:
    word = "SIMPLE" if primary else "XTENSION"
    if start is None or start.keyword != word:
        if not primary:
            yield Fault(0, "the extension does not begin with XTENSION", True)
        return
    value = start.value
    if primary and value is not True:
        said = "the file says that it does not conform to the standard" if value is False else "it must be T"
        yield Fault(0, f"SIMPLE is {'F' if value is False else 'neither T nor F'}: {said}", True)
    if not primary and not (isinstance(value, str) and value.strip()):
        yield Fault(0, "XTENSION does not say what the extension is", True)


def _sizes(first: dict[str, NumberedCard]) -> Iterator[Fault]:
    """Check the keywords that tell the size and the type of the data."""
    yield from _number(first, "BITPIX")
    bitpix = _whole_number(first, "BITPIX")
    if bitpix is not None and bitpix not in _BITPIX:
        yield Fault(first["BITPIX"].number, f"BITPIX is {bitpix}, which is none of 8, 16, 32, 64, -32, -64", True)
    yield from _number(first, "NAXIS", least=0, most=MOST_AXES)
    naxis = _whole_number(first, "NAXIS") or 0
    for number in range(1, naxis + 1 if naxis <= MOST_AXES else 1):
        yield from _number(first, f"NAXIS{number}", least=0)


def _number(
    first: dict[str, NumberedCard], keyword: str, least: int | None = None, most: int = LARGEST
) -> Iterator[Fault]:
    """Check that a keyword exists, and that its value is a whole number within limits."""
    if keyword not in first:
        yield Fault(0, f"{keyword} is missing", True)
        return
    row, value = first[keyword].number, _whole_number(first, keyword)
    if value is None:
        yield Fault(row, f"{keyword} is not a whole number", True)
    elif least is not None and value < least:
        yield Fault(row, f"{keyword} is negative", True)
    elif abs(value) > most:
        yield Fault(
            row, f"{keyword} is {value}, " + (f"more than {most}" if most < LARGEST else "beyond 64 bits"), True
        )


def _counts(first: dict[str, NumberedCard], kind: str, primary: bool) -> Iterator[Fault]:
    """Check PCOUNT and GCOUNT, which extensions and random groups must have."""
    for keyword, usual in (("PCOUNT", 0), ("GCOUNT", 1)):
        if keyword not in first:
            yield Fault(0, f"{keyword} is missing; it is taken to be {usual}", False)
            continue
        yield from _number(first, keyword, least=0)
        value = _whole_number(first, keyword)
        fixed = not primary and (kind in ("IMAGE", "TABLE") or (kind == "BINTABLE" and keyword == "GCOUNT"))
        if fixed and value is not None and 0 <= value != usual:
            yield Fault(first[keyword].number, f"{keyword} is {value}; in {kind} it must be {usual}", False)


def _table(first: dict[str, NumberedCard], kind: str) -> Iterator[Fault]:
    """Check the keywords that only tables have."""
    for keyword, must in (("BITPIX", 8), ("NAXIS", 2)):
        value = _whole_number(first, keyword)
        if value is not None and value != must:
            yield Fault(first[keyword].number, f"{keyword} is {value}; in {kind} it must be {must}", True)
    yield from _number(first, "TFIELDS", least=0, most=MOST_AXES)
    fields = _whole_number(first, "TFIELDS") or 0
    missing = [number for number in range(1, fields + 1 if fields <= MOST_AXES else 1) if f"TFORM{number}" not in first]
    if missing:
        more = f" and {len(missing) - 1} more are" if len(missing) > 1 else " is"
        yield Fault(first["TFIELDS"].number, f"TFORM{missing[0]}{more} missing", True)


def _expected(naxis: int, kind: str, primary: bool) -> list[str]:
    """Return the mandatory keywords in their order."""
    axes = [f"NAXIS{number}" for number in range(1, naxis + 1 if naxis <= MOST_AXES else 1)]
    behind = [] if primary else ["PCOUNT", "GCOUNT", *(["TFIELDS"] if kind in _TABLES else [])]
    return ["SIMPLE" if primary else "XTENSION", "BITPIX", "NAXIS", *axes, *behind]


def _order(first: dict[str, NumberedCard], expected: list[str]) -> Iterator[Fault]:
    rows = [first[keyword].number for keyword in expected if keyword in first]
    whole = len(rows) == len(expected)
    if rows != sorted(rows) or (whole and rows[-1] >= len(rows)):
        yield Fault(0, "the mandatory keywords are not first, or not in their order", False)


def _form(first: dict[str, NumberedCard], expected: list[str]) -> Iterator[Fault]:
    for keyword in expected:
        if keyword in first and not _is_fixed(first[keyword]):
            yield Fault(first[keyword].number, f"{keyword} is not in fixed format", False)


def _is_fixed(row: NumberedCard) -> bool:
    """Say whether a mandatory card has its value where section 4.2 wants it."""
    if row.image[:8] != row.keyword.encode("latin1").ljust(8):
        return False
    if row.keyword == "XTENSION":
        return bool(_FIXED_TEXT.match(row.image))
    if row.image[30:31] not in (b" ", b"/", b""):
        return False
    if row.keyword == "SIMPLE":
        return row.image[8:30].rstrip(b"TF") == b"=".ljust(21)
    return bool(_FIXED_NUMBER.fullmatch(row.image[:30]))


def _repeats(rows: list[NumberedCard], mandatory: set[str]) -> Iterator[Fault]:
    seen: dict[str, NumberedCard] = {}
    for card in rows:
        if card.keyword not in mandatory:
            continue
        before = seen.setdefault(card.keyword, card)
        if before is not card:
            differ = before.value != card.value
            yield Fault(
                card.number, f"{card.keyword} stands twice" + (", with different values" if differ else ""), differ
            )
