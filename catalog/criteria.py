"""Criteria from Python values, in the words of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from catalog.errors import BadValue

One = str | int | float | bool | date
Wanted = One | Sequence[One | None]


def criterion(keyword: str, wanted: Wanted) -> str:
    """Write a keyword and a Python value as ``keyword=value``.

    Parameters
    ----------
    keyword : str
        MAST's spelling or the FITS keyword.
    wanted : str, number, bool, date, list or tuple
        Text as on the command line, with its lists, ranges and wildcards; a list for any of its values, each as it
        stands; a pair for a closed range, with None for an open end.

    Raises
    ------
    BadValue
        For a tuple that is no pair.

    Examples
    --------
    >>> criterion("pi_name", ["Batalha, Natalie", "Espinoza, Nestor"])
    'pi_name="Batalha, Natalie","Espinoza, Nestor"'
    >>> criterion("date_obs", (date(2022, 6, 1), None))
    'date_obs=2022-06-01..'
    """
    if isinstance(wanted, tuple):
        if len(wanted) != 2:
            raise BadValue(f"{keyword}: a range is a pair, like (1, 5); any of several values is a list")
        low, high = ("" if end is None else _text(end) for end in wanted)
        return f"{keyword}={low}..{high}"
    if isinstance(wanted, str | int | float | date):
        return f"{keyword}={_text(wanted)}"
    texts = [_text(one) for one in wanted if one is not None]
    return f"{keyword}=" + ",".join(f'"{text}"' if "," in text else text for text in texts)


def criteria(wanted: dict[str, Wanted]) -> tuple[str, ...]:
    """Write several."""
    return tuple(criterion(keyword, value) for keyword, value in wanted.items())


def _text(value: One) -> str:
    if isinstance(value, bool):
        return "T" if value else "F"
    return value.isoformat() if isinstance(value, date) else str(value)
