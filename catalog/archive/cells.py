"""Turn the texts of one column's cells into typed values; a cell that does not fit is kept as its text.

A single odd cell must not lose an answer, or turn a column of numbers and its history into text. So a cell whose value
the column cannot hold is null there, and its text is in the row's ``odd_cells``. Such values are a number beyond 64
bits, ``NaN``, ``N/A`` among numbers, and a text that is no Unicode. If the column can hold almost the value (a time
with seven digits of a second), the cell has both.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa

from catalog.archive.scan import NotJson, text_of, valid_unicode

CellKind = Literal["text", "whole", "number", "truth", "time"]

ARROW: Mapping[CellKind, pa.DataType] = {
    "text": pa.string(),
    "whole": pa.int64(),
    "number": pa.float64(),
    "truth": pa.bool_(),
    "time": pa.timestamp("us"),
}
NOTHING = (None, "null")
"""The texts of a cell without a value."""
MANY = 20
"""With so many values, most of them tell the type of a column, whatever the archive calls it."""
EARLIEST_MJD, LATEST_MJD = -678_575.0, 2_973_484.0
"""The years 1 to 9999, in days."""
EARLIEST_MS, LATEST_MS = -62_135_596_800_000, 253_402_300_799_999
"""The years 1 to 9999, in milliseconds since 1970. Python and most programs have no dates beyond."""

EXACT = 2**53  # up to this number, a DOUBLE holds every whole number exactly
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_WHOLE = re.compile(r"[+-]?\d{1,19}")
_MILLISECONDS = re.compile(r"/Date\((-?\d{1,18})(?:[+-]\d{4})?\)/")
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?)?\s*(Z|[+-]\d\d:?\d\d)?", re.IGNORECASE
)
_TRUTHS = {"t": True, "true": True, "1": True, "f": False, "false": False, "0": False}
_EPOCH = dt.datetime(1970, 1, 1)


@dataclass
class Cells:
    """The cells of one column.

    Attributes
    ----------
    values : pyarrow.Array
        Typed values; null for a cell without a value, and for most odd cells.
    odd : dict
        The texts, by row, of cells whose value is not exactly what came.
    """

    values: pa.Array
    odd: dict[int, str] = field(default_factory=dict)


class _Odd(Exception):
    """A cell that its column cannot hold, or can hold only approximately, as `value`."""

    def __init__(self, value: Any = None) -> None:
        super().__init__()
        self.value = value


Bounds = tuple[float, float]


def read_cells(
    tokens: Sequence[str | None], kind: CellKind, strict: bool = False, bounds: Bounds | None = None
) -> Cells:
    """Read one column.

    Parameters
    ----------
    tokens : sequence of str or None
        The JSON text of each cell; None if the row does not have the cell.
    kind : str
        The type of the column, as the archive calls it.
    strict : bool
        Keep this type, even if most cells are text or some numbers have a fraction.
    bounds : (float, float), optional
        Limits between which a number is meaningful; a number outside is odd.

    Examples
    --------
    >>> cells = read_cells(["1", "NaN", '"5"', None], "whole")
    >>> cells.values.to_pylist(), cells.odd
    ([1, None, 5, None], {1: 'NaN'})
    """
    values, odd = _read(tokens, _READERS[kind])
    if bounds:
        for row, value in enumerate(values):
            if value is not None and not bounds[0] <= value <= bounds[1]:
                values[row], odd[row] = None, valid_unicode(str(tokens[row]))
    if kind == "whole" and any(isinstance(value, float) for value in values):
        fits = not strict and all(value is None or abs(value) <= EXACT for value in values)
        if fits:
            return Cells(pa.array([value if value is None else float(value) for value in values], pa.float64()), odd)
        values, more = _read(tokens, _whole_only)
        odd |= more
    filled = sum(value is not None for value in values) + len(odd)
    if not strict and kind != "text" and filled >= MANY and 2 * len(odd) > filled:
        return read_cells(tokens, "text", strict=True)
    return Cells(pa.array(values, ARROW[kind]), odd)


def _read(tokens: Sequence[str | None], reader: Callable[[str], Any]) -> tuple[list[Any], dict[int, str]]:
    values: list[Any] = []
    odd: dict[int, str] = {}
    for row, token in enumerate(tokens):
        if token in NOTHING:
            values.append(None)
            continue
        try:
            values.append(reader(str(token)))
        except (_Odd, NotJson) as error:
            odd[row] = valid_unicode(str(token))
            values.append(getattr(error, "value", None))
    return values, odd


def _without_quotes(token: str) -> str:
    """Return the text of a number, also of one inside a string; of anything else, the text as it is."""
    return text_of(token).strip() if token.startswith('"') else token


def _text(token: str) -> str:
    """Return a text; for a number or anything else, return it as it is written."""
    text = text_of(token) if token.startswith('"') else token
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise _Odd from None
    return text


def _number(token: str) -> float:
    text = _without_quotes(token)
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value) or (abs(value) >= EXACT and _is_rounded(text, value)):
        raise _Odd
    return value


def _is_rounded(text: str, value: float) -> bool:
    """Say whether a whole number that is written out changes when it becomes a float."""
    digits = text.lstrip("+-0")  # at most 309 digits, since the float is finite
    return digits.isdigit() and int(digits) != abs(value)


def _whole_number(token: str) -> int | float:
    """Return a whole number; or one with a fraction, if its column may become a column of such numbers."""
    text = _without_quotes(token)
    if _WHOLE.fullmatch(text):
        number = int(text)
        if not -(2**63) <= number < 2**63:
            raise _Odd
        return number
    value = _number(token)
    if abs(value) > EXACT:
        raise _Odd
    return int(value) if value.is_integer() else value


def _whole_only(token: str) -> int:
    value = _whole_number(token)
    if isinstance(value, float):
        raise _Odd
    return value


def _truth(token: str) -> bool:
    try:
        return _TRUTHS[_without_quotes(token).lower()]
    except KeyError:
        raise _Odd from None


def _time(token: str) -> dt.datetime:
    if not token.startswith('"'):
        raise _Odd
    text = text_of(token)
    parts = _MILLISECONDS.fullmatch(text)
    if parts:
        milliseconds = int(parts[1])
        if not EARLIEST_MS <= milliseconds <= LATEST_MS:
            raise _Odd
        return _EPOCH + dt.timedelta(milliseconds=milliseconds)
    return _iso_time(text.strip())


def _iso_time(text: str) -> dt.datetime:
    parts = _ISO.fullmatch(text)
    if parts is None:
        raise _Odd
    year, month, day, hour, minute, second, fraction, zone = parts.groups()
    digits = fraction or ""
    try:
        time = dt.datetime(
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            int(digits[:6].ljust(6, "0")),
        )
        if zone and zone.upper() != "Z":
            ahead = dt.timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
            time = time - ahead if zone[0] == "+" else time + ahead
    except (ValueError, OverflowError):
        raise _Odd from None
    if digits[6:].strip("0"):
        raise _Odd(time)
    return time


_READERS: Mapping[CellKind, Callable[[str], Any]] = {
    "text": _text,
    "whole": _whole_number,
    "number": _number,
    "truth": _truth,
    "time": _time,
}
