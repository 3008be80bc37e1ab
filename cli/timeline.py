"""``mastlake timeline``."""

from __future__ import annotations

from pathlib import Path

import typer

from .file_options import Instrument, Investigator, Program, Since, Sql, Until
from .find import Cone, Footprint, Target
from .options import Criteria, Json, Limit, Release, SearchName, settings
from .picture import Kind, Output, Show, deliver


def register(app: typer.Typer) -> None:
    app.command("timeline")(timeline)


def timeline(
    context: typer.Context,
    name: SearchName = None,
    criteria: Criteria = None,
    target: Target = None,
    cone: Cone = None,
    footprint: Footprint = None,
    since: Since = None,
    until: Until = None,
    program: Program = None,
    pi: Investigator = None,
    instrument: Instrument = None,
    release: Release = None,
    sql: Sql = None,
    limit: Limit = None,
    output: Output = None,
    kind: Kind = None,
    show: Show = None,
    json: Json = False,
) -> None:
    """Draw when files were observed, and when the archive processed them, also again.

    Below the observations of each target are all versions of their files that the catalog has seen, by pipeline
    version, and what each harvest found changed. Without -o, the picture is timeline.png.
    """
    from dataclasses import asdict

    from catalog.api.pictures import picture_path

    options = settings(context)
    picture = picture_path(output, kind, Path("timeline.png"))
    drawing = options.lake.timeline(
        name, *(criteria or ()), sql=sql, target=target, cone=cone, footprint=footprint, since=since, until=until,
        program=program, pi=pi, instrument=instrument, release=release, limit=limit,
    )  # fmt: skip
    deliver(drawing, picture, options, show, json, asdict(drawing.content), kind)
