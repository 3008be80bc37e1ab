"""``mastlake inputs``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import completion
from .listing import ListingOptions, listing_options, put_list
from .options import Form, Json, Limit, Output, settings
from .printing import note

if TYPE_CHECKING:
    from catalog.api.types import Link

File = Annotated[
    str,
    typer.Argument(metavar="FILE", help="Its name, or where it lies.", autocompletion=completion.fits_files),
]
Deep = Annotated[bool, typer.Option("--deep", help="Continue step by step to the end; without it, one step.")]


def register(app: typer.Typer) -> None:
    app.command("inputs")(inputs)


def inputs(
    context: typer.Context,
    file: File,
    deep: Deep = False,
    limit: Limit = None,
    form: Form = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """List what a file was made from: members of its association, and the association itself.

    The graph comes from the _asn.json files that were indexed, and from the ASNTABLE keyword of headers.
    """
    asked = listing_options(context, form, output, json, limit)
    name = Path(file).name
    links = settings(context).lake.inputs(file, deep)
    if not links:
        require_known(context, file)
    put_links(links, "input", f"no inputs of {name} are known; index the _asn.json file of its association", asked)


def require_known(context: typer.Context, file: str) -> None:
    """Refuse a name that is neither in the catalog nor on the disk: it is a mistake, and not a file without links.

    Raises
    ------
    UsageError
        It says where the names are.
    """
    from catalog.errors import UsageError

    if not Path(file).exists() and not settings(context).lake.knows(file):
        raise UsageError(f"neither the catalog nor the disk has a file {file}; mastlake find lists what was harvested")


def put_links(links: list[Link], shown: str, otherwise: str, asked: ListingOptions) -> None:
    """Print one end of each link, how many steps away it is, and the association that makes the link."""
    from dataclasses import asdict

    rows = [(link.step, getattr(link, shown), link.via) for link in links]
    put_list(
        asked,
        ("step", shown, "via"),
        rows,
        lambda: [asdict(link) for link in links],
        "link",
        names=("step", "input", "output", "via"),
    )
    if not links:
        note(otherwise)
