"""Write answers to the screen, to stdout or to a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.text import plural

from .printing import note, put_lines, put_table

if TYPE_CHECKING:
    import typer

    from catalog.api.question import Question

SHOWN = 1000
"""How many rows a table on the screen has."""


def form_of(form: str | None, output: Path | None, json: bool = False, context: typer.Context | None = None) -> str:
    """Return the format that was asked for: by name, by the ending of the file, or a table on the screen.

    Raises
    ------
    UsageError
        If --json and another format are both asked for.
    """
    if json:
        from catalog.errors import UsageError

        typed = context is None or getattr(context.get_parameter_source("form"), "name", "") == "COMMANDLINE"
        if form not in (None, "json") and typed:
            raise UsageError(f"--json and --format {form} are two formats; give one of them")
        if output is not None and output.suffix.lower() != ".json":
            raise UsageError(f"--json and -o {output} are two formats; let the name end in .json, or leave out --json")
        return "json"
    if form is not None:
        _refuse_two(form, output)
        return form
    if output is None:
        return "table"
    from catalog.answers.formats import format_of

    return format_of(output)


def _refuse_two(form: str, output: Path | None) -> None:
    """Refuse an unknown format, a table in a file, and a file whose ending stands for another format."""
    from catalog.errors import UsageError

    if form == "table" and output is None:
        return
    if form == "table":
        raise UsageError("a table is for the terminal; choose --format csv, json, jsonl, parquet, votable or ecsv")
    from catalog.answers.formats import BY_SUFFIX, checked_format

    named = BY_SUFFIX.get(output.suffix.lower()) if output is not None else None
    if named not in (None, checked_format(form)):
        raise UsageError(f"--format {form} and -o {output} are two formats; leave out --format, or change the ending")


def put_answer(question: Question, form: str, output: Path | None, noun: str = "row", limit: int | None = None) -> int:
    """Ask a question and write its rows where they are wanted; return how many there were.

    Parameters
    ----------
    question : Question
        The question, from `Catalog.ask`.
    form : str
        ``table`` or one of `catalog.answers.formats.FORMATS`.
    output : Path or None
        The file; None for stdout.
    noun : str
        The word for one row, in messages.
    limit : int or None
        The most rows to return.
    """
    if form == "table" and output is None:
        return put_first_rows(question.first_rows(SHOWN if limit is None else limit), noun, limit)
    from catalog.errors import UsageError

    if form == "table":
        raise UsageError("a table is for the terminal; choose --format csv, json, jsonl, parquet, votable or ecsv")
    count = question.write(output or sys.stdout.buffer, form, limit)
    if output is None:
        sys.stdout.buffer.flush()
    else:
        note(f"{plural(count, noun)} in {output}")
    return count


def put_first_rows(
    answer: tuple[list[str], list[tuple[Any, ...]], bool], noun: str = "row", limit: int | None = None
) -> int:
    """Print an answer as `Question.first_rows` returns it, and return how many rows it has.

    The catalog is closed before, because whatever reads stdout may be slow.
    """
    columns, rows, more = answer
    if columns == ["explain_key", "explain_value"]:
        put_lines("".join(str(plan) for _, plan in rows).removesuffix("\n"))
        return len(rows)
    put_table(columns, rows)
    if more and limit is None:
        note(f"the first {SHOWN:,} rows; for all of them: --format csv")
    elif noun != "row" or not rows:
        note(plural(len(rows), noun))
    return len(rows)
