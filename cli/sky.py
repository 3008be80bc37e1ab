"""``mastlake sky``."""

from __future__ import annotations

from pathlib import Path

import typer

from .file_options import Instrument, Investigator, Program, Since, Sql, Until
from .find import Cone, Footprint, Target
from .options import Criteria, Json, Limit, Release, SearchName, settings
from .picture import Kind, Output, Show, deliver


def register(app: typer.Typer) -> None:
    app.command("sky")(sky)


def sky(
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
    """Draw where files lie on the sky: the footprints of a search, of criteria, or of everything.

    Footprints that are close together are drawn on a map around them, others on the whole sky. Without -o, the picture
    is sky.png.
    """
    from dataclasses import asdict

    from catalog.api.pictures import picture_path

    options = settings(context)
    picture = picture_path(output, kind, Path("sky.png"))
    drawing = options.lake.sky(
        name, *(criteria or ()), sql=sql, target=target, cone=cone, footprint=footprint, since=since, until=until,
        program=program, pi=pi, instrument=instrument, release=release, limit=limit,
    )  # fmt: skip
    facts = {
        "files": drawing.content.files,
        "unplaced": drawing.content.unplaced,
        "centre": list(drawing.content.centre),
        "radius": drawing.content.radius,
        "footprints": [asdict(footprint) for footprint in drawing.content.footprints],
    }
    deliver(drawing, picture, options, show, json, facts, kind)
