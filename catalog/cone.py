"""A cone on the sky: what lies within a radius of a place."""

from __future__ import annotations

import re
from dataclasses import dataclass

from catalog.errors import BadValue

_RADIUS = re.compile(r"([0-9.]+(?:e-?\d+)?)\s*(d|deg|m|arcmin|s|arcsec)?", re.IGNORECASE)
_DEGREES = {"d": 1.0, "m": 1 / 60, "s": 1 / 3600}


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
    def parse(cls, text: str) -> Cone:
        """Read ``RA,DEC,RADIUS``; the radius can have a unit: ``d``, ``m`` or ``s``, of arc.

        Raises
        ------
        BadValue
            For anything else.

        Examples
        --------
        >>> Cone.parse("1.046,-47.361,30m")
        Cone(ra=1.046, dec=-47.361, radius=0.5)
        """
        parts = text.split(",")
        radius = _RADIUS.fullmatch(parts[2].strip()) if len(parts) == 3 else None
        try:
            ra, dec = float(parts[0]), float(parts[1])
            size = float(radius[1]) if radius else 0.0
        except (ValueError, IndexError):
            radius = None
        if radius is None or not (0 <= ra <= 360 and -90 <= dec <= 90 and size > 0):
            raise BadValue(f"--cone {text!r} is not RA,DEC,RADIUS in degrees, like 1.046,-47.361,30s")
        unit = (radius[2] or "d").lower()
        unit = unit[3:4] if unit.startswith("arc") else unit[0]
        return cls(ra, dec, size * _DEGREES[unit])

    def __str__(self) -> str:
        """Return the cone as `parse` reads it."""
        return f"{self.ra},{self.dec},{self.radius}"
