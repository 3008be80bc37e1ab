"""The layout of a table: in full for a pipe, and in the width of a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from catalog.text import harmless, shown

if TYPE_CHECKING:
    from rich.table import Table

GAP = 2
"""How many spaces there are between columns."""
_KEYS = frozenset({"filename", "obs_id", "data_uri", "path", "key", "input", "output", "via", "name"})
"""Columns that name a row; they are cut in the middle, since their ends tell one row from another."""
_STATES = frozenset({"state", "action", "kind"})
_STATE_STYLES = {
    "stale": "yellow", "missing": "magenta", "corrupt": "red", "modified": "yellow", "unverified": "dim",
    "unknown": "blue", "differs": "yellow", "fetch": "green", "resume": "cyan", "replace": "yellow", "present": "dim",
    "failed": "red", "new": "green", "changed": "yellow", "withdrawn": "red", "returned": "cyan",
}  # fmt: skip
_STEPS = (("prose", 40), ("text", 24), ("key", 28), ("prose", 24), ("text", 12))
"""The order in which columns are narrowed if there is too little room, and how many characters each keeps."""
_LEAST = dict(_STEPS)


def width_in_cells(text: str) -> int:
    """Return the width of a text in a terminal's cells; only text that is not ASCII needs rich's table of widths."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def full_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    r"""Return a table in its full width.

    Examples
    --------
    >>> whole(("name", "n"), [("a\x1b", 1), ("bcdefg", None)])
    'name    n\na\\x1b   1\nbcdefg\n'
    """
    lines = [[harmless(column) for column in columns], *([shown(value) for value in row] for row in rows)]
    widths = [max(width_in_cells(line[number]) for line in lines) for number in range(len(columns))]
    return "".join(
        (" " * GAP)
        .join(cell + " " * (width - width_in_cells(cell)) for cell, width in zip(line, widths, strict=True))
        .rstrip()
        + "\n"
        for line in lines
    )


def fitting_widths(columns: Sequence[str], rows: Sequence[Sequence[Any]], wrap: Sequence[str], room: int) -> list[int]:
    """Return the widths of the first columns, as many as there is room for.

    Examples
    --------
    >>> fitted(("key", "title"), [["a" * 30, "b" * 30]], (), 50)
    [28, 20]
    >>> fitted(("key", "size", "title"), [["a" * 30, 1234567, "b" * 30]], (), 45)
    [30, 7]
    """
    heads = [width_in_cells(harmless(column)) for column in columns]
    kinds = [_kind(column, [row[number] for row in rows], wrap) for number, column in enumerate(columns)]
    widths = [
        max([heads[number], *(width_in_cells(shown(row[number])) for row in rows)]) for number in range(len(columns))
    ]  # fmt: skip
    least = [
        min(width, max(head, _LEAST.get(kind, width))) for width, head, kind in zip(widths, heads, kinds, strict=True)
    ]
    while len(least) > 1 and sum(least) + GAP * (len(least) - 1) > room:
        least.pop()
    widths = widths[: len(least)]
    for kind, keeps in _STEPS:
        for number in reversed(range(len(widths))):
            over = sum(widths) + GAP * (len(widths) - 1) - room
            if over > 0 and kinds[number] == kind:
                widths[number] = min(widths[number], max(heads[number], keeps, widths[number] - over))
    return widths


def _kind(column: str, values: Sequence[Any], wrap: Sequence[str]) -> str:
    """Return the kind of a column, which says how it is narrowed; numbers and times are not."""
    if column in wrap:
        return "prose"
    if column in _KEYS:
        return "key"
    return "text" if any(isinstance(value, str | list) for value in values) else "whole"


def cut_in_the_middle(text: str, width: int) -> str:
    """Shorten a text, but keep its beginning and its end.

    Examples
    --------
    >>> cut_in_the_middle("jw02734002001_04101_00001-seg001_nis_x1dints.fits", 28)
    'jw02734002001…s_x1dints.fits'
    """
    if width_in_cells(text) <= width:
        return text
    head = _upto(text, (width - 1) // 2)
    tail = _upto(text[::-1], width - 1 - width_in_cells(head))
    return f"{head}…{tail[::-1]}"


def _upto(text: str, width: int) -> str:
    kept = text[:width]
    while width_in_cells(kept) > width:
        kept = kept[:-1]
    return kept


def on_terminal(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], widths: Sequence[int], wrap: Sequence[str]
) -> Table:
    """Return a table of the first columns, in these widths, with states and numbers in colour."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for column, width in zip(columns, widths, strict=False):
        prose = column in wrap
        table.add_column(
            Text(harmless(column)), no_wrap=not prose, overflow="fold" if prose else "ellipsis", width=width
        )
    for row in rows:
        table.add_row(*(Text(text, style=style) for text, style in _styled_cells(columns, row, widths)))
    return table


def _styled_cells(columns: Sequence[str], row: Sequence[Any], widths: Sequence[int]) -> Iterator[tuple[str, str]]:
    for column, value, width in zip(columns, row, widths, strict=False):
        text = shown(value)
        style = _STATE_STYLES.get(text, "") if column in _STATES else "cyan" if _is_number(value) else ""
        yield cut_in_the_middle(text, width) if column in _KEYS else text, style


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
