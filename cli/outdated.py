"""``mastlake outdated``."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from catalog.errors import BadValue, UsageError
from catalog.text import plural

from .listing import listing_options, put_list, put_object, tell_cut
from .options import Form, Json, Output, settings
from .printing import note, put_table, say
from .status import STATES

if TYPE_CHECKING:
    from catalog.api.types import Drifted, Outdated

_FEW_UNKNOWN = 20
"""Up to so many files that the archive does not list are listed one by one; of more files, only their folders."""
_MEANS = {
    "stale": "mastlake sync renews them",
    "missing": "mastlake sync fetches them again; mastlake forget removes them from the catalog",
    "corrupt": "mastlake sync renews them",
    "modified": "they stay; mastlake sync --overwrite-modified or --keep-old DIR renews them",
    "unverified": "mastlake index --verify reads their bytes",
}


def register(app: typer.Typer) -> None:
    app.command("outdated")(outdated)


def outdated(
    context: typer.Context,
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATH ...]", help="Only files here, or below these folders.")
    ] = None,
    state: Annotated[
        str | None,
        typer.Option("--state", metavar="STATE,...", help=f"Only files in these states: {', '.join(STATES)}."),
    ] = None,
    why: Annotated[bool, typer.Option("--why", help="Say why, from what to what.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="The most rows to print; counts are of all files.")] = None,
    form: Form = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """List local files that are not known to be what the archive has, as of the last harvest.

    The disk is looked at, and the archive is not asked. Unverified files are always counted; they are listed with -v or
    --state unverified.
    """
    from dataclasses import asdict

    options = settings(context)
    asked = listing_options(context, form, output, json, limit)
    states = _states(state)
    sorted_files = options.lake.outdated(*(paths or ()))
    _require_files_at(paths or (), sorted_files)
    if asked.is_json:
        every = asdict(sorted_files)
        put_object(asked, {name: files[:limit] if name in states else [] for name, files in every.items()})
        tell_cut(asked, max(len(every[name]) for name in states), "file")
        return
    if not asked.is_table:
        entries = [{"state": name, **asdict(each)} for name in states for each in getattr(sorted_files, name)]
        put_list(asked, (), (), lambda: entries, "file", names=("state", "path", "filename", "reason"))
        return
    shown = [name for name in states if name != "unverified" or state or options.verbosity > 0]
    rows = list(_rows(sorted_files, shown, why, everything=options.verbosity > 0 or state is not None))
    if rows:
        put_table(("state", "filename", "why" if why else "path"), rows[:limit], wrap=("why",))
    if limit is not None and len(rows) > limit:
        note(f"the first {limit:,} of {plural(len(rows), 'row')}; --limit shows more")
    if options.verbosity >= 0:
        _count(sorted_files, states)


def _require_files_at(paths: Iterable[Path], sorted_files: Outdated) -> None:
    """Raise an error for a path at which there is no file, and the catalog knows none."""
    for path in paths:
        if not path.exists() and not any(_at(path, each) for name in STATES for each in getattr(sorted_files, name)):
            raise UsageError(f"there is no {path}, and the catalog knows no file there")


def _at(path: Path, file: Drifted) -> bool:
    place = str(path.absolute())
    return file.path == place or file.path.startswith(f"{place.rstrip('/')}/")


def _states(text: str | None) -> list[str]:
    if text is None:
        return list(STATES)
    named = [word.strip().lower() for word in text.split(",") if word.strip()]
    for word in named:
        if word not in STATES:
            from catalog.text import nearest

            raise BadValue(f"--state {word} is no state; {_did_you_mean(nearest(word, list(STATES)))}")
    return [name for name in STATES if name in named]


def _did_you_mean(near: str | None) -> str:
    return f"did you mean {near}?" if near else f"states are {', '.join(STATES)}"


def _rows(sorted_files: Outdated, states: list[str], why: bool, everything: bool) -> Iterator[tuple[str, str, str]]:
    for name in states:
        files: list[Drifted] = getattr(sorted_files, name)
        if name == "unknown" and len(files) > _FEW_UNKNOWN and not everything:
            yield from _unknown_by_folder(files, why)
        else:
            yield from ((name, file.filename, file.reason if why else file.path) for file in files)


def _unknown_by_folder(files: list[Drifted], why: bool) -> Iterator[tuple[str, str, str]]:
    """Return one line for each folder of a person's own files; a single line if there are many folders."""
    folders = Counter(str(Path(each.path).parent) for each in files)
    if len(folders) > _FEW_UNKNOWN:
        folders = Counter({os.path.commonpath(list(folders)): len(files)})
    for folder, count in sorted(folders.items()):
        reason = "the archive does not list them; one by one: --state unknown"
        yield "unknown", plural(count, "file"), f"{folder}: {reason}" if why else folder


def _count(sorted_files: Outdated, states: list[str]) -> None:
    counts = {name: len(getattr(sorted_files, name)) for name in states}
    say(", ".join(f"{count:,} {name}" for name, count in counts.items()))
    for name, count in counts.items():
        if count and name in _MEANS:
            say(f"  {name}: {_MEANS[name]}")
