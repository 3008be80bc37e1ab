"""Values and counts as a person reads them, in tables, messages and pictures."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any


def shown(value: Any) -> str:
    """Return a value as a person reads it.

    Examples
    --------
    >>> shown(None), shown(True), shown(1.5), shown(["a", "b"])
    ('', 'true', '1.5', 'a, b')
    >>> from datetime import date, datetime, time
    >>> shown(datetime(2022, 6, 1, 12, 30, 0, 500)), shown(date(2022, 6, 1)), shown(time(12, 30))
    ('2022-06-01 12:30:00', '2022-06-01', '12:30:00')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, list | tuple):
        return ", ".join(shown(item) for item in value)
    if isinstance(value, datetime | time):
        value = value.replace(microsecond=0)
    return str(value)


def size(count: float) -> str:
    """Return bytes as a person reads them.

    Examples
    --------
    >>> size(0), size(1536), size(826439040)
    ('0 B', '1.5 kB', '826.4 MB')
    """
    unit = "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if count < 1000:
            break
        count, unit = count / 1000, larger
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its word.

    Examples
    --------
    >>> plural(1, "spectrum", "spectra"), plural(2, "spectrum", "spectra"), plural(1200, "file")
    ('1 spectrum', '2 spectra', '1,200 files')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"
