"""Criteria: conditions on keywords, read from text, written from Python values, and turned into the filters of MAST.

In text, a criterion is ``keyword=value``. The value is a list ``A,B`` (any of these), a closed range ``1..5`` (open at
one end if that end is left out), an ISO date where the keyword is a time, or a pattern with ``%`` or ``*``. A value
that has a comma in it stands in double quotes.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from catalog.errors import BadValue, UnknownKeyword
from catalog.text import nearest
from catalog.vocabulary.cone import plain_signs
from catalog.vocabulary.dates import iso, mjd, period
from catalog.vocabulary.keywords import Keyword, lookup
from catalog.vocabulary.observation_columns import observation_column

UNBOUNDED = 1e15
"""Stands for the open end of a range, since MAST's ranges have two ends. It is larger than any keyword's value."""

SingleValue = str | int | float | bool | date
CriterionValue = SingleValue | Sequence[SingleValue | None]

_TRUE = {"t", "true", "yes", "y", "1"}
_FALSE = {"f", "false", "no", "n", "0"}


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
    """A condition on one keyword: it has one of the values, lies in one of the ranges, or is like the pattern.

    Attributes
    ----------
    keyword : str
        MAST's spelling. A time is asked for by the keyword that counts it in MJD.
    values : tuple of str or int or bool
        Exact values.
    ranges : tuple of Range
        Closed ranges.
    pattern : str or None
        A wildcard with ``%``; MAST takes one in each filter.
    """

    keyword: str
    values: tuple[str | int | bool, ...] = ()
    ranges: tuple[Range, ...] = ()
    pattern: str | None = None

    def as_filter(self) -> dict[str, Any]:
        """Return the filter as MAST writes it."""
        values: list[Any] = [*self.values, *(span.as_mast() for span in self.ranges)]
        entry: dict[str, Any] = {"paramName": self.keyword, "values": values}
        if self.pattern is not None:
            entry["freeText"] = self.pattern
        return entry

    def as_astroquery(self) -> list[Any]:
        """Return the value as astroquery takes it: a list of values, or both ends of one range."""
        if self.ranges:
            (only,) = self.ranges
            return list(only.as_mast().values())
        return [*self.values, *([self.pattern] if self.pattern else [])]


def parse_criterion(text: str, instrument: str | None = None) -> Criterion:
    """Read one ``keyword=value``.

    Raises
    ------
    UnknownKeyword, BadValue
        The error names the right spelling that is nearest.

    Examples
    --------
    >>> parse_criterion("category=COM,ERS", "niriss").values
    ('COM', 'ERS')
    >>> parse_criterion("nints=..100", "niriss").ranges
    (Range(low=-inf, high=100.0),)
    """
    name, value = _halves(text)
    keyword = lookup(name, instrument)
    parts = _split(value)
    if keyword.kind in ("integer", "number", "time"):
        return _numeric(keyword, parts, instrument)
    return _discrete(keyword, parts)


def parse_observation_criterion(text: str) -> Criterion:
    """Read one ``column=value`` of an observation search as astroquery expects it: a number can have one range only.

    Raises
    ------
    UnknownKeyword, BadValue
        The error names the right spelling that is nearest.

    Examples
    --------
    >>> parse_observation_criterion("calib_level=2..3").values
    (2, 3)
    """
    name, value = _halves(text)
    column = observation_column(name)
    parts = _split(value)
    if column.kind in ("number", "time"):
        if len(parts) > 1:
            raise BadValue(f"{column.name} takes one range, like {column.name}=1..5")
        return Criterion(column.name, (), (_range(column, parts[0]),))
    if column.kind == "integer":
        return Criterion(column.name, tuple(level for part in parts for level in _levels(column, part)))
    if column.name == "proposal_id":
        parts = [_without_zeros(part) for part in parts]
    return _discrete(column, parts)


def _without_zeros(part: str) -> str:
    """Return a program's number as CAOM writes it; file names fill it up with zeros."""
    return part.lstrip("0") if part.isdigit() and int(part) else part


