"""Footprints on the sky, as the archive writes them (``s_region``)."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

_SHAPE = re.compile(r"(POLYGON|CIRCLE)\s+(?:(?:ICRS|FK5|J2000|UNKNOWNFRAME)\s+)?((?:[-+0-9.eE]+\s*)+)", re.IGNORECASE)
_CIRCLE_CORNERS = 48


def corners(region: str) -> list[Values]:
    """Read the shapes of a region.

    Parameters
    ----------
    region : str
        One or more of ``POLYGON [ICRS] ra dec ra dec ...`` and ``CIRCLE [ICRS] ra dec radius``, degrees
        (STC-S 1.33, as CAOM uses it).

    Returns
    -------
    list of ndarray, shape (n_corners, 2)
        Right ascension and declination, in degrees; empty if the region cannot be read.

    Examples
    --------
    >>> corners("POLYGON ICRS 1 2 3 2 3 4")[0].tolist()
    [[1.0, 2.0], [3.0, 2.0], [3.0, 4.0]]
    """
    shapes: list[Values] = []
    for kind, text in _SHAPE.findall(region or ""):
        try:
            numbers = np.array(text.split(), dtype=float)
        except ValueError:
            continue
        if kind.upper() == "CIRCLE" and numbers.size == 3 and on_sky(numbers[None, :2]) and 0 < numbers[2] <= 180:
            shapes.append(_circle(*numbers))
        elif kind.upper() == "POLYGON" and numbers.size >= 6 and numbers.size % 2 == 0:
            shape = numbers.reshape(-1, 2)
            shapes += [shape] if on_sky(shape) else []
    return shapes


def on_sky(places: Values) -> bool:
    """Say whether places, shape (n, 2), are right ascensions and declinations in degrees.

    Examples
    --------
    >>> on_sky(np.array([[217.3, -3.4]])), on_sky(np.array([[np.inf, 0.0]])), on_sky(np.array([[1e300, 0.0]]))
    (True, False, False)
    """
    return bool(np.all(np.isfinite(places)) and np.all(np.abs(places) <= (360.0, 90.0)))


def _circle(ra: float, dec: float, radius: float) -> Values:
    """Return corners on a circle: it is made around the pole and turned to its centre."""
    angle = np.linspace(0, 2 * np.pi, _CIRCLE_CORNERS, endpoint=False)
    r = np.radians(radius)
    near = np.array([np.cos(angle) * np.sin(r), np.sin(angle) * np.sin(r), np.full(angle.size, np.cos(r))])
    tilt, turn = np.radians(90 - dec), np.radians(ra)
    x = near[0] * np.cos(tilt) + near[2] * np.sin(tilt)
    z = -near[0] * np.sin(tilt) + near[2] * np.cos(tilt)
    turned = np.array([x * np.cos(turn) - near[1] * np.sin(turn), x * np.sin(turn) + near[1] * np.cos(turn), z])
    return degrees(turned.T)


def directions(places: Values) -> Values:
    """Turn right ascension and declination in degrees, shape (n, 2), into unit vectors, shape (n, 3)."""
    ra, dec = np.radians(places.T)
    vectors: Values = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
    return vectors


def degrees(vectors: Values) -> Values:
    """Turn vectors, shape (n, 3), into right ascension and declination in degrees, shape (n, 2)."""
    length = np.linalg.norm(vectors, axis=1)
    ra = np.degrees(np.arctan2(vectors[:, 1], vectors[:, 0])) % 360.0
    return np.stack([ra, np.degrees(np.arcsin(np.clip(vectors[:, 2] / length, -1, 1)))], axis=1)


def middle(places: Values) -> Values:
    """Return the direction of the middle of places, shape (2,), in degrees."""
    total = directions(places).sum(axis=0)
    even = np.linalg.norm(total) < 1e-9  # the places surround the whole sky, so any place is as good as another
    centre: Values = places[0] if even else degrees(total[None])[0]
    return centre


def distances(places: Values, centre: Values) -> Values:
    """Return the angle of each place from a centre, in degrees; exact for small and for large angles.

    Notes
    -----
    The arc tangent of the cross product and the dot product (W. Kahan, How futile are mindless assessments of
    roundoff, 2006).
    """
    away, towards = directions(places), directions(centre[None])[0]
    across = np.linalg.norm(np.cross(away, towards), axis=1)
    angles: Values = np.degrees(np.arctan2(across, away @ towards))
    return angles
