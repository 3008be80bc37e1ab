"""A search: keyword criteria for one instrument, and the filters that MAST understands.

Criteria are written as ``keyword=value``; a value is ``A,B`` (any of), ``1..5`` (a closed range, open at
either end), an ISO date where the keyword is a time, or a pattern with ``%`` or ``*``. A value that holds a
comma stands in double quotes.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from catalog.errors import BadValue, UnknownKeyword
from catalog.keywords import SERVICES, Keyword, lookup, nearest

MJD_EPOCH = datetime(1858, 11, 17, tzinfo=UTC)
DAY = timedelta(days=1)
UNBOUNDED = 1e15
"""Stands for the open end of a range: MAST ranges have two ends. Larger than any keyword's value."""

_TRUE = {"t", "true", "yes", "y", "1"}
_FALSE = {"f", "false", "no", "n", "0"}
_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")


@dataclass(frozen=True)
class Range:
    """A closed range; an open end is infinite.

    Attributes
    ----------
    low, high : float
        In the keyword's own unit; MJD (UTC) for a time.
    """

    low: float
    high: float

    def as_mast(self) -> dict[str, float]:
        """Return the range as MAST writes it."""
        return {"min": max(self.low, -UNBOUNDED), "max": min(self.high, UNBOUNDED)}


@dataclass(frozen=True)
class Criterion:
    """What one keyword must be: any of the values, within any of the ranges, or like the pattern.

    Attributes
    ----------
    keyword : str
        MAST's spelling; for a time, the one that counts in MJD.
    values : tuple of str or int or bool
        Exact values.
    ranges : tuple of Range
        Closed ranges.
    pattern : str or None
        A wildcard with ``%``; MAST takes one a filter.
    """

    keyword: str
    values: tuple[str | int | bool, ...] = ()
    ranges: tuple[Range, ...] = ()
    pattern: str | None = None

    def as_filter(self) -> dict[str, Any]:
        """Return the filter as MAST writes it."""
        values: list[Any] = [*self.values, *(one.as_mast() for one in self.ranges)]
        entry: dict[str, Any] = {"paramName": self.keyword, "values": values}
        if self.pattern is not None:
            entry["freeText"] = self.pattern
        return entry


@dataclass(frozen=True)
class Search:
    """A saved set of keyword criteria for one instrument.

    Attributes
    ----------
    name : str
        Letters, digits, ``_ . + -``.
    instrument : str
        One of `catalog.keywords.SERVICES`.
    written : tuple of str
        The criteria as the user wrote them, ``keyword=value``.
    criteria : tuple of Criterion
        What they mean.
    """

    name: str
    instrument: str
    written: tuple[str, ...]
    criteria: tuple[Criterion, ...]

    @classmethod
    def parse(cls, name: str, instrument: str, written: Iterable[str]) -> Search:
        """Read criteria, and refuse what the archive would not understand.

        Parameters
        ----------
        name : str
            The name to save the search under.
        instrument : str
            In any case.
        written : iterable of str
            ``keyword=value``, each keyword once or more (all must hold).

        Raises
        ------
        UnknownKeyword
            For a keyword that this instrument's search does not have.
        BadValue
            For a name, instrument, value, range or date that is not one.

        Examples
        --------
        >>> Search.parse("soss", "NIRISS", ["exp_type=NIS_SOSS", "date_obs=2022-06-01.."]).filters()[1]
        {'paramName': 'date_obs_mjd', 'values': [{'min': 59731.0, 'max': 1000000000000000.0}]}
        """
        if not _NAME.fullmatch(name):
            raise BadValue(f"{name!r} cannot name a search: use letters, digits and _ . + -")
        known = instrument.lower()
        if known not in SERVICES:
            raise BadValue(_not_an_instrument(instrument))
        kept = tuple(written)
        return cls(name, known, kept, tuple(parse_criterion(text, known) for text in kept))

    @property
    def service(self) -> str:
        """MAST's name of the service that answers this search."""
        return SERVICES[self.instrument]

    def filters(self) -> list[dict[str, Any]]:
        """Return the criteria as MAST's filters."""
        return [criterion.as_filter() for criterion in self.criteria]


def _not_an_instrument(word: str) -> str:
    near = nearest(word, list(SERVICES))
    hint = f"; did you mean {near!r}?" if near else f"; there are {', '.join(SERVICES)}"
    return f"no instrument {word!r}{hint}"


def parse_criterion(text: str, instrument: str | None = None) -> Criterion:
    """Read one ``keyword=value``.

    Raises
    ------
    UnknownKeyword, BadValue
        With the nearest right spelling.

    Examples
    --------
    >>> parse_criterion("category=COM,ERS", "niriss").values
    ('COM', 'ERS')
    >>> parse_criterion("nints=..100", "niriss").ranges
    (Range(low=-inf, high=100.0),)
    """
    name, separator, value = text.partition("=")
    if not separator or not value.strip():
        raise BadValue(f"{text!r} is not KEYWORD=VALUE")
    keyword = lookup(name, instrument)
    parts = _split(value)
    if keyword.kind in ("integer", "number", "time"):
        return _numeric(keyword, parts, instrument)
    return _discrete(keyword, parts)


