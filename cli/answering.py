"""Answers on the screen, on stdout or in a file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.readable import plural

from .output import put_lines, put_table, say

if TYPE_CHECKING:
    from catalog.store.database import Database

SHOWN = 1000
"""Rows of a table on the screen."""


def form_of(form: str | None, output: Path | None) -> str:
    """Return the format that was asked for: by name, by the file's ending, or a table on the screen."""
    if form is not None:
        return form
    if output is None:
        return "table"
    from catalog.export import format_of

    return format_of(output)


def put_answer(
    database: Database, sql: str, values: Sequence[object], form: str, output: Path | None, noun: str = "row"
) -> int:
    """Run one read-only statement and put its rows where they were asked for; return how many there were.

    Parameters
    ----------
    database : Database
        The catalog.
    sql : str
        One statement that reads.
    values : sequence
        For its ``?`` marks.
    form : str
        ``table`` or one of `catalog.export.FORMATS`.
    output : Path or None
        A file; None for stdout.
    noun : str
        What a row is, for the message.
    """
    if form == "table" and output is None:
        return _put_table(database, sql, values, noun)
    from catalog.errors import UsageError
    from catalog.export import checked_format, write, write_file
    from catalog.query import answering

    if form == "table":
        raise UsageError("a table is for the terminal; choose --format csv, json, jsonl, parquet, votable or ecsv")
    known = checked_format(form)
    with answering(database, sql, values) as reader:
        if output is None:
            count = write(reader, known, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            count = write_file(reader, known, output)
            say(f"{plural(count, noun)} in {output}")
    return count


def _put_table(database: Database, sql: str, values: Sequence[object], noun: str) -> int:
    """Print the first rows; the catalog is let go of before, since a reader of stdout may take its time."""
    from catalog.query import first_rows

    columns, rows, more = first_rows(database, sql, values, SHOWN)
    if columns == ["explain_key", "explain_value"]:
        put_lines("".join(str(plan) for _, plan in rows).removesuffix("\n"))
        return len(rows)
    put_table(columns, rows)
    if more:
        say(f"the first {SHOWN:,} rows; for all of them: --format csv")
    elif noun != "row":
        say(plural(len(rows), noun))
    return len(rows)
