"""Which searches a harvest saves, which it edits because mastlake.toml says so, and which it leaves alone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .printing import say

if TYPE_CHECKING:
    from catalog.vocabulary.search import Search

    from .options import Settings


def unsaved(chosen: Settings, searches: list[Search]) -> set[str]:
    """Return the names under which nothing is saved yet, and which mastlake.toml does not describe either."""
    from catalog.store.history.runs import saved_searches

    names = {search.name for search in searches} - set(chosen.declared)
    if not names or not chosen.database.exists():
        return names
    with chosen.database.read() as connection:
        return names - {saved.search.name for saved in saved_searches(connection)}


def keep_or_drop(chosen: Settings, search: Search, save: bool, why: str) -> str:
    """Keep a new search whose first run brought nothing only if a person wants it.

    Parameters
    ----------
    chosen : Settings
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
    from catalog.store.history.runs import save_search
    from catalog.store.history.search_edits import drop_search

    keep = save or _wanted(search.name, why)
    if chosen.database.exists():
        with chosen.database.write() as connection:
            save_search(connection, search) if keep else drop_search(connection, search.name)
    return "" if keep else "the search was not saved; --save keeps it"


def _wanted(name: str, why: str) -> bool:
    """Ask, where somebody sits at a terminal."""
    import typer

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    try:
        return typer.confirm(f"{name} {why}. Save the search all the same?", default=False, err=True)
    except typer.Abort:
        return False


def take_edits(chosen: Settings, searches: list[Search]) -> None:
    """Edit saved searches that mastlake.toml describes otherwise than before, and tell each in a line."""
    from catalog.store.history.runs import mean_the_same, saved_searches
    from catalog.store.history.search_edits import edit_search

    declared = [search for search in searches if chosen.declared.get(search.name) == search]
    if not declared or not chosen.database.exists():
        return
    with chosen.database.read() as connection:
        saved = {one.search.name: one.search for one in saved_searches(connection)}
    for search in declared:
        if search.name in saved and not mean_the_same(saved[search.name], search):
            with chosen.database.write() as connection:
                edit_search(connection, search)
            say(f"{search.name}: mastlake.toml describes another search than before, so it was edited")


def vanished(chosen: Settings, saved: dict[str, Search]) -> dict[str, Search]:
    """Return saved searches without those that mastlake.toml described once and no longer does; tell each in a line."""
    from catalog.store.history.search_edits import declared_searches

    with chosen.database.read() as connection:
        gone = declared_searches(connection) - set(chosen.declared)
    for name in sorted(gone & set(saved)):
        say(
            f"{name} is no longer in mastlake.toml and was not run; "
            f"mastlake harvest {name} runs it, mastlake searches remove {name} removes it"
        )
    return {name: search for name, search in saved.items() if name not in gone}


def note_declared(chosen: Settings, searches: list[Search]) -> None:
    """Remember which of the searches that were harvested mastlake.toml describes."""
    from catalog.store.history.search_edits import declared_searches, mark_declared

    if not chosen.database.exists():
        return
    with chosen.database.read() as connection:
        noted = declared_searches(connection)
    names = {search.name for search in searches}
    moved = {name for name in names if (name in chosen.declared) != (name in noted)}
    if moved:
        with chosen.database.write() as connection:
            for name in moved:
                mark_declared(connection, name, name in chosen.declared)
