"""Places on the sky as people write them: coordinates in degrees or sexagesimal, names of targets, regions."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence

import duckdb

from catalog.cone import Cone
from catalog.errors import BadValue
from catalog.keywords import nearest
from catalog.store.database import columns_of, quoted

_RADIUS = re.compile(
    r"""([0-9]+\.?[0-9]*(?:e-?[0-9]+)?|\.[0-9]+) \s* (d|deg|degrees?|°|m|arcmin|'|s|arcsec|"|)""",
    re.IGNORECASE | re.VERBOSE,
)
_DEGREES = {"d": 1.0, "°": 1.0, "": 1.0, "m": 1 / 60, "'": 1 / 60, "s": 1 / 3600, '"': 1 / 3600}
_SHAPE = re.compile(r"(POLYGON|CIRCLE)\s+(?:ICRS\s+)?([-+0-9.eE,\s]+)", re.IGNORECASE)
_ONE_PLACE = 1 / 60
"""Degrees; positions of one name that lie further apart are several places."""


def read_cone(text: str, connection: duckdb.DuckDBPyConnection | None = None, option: str = "--cone") -> Cone:
    """Read ``RA,DEC,RADIUS`` or ``NAME,RADIUS``.

    Parameters
    ----------
    text : str
        RA and Dec in degrees, or sexagesimal: RA in hours, Dec in degrees. The radius in degrees, or with d, m or s for
        degrees, minutes and seconds of arc.
    connection : duckdb.DuckDBPyConnection, optional
        To a catalog, whose targets give names a place.
    option : str
        What to call it in an error.

    Raises
    ------
    BadValue
        For anything else, for a name that no harvested target has, and for one that has several places.

    Examples
    --------
    >>> read_cone("1.046,-47.361,30m")
    Cone(ra=1.046, dec=-47.361, radius=0.5)
    >>> read_cone("00:04:11.04,-47:21:39.6,6'")
    Cone(ra=1.046, dec=-47.361, radius=0.1)
    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in (2, 3) or not all(parts):
        raise BadValue(_unreadable(option, text))
    radius = _radius(parts[-1])
    if radius is None:
        raise BadValue(f"{option}: {parts[-1]!r} is not a radius like 0.01, 30s, 2m or 0.5d")
    if len(parts) == 2:
        ra, dec = _place_of(connection, parts[0], option)
        return Cone(ra, dec, radius)
    place = _coordinates(parts[0], parts[1])
    if place is None:
        raise BadValue(_unreadable(option, text))
    return Cone(*place, radius)


def _unreadable(option: str, text: str) -> str:
    return (
        f"{option} {text!r} is not RA,DEC,RADIUS like 1.046,-47.361,30s or 00:04:11.0,-47:21:40,30s, "
        "nor TARGET,RADIUS like WASP-39,30s"
    )


def _radius(text: str) -> float | None:
    """Return degrees; None for what is no radius, or one of nothing or beyond the sky."""
    match = _RADIUS.fullmatch(text)
    if match is None:
        return None
    unit = match[2].lower()
    degrees = float(match[1]) * _DEGREES[unit[3:4] if unit.startswith("arc") else unit[:1]]
    return degrees if 0 < degrees <= 180 else None


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


def read_region(text: str, connection: duckdb.DuckDBPyConnection | None = None, option: str = "--footprint") -> str:
    """Read a region, and return it as an ``s_region``.

    Parameters
    ----------
    text : str
        ``POLYGON RA DEC RA DEC RA DEC ...`` or ``CIRCLE RA DEC RADIUS`` in degrees, or what `read_cone` reads.
    connection : duckdb.DuckDBPyConnection, optional
        To a catalog, for names.
    option : str
        What to call it in an error.

    Raises
    ------
    BadValue
        For anything else, and for polygons that are not smaller than half of the sky.

    Examples
    --------
    >>> read_region("polygon 10 0, 11 0, 11 1")
    'POLYGON ICRS 10 0 11 0 11 1'
    >>> read_region("1.046,-47.361,30m")
    'CIRCLE ICRS 1.046 -47.361 0.5'
    """
    shape = _SHAPE.fullmatch(text.strip())
    if shape is None:
        cone = read_cone(text, connection, option)
        return f"CIRCLE ICRS {cone.ra:.10g} {cone.dec:.10g} {cone.radius:.10g}"
    words = shape[2].replace(",", " ").split()
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    if shape[1].upper() == "CIRCLE":
        good = len(numbers) == 3 and abs(numbers[1]) <= 90 and 0 < numbers[2] <= 180
    else:
        good = _is_polygon(numbers)
    if not good:
        raise BadValue(
            f"{option} {text!r} is not POLYGON RA DEC RA DEC RA DEC ... (three corners or more, within half "
            "of the sky) nor CIRCLE RA DEC RADIUS, in degrees"
        )
    return f"{shape[1].upper()} ICRS {' '.join(words)}"


def _is_polygon(numbers: Sequence[float]) -> bool:
    if len(numbers) < 6 or len(numbers) % 2 or any(abs(dec) > 90 for dec in numbers[1::2]):
        return False
    corners = [_vector(ra, dec) for ra, dec in zip(numbers[::2], numbers[1::2], strict=True)]
    middle = [sum(axis) for axis in zip(*corners, strict=True)]
    return all(sum(a * b for a, b in zip(middle, corner, strict=True)) > 0 for corner in corners)


def _vector(ra: float, dec: float) -> tuple[float, float, float]:
    lon, lat = math.radians(ra), math.radians(dec)
    return math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)


def plain_name(name: str) -> str:
    """Return a name as names are compared: without spaces, underscores, hyphens and accents, in small letters.

    Examples
    --------
    >>> plain_name("WASP-39 b")
    'wasp39b'
    """
    letters = "".join(c for c in unicodedata.normalize("NFD", name) if not unicodedata.combining(c))
    return re.sub(r"[\s_-]+", "", letters).lower()


_NAMED = (("files", "targname", "targ_ra", "targ_dec"), ("files", "targprop", "targ_ra", "targ_dec"),
          ("observations", "target_name", "s_ra", "s_dec"))  # fmt: skip


def _place_of(connection: duckdb.DuckDBPyConnection | None, name: str, option: str) -> tuple[float, float]:
    """Look a target up among those that were harvested; nothing is asked of anybody."""
    if connection is None:
        raise BadValue(f"{option}: a target's name needs a catalog to look it up; give RA,DEC,RADIUS")
    known: set[str] = set()
    for view, column, ra, dec in _NAMED:
        if not {column, ra, dec} <= {one.lower() for one in columns_of(connection, view)}:
            continue
        places = connection.execute(
            f"""SELECT DISTINCT {ra}, {dec} FROM {view}
                WHERE lower(translate(strip_accents({column}), ' _-', '')) = ?
                  AND {ra} IS NOT NULL AND {dec} IS NOT NULL
                ORDER BY 1, 2""",
            [plain_name(name)],
        ).fetchall()
        if places:
            return _one_place(places, name, option)
        known |= {str(n) for (n,) in connection.execute(f"SELECT DISTINCT {quoted(column)} FROM {view}").fetchall()}
    near = nearest(name, sorted(known - {"None"}))
    hint = f"; did you mean {near!r}?" if near else "; give RA,DEC,RADIUS"
    raise BadValue(f"{option}: no harvested target is called {name!r}{hint}")


def _one_place(places: list[tuple[float, float]], name: str, option: str) -> tuple[float, float]:
    ra, dec = places[len(places) // 2]
    here = _vector(ra, dec)
    for other in places:
        if math.degrees(math.dist(here, _vector(*other))) > _ONE_PLACE:
            raise BadValue(
                f"{option}: {name!r} was observed at {len(places):,} places, as {places[0][0]:.5f},{places[0][1]:.5f} "
                f"and {places[-1][0]:.5f},{places[-1][1]:.5f}; give RA,DEC,RADIUS, or use --target"
            )
    return ra, dec
