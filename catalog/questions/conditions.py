"""Criteria as pieces of SQL, with the meaning that MAST gives them, and statements as people read them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from catalog.store.sql import quoted
from catalog.vocabulary.criteria import Criterion, Range
from catalog.vocabulary.dates import iso

_YEAR_9999_MJD = 2_973_000


@dataclass(frozen=True)
class Condition:
    """A piece of a WHERE clause.

    Attributes
    ----------
    sql : str
        SQL with ``?`` marks.
    values : tuple
        The values for these marks.
    """

    sql: str
    values: tuple[object, ...] = ()


def condition(criterion: Criterion, column: str | None = None, kind: str | None = None) -> Condition:
    """Write a criterion as SQL over `files`, with MAST's meaning: case does not matter, and ranges are closed.

    Parameters
    ----------
    criterion : Criterion
        The criterion, as `catalog.vocabulary.search` reads it.
    column : str, optional
        The column of the keyword, if it has another name.
    kind : str, optional
        The column's DuckDB type, if it is known; otherwise the type that a harvest would give it.

    Examples
    --------
    >>> condition(Criterion("exp_type", ("NIS_SOSS",))).sql
    'lower(exp_type) = ?'
    """
    name = _as_written(column or criterion.keyword)
    parts: list[Condition] = []
    if criterion.values:
        parts.append(_any_of(name, criterion.values, kind))
    parts += [_range_condition(name, span, kind) for span in criterion.ranges]
    if criterion.pattern is not None:
        text = name if kind == "VARCHAR" else f"CAST({name} AS VARCHAR)"
        parts.append(Condition(f"{text} ILIKE ?", (criterion.pattern,)))
    sql = " OR ".join(part.sql for part in parts)
    return Condition(sql if len(parts) == 1 else f"({sql})", tuple(value for part in parts for value in part.values))


def _as_written(column: str) -> str:
    """Quote a name only if SQL needs it."""
    return column if re.fullmatch(r"[A-Za-z_]\w*", column) else quoted(column)


def _any_of(name: str, values: tuple[str | int | bool, ...], kind: str | None) -> Condition:
    if all(value in (True, False, "t", "f") and not _is_number(value) for value in values) and kind != "VARCHAR":
        return _in(name, [value in (True, "t") for value in values])
    if all(_is_number(value) for value in values):
        return _in(f"TRY_CAST({name} AS DOUBLE)" if kind == "VARCHAR" else name, list(values))
    words = [{True: "t", False: "f"}.get(value, value) if isinstance(value, bool) else value for value in values]
    text = name if kind in ("VARCHAR", None) else f"CAST({name} AS VARCHAR)"
    return _in(f"lower({text})", [str(word).lower() for word in words])


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _in(expression: str, values: Sequence[object]) -> Condition:
    if len(values) == 1:
        return Condition(f"{expression} = ?", tuple(values))
    return Condition(f"{expression} IN ({', '.join('?' for _ in values)})", tuple(values))


def _range_condition(name: str, span: Range, kind: str | None) -> Condition:
    """Write a range; times get their date beside the MJD, so that people can read them."""
    number = f"TRY_CAST({name} AS DOUBLE)" if kind == "VARCHAR" else name
    low, high = (math.isfinite(end) for end in (span.low, span.high))
    ends = tuple(end for end in (span.low, span.high) if math.isfinite(end))
    is_date = name.endswith("_mjd") and all(0 <= end < _YEAR_9999_MJD for end in ends)
    dates = f" /* {' to '.join(iso(end) for end in ends)} */" if is_date else ""
    if low and high:
        return Condition(f"{number} BETWEEN ? AND ?{dates}", ends)
    return Condition(f"{number} {'>=' if low else '<='} ?{dates}", ends)


def cone(ra: float, dec: float, radius: float) -> Condition:
    """Return the condition that a file's target lies within a circle on the sky.

    Parameters
    ----------
    ra, dec : float
        In degrees, ICRS.
    radius : float
        In degrees.

    Notes
    -----
    The limits in declination and right ascension are there because they let DuckDB skip most rows. A circle around the
    pole has all right ascensions. Any other circle reaches ``asin(sin(radius) / cos(dec))`` to either side (W. M.
    Smart, Textbook on Spherical Astronomy, 6th ed., section 7).
    """
    ends = (dec - radius, dec + radius)
    sql, values = "targ_dec BETWEEN ? AND ?", list(ends)
    if ends[0] > -90 and ends[1] < 90:
        reach = math.degrees(math.asin(math.sin(math.radians(radius)) / math.cos(math.radians(dec)))) + 1e-9
        within = reach <= ra <= 360 - reach
        sql += " AND targ_ra BETWEEN ? AND ?" if within else " AND (targ_ra >= ? OR targ_ra <= ?)"
        values += [ra - reach, ra + reach] if within else [(ra - reach) % 360, (ra + reach) % 360]
    return Condition(f"{sql} AND separation(targ_ra, targ_dec, ?, ?) <= ?", (*values, ra, dec, radius))


def written_out(sql: str, values: Sequence[object]) -> str:
    """Write the values of a statement in the place of its ``?`` marks, for people to read and copy.

    Examples
    --------
    >>> written_out("SELECT ? + ?", [1, "it's"])
    "SELECT 1 + 'it''s'"
    """
    parts = sql.split("?")
    shown = [
        "'" + v.replace("'", "''") + "'" if isinstance(v, str) else str(v).upper() if isinstance(v, bool) else repr(v)
        for v in values
    ]
    return "".join(part + value for part, value in zip(parts, [*shown, ""], strict=True))
