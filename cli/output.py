"""Printing: data to stdout, talk to stderr."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from catalog.readable import shown


def put_json(value: Any) -> None:
    """Print one JSON value; dates as ISO 8601 text, NaN as null."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2)
    sys.stdout.write(text.decode() + "\n")


def say(text: str) -> None:
    """Tell the user something that is not data."""
    sys.stderr.write(text + "\n")


def put_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, wrap: Sequence[str] = ()) -> None:
    """Print a table for people: as wide as the terminal, or in full where stdout is no terminal.

    Where the terminal has no room for all, prose is folded, texts are cut, the last column's first, and then the last
    columns are left out, and named on stderr. Numbers, times and what names a row are kept whole.

    Parameters
    ----------
    columns : sequence of str
        Their heads.
    rows : iterable of sequences
        Their values.
    wrap : sequence of str
        Columns of prose, which give way first.
    """
    from rich.console import Console

    values = [list(row) for row in rows]
    console = Console()
    if not console.is_terminal:
        sys.stdout.write(_whole(columns, values))
        return
    widths = _fitted(columns, values, wrap, console.width)
    console.print(_table(columns[: len(widths)], values, widths, wrap))
    if left_out := columns[len(widths) :]:
        more = f" and {len(left_out) - _NAMED} columns more" if len(left_out) > _NAMED else ""
        say(f"no room for {', '.join(left_out[:_NAMED])}{more}; through a pipe, as to less -S, the table is whole")


_LEAST, _LEAST_PROSE = 16, 24
"""Characters that a text, or a line of prose, keeps where there is too little room."""
_GAP = 2
_NAMED = 6
"""Columns without room that are named."""
_KEYS = frozenset({"filename", "obs_id", "data_uri", "path", "key"})
"""Columns that name a row."""


def _fitted(columns: Sequence[str], rows: Sequence[Sequence[Any]], wrap: Sequence[str], room: int) -> list[int]:
    """Return the widths of the columns that fit, which are the first ones.

    Examples
    --------
    >>> _fitted(("key", "title"), [["a" * 30, "b" * 30]], (), 50)
    [30, 18]
    >>> _fitted(("key", "size", "title"), [["a" * 30, 1234567, "b" * 30]], (), 50)
    [30, 7]
    """
    from rich.cells import cell_len

    widths, least = [], []
    for number, column in enumerate(columns):
        values = [row[number] for row in rows]
        widths.append(max([cell_len(column), *(cell_len(shown(value)) for value in values)]))
        text = column not in _KEYS and any(isinstance(value, str | list) for value in values)
        keeps = _LEAST_PROSE if column in wrap else _LEAST if text else widths[-1]
        least.append(min(widths[-1], max(keeps, cell_len(column))))
    while len(least) > 1 and sum(least) + _GAP * (len(least) - 1) > room:
        widths.pop()
        least.pop()
    give = sorted(range(len(widths)), key=lambda number: (columns[number] not in wrap, -number))
    for number in give:
        over = sum(widths) + _GAP * (len(widths) - 1) - room
        if over > 0:
            widths[number] = max(least[number], widths[number] - over)
    return widths


def _table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    widths: Sequence[int] | None = None,
    wrap: Sequence[str] = (),
) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for number, column in enumerate(columns):
        prose = column in wrap
        table.add_column(
            Text(column),
            no_wrap=not prose,
            overflow="fold" if prose else "ellipsis",
            width=widths[number] if widths else None,
        )
    for row in rows:
        table.add_row(*(Text(shown(value)) for value in row[: len(columns)]))
    return table


def page_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table in its full width, through the pager where it is larger than the terminal."""
    page(_whole(columns, list(rows)))


def _whole(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table in its full width."""
    from rich.console import Console

    table = _table(columns, rows)
    console = Console(width=max(Console(width=100_000).measure(table).maximum, 1))
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def page(text: str) -> None:
    """Print text, through the pager (``PAGER``, or less) where it is larger than the terminal."""
    import click

    lines = text.splitlines()
    width, height = shutil.get_terminal_size()
    if sys.stdout.isatty() and (len(lines) > height - 2 or max(map(len, lines), default=0) > width):
        os.environ.setdefault("LESS", "-FRSX")  # leave at once what fits, and keep long lines long
        click.echo_via_pager(text)
    else:
        sys.stdout.write(text)
