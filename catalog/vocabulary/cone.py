"""A cone on the sky: everything within a radius of a place."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from catalog.errors import BadValue

_RADIUS = re.compile(
    r"""([0-9]+\.?[0-9]*(?:e-?[0-9]+)?|\.[0-9]+) \s* (d|deg|degrees?|°|m|arcmins?|'|s|arcsecs?|''|"|)""",
    re.IGNORECASE | re.VERBOSE,
)
_DEGREES = {"d": 1.0, "°": 1.0, "m": 1 / 60, "'": 1 / 60, "s": 1 / 3600, '"': 1 / 3600}
_NUMBER = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?"
_DECIMAL = re.compile(rf"({_NUMBER})\s*(?:d|deg|degrees?|°)?", re.IGNORECASE)
"""One number, which is in degrees."""
_COORDINATE = re.compile(r"[-+]?[0-9][0-9.:hmsd°'\"]*", re.IGNORECASE)
_LIKE = "like 1.046,-47.361,30s or 00:04:11.0,-47:21:40,30s"

DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"
"""Hyphens, dashes and the minus sign; text that was copied from papers and web pages has them."""
_PLAIN_SIGNS = str.maketrans({
    **dict.fromkeys(DASHES, "-"),
    **dict.fromkeys("\u2032\u2018\u2019\u02b9", "'"),
    **dict.fromkeys("\u2033\u201c\u201d\u02ba", '"'),
    **dict.fromkeys("\u00ba\u02da", "°"),
    **dict.fromkeys("\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "),
    "\uff0b": "+",
    "\uff0c": ",",
    "\u02b0": "h",
    "\u1d50": "m",
    "\u02e2": "s",
})  # fmt: skip


def plain_signs(text: str) -> str:
    """Return text with the keyboard's signs for minus, hyphen, primes, degree and space.

    Examples
    --------
    >>> plain_signs("\u221247\u00ba21\u2032")
    "-47°21'"
    """
    return text.translate(_PLAIN_SIGNS)


@dataclass(frozen=True)
class Cone:
    """Everything within a radius of a place.

    Attributes
    ----------
    ra, dec : float
        The axis of the cone, ICRS, in degrees.
    radius : float
        In degrees.
    """

    ra: float
    dec: float
    radius: float

    @classmethod
    def parse(cls, text: str, option: str = "--cone") -> Cone:
        """Read ``RA,DEC,RADIUS`` or ``RA DEC,RADIUS``.

        Parameters
        ----------
        text : str
            RA and Dec in degrees, or sexagesimal: RA in hours, Dec in degrees. The radius with d, m or s for degrees,
            minutes and seconds of arc.
        option : str
            How an error calls this text.

        Raises
        ------
        BadValue
            If the text is no cone.

        Examples
        --------
        >>> Cone.parse("1.046,-47.361,30m")
        Cone(ra=1.046, dec=-47.361, radius=0.5)
        >>> Cone.parse("00:04:11.04 -47:21:39.6, 6'")
        Cone(ra=1.046, dec=-47.361, radius=0.1)
        """
        *places, size = (part.strip() for part in plain_signs(text).split(","))
        if len(places) == 1 and len(words := places[0].split()) in (2, 6):
            half = len(words) // 2
            places = [" ".join(words[:half]), " ".join(words[half:])]
        if len(places) != 2:
            raise BadValue(f"{option} {text!r} is not RA,DEC,RADIUS {_LIKE}")
        ra, dec = _degrees(places[0], hours=True), _degrees(places[1], hours=False)
        if ra is None or dec is None:
            raise BadValue(f"{option} {text!r} is not RA,DEC,RADIUS {_LIKE}")
        if not 0 <= ra <= 360:
            raise BadValue(
                f"{option}: {places[0]!r} is no right ascension; it goes from 0 to 360 degrees, or 0h to 24h"
            )
        if not -90 <= dec <= 90:
            raise BadValue(f"{option}: {places[1]!r} is no declination; it goes from -90 to 90 degrees")
        return cls(ra, dec, radius_of(size, option))

    @property
    def stored(self) -> str:
        """The cone as the catalog keeps it: three numbers, in degrees."""
        return f"{self.ra},{self.dec},{self.radius}"

    def __str__(self) -> str:
        """Return the cone as `parse` reads it."""
        return f"{self.stored}d"


def radius_of(text: str, option: str = "--cone") -> float:
    """Read a radius: a number, and d, m or s for degrees, minutes or seconds of arc.

    Raises
    ------
    BadValue
        If the text is no radius, has no unit, is zero, or is larger than the sky.

    Examples
    --------
    >>> radius_of("30m"), radius_of("36 arcsec")
    (0.5, 0.01)
    """
    match = _RADIUS.fullmatch(plain_signs(text).strip())
    if match and not match[2]:
        raise BadValue(f"{option}: the radius {text!r} needs a unit: {text}s, {text}m or {text}d of arc")
    unit = match[2].lower().replace("''", '"') if match else ""
    degrees = float(match[1]) * _DEGREES[unit[3:4] if unit.startswith("arc") else unit[:1]] if match else 0.0
    if not 0 < degrees <= 180:
        raise BadValue(f"{option}: {text!r} is not a radius like 30s, 2m or 0.5d")
    return degrees


def is_place(text: str) -> bool:
    """Say whether a text is made of numbers that can be coordinates; such a text is not the name of a target.

    Examples
    --------
    >>> is_place("14:29:18.4 -3d26m40s"), is_place("47 Tuc")
    (True, False)
    """
    words = plain_signs(text).split()
    return bool(words) and all(map(_COORDINATE.fullmatch, words))


def _degrees(text: str, *, hours: bool) -> float | None:
    """Return a coordinate in degrees; astropy reads whatever is not a plain number.

    Parameters
    ----------
    text : str
        One number counts degrees, whatever the other coordinate is; several numbers are sexagesimal.
    hours : bool
        Whether sexagesimal numbers without a letter count hours instead of degrees.
    """
    if (match := _DECIMAL.fullmatch(text)) is not None:
        return float(match[1]) if math.isfinite(float(match[1])) else None
    if not re.match(r"[-+]?[0-9.]", text):
        return None
    from astropy import units
    from astropy.coordinates import Angle

    in_hours = hours and not re.search("[d°]", text)
    try:
        value = float(Angle(text, units.hourangle if in_hours else units.deg).to_value(units.deg))
    except (ValueError, TypeError, units.UnitsError):
        return None
    return round(value, 10) if math.isfinite(value) else None
