"""Dates and times as people write them, turned into Modified Julian Dates (MJD, UTC)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from catalog.errors import BadValue

MJD_EPOCH = datetime(1858, 11, 17, tzinfo=UTC)
DAY = timedelta(days=1)
_JD_OF_MJD = 2_400_000.5
_FIRST_MJD, _LAST_MJD = -600_000, 88_069
"""The years 216 and 2100. A number outside is a date without dashes, a Julian Date, or a mistake."""

_PERIOD = re.compile(r"((?:19|20)\d\d)(?:[-/](\d\d?)(?:[-/](\d\d?))?)?")
_DAY = re.compile(r"((?:19|20)\d\d)(\d\d)(\d\d)")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?", re.IGNORECASE)
_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([hdwy])", re.IGNORECASE)
_DAYS = {"h": 1 / 24, "d": 1.0, "w": 7.0, "y": 365.25}
_WANTED = "like 2022-06-01, 2022-06-01T12:00:00 or 59731.5 (MJD)"


def mjd(text: str, what: str = "date") -> float:
    """Convert a date or time to a Modified Julian Date, both UTC.

    Parameters
    ----------
    text : str
        ISO 8601, in UTC if it has no time zone; a date with slashes or without dashes; a month or a year, which
        stand for their first day; or an MJD.
    what : str
        How an error calls this text.

    Returns
    -------
    float
        Days since 1858-11-17T00:00:00 UTC (IAU definition, JD - 2400000.5).

    Raises
    ------
    BadValue
        If the text is no date, or its number is no MJD between these years.

    Examples
    --------
    >>> mjd("2022-06-01"), mjd("2022/06/01"), mjd("20220601"), mjd("2022-06"), mjd("59731")
    (59731.0, 59731.0, 59731.0, 59731.0, 59731.0)
    """
    word = text.strip()
    if (whole := period(word)) is not None:
        return whole[0]
    if _NUMBER.fullmatch(word):
        return _as_mjd(word, what)
    try:
        moment = datetime.fromisoformat(word.replace("/", "-") if word[:4].isdigit() else word)
    except ValueError:
        raise BadValue(f"{what}: {word!r} is not a date {_WANTED}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - MJD_EPOCH) / DAY


def period(text: str) -> tuple[float, float] | None:
    """Return the beginning and the end of a day, a month or a year, or None for any other text.

    Examples
    --------
    >>> period("2022-06"), period("2022-06-01T12:00")
    ((59731.0, 59761.0), None)
    """
    match = _PERIOD.fullmatch(text.strip()) or _DAY.fullmatch(text.strip())
    if match is None:
        return None
    year, month, day = (int(part) if part else None for part in match.groups())
    assert year is not None
    try:
        start = datetime(year, month or 1, day or 1, tzinfo=UTC)
    except ValueError:
        return None
    if day is not None:
        end = start + DAY
    elif month is not None:
        end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    else:
        end = datetime(year + 1, 1, 1, tzinfo=UTC)
    return (start - MJD_EPOCH) / DAY, (end - MJD_EPOCH) / DAY


def _as_mjd(word: str, what: str) -> float:
    value = float(word)
    if not _FIRST_MJD < value < _LAST_MJD:
        meant = f"; as a Julian Date it is MJD {value - _JD_OF_MJD:.10g}" if 2_400_000 < value < 2_500_000 else ""
        raise BadValue(f"{what}: {word!r} is not an MJD of these times{meant}; write a date {_WANTED}")
    return value


def read_moment(text: str, what: str) -> float:
    """Read a point in time, or how long ago it was, as an MJD.

    Parameters
    ----------
    text : str
        A date that `mjd` reads, or a time before now in hours, days, weeks or years: 12h, 7d, 2w, 1y.
    what : str
        How an error calls this text.

    Raises
    ------
    BadValue
        If the text is neither.

    Examples
    --------
    >>> read_moment("2022-07", "--since")
    59761.0
    >>> 6.9 < read_moment("now", "--since") - read_moment("7d", "--since") < 7.1
    True
    """
    word = text.strip().lower()
    now = (datetime.now(UTC) - MJD_EPOCH) / DAY
    if word == "now":
        return now
    if (ago := _AGO.fullmatch(word)) is not None:
        return max(now - float(ago[1]) * _DAYS[ago[2]], _FIRST_MJD)
    try:
        return mjd(text, what)
    except BadValue as error:
        raise BadValue(f"{error}, or 7d for seven days ago") from None


def iso(value: float) -> str:
    """Convert a Modified Julian Date to ISO 8601 text, UTC, to the second.

    Examples
    --------
    >>> iso(59731.5)
    '2022-06-01T12:00:00'
    """
    return (MJD_EPOCH + value * DAY).strftime("%Y-%m-%dT%H:%M:%S")
