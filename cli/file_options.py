"""Options that choose files, for ``find`` and for pictures."""

from __future__ import annotations

from typing import Annotated

import typer

from . import completion

Since = Annotated[
    str | None,
    typer.Option(metavar="DATE", help="Observed then or later: 2022-07-01, 2022-07, an MJD, or 7d for days ago."),
]
Until = Annotated[str | None, typer.Option(metavar="DATE", help="Observed before this moment, written as for --since.")]
Program = Annotated[str | None, typer.Option(metavar="1366,2734", help="Numbers of programs.")]
Investigator = Annotated[str | None, typer.Option("--pi", metavar="NAME", help="A piece of the investigator's name.")]
Instrument = Annotated[
    str | None, typer.Option(metavar="niriss,miri", help="Whose search.", autocompletion=completion.instruments)
]
Sql = Annotated[
    str | None, typer.Option("--sql", metavar="SELECT", help="Any query whose result has a column filename.")
]
