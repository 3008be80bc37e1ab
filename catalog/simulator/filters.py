"""The filters of a request as SQL with bound parameters, with the archive's rules for matching."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

_NUMBERS = ("int", "float", "date")
_TRUE, _FALSE = ("true", "t", "1"), ("false", "f", "0")
_DATE = re.compile(r"/Date\((-?\d+)\)/")


class BadRequestError(Exception):
    """The archive would answer this request with status ERROR and this message."""


@dataclass
class WhereClause:
    """A WHERE clause and its parameters, to which filters are added."""

    clauses: list[str] = field(default_factory=list)
    parameters: dict[str, object] = field(default_factory=dict)

    @property
    def sql(self) -> str:
        """The clauses, joined by AND; true if there are none."""
        return " AND ".join(self.clauses) or "true"

    def bind(self, value: object) -> str:
        """Keep a value, and return the name of its parameter."""
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return f"${name}"


def column_sql(name: str) -> str:
    """Return a column's name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def real_name(name: str, types: Mapping[str, str]) -> str:
    """Find a column by its name in upper or lower case, and return the archive's spelling."""
    if name in types:
        return name
    for spelled in types:
        if spelled.lower() == name.lower():
            return spelled
    raise BadRequestError(f"Invalid column name '{name}'.")


def add_filters(condition: WhereClause, filters: Sequence[Mapping[str, Any]], types: Mapping[str, str]) -> None:
    """Add all filters of a request: AND between filters, OR between the values of one filter."""
    for each in filters:
        name = real_name(str(each.get("paramName", "")), types)
        condition.clauses.append(_clause(condition, name, types[name], each))


def _clause(condition: WhereClause, name: str, kind: str, given: Mapping[str, Any]) -> str:
    if given.get("freeText"):
        pattern = condition.bind(like(str(given["freeText"])))
        return f"regexp_full_match(CAST({column_sql(name)} AS VARCHAR), {pattern}, 'is')"
    values = list(given.get("values") or [])
    ranges = [value for value in values if isinstance(value, dict)]
    single = [value for value in values if not isinstance(value, dict)]
    if given.get("separator"):
        single = [part for value in single for part in str(value).split(str(given["separator"]))]
        if kind == "string" and single:
            return _any_part_of(condition, name, str(given["separator"]), single)
    if name == "proposal_id":
        single = [str(value).lstrip("0") or "0" for value in single]
    choices = [_range(condition, name, kind, value) for value in ranges]
    if single:
        choices.append(_any_of(condition, name, kind, single))
    return "(" + (" OR ".join(choice for choice in choices if choice) or "false") + ")"


def like(pattern: str) -> str:
    r"""Turn a pattern of SQL Server's LIKE (``%``, ``_``, ``[a-c]``, ``[^a]``) into a regular expression.

    Examples
    --------
    >>> like("jw0[12]%_x1d.fits")
    'jw0[12].*.x1d\\.fits'
    """
    parts = re.findall(r"\[\^?[^\]]+\]|.", pattern, re.DOTALL)
    return "".join({"%": ".*", "_": "."}.get(part) or (part if len(part) > 1 else re.escape(part)) for part in parts)


def _any_part_of(condition: WhereClause, name: str, separator: str, values: Sequence[object]) -> str:
    """Match cells that list several values, such as the filters of an observation."""
    words = condition.bind([str(value).strip().lower() for value in values])
    parts = (
        f"list_transform(string_split(lower({column_sql(name)}), {condition.bind(separator)}), lambda part: trim(part))"
    )
    return f"coalesce(list_has_any({parts}, {words}), false)"


def _range(condition: WhereClause, name: str, kind: str, value: Mapping[str, Any]) -> str:
    column = column_sql(name) if kind in _NUMBERS else f"TRY_CAST({column_sql(name)} AS DOUBLE)"
    ends = [
        f"{column} {sign} {condition.bind(_number(value[end], kind))}"
        for end, sign in (("min", ">="), ("max", "<="))
        if value.get(end) is not None
    ]
    return "(" + (" AND ".join(ends) or f"{column} IS NOT NULL") + ")"


def _number(value: object, kind: str) -> float:
    number = _plain_number(value, kind)
    if number is None:
        raise BadRequestError(f"Error converting data type varchar to {kind}.")
    return number


def _plain_number(value: object, kind: str) -> float | None:
    text = str(value).strip()
    if kind == "date":
        date = _DATE.fullmatch(text)
        return float(date[1]) if date else _iso_ms(text)
    try:
        return float(text)
    except ValueError:
        return None


def _iso_ms(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000


def _any_of(condition: WhereClause, name: str, kind: str, values: Sequence[object]) -> str:
    if kind in _NUMBERS:
        numbers = [number for number in (_plain_number(value, kind) for value in values) if number is not None]
        return f"{column_sql(name)} IN {_set(condition, list(numbers))}" if numbers else ""
    words = [str(value).lower() for value in values]
    if kind == "boolean":
        flags = [flag for flag, spelled in ((True, _TRUE), (False, _FALSE)) if set(words) & set(spelled)]
        return f"{column_sql(name)} IN {_set(condition, list(flags))}" if flags else ""
    return f"lower({column_sql(name)}) IN {_set(condition, list(words))}"


def _set(condition: WhereClause, values: list[object]) -> str:
    """Write a test whether a value is in a list: a short list value by value, so that a scan can use it."""
    if len(values) <= 16:
        return "(" + ", ".join(condition.bind(value) for value in values) + ")"
    return f"(SELECT unnest({condition.bind(values)}))"


def add_cone(condition: WhereClause, ra: float, dec: float, radius: float) -> str:
    """Keep rows within a radius of a place, all in degrees; return SQL of the distance in arcsec."""
    here = f"radians({condition.bind(dec)}::DOUBLE)"
    across = f"sin(radians(s_ra - {condition.bind(ra)}::DOUBLE) / 2)"
    along = f"sin((radians(s_dec) - {here}) / 2)"
    haversine = (
        f"2 * degrees(asin(least(1.0, sqrt(pow({along}, 2) + cos({here}) * cos(radians(s_dec)) * pow({across}, 2)))))"
    )
    condition.clauses.append(f"{haversine} <= {condition.bind(radius)}::DOUBLE")
    return f"({haversine}) * 3600"
