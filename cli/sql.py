"""``mastlake sql``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .options import Settings, settings
from .output import plural, put_table, say

_SHOWN = 1000


def register(app: typer.Typer) -> None:
    app.command("sql")(sql)


def sql(
    context: typer.Context,
    statement: Annotated[str, typer.Argument(metavar="SELECT", help="One read-only statement; - reads it from stdin.")],
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="FORMAT", help="table, csv, json, jsonl, parquet, votable or ecsv."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write there; its ending gives the format.")
    ] = None,
) -> None:
    """Ask the catalog in SQL (DuckDB's), read-only.

    Example: mastlake sql "SELECT targname, count(*) AS files FROM files GROUP BY ALL ORDER BY files DESC"
    """
    chosen = settings(context)
    text = sys.stdin.read() if statement == "-" else statement
    form = form or _asked_by_name(output)
    if form == "table" and output is None:
        _print_table(chosen, text)
    else:
        _write(chosen, text, form, output)


def _asked_by_name(output: Path | None) -> str:
    if output is None:
        return "table"
    from catalog.export import format_of

    return format_of(output) or "csv"


def _print_table(chosen: Settings, text: str) -> None:
    from catalog.query import answering

    rows: list[list[object]] = []
    with answering(chosen.database, text) as reader:
        for batch in reader:
            rows += [list(row.values()) for row in batch.to_pylist()]
            if len(rows) > _SHOWN:
                break
        put_table(reader.schema.names, rows[:_SHOWN])
    if len(rows) > _SHOWN:
        say(f"the first {_SHOWN:,} rows; for all of them: --format csv")


def _write(chosen: Settings, text: str, form: str, output: Path | None) -> None:
    from catalog.errors import UsageError
    from catalog.export import checked_format, write, write_file
    from catalog.query import answering

    if form == "table":
        raise UsageError("a table is for the terminal; choose --format csv, json, jsonl, parquet, votable or ecsv")
    known = checked_format(form)
    with answering(chosen.database, text) as reader:
        if output is None:
            write(reader, known, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            count = write_file(reader, known, output)
            say(f"{plural(count, 'row')} in {output}")