def _levels(column: Keyword, part: str) -> Iterator[int]:
    """List all whole numbers of a range, because the archive takes only single values."""
    span = _range(column, part)
    levels = [int(level) for level in column.allowed if span.low <= int(level) <= span.high]
    if not levels:
        raise BadValue(f"{column.name} has no value {part!r}; it can be {', '.join(column.allowed)}")
    yield from levels


def _halves(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name.strip() or not value.strip():
        raise BadValue(f"{text!r} is not KEYWORD=VALUE, like exp_type=NIS_SOSS")
    return name, value


def _split(value: str) -> list[str]:
    """Split the text at commas that are not inside double quotes."""
    if len(value.strip().splitlines()) > 1 or "\0" in value:
        raise BadValue(f"{value!r} has a line break in it; a value is one line")
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
    if keyword.fits_keyword is None:  # the archive's own booleans are JSON booleans, those of headers are texts
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
    """Return the keyword that counts a date in MJD: MAST takes ranges for that keyword, not for the date itself."""
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
    end = _end(keyword, high) if high.strip() else math.inf
    if start > end:
        raise BadValue(f"{keyword.name}={part}: the range ends before it starts")
    return Range(start, end)


def _point(keyword: Keyword, part: str) -> Range:
    """Return the range of one value; for a day, a month or a year it is the whole period."""
    if keyword.kind == "time" and (whole := period(part)) is not None:
        return Range(whole[0], whole[1] - 1e-8)
    value = _number(keyword, part)
    return Range(value, value)


def _end(keyword: Keyword, text: str) -> float:
    """Read the end of a range. A month or a year is refused, because it is unclear whether it belongs to the range."""
    whole = period(text) if keyword.kind == "time" else None
    if whole is not None and whole[1] - whole[0] > 1:
        last = iso(whole[1] - 1)[:10]
        raise BadValue(f"{keyword.name}: a range ends with a day or a time; write ..{iso(whole[0])[:10]} or ..{last}")
    return _number(keyword, text)


def _number(keyword: Keyword, text: str) -> float:
    word = plain_signs(text).strip()
    if keyword.kind == "time":
        return mjd(word, keyword.name)
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or (keyword.kind == "integer" and value != int(value)):
        raise BadValue(f"{keyword.name}: {word!r} is not {_expected_value(keyword)}")
    return value


def _expected_value(keyword: Keyword) -> str:
    expected: Mapping[str, str] = {
        "integer": "a whole number or a range like 1..5",
    }
    return expected.get(keyword.kind, "a number or a range like 1.5..2")


def criterion(keyword: str, value: CriterionValue) -> str:
    """Write a keyword and a Python value as ``keyword=value``.

    Parameters
    ----------
    keyword : str
        MAST's spelling or the FITS keyword.
    value : str, number, bool, date, list or tuple
        Text is what the command line takes, with its lists, ranges and wildcards. A list means any of its values, each
        taken literally. A pair is a closed range; None is an open end.

    Raises
    ------
    BadValue
        If a tuple is not a pair.

    Examples
    --------
    >>> criterion("pi_name", ["Batalha, Natalie", "Espinoza, Nestor"])
    'pi_name="Batalha, Natalie","Espinoza, Nestor"'
    >>> criterion("date_obs", (date(2022, 6, 1), None))
    'date_obs=2022-06-01..'
    """
    if isinstance(value, tuple):
        if len(value) != 2:
            raise BadValue(f"{keyword}: a range is a pair, like (1, 5); any of several values is a list")
        low, high = ("" if end is None else _text(end) for end in value)
        return f"{keyword}={low}..{high}"
    if isinstance(value, str | int | float | date):
        return f"{keyword}={_text(value)}"
    texts = [_text(each) for each in value if each is not None]
    return f"{keyword}=" + ",".join(f'"{text}"' if "," in text else text for text in texts)


def criteria(values_by_keyword: Mapping[str, CriterionValue | None]) -> tuple[str, ...]:
    """Write several keywords and values as criteria; a value that is None is left out."""
    return tuple(criterion(keyword, value) for keyword, value in values_by_keyword.items() if value is not None)


def _text(value: SingleValue) -> str:
    if isinstance(value, bool):
        return "T" if value else "F"
    return value.isoformat() if isinstance(value, date) else str(value)
