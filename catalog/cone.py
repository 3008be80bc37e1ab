"""A cone on the sky: what lies within a radius of a place."""

from __future__ import annotations

import re
from dataclasses import dataclass

from catalog.errors import BadValue

_RADIUS = re.compile(
    r"""([0-9]+\.?[0-9]*(?:e-?[0-9]+)?|\.[0-9]+) \s* (d|deg|degrees?|°|m|arcmin|'|s|arcsec|"|)""",
    re.IGNORECASE | re.VERBOSE,
)
_DEGREES = {"d": 1.0, "°": 1.0, "": 1.0, "m": 1 / 60, "'": 1 / 60, "s": 1 / 3600, '"': 1 / 3600}
_COORDINATE = re.compile(r"[-+]?[0-9][0-9.:hmsd°'\"]*", re.IGNORECASE)


@dataclass(frozen=True)
class Cone:
    """What lies within a radius of a place.

    Attributes
    ----------
    ra, dec : float
        Its axis, ICRS, degrees.
    radius : float
        Degrees.
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
            RA and Dec in degrees, or sexagesimal: RA in hours, Dec in degrees. The radius in degrees, or with d, m or
            s for degrees, minutes and seconds of arc.
        option : str
            What to call it in an error.

        Raises
        ------
        BadValue
            For anything else.

        Examples
        --------
        >>> Cone.parse("1.046,-47.361,30m")
        Cone(ra=1.046, dec=-47.361, radius=0.5)
        >>> Cone.parse("00:04:11.04 -47:21:39.6, 6'")
        Cone(ra=1.046, dec=-47.361, radius=0.1)
        """
        *places, size = (part.strip() for part in text.split(","))
        if len(places) == 1 and len(words := places[0].split()) in (2, 6):
            half = len(words) // 2
            places = [" ".join(words[:half]), " ".join(words[half:])]
        place = _coordinates(*places) if len(places) == 2 else None
        if place is None:
            raise BadValue(f"{option} {text!r} is not RA,DEC,RADIUS like 1.046,-47.361,30s or 00:04:11.0,-47:21:40,30s")
        return cls(*place, radius_of(size, option))

    def __str__(self) -> str:
        """Return the cone as `parse` reads it."""
        return f"{self.ra},{self.dec},{self.radius}"


def radius_of(text: str, option: str = "--cone") -> float:
    """Read a radius: degrees, or with d, m or s for degrees, minutes and seconds of arc.

    Raises
    ------
    BadValue
        For what is no radius, or one of nothing or beyond the sky.

    Examples
    --------
    >>> radius_of("30m"), radius_of("36 arcsec")
    (0.5, 0.01)
    """
    match = _RADIUS.fullmatch(text)
    unit = match[2].lower() if match else ""
    degrees = float(match[1]) * _DEGREES[unit[3:4] if unit.startswith("arc") else unit[:1]] if match else 0.0
    if not 0 < degrees <= 180:
        raise BadValue(f"{option}: {text!r} is not a radius like 0.01, 30s, 2m or 0.5d")
    return degrees


def is_place(text: str) -> bool:
    """Say whether a text consists of numbers that can be coordinates, so that it names no target.

    Examples
    --------
    >>> is_place("14:29:18.4 -3d26m40s"), is_place("47 Tuc")
    (True, False)
    """
    words = text.split()
    return bool(words) and all(map(_COORDINATE.fullmatch, words))


def _coordinates(ra: str, dec: str) -> tuple[float, float] | None:
    """Return degrees; what is no plain number is left to astropy."""
    place: tuple[float, float] | None
    try:
        place = float(ra), float(dec)
    except ValueError:
        place = _sexagesimal(ra, dec)
    if place is None or not (0 <= place[0] <= 360 and -90 <= place[1] <= 90):
        return None
    return place


def _sexagesimal(ra: str, dec: str) -> tuple[float, float] | None:
    from astropy import units
    from astropy.coordinates import Angle

    try:
        hours = None if re.search("[d°]", ra) else units.hourangle
        lon, lat = (float(Angle(text, unit).to_value(units.deg)) for text, unit in ((ra, hours), (dec, units.deg)))
    except (ValueError, TypeError, units.UnitsError):
        return None
    return round(lon, 10), round(lat, 10)
