"""``mastlake find``."""

from __future__ import annotations

from typing import Annotated

import typer

from . import completion
from .answer_output import SHOWN, form_of, put_answer, put_first_rows
from .file_options import Since, Until
from .options import MOST_ROWS, Criteria, Form, Json, Output, Release, settings
from .printing import note, put_lines


def register(app: typer.Typer) -> None:
    app.command("find")(find)


Target = Annotated[
    str | None,
    typer.Option(
        help="Target name; % or * a wildcard; case, spaces and hyphens do not count.", autocompletion=completion.targets
    ),
]
Cone = Annotated[
    str | None,
    typer.Option(
        metavar="RA,DEC,RADIUS",
        help="The target lies there: degrees or 00:04:11.0,-47:21:40; or TARGET,RADIUS. Radius: 30s, 2m, 0.5d.",
    ),
]
Footprint = Annotated[
    str | None,
    typer.Option(metavar="REGION", help="The footprint overlaps it: 'POLYGON RA DEC RA DEC RA DEC', or as --cone."),
]


def find(
    context: typer.Context,
    criteria: Criteria = None,
    target: Target = None,
    cone: Cone = None,
    footprint: Footprint = None,
    since: Since = None,
    until: Until = None,
    program: Annotated[str | None, typer.Option(metavar="1366,2734", help="Numbers of programs.")] = None,
    pi: Annotated[str | None, typer.Option("--pi", metavar="NAME", help="A piece of the investigator's name.")] = None,
    instrument: Annotated[
        str | None,
        typer.Option(metavar="niriss,miri", help="Whose search.", autocompletion=completion.instruments),
    ] = None,
    release: Release = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST_ROWS, help="The most rows to print.")] = 1000,
    explain: Annotated[bool, typer.Option("--explain", help="Print the SQL instead of running it.")] = False,
    form: Form = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Find files in the catalog, offline."""
    form = form_of(form, output, json, context)
    lake = settings(context).lake
    with lake.opened():  # the question is written and asked in one opening
        question = lake.ask_files(
            *(criteria or ()), target=target, cone=cone, footprint=footprint, since=since, until=until,
            program=program, pi=pi, instrument=instrument, release=release,
            everything=form != "table" and not explain, limit=limit,
        )  # fmt: skip
        shown = question.first_rows(SHOWN) if form == "table" and output is None and not explain else None
    if explain:
        put_lines(question.sql)
        return
    count = put_answer(question, form, output, noun="file") if shown is None else put_first_rows(shown, noun="file")
    if count == limit:
        note(f"there may be more than {limit:,}: --limit")
    elif count == 0:
        note(question.why_nothing())
