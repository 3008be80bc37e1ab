"""``mastlake sync``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from catalog.config.sizes import bytes_of
from catalog.defaults import DEST, JOBS, SOURCE, TEMPLATE
from catalog.errors import BadValue
from catalog.text import plural, size

from .options import (
    Dataproducts,
    Extensions,
    Json,
    Levels,
    Release,
    SearchName,
    Subgroups,
    Types,
    destination,
    settings,
    tell_withheld,
)
from .printing import put_json, put_table, say
from .product_options import GuideStars, MaxSize, Sql, Template, filters, hint_at_nothing
from .progress import sync_progress
from .shared import Share, share_folders

if TYPE_CHECKING:
    from catalog.api.types import Plan, SyncReport

OverwriteModified = Annotated[
    bool, typer.Option("--overwrite-modified", help="Replace also files that a person changed or made.")
]
KeepOld = Annotated[
    Path | None,
    typer.Option(
        "--keep-old", metavar="DIR", help="Move what is replaced to DIR, each version in a folder of its own."
    ),
]
_LISTED = 20


def register(app: typer.Typer) -> None:
    app.command("sync")(sync)


def sync(
    context: typer.Context,
    name: SearchName = None,
    types: Types = None,
    levels: Levels = None,
    subgroups: Subgroups = None,
    dataproducts: Dataproducts = None,
    extensions: Extensions = None,
    release: Release = None,
    sql: Sql = None,
    guide_stars: GuideStars = None,
    max_size: MaxSize = None,
    with_inputs: Annotated[
        bool, typer.Option("--with-inputs", help="And the inputs of selected level-3 products.")
    ] = False,
    dest: Annotated[Path, typer.Option(metavar="DIR", help="Where files go.", callback=destination)] = Path(DEST),
    template: Template = TEMPLATE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done and why; do nothing.")] = False,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Files at the same time.")] = JOBS,
    limit_rate: Annotated[str | None, typer.Option(metavar="RATE", help="Bytes a second in all, like 20M.")] = None,
    source: Annotated[
        str, typer.Option(metavar="mast|cloud", help="cloud: MAST's public bucket first, and MAST for the rest.")
    ] = SOURCE,
    overwrite_modified: OverwriteModified = False,
    keep_old: KeepOld = None,
    trust_length: Annotated[
        bool,
        typer.Option(
            "--trust-length", help="Keep files of the right length and structure whose MD5 is not the archive's."
        ),
    ] = False,
    share: Share = False,
    json: Json = False,
) -> None:
    """Fetch selected products that are not on disk, or no longer the archive's version; prove every byte."""
    options = settings(context)
    filters_given = filters(
        types, levels, subgroups, dataproducts, extensions,
        sql=sql, guide_stars=guide_stars, max_size=max_size, with_inputs=with_inputs, release=release,
    )  # fmt: skip
    if source not in ("mast", "cloud"):
        raise BadValue(f"--source is mast or cloud, not {source!r}")
    if limit_rate is not None:
        bytes_of(limit_rate, "--limit-rate")  # a dry run refuses it as the sync would
    tell_withheld(options)
    if share:
        options.lake.require_sharing(dest if dest.exists() else dest.absolute().parent)
    if dry_run:
        plan = options.lake.plan(
            name,
            dest=dest,
            template=template,
            overwrite_modified=overwrite_modified,
            keep_old=keep_old,
            **filters_given,
        )
        put_json(plan.as_dict()) if json else _show(plan, options.verbosity)
        if not plan.selected:
            hint_at_nothing(options.lake, name, sql)
        return
    with sync_progress(options.verbosity < 0 or json) as show:
        report = options.lake.sync(
            name,
            dest=dest,
            template=template,
            jobs=jobs,
            limit_rate=limit_rate,
            source=source,
            on_event=show,
            overwrite_modified=overwrite_modified,
            keep_old=keep_old,
            trust_length=trust_length,
            **filters_given,
        )
    if not report.selected:
        hint_at_nothing(options.lake, name, sql)
    if share:
        share_folders(options, [dest])
    _report(report, dest, json, options.verbosity)


def _show(plan: Plan, verbosity: int) -> None:
    put_table(
        ("action", "files", "bytes"),
        [(action, tally.items, size(tally.bytes)) for action, tally in plan.tallies.items() if tally.items],
    )
    shown = list(plan.items())
    if shown:
        if verbosity >= 0:
            say("")
        put_table(
            ("action", "filename", "size", "why"),
            [
                (item.action, item.filename, size(item.size) if item.size is not None else None, item.reason)
                for item in (shown if verbosity > 0 else shown[:_LISTED])
            ],
        )
    if plan.shortage:
        say(f"mastlake: {plan.shortage}: sync would fetch nothing")
    if verbosity < 0:
        return
    if len(shown) > _LISTED and verbosity == 0:
        say(f"and {len(shown) - _LISTED:,} more; all of them: mastlake -v sync ... --dry-run")
    free = f", {size(plan.free_bytes)} are free" if plan.free_bytes is not None else ""
    say(f"{plural(plan.selected, 'product')} selected; needs {size(plan.needed_bytes)} in {plan.dest}{free}")
    for note in plan.notes:
        say(note)
    _advise(item.reason for item in shown)


def _advise(reasons: Iterable[str]) -> None:
    """Say once what to do about products that need a token."""
    if any(reason.endswith(("needs a token", "a token is needed")) for reason in reasons):
        say("Exclusive products need a token: run mastlake login, or set MAST_API_TOKEN.")


def _report(report: SyncReport, dest: Path, json: bool, verbosity: int) -> None:
    for note in report.notes:
        say(f"mastlake: {note}")
    for failure in report.failures:
        say(f"mastlake: {failure.filename or 'not tried'}: {failure.reason}")
    if json:
        put_json(report.as_dict())
    elif verbosity >= 0:
        kinds = ("present", "fetched", "resumed", "replaced", "failed")
        counts = ", ".join(f"{getattr(report, kind):,} {kind}" for kind in kinds if getattr(report, kind))
        say(f"{plural(report.selected, 'product')} in {dest}: {counts or 'nothing to do'}")
        say(f"  {size(report.bytes)} received in {report.seconds:.1f} s")
        _advise(failure.reason for failure in report.failures)
    if report.interrupted:
        say(f"{plural(_left(report), 'product')} left; the same command goes on with them")
        raise KeyboardInterrupt
    if report.failed:
        raise typer.Exit(1)


def _left(report: SyncReport) -> int:
    return report.selected - report.present - report.fetched - report.resumed - report.replaced - report.failed
