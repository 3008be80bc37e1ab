"""Words and numbers from outside (headers, the archive, file names) in a form that is safe for a picture."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from catalog.text import harmless

_LONGEST = 70
"""How many characters of a name a picture has room for."""
_LARGEST = 1e100
"""Larger numbers are no measurements, and computing axes with them would overflow."""
_FIRST_MJD, _LAST_MJD = 33282.0, 88069.0
"""1950 to 2100. An observation outside is a mistake, and would compress all others into one line."""

Values = npt.NDArray[np.float64]


def without_markup(text: object, longest: int = _LONGEST) -> str:
    r"""Return text that a picture shows as it is.

    A dollar sign would begin a formula, and names like ``A$_{b$C`` are errors in a formula. Control characters have no
    glyphs, and some of them cannot be in an SVG. Long texts are shortened in the middle.

    Examples
    --------
    >>> print(without_markup("A$_{b$C"), without_markup("two\nlines"), without_markup("abcdefghij", longest=7))
    A\$_{b\$C two\nlines abc…hij
    """
    shown = harmless(str(text))
    if len(shown) > longest:
        room = longest - 1
        shown = f"{shown[: room - room // 2]}…{shown[-(room // 2) :]}"
    return shown.replace("$", r"\$")


def card_text(header: Any, keyword: str) -> str:
    """Return the value of a card as text; empty if there is none, or none that can be read."""
    value = _value(header, keyword)
    return "" if value is None or isinstance(value, bool) else str(value).strip()


def card_number(header: Any, keyword: str) -> float | None:
    """Return the value of a card as a finite number; None if there is none."""
    value = _value(header, keyword)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _value(header: Any, keyword: str) -> object:
    from astropy.io.fits.card import Undefined

    try:
        value = header.get(keyword)
    except Exception:  # astropy's errors about a card are of many classes, and all mean that it cannot read the card
        return None
    return None if isinstance(value, Undefined) else value


def drawable(values: Any) -> Values:
    """Return numbers, with not-a-number for values that no axis can show: masked, infinite, or extremely large.

    Examples
    --------
    >>> drawable([1, float("inf"), 1e300]).tolist()
    [1.0, nan, nan]
    """
    given = np.ma.asarray(values)
    numbers: Values = np.ma.filled(given.astype(float), np.nan)
    with np.errstate(invalid="ignore"):
        fits = np.abs(numbers) <= _LARGEST
    return np.where(fits, numbers, np.nan)


def is_date(mjd: float | None) -> bool:
    """Say whether a Modified Julian Date can be that of an observation: between 1950 and 2100.

    Examples
    --------
    >>> is_date(59751.1), is_date(1e12), is_date(float("nan")), is_date(None)
    (True, False, False, False)
    """
    return mjd is not None and _FIRST_MJD <= mjd <= _LAST_MJD


DATES = f"BETWEEN {_FIRST_MJD} AND {_LAST_MJD}"
"""The same condition in SQL, for a number."""
