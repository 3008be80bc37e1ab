"""``mastlake shared``, and the option ``--share`` of ``sync`` and ``index``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from catalog.text import plural, size

from .options import Json, Settings, settings
from .printing import note, put_json, put_table, say

Share = Annotated[
    bool,
    typer.Option("--share", help="Add the list of the folder to the published catalog, so that others find the files."),
]


def register(app: typer.Typer) -> None:
    app.command("shared")(shared)


def shared(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE ...]", help="Names of files; * stands for any text.")
    ] = None,
    json: Json = False,
) -> None:
    """Say who in the group has a file, and where; without a name, which folders are shared.

    A list is added by --share of sync and index. A file is current if it has the checksum that the archive lists now.
    """
    options = settings(context)
    if names:
        files = options.lake.shared(*(Path(name).name for name in names), tell=_tell)
        if json:
            put_json([asdict(file) for file in files])
        elif files:
            rows = [(file.state, file.path, file.by, file.host, file.at) for file in files]
            put_table(("state", "path", "by", "host", "at (UTC)"), rows)
        else:
            note("nobody shares such a file")
        return
    folders = options.lake.shared_folders(tell=_tell)
    if json:
        put_json([{key: value for key, value in asdict(each).items() if key != "left_out"} for each in folders])
    elif folders:
        shown = [(each.folder, each.by, each.host, each.at, each.files, size(each.bytes)) for each in folders]
        put_table(("folder", "by", "host", "at (UTC)", "files", "bytes"), shown)
    else:
        note("nobody shares a folder yet; share one with: mastlake index DIR --share")


def _tell(line: str) -> None:
    say(f"mastlake: {line}")


def share_folders(options: Settings, folders: Iterable[Path]) -> None:
    """Share folders after they were synced or indexed, and tell it."""
    for folder in folders:
        done = options.lake.share(folder)
        if done.files:
            note(f"shared {plural(done.files, 'file')} of {done.folder} ({size(done.bytes)})")
        else:
            note(f"{done.folder} has no file to share; the list that you shared before, if any, was taken back")
        if done.left_out:
            note(f"  {plural(done.left_out, 'file')} left out: others cannot read them, or they are not the archive's")
