"""Criteria over harvested files, as SQL that people can learn from."""

from __future__ import annotations

import re
from dataclasses import dataclass

from catalog.errors import BadValue
from catalog.query import Condition, condition, cone
from catalog.search import mjd, parse_criterion

_SHOWN = "filename, targname, exp_type, filter, pupil, date_obs, program, productLevel, file_size"
_RADIUS = re.compile(r"([0-9.]+(?:e-?\d+)?)\s*(d|deg|m|arcmin|s|arcsec)?", re.IGNORECASE)
_DEGREES = {"d": 1.0, "m": 1 / 60, "s": 1 / 3600}


@dataclass(frozen=True)
class Criteria:
    """What to find; all of it must hold.

    Attributes
    ----------
    written : tuple of str
        ``keyword=value``, as in a search.
    target : str or None
        A target's name, with wildcards.
    cone : str or None
        ``RA,DEC,RADIUS``.
    since, until : str or None
        ISO dates of the start of observation.
    """

    written: tuple[str, ...] = ()
    target: str | None = None
    cone: str | None = None
    since: str | None = None
    until: str | None = None


def statement(criteria: Criteria, *, everything: bool = False, limit: int = 1000) -> tuple[str, list[object]]:
    """Write criteria as one SELECT over `files`.

    Parameters
    ----------
    criteria : Criteria
        What to find.
    everything : bool
        All columns, or the few that people look at first.
    limit : int
        Rows at most.

    Returns
    -------
    sql : str
        With ``?`` marks.
    values : list
        For these.

    Raises
    ------
    UnknownKeyword, BadValue
        For criteria that are not understood.
    """
    parts = [condition(parse_criterion(text)) for text in criteria.written]
    if criteria.target:
        parts.append(_target(criteria.target))
    if criteria.cone:
        parts.append(cone(*parse_cone(criteria.cone)))
    if criteria.since:
        parts.append(Condition("date_obs_mjd >= ?", (mjd(criteria.since, "--since"),)))
    if criteria.until:
        parts.append(Condition("date_obs_mjd < ?", (mjd(criteria.until, "--until"),)))
    where = "\n  AND ".join(part.sql for part in parts)
    sql = f"SELECT {'*' if everything else _SHOWN}\nFROM files\n"
    sql += f"WHERE {where}\n" if where else ""
    sql += f"ORDER BY date_obs_mjd, filename\nLIMIT {limit}"
    return sql, [value for part in parts for value in part.values]


def _target(name: str) -> Condition:
    pattern = re.sub(r"[\s_-]+", "", name).replace("*", "%")
    return Condition("regexp_replace(targname, '[ _-]+', '', 'g') ILIKE ?", (pattern,))


def parse_cone(text: str) -> tuple[float, float, float]:
    """Read ``RA,DEC,RADIUS``.

    Returns
    -------
    ra, dec, radius : float
        Degrees.

    Raises
    ------
    BadValue
        For anything else.

    Examples
    --------
    >>> parse_cone("1.046,-47.361,30m")
    (1.046, -47.361, 0.5)
    """
    parts = text.split(",")
    radius = _RADIUS.fullmatch(parts[2].strip()) if len(parts) == 3 else None
    try:
        ra, dec = float(parts[0]), float(parts[1])
    except (ValueError, IndexError):
        radius = None
    if radius is None or not (0 <= ra <= 360 and -90 <= dec <= 90):
        raise BadValue(f"--cone {text!r} is not RA,DEC,RADIUS in degrees, like 1.046,-47.361,30s")
    unit = (radius[2] or "d").lower()
    unit = unit[3:4] if unit.startswith("arc") else unit[0]
    return ra, dec, float(radius[1]) * _DEGREES[unit]
