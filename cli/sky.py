"""``mastlake sky``."""

from __future__ import annotations

from pathlib import Path

import typer

from .file_options import Instrument, Investigator, Program, Since, Sql, Until, choice
from .find import Cone, Footprint, Target
from .options import Criteria, Json, Release, SearchName, settings
from .picture import Kind, Output, Show, deliver, picture_path


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
    output: Output = None,
    kind: Kind = None,
    show: Show = None,
    json: Json = False,
) -> None:
    """Draw where on the sky files lie: the footprints of a search, of criteria, or of everything.

    Footprints close together are drawn on a map around them, others on the whole sky. Without -o the picture is
    sky.png.
    """
    from dataclasses import asdict

    from catalog.plots.sky import footprints, picture_of

    picture = picture_path(output, kind, Path("sky.png"))
    chosen = settings(context)
    wanted = choice(
        name, sql, criteria, target=target, cone=cone, footprint=footprint, since=since, until=until, program=program,
        pi=pi, instrument=instrument, release=release,
    )  # fmt: skip
    found = footprints(chosen.database, wanted)
    facts = {
        "files": found.files,
        "unplaced": found.unplaced,
        "centre": list(found.centre),
        "radius": found.radius,
        "footprints": [asdict(one) for one in found.footprints],
    }
    deliver(picture_of(found, wanted.told()), picture, chosen, show, json, facts)
