"""Places on the sky as people write them: coordinates in degrees or sexagesimal, names of targets, regions."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence

import duckdb

from catalog.errors import BadValue
from catalog.store.database import columns_of, quoted
from catalog.text import nearest
from catalog.vocabulary.cone import DASHES, Cone, is_place, plain_signs, radius_of

_SHAPE = re.compile(r"(POLYGON|CIRCLE)\s+(?:ICRS\s+)?([-+0-9.eE,\s]+)", re.IGNORECASE)
_ONE_PLACE = 1 / 60
"""In degrees. If the positions of one name are further apart, the name has several places."""


def read_cone(text: str, connection: duckdb.DuckDBPyConnection | None = None, option: str = "--cone") -> Cone:
    """Read a cone as `Cone.parse` does, or as ``NAME,RADIUS``.

    Parameters
    ----------
    text : str
        A place or the name of a target, and a radius.
    connection : duckdb.DuckDBPyConnection, optional
        A connection to a catalog, which knows the places of its targets.
    option : str
        How an error calls this text.

    Raises
    ------
    BadValue
        If the text is neither, if no harvested target has the name, or if the name has several places.

    Examples
    --------
    >>> read_cone("1.046,-47.361,30m")
    Cone(ra=1.046, dec=-47.361, radius=0.5)
    """
    name, *others = [part.strip() for part in plain_signs(text).split(",")]
    if not others or not name or not others[-1]:
        raise BadValue(
            f"{option} {text!r} is not RA,DEC,RADIUS like 1.046,-47.361,30s, nor TARGET,RADIUS like WASP-39,30s"
        )
    if len(others) > 1 or is_place(name):
        return Cone.parse(text, option)
    radius = radius_of(others[0], option)
    return Cone(*_place_of(connection, name, option), radius)


def read_region(text: str, connection: duckdb.DuckDBPyConnection | None = None, option: str = "--footprint") -> str:
    """Read a region, and return it as an ``s_region``.

    Parameters
    ----------
    text : str
        ``POLYGON RA DEC RA DEC RA DEC ...`` or ``CIRCLE RA DEC RADIUS`` in degrees, or what `read_cone` reads.
    connection : duckdb.DuckDBPyConnection, optional
        A connection to a catalog, for names of targets.
    option : str
        How an error calls this text.

    Raises
    ------
    BadValue
        If the text is no region, or a polygon is not smaller than half of the sky.

    Examples
    --------
    >>> read_region("polygon 10 0, 11 0, 11 1")
    'POLYGON ICRS 10 0 11 0 11 1'
    >>> read_region("1.046,-47.361,30m")
    'CIRCLE ICRS 1.046 -47.361 0.5'
    """
    shape = _SHAPE.fullmatch(plain_signs(text).strip())
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


def middle_of(region: str) -> tuple[float, float]:
    """Return right ascension and declination, in degrees, of the middle of a region that `read_region` returned.

    Examples
    --------
    >>> middle_of("CIRCLE ICRS 10 -20 1")
    (10.0, -20.0)
    """
    numbers = [float(word) for word in region.split()[2:]]
    if region.startswith("CIRCLE"):
        return numbers[0], numbers[1]
    corners = [_vector(ra, dec) for ra, dec in zip(numbers[::2], numbers[1::2], strict=True)]
    x, y, z = (sum(axis) for axis in zip(*corners, strict=True))
    return math.degrees(math.atan2(y, x)) % 360, math.degrees(math.atan2(z, math.hypot(x, y)))


def angle(degrees: float) -> str:
    """Write an angle in the unit in which it is a short number.

    Examples
    --------
    >>> angle(12.34), angle(0.5), angle(0.001)
    ('12.3 degrees', "30'", '3.6"')
    """
    if degrees >= 1:
        return f"{degrees:.3g} degrees"
    return f"{degrees * 60:.3g}'" if degrees >= 1 / 60 else f'{degrees * 3600:.3g}"'


def plain_name(name: str) -> str:
    """Return a name without spaces, underscores, dashes and accents, in lower case, so that names can be compared.

    Examples
    --------
    >>> plain_name("WASP-39 b"), plain_name("WASP\u201339")
    ('wasp39b', 'wasp39')
    """
    letters = "".join(c for c in unicodedata.normalize("NFD", name) if not unicodedata.combining(c))
    return re.sub(rf"[\s_{DASHES}-]+", "", letters).lower()


_NAMED = (("files", "targname", "targ_ra", "targ_dec"), ("files", "targprop", "targ_ra", "targ_dec"),
          ("observations", "target_name", "s_ra", "s_dec"))  # fmt: skip


def _place_of(connection: duckdb.DuckDBPyConnection | None, name: str, option: str) -> tuple[float, float]:
    """Find the place of a target among the harvested ones; no server is asked."""
    if connection is None:
        raise BadValue(f"{option}: a target's name needs a catalog to look it up; give RA,DEC,RADIUS")
    targets: set[str] = set()
    for view, column, ra, dec in _NAMED:
        if not {column, ra, dec} <= {existing.lower() for existing in columns_of(connection, view)}:
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
        targets |= {str(n) for (n,) in connection.execute(f"SELECT DISTINCT {quoted(column)} FROM {view}").fetchall()}
    near = nearest(name, sorted(targets - {"None"}))
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
