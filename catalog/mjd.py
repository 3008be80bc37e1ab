"""Modified Julian Dates and ISO 8601, both UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from catalog.errors import BadValue

MJD_EPOCH = datetime(1858, 11, 17, tzinfo=UTC)
DAY = timedelta(days=1)


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
