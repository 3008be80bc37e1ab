"""Values and counts as a person reads them, in tables, messages and pictures."""

from __future__ import annotations

import os
import re
from datetime import datetime, time
from typing import Any

_CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0 and C1: line breaks, escape sequences
    "\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"  # invisible, or changing the direction of text
    "\ufff9-\ufffb\U000e0000-\U000e007f"
    "\ud800-\udfff]"  # stand for bytes of a file's name that are not UTF-8
)
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def harmless(text: str) -> str:
    r"""Return text in a form that a terminal or a notebook shows in one line, without any other effect.

    Names come from the archive, from headers and from file systems. A line break or an escape sequence in a name could
    forge a line, move the cursor or change the terminal's title; a bidirectional control could reverse a line. All of
    these, and invisible characters, are shown as Python writes them in a string.

    Examples
    --------
    >>> print(harmless("two\nlines"), harmless("\x1b[31mred"), harmless("\u202efits.exe"))
    two\nlines \x1b[31mred \u202efits.exe
    """
    return _CONTROLS.sub(_escaped, text)


def without_password(text: str | os.PathLike[str]) -> str:
    r"""Return a name or an address in harmless form, without what stands before its last ``@``.

    Examples
    --------
    >>> without_password("ftp://astro:secret@example.org/jwst"), without_password("my.duckdb")
    ('ftp://...@example.org/jwst', 'my.duckdb')
    """
    before, at, host = harmless(os.fspath(text)).rpartition("@")
    scheme, mark, _ = before.partition("://")
    return f"{scheme}://...@{host}" if at and mark else f"...@{host}" if at else host


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    number = ord(character)
    form = f"x{number:02x}" if number < 0x100 else f"u{number:04x}" if number < 0x10000 else f"U{number:08x}"
    return _SHORT.get(character, f"\\{form}")


def shown(value: Any) -> str:
    """Return a value as a person reads it; it is harmless for a terminal.

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
    return harmless(str(value))


def size(count: float) -> str:
    """Return a number of bytes as a person reads it.

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


def plural(count: int, singular: str, several: str | None = None) -> str:
    """Return a count and its noun, in the singular or the plural.

    Examples
    --------
    >>> plural(1, "spectrum", "spectra"), plural(2, "spectrum", "spectra"), plural(1200, "file")
    ('1 spectrum', '2 spectra', '1,200 files')
    """
    return f"{count:,} {singular if count == 1 else several or singular + 's'}"


def nearest(word: str, words: list[str]) -> str | None:
    """Return the word that is most like the typed word, or None.

    Examples
    --------
    >>> nearest("exptype", ["exp_type", "expstart"])
    'exp_type'
    """
    import difflib

    by_lower = {candidate.lower(): candidate for candidate in words}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None
