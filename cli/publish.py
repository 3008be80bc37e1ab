"""``mastlake publish`` and ``mastlake clone``."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Annotated

import typer

from catalog.text import plural, size

from . import completion
from .options import Json, settings
from .printing import note, put_json, say
from .progress import pull_progress


def register(app: typer.Typer) -> None:
    app.command("publish")(publish)
    app.command("clone")(clone)


def publish(
    context: typer.Context,
    to: Annotated[
        str,
        typer.Argument(
            metavar="DIR|URL",
            help="A folder, which is made if needed; or s3://BUCKET/PREFIX.",
            autocompletion=completion.places,
        ),
    ],
    keep: Annotated[int, typer.Option(min=1, max=10_000, help="How many published catalogs stay at least.")] = 3,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="Also write what it has now as Parquet, for other programs.")
    ] = False,
    json: Json = False,
) -> None:
    """Publish the catalog for a group: an immutable copy of it under the number of its newest run.

    Everybody who can read the folder or the bucket asks the newest copy with --catalog DIR/ (or s3://BUCKET/PREFIX/),
    and keeps nobody waiting. A published catalog has no local files and no headers. An older copy goes when it is not
    among the newest --keep, and a newer one was published a day ago or earlier: no question takes longer.

    For a bucket, the environment has endpoint, region and keys as for AWS's own tools: AWS_ENDPOINT_URL, AWS_REGION,
    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN.
    """
    options = settings(context)
    done = options.lake.publish(to, keep=keep, parquet=parquet)
    if json:
        put_json(asdict(done))
        return
    if done.parquet is not None:
        note(f"Parquet files, their columns and a README are in {os.path.join(done.folder, done.parquet)}")  # noqa: PTH118
    if not done.published:
        note(f"run {done.run} is published in {done.folder} already; its catalog was left as it is")
        return
    note(f"published run {done.run} as {os.path.join(done.folder, done.file)} ({size(done.bytes)})")  # noqa: PTH118
    if done.removed:
        note(f"removed {plural(len(done.removed), 'older catalog')}")
    note(f"others ask it with: mastlake --catalog {os.path.join(done.folder, '')} status")  # noqa: PTH118


def clone(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(metavar="DIR|URL", help="Where a catalog is published.", autocompletion=completion.places),
    ],
    json: Json = False,
) -> None:
    """Make a catalog of your own from a published one; it goes on harvesting, without a first harvest.

    The new catalog is the file that --catalog names. It also has the local files that you noted beside the published
    catalog (--local-catalog).
    """
    from catalog.api.catalog import Catalog

    options = settings(context)
    tell = say if options.verbosity >= 0 else None
    pulled = pull_progress(options.verbosity < 0)
    run = Catalog.clone(source, options.catalog, tell=tell, local=options.local_beside(source), pulled=pulled)
    path = os.path.abspath(options.catalog)  # noqa: PTH100
    if json:
        put_json({"catalog": path, "source": source, "run": run})
        return
    note(f"{path} has everything up to run {run}; bring it up to date with: mastlake harvest")
