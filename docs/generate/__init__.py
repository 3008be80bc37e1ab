"""Parts of pages that are made from the program itself when the pages are built, so that they cannot go stale."""

from __future__ import annotations

from pathlib import Path

from .catalog_format import catalog_format
from .commands import commands
from .errors import errors
from .laws import laws
from .rooms import draw_rooms
from .settings import settings

PAGES = {
    "catalog_format.md": catalog_format,
    "commands.md": commands,
    "errors.md": errors,
    "laws.md": laws,
    "rooms.svg": draw_rooms,
    "settings.md": settings,
}


def write_all(folder: Path) -> None:
    """Write each generated part into a folder; Sphinx does not read a part again that has not changed.

    Parameters
    ----------
    folder : Path
        The folder; it is created if it does not exist.
    """
    folder.mkdir(exist_ok=True)
    for name, make in PAGES.items():
        path, text = folder / name, make()
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
