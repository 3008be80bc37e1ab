"""Printing: data go to stdout, messages to stderr."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from catalog.text import harmless

from .table_layout import fitting_widths, full_table, on_terminal


def put_json(value: Any) -> None:
    """Print one JSON value; dates as ISO 8601 text, NaN as null."""
    sys.stdout.write(json_text(value))


def json_text(value: Any) -> str:
    """Return one JSON value as text that ends with a line break."""
    import msgspec

    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"


def say(text: str) -> None:
    """Print one line for the user on stderr, whatever names are in it."""
    sys.stderr.write(harmless(text) + "\n")


_hushed = False


def hush(quiet: bool) -> None:
    """Leave out notes from here on, as -q asks for; errors are still printed."""
    global _hushed  # noqa: PLW0603
    _hushed = quiet


def note(text: str) -> None:
    """Print a message that a person may want, unless -q was given."""
    if not _hushed:
        say(text)


def put(text: str) -> None:
    """Print a line for people on stdout, whatever names are in it."""
    sys.stdout.write(harmless(text) + "\n")


def put_lines(text: str) -> None:
    """Print text of several lines, such as SQL, on stdout; everything except its line breaks is made harmless."""
    sys.stdout.write(harmless_lines(text) + "\n")


def harmless_lines(text: str) -> str:
    """Return text of several lines in which everything except the line breaks is harmless."""
    return "\n".join(map(harmless, text.split("\n")))


def put_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, wrap: Sequence[str] = ()) -> None:
    """Print a table for people: as wide as the terminal, or in full if stdout is no terminal.

    If the terminal is too narrow, prose is folded, texts are cut at their ends, and names of rows are cut in the
    middle. If this is not enough, the last columns are left out and named on stderr. Numbers and times are never cut.

    Parameters
    ----------
    columns : sequence of str
        The heads of the columns.
    rows : iterable of sequences
        The values of each row.
    wrap : sequence of str
        Columns of prose, which are narrowed first.
    """
    values = [list(row) for row in rows]
    if not _may_be_terminal():
        sys.stdout.write(full_table(columns, values))
        return
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        sys.stdout.write(full_table(columns, values))
        return
    widths = fitting_widths(columns, values, wrap, console.width)
    console.print(on_terminal(columns, values, widths, wrap))
    if left_out := columns[len(widths) :]:
        more = f" and {len(left_out) - _NAMED} columns more" if len(left_out) > _NAMED else ""
        note(f"no room for {', '.join(left_out[:_NAMED])}{more}; a pipe, as to less -S, gets the complete table")


_NAMED = 6
"""How many columns without room are named."""


def _may_be_terminal() -> bool:
    """Say whether to ask rich; its import takes longer than most answers."""
    return sys.stdout.isatty() or bool(os.environ.get("FORCE_COLOR") or os.environ.get("TTY_COMPATIBLE"))


def page_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table in its full width; if it is larger than the terminal, through the pager."""
    put_paged(full_table(columns, rows))


def put_paged(text: str) -> None:
    """Print text; if it is larger than the terminal, through the pager (``PAGER``, or less)."""
    lines = text.splitlines()
    width, height = shutil.get_terminal_size()
    if sys.stdout.isatty() and (len(lines) > height - 2 or max(map(len, lines), default=0) > width):
        import pydoc

        os.environ.setdefault("LESS", "-FRSX")  # do not page what fits, and do not fold long lines
        pydoc.pager(text)
    else:
        sys.stdout.write(text)
