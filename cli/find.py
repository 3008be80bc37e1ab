"""``mastlake find``."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import Criteria, Json, settings
from .output import plural, put_json, put_table, say


def register(app: typer.Typer) -> None:
    app.command("find")(find)


def find(
    context: typer.Context,
    criteria: Criteria = None,
    target: Annotated[
        str | None, typer.Option(help="Target name; % or * a wildcard, case and spaces do not count.")
    ] = None,
    cone: Annotated[
        str | None,
        typer.Option(metavar="RA,DEC,RADIUS", help="Degrees; the radius may end in d, m (arcmin) or s (arcsec)."),
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="DATE", help="Observed on this day or later.")] = None,
    until: Annotated[str | None, typer.Option(metavar="DATE", help="Observed before this moment.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows at most.")] = 1000,
    explain: Annotated[bool, typer.Option("--explain", help="Print the SQL instead of running it.")] = False,
    json: Json = False,
) -> None:
    """Find files in the catalog, offline.

    Example: mastlake find -k exp_type=NIS_SOSS --target WASP-39* --since 2022-07-01
    """
    from catalog.find import Criteria as Wanted
    from catalog.find import statement
    from catalog.query import rows, written_out

    wanted = Wanted(tuple(criteria or ()), target, cone, since, until)
    sql, values = statement(wanted, everything=json, limit=limit)
    if explain:
        typer.echo(written_out(sql, values))
        return
    found = rows(settings(context).database, sql, values)
    if json:
        from catalog.export import objects

        put_json(list(objects(found.to_reader())))
        return
    put_table(found.column_names, [list(row.values()) for row in found.to_pylist()])
    say(plural(found.num_rows, "file") + (" (there may be more: --limit)" if found.num_rows == limit else ""))
