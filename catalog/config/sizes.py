"""Sizes as people write them: 500M, 2G."""

from __future__ import annotations

import re

from catalog.errors import BadValue


def bytes_of(text: str, option: str = "--max-size") -> int:
    """Read a size like 500M or 2G, in bytes.

    Raises
    ------
    BadValue
        If the text is no size, or not more than 0.

    Examples
    --------
    >>> bytes_of("500M"), bytes_of("1.5 kB")
    (500000000, 1500)
    """
    match = re.fullmatch(r"([0-9]+\.?[0-9]*|\.[0-9]+)\s*([KMGT]?)i?B?(/s)?", text.strip(), re.IGNORECASE)
    factors = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
    count = int(float(match[1]) * factors[match[2].upper()]) if match else 0
    if count <= 0:
        raise BadValue(f"{option}: {text!r} is not a size like 500M or 2G")
    return count
