"""From options to a choice of files, for pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .completion import targets

if TYPE_CHECKING:
    from catalog.plots import Chosen

Target = Annotated[str | None, typer.Option("--target", help="Target name; % or * a wildcard.", autocompletion=targets)]
Cone = Annotated[
    str | None,
    typer.Option("--cone", metavar="RA,DEC,RADIUS", help="Degrees; the radius may end in d, m (arcmin) or s (arcsec)."),
]
Since = Annotated[str | None, typer.Option("--since", metavar="DATE", help="Observed on this day or later.")]
Until = Annotated[str | None, typer.Option("--until", metavar="DATE", help="Observed before this moment.")]
Sql = Annotated[
    str | None, typer.Option("--sql", metavar="SELECT", help="Any query whose result has a column filename.")
]


def choice(
    name: str | None,
    criteria: list[str] | None,
    target: str | None,
    cone: str | None,
    since: str | None,
    until: str | None,
    sql: str | None,
) -> Chosen:
    """Read the options that say which files are meant."""
    from catalog.find import Criteria
    from catalog.plots import Chosen

    asked = Criteria(written=tuple(criteria or ()), target=target, cone=cone, since=since, until=until)
    return Chosen(name, asked, sql)