def _split(value: str) -> list[str]:
    """Cut at commas that stand outside double quotes."""
    parts = [part.strip() for part in next(csv.reader([value.strip()], skipinitialspace=True))]
    if not all(parts):
        raise BadValue(f"{value!r} has an empty value in its list")
    return parts


def _discrete(keyword: Keyword, parts: list[str]) -> Criterion:
    patterns = [part.replace("*", "%") for part in parts if "*" in part or "%" in part]
    if len(patterns) > 1:
        raise BadValue(f"{keyword.name}: MAST takes one wildcard for each keyword, not {len(patterns)}")
    exact = [part for part in parts if "*" not in part and "%" not in part]
    values = tuple(_boolean(keyword, part) if keyword.kind == "boolean" else _allowed(keyword, part) for part in exact)
    return Criterion(keyword.name, values, (), patterns[0] if patterns else None)


def _boolean(keyword: Keyword, part: str) -> str | bool:
    word = part.lower()
    if word not in _TRUE | _FALSE:
        raise BadValue(f"{keyword.name} is true or false (T or F), not {part!r}")
    if keyword.fits_keyword is None:  # the archive's own booleans travel as JSON's
        return word in _TRUE
    return "t" if word in _TRUE else "f"


def _allowed(keyword: Keyword, part: str) -> str:
    if not keyword.allowed:
        return part
    by_upper = {value.upper(): value for value in keyword.allowed}
    if part.upper() in by_upper:
        return by_upper[part.upper()]
    near = nearest(part, list(keyword.allowed))
    hint = f"; did you mean {near!r}?" if near else f"; it can be {', '.join(keyword.allowed[:12])}"
    raise BadValue(f"{keyword.name} has no value {part!r}{hint}")


def _numeric(keyword: Keyword, parts: list[str], instrument: str | None) -> Criterion:
    ranges = [_range(keyword, part) for part in parts]
    name = _mjd_name(keyword, instrument)
    if keyword.kind == "integer" and all(r.low == r.high for r in ranges):
        return Criterion(name, tuple(int(r.low) for r in ranges))
    return Criterion(name, (), tuple(ranges))


def _mjd_name(keyword: Keyword, instrument: str | None) -> str:
    """Dates are asked in MJD: a date's own column takes no ranges, its twin does."""
    if keyword.kind != "time" or keyword.name.endswith("_mjd"):
        return keyword.name
    try:
        return lookup(f"{keyword.name}_mjd", instrument).name
    except UnknownKeyword:
        return keyword.name


def _range(keyword: Keyword, part: str) -> Range:
    low, dots, high = part.partition("..")
    if not dots:
        return _point(keyword, part)
    if not low.strip() and not high.strip():
        raise BadValue(f"{keyword.name}={part}: a range needs at least one end, like 1..5, ..5 or 1..")
    start = _number(keyword, low) if low.strip() else -math.inf
    end = _number(keyword, high) if high.strip() else math.inf
    if start > end:
        raise BadValue(f"{keyword.name}={part}: the range ends before it starts")
    return Range(start, end)


def _point(keyword: Keyword, part: str) -> Range:
    """One value is a range of no width; a calendar day is the whole day."""
    value = _number(keyword, part)
    is_day = keyword.kind == "time" and re.fullmatch(r"\d{4}-\d{2}-\d{2}", part.strip()) is not None
    return Range(value, value + 1 - 1e-8 if is_day else value)


def _number(keyword: Keyword, text: str) -> float:
    word = text.strip()
    if keyword.kind == "time" and re.match(r"\d{4}-\d", word):
        return mjd(word, keyword.name)
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or (keyword.kind == "integer" and value != int(value)):
        raise BadValue(f"{keyword.name}: {word!r} is not {_wanted(keyword)}")
    return value


def _wanted(keyword: Keyword) -> str:
    wanted: Mapping[str, str] = {
        "integer": "a whole number or a range like 1..5",
        "time": "a date like 2022-06-01, a time like 2022-06-01T12:00:00, or an MJD",
    }
    return wanted.get(keyword.kind, "a number or a range like 1.5..2")


def mjd(text: str, what: str = "date") -> float:
    """Convert an ISO 8601 date or time to a Modified Julian Date, both UTC.

    Parameters
    ----------
    text : str
        Without a zone it is UTC.
    what : str
        What to call it in an error.

    Returns
    -------
    float
        Days since 1858-11-17T00:00:00 UTC (IAU definition, JD - 2400000.5).

    Raises
    ------
    BadValue
        For a text that is no date.

    Examples
    --------
    >>> mjd("2022-06-01")
    59731.0
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadValue(f"{what}: {text.strip()!r} is not a date like 2022-06-01") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - MJD_EPOCH) / DAY


def iso(value: float) -> str:
    """Convert a Modified Julian Date to ISO 8601 text, UTC, to the second.

    Examples
    --------
    >>> iso(59731.5)
    '2022-06-01T12:00:00'
    """
    return (MJD_EPOCH + value * DAY).strftime("%Y-%m-%dT%H:%M:%S")
