"""One card, exactly as `astropy.io.fits` reads it.

Cards of the usual forms do not come here: `catalog.headers.automaton` reads thousands of them at once. This module
reads the other cards one by one: long strings by a pattern of its own, and all unusual cards with astropy itself.

References
----------
FITS standard 4.0, section 4 (headers) and 4.2.1.2 (long strings).
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from typing import Literal, NamedTuple

from catalog.fits.blocks import CARD_SIZE

CONTINUE = b"CONTINUE"

Kind = Literal["text", "boolean", "integer", "number", "complex", "undefined", "commentary", "unreadable"]

_LONGEST_GROUP = 400 * CARD_SIZE  # astropy's patterns take quadratic time on longer ones
_OPENING = re.compile(rb"([A-Z0-9_-]{1,8}) *= +'([^']*)' *(?:/ *([^']*))?")
_CONTINUED = re.compile(rb"CONTINUE +'([^']*)' *(?:/ *([^']*))?")
_COMMENTARY = {"", "COMMENT", "HISTORY", "END"}
_PLAIN = re.compile(rb"[ -~]*")


class Card(NamedTuple):
    """The contents of one card.

    Attributes
    ----------
    keyword : str
        The keyword in upper case, except in HIERARCH cards.
    kind : str
        text, boolean, integer, number, complex, undefined, commentary (no value, only text) or unreadable.
    text : str or None
        The value as text, which ``int``, ``float`` or ``complex`` reads back for a number; T or F for a boolean; None
        if the value is undefined.
    comment : str
        The text after the slash.
    """

    keyword: str
    kind: Kind
    text: str | None
    comment: str


@lru_cache(maxsize=20_000)
def read_card(image: bytes) -> Card:
    """Read a card and the CONTINUE cards that follow it.

    Parameters
    ----------
    image : bytes
        80 bytes, or a multiple of 80.

    Examples
    --------
    >>> read_card(b"FILTER  = 'F277W   '           / Name of the filter element used".ljust(80))
    Card(keyword='FILTER', kind='text', text='F277W', comment='Name of the filter element used')
    >>> read_card(b"HIERARCH ESO DET DIT = 1.5D1 / [s]".ljust(80))
    Card(keyword='ESO DET DIT', kind='number', text='1.5e1', comment='[s]')
    """
    if len(image) > CARD_SIZE and (card := _long_string(image)):
        return card
    if len(image) > _LONGEST_GROUP:
        return _given_up(image)
    return _as_astropy_does(image)


def _long_string(image: bytes) -> Card | None:
    """Read a string that is continued over several cards, if no quote or anything else makes it ambiguous."""
    if not _PLAIN.fullmatch(image) or b": " in image or image[8:10] != b"= ":
        return None
    opening = _OPENING.fullmatch(image[:CARD_SIZE])
    if opening is None or opening[1].decode() in _COMMENTARY | {"CONTINUE"}:
        return None
    values, comments = [opening[2]], [opening[3]]
    for start in range(CARD_SIZE, len(image), CARD_SIZE):
        continued = _CONTINUED.fullmatch(image[start : start + CARD_SIZE])
        if continued is None:
            return None
        values.append(continued[1])
        comments.append(continued[2])
    text = b"".join(value.rstrip().removesuffix(b"&") for value in values)
    comment = b" ".join(part.rstrip() for part in comments if part)
    return Card(opening[1].decode(), "text", text.rstrip().decode(), comment.strip().decode())


def _as_astropy_does(image: bytes) -> Card:
    from astropy.io.fits import Card as Reference
    from astropy.io.fits.card import Undefined

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        card = Reference.fromstring(image.decode("latin1"))
        try:
            keyword = str(card.keyword)
            value = card.value
            comment = str(card.comment)
        except Exception:  # astropy's errors are of many classes, and all mean that it cannot read the card
            return _given_up(image)
    if isinstance(value, Undefined):
        return Card(keyword, "undefined", None, comment)
    if keyword.upper() in _COMMENTARY or card._invalid:
        return Card(keyword, "commentary", str(value), comment)
    return Card(keyword, *_kind_and_text(value, card._valuestring), comment)


def _kind_and_text(value: object, written: str | None) -> tuple[Kind, str]:
    """Return the kind of a value, and a text from which Python reads the same value."""
    if isinstance(value, bool):
        return "boolean", "T" if value else "F"
    if isinstance(value, str):
        return "text", value
    kind: Kind = "integer" if isinstance(value, int) else "number" if isinstance(value, float) else "complex"
    spelled = (written or "").replace(" ", "").translate(str.maketrans("dD", "ee"))
    try:
        same = kind != "complex" and type(value)(spelled) == value  # type: ignore[call-arg]
    except ValueError:
        same = False
    return kind, spelled if same else str(value)


def _given_up(image: bytes) -> Card:
    """Keep what can be kept of a card that astropy cannot read."""
    text = image.decode("latin1")
    keyword, _, value = text.partition("=") if "=" in text[:9] else (text[:8], "", text[8:])
    return Card(keyword.strip().upper(), "unreadable", value.strip(), "")
