"""``mastlake sql``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .answer_output import form_of, put_answer
from .options import Form, Json, Limit, Output, settings

if TYPE_CHECKING:
    from catalog.api.catalog import Catalog


def register(app: typer.Typer) -> None:
    app.command("sql")(sql)


def sql(
    context: typer.Context,
    statement: Annotated[
        str | None,
        typer.Argument(
            metavar="[SELECT]", help="One read-only statement; - reads it from stdin; without one, a prompt opens."
        ),
    ] = None,
    form: Form = None,
    output: Output = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Ask the catalog in SQL (DuckDB's), read-only.

    Without a statement, on a terminal, a prompt opens.
    """
    lake = settings(context).lake
    if (
        statement is None
        and form is None
        and output is None
        and not json
        and sys.stdin.isatty()
        and sys.stdout.isatty()
    ):
        from .prompt import converse

        converse(lake)
        return
    text = sys.stdin.read() if statement is None or statement == "-" else statement
    if text.startswith("."):
        _command(lake, text, form_of(form, output, json, context), output)
        return
    put_answer(lake.ask(text), form_of(form, output, json, context), output, limit=limit)


def _command(lake: Catalog, text: str, form: str, output: Path | None) -> None:
    """Answer a command of the prompt that asks: for the columns, with unit and meaning, or for the tables."""
    from catalog.errors import UsageError

    command, _, name = text.strip().rstrip(";").partition(" ")
    if command not in (".columns", ".tables"):
        raise UsageError(f"no command {command}; there are .columns NAME and .tables, and more at the prompt")
    table = name.strip() or "files"
    question = lake.ask_columns(table) if command == ".columns" else lake.ask_tables()
    if not question.first_rows(1)[1]:
        from catalog.text import nearest

        near = nearest(table, list(lake.sql_names().columns))
        hint = f"did you mean {near}?" if near else "mastlake sql .tables lists them"
        raise UsageError(f"there is no table or view {table}; {hint}")
    put_answer(question, form, output)
