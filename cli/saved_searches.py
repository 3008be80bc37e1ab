"""Which searches a harvest saves, which it edits because mastlake.toml says so, and which it does not touch."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .printing import say

if TYPE_CHECKING:
    from catalog.api.types import Search

    from .options import Settings


def unsaved(options: Settings, searches: list[Search]) -> set[str]:
    """Return the names that are neither saved yet nor described by mastlake.toml."""
    names = {search.name for search in searches} - set(options.declared)
    return options.lake.unsaved(sorted(names)) if names else names


def keep_or_drop(options: Settings, search: Search, save: bool, why: str) -> str:
    """Keep a new search whose first run brought nothing only if a person wants it.

    Parameters
    ----------
    options : Settings
        The global options.
    search : Search
        A search that was not saved before.
    save : bool
        Whether ``--save`` was given.
    why : str
        What happened in its run.

    Returns
    -------
    str
        A message about it; empty if it was saved.
    """
    if save or _asks_to_keep(search.name, why):
        options.lake.save_search(search)
        return ""
    options.lake.discard_search(search.name)
    return "the search was not saved; --save keeps it"


def _asks_to_keep(name: str, why: str) -> bool:
    """Ask, if a person sits at a terminal."""
    import typer

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    try:
        return typer.confirm(f"{name} {why}. Save the search all the same?", default=False, err=True)
    except typer.Abort:
        return False


def take_edits(options: Settings, searches: list[Search]) -> None:
    """Edit the saved searches that mastlake.toml now describes differently, and print a line for each."""
    declared = [search for search in searches if options.declared.get(search.name) == search]
    for name in options.lake.follow_settings(declared):
        say(f"{name}: mastlake.toml describes another search than before, so it was edited")


def vanished(options: Settings, saved: dict[str, Search]) -> dict[str, Search]:
    """Return saved searches without those that mastlake.toml no longer describes; print a line for each of these."""
    gone = options.lake.searches_of_settings() - set(options.declared)
    for name in sorted(gone & set(saved)):
        say(
            f"{name} is no longer in mastlake.toml and was not run; "
            f"mastlake harvest {name} runs it, mastlake searches remove {name} removes it"
        )
    return {name: search for name, search in saved.items() if name not in gone}


def note_declared(options: Settings, searches: list[Search]) -> None:
    """Remember which of the harvested searches mastlake.toml describes."""
    options.lake.note_settings({search.name: search.name in options.declared for search in searches})
