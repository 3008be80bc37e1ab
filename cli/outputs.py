"""``mastlake outputs``."""

from __future__ import annotations

from pathlib import Path

import typer

from .inputs import Deep, File, put_links, require_known
from .listing import listing_options
from .options import Form, Json, Limit, Output, settings


def register(app: typer.Typer) -> None:
    app.command("outputs")(outputs)


def outputs(
    context: typer.Context,
    file: File,
    deep: Deep = False,
    limit: Limit = None,
    form: Form = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """List what was made from a file, from the same graph as inputs."""
    asked = listing_options(context, form, output, json, limit)
    name = Path(file).name
    links = settings(context).lake.outputs(file, deep)
    if not links:
        require_known(context, file)
    put_links(links, "output", f"no outputs of {name} are known; index the _asn.json files that list it", asked)
