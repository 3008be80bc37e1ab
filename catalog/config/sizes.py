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
    >>> bytes_of("500M"), bytes_of("1.5 kB"), bytes_of("2 KiB")
    (500000000, 1500, 2048)
    """
    match = re.fullmatch(r"([0-9]+\.?[0-9]*|\.[0-9]+)\s*(?:([KMGT])(i(?=B))?)?B?(?:/s)?", text.strip(), re.IGNORECASE)
    count = 0
    if match:
        number, prefix, binary = match.groups()
        count = int(float(number) * (1024 if binary else 1000) ** " KMGT".index((prefix or " ").upper()))
    if count <= 0:
        raise BadValue(f"{option}: {text!r} is not a size like 500M or 2G")
    return count
