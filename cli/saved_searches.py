"""Which searches a harvest saves, which it edits because mastlake.toml says so, and which it leaves alone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .printing import say

if TYPE_CHECKING:
    from catalog.api.types import Search

    from .options import Settings


def unsaved(options: Settings, searches: list[Search]) -> set[str]:
    """Return the names under which nothing is saved yet, and which mastlake.toml does not describe either."""
    names = {search.name for search in searches} - set(options.declared)
    return options.lake.unsaved(sorted(names)) if names else names


def keep_or_drop(options: Settings, search: Search, save: bool, why: str) -> str:
    """Keep a new search whose first run brought nothing only if a person wants it.

    Parameters
    ----------
    options : Settings
        The global options.
    search : Search
        It was not saved before.
    save : bool
        Whether ``--save`` was given.
    why : str
        What became of its run.

    Returns
    -------
    str
        What to tell of it; empty where it was saved.
    """
    if save or _wanted(search.name, why):
        options.lake.save_search(search)
        return ""
    options.lake.discard_search(search.name)
    return "the search was not saved; --save keeps it"


def _wanted(name: str, why: str) -> bool:
    """Ask, where somebody sits at a terminal."""
    import typer

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    try:
        return typer.confirm(f"{name} {why}. Save the search all the same?", default=False, err=True)
    except typer.Abort:
        return False


def take_edits(options: Settings, searches: list[Search]) -> None:
    """Edit saved searches that mastlake.toml describes otherwise than before, and tell each in a line."""
    declared = [search for search in searches if options.declared.get(search.name) == search]
    for name in options.lake.follow_settings(declared):
        say(f"{name}: mastlake.toml describes another search than before, so it was edited")


def vanished(options: Settings, saved: dict[str, Search]) -> dict[str, Search]:
    """Return saved searches without those that mastlake.toml described once and no longer does; tell each in a line."""
    gone = options.lake.searches_of_settings() - set(options.declared)
    for name in sorted(gone & set(saved)):
        say(
            f"{name} is no longer in mastlake.toml and was not run; "
            f"mastlake harvest {name} runs it, mastlake searches remove {name} removes it"
        )
    return {name: search for name, search in saved.items() if name not in gone}


def note_declared(options: Settings, searches: list[Search]) -> None:
    """Remember which of the searches that were harvested mastlake.toml describes."""
    options.lake.note_settings({search.name: search.name in options.declared for search in searches})
