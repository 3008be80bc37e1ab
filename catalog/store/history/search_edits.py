"""Saved searches can be edited, renamed and removed; the history keeps their former criteria, names and files.

Every function runs in the caller's transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import duckdb

from catalog.errors import BadValue
from catalog.store.history.links import close_memberships, close_unreached, rename_memberships
from catalog.store.history.run_notes import drop_pending, drop_readings, rename_pending
from catalog.store.history.runs import (
    Run,
    declared_searches,
    drop_search,
    mark_declared,
    next_run,
    record_run,
    rename_saved,
    replace_criteria,
    saved_search,
    utc_now,
)
from catalog.store.history.verdicts import keep_verdicts_of_run
from catalog.vocabulary.search import Search, checked_name

__all__ = [
    "Edit", "declared_searches", "drop_search", "edit_search", "edits", "mark_declared", "remove_search",
    "rename_search",
]  # fmt: skip


@dataclass(frozen=True)
class Edit:
    """One edit, renaming or removal of a search, and what the search was before.

    Attributes
    ----------
    act : str
        edited, renamed or removed.
    at : datetime
        UTC.
    run : int
        The newest run at that time.
    former_name : str
        The search's name before.
    instrument : str or None
        The instrument before; None for an observation search.
    criteria : tuple of str
        The criteria before.
    cone : str or None
        The cone before.
    """

    act: str
    at: datetime
    run: int
    former_name: str
    instrument: str | None
    criteria: tuple[str, ...]
    cone: str | None


def edits(connection: duckdb.DuckDBPyConnection, name: str) -> list[Edit]:
    """Return the edits, renamings and the removal of a search, oldest first."""
    rows = connection.execute(
        """SELECT act, edited_at, run, former_name, instrument, criteria, cone FROM search_edit
           WHERE search = ? ORDER BY edited_at""",
        [name],
    ).fetchall()
    return [
        Edit(act, at, run, former_name, instrument, tuple(criteria or ()), cone)
        for act, at, run, former_name, instrument, criteria, cone in rows
    ]


def edit_search(connection: duckdb.DuckDBPyConnection, search: Search) -> None:
    """Give a saved search other criteria; its next harvest reads everything, and begins new memberships.

    Raises
    ------
    NoSuchSearch
        If no search is saved under the name.
    BadValue
        If the criteria are of another kind: a search for files stays a search for files.
    """
    former = saved_search(connection, search.name).search
    if (former.instrument is None) != (search.instrument is None):
        kind = "observations" if former.instrument is None else "files"
        raise BadValue(f"search {search.name!r} is for {kind}, and stays that; save the other under another name")
    _note(connection, search.name, "edited", search.name)
    replace_criteria(connection, search)


def rename_search(connection: duckdb.DuckDBPyConnection, name: str, new: str) -> None:
    """Give a saved search another name, also in its history.

    Raises
    ------
    NoSuchSearch
        If no search is saved under the name.
    BadValue
        If the new name is not valid, or belongs or belonged to another search.
    """
    saved_search(connection, name)
    checked_name(new)
    taken = connection.execute(
        "SELECT 1 WHERE ? IN (SELECT name FROM searches UNION ALL SELECT search FROM runs)", [new]
    ).fetchone()
    if taken:
        raise BadValue(f"{new!r} is the name of another search, or was; choose another")
    _note(connection, new, "renamed", name)
    rename_saved(connection, name, new)
    rename_memberships(connection, name, new)
    rename_pending(connection, name, new)
    connection.execute("UPDATE search_edit SET search = ? WHERE search = ?", [new, name])


def remove_search(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Remove a saved search. Rows to which no other search leads are closed, and stay in the history.

    Raises
    ------
    NoSuchSearch
        If no search is saved under the name.
    """
    saved_search(connection, name)
    run = next_run(connection)
    _note(connection, name, "removed", name)
    drop_search(connection, name)
    drop_pending(connection, name)
    if connection.execute("SELECT 1 FROM runs WHERE search = ? LIMIT 1", [name]).fetchone() is None:
        return
    close_memberships(connection, name, run)
    files, observations = (
        f"SELECT {key} FROM {table} WHERE until_run = {int(run)}"
        for key, table in (("filename", "search_file_membership"), ("obs_id", "search_observation_membership"))
    )
    close_unreached(connection, run, files, observations)
    drop_readings(connection)
    _record_removal(connection, name, run)
    keep_verdicts_of_run(connection, run)


def _record_removal(connection: duckdb.DuckDBPyConnection, name: str, run: int) -> None:
    """Record the removal as a run without requests, so that the closed versions tell when they ended."""
    last = connection.execute("SELECT server FROM runs WHERE search = ? ORDER BY run DESC LIMIT 1", [name]).fetchone()
    now = utc_now()
    record_run(
        connection,
        Run(
            run=run,
            search=name,
            kind="removed",
            server=str(last[0]) if last else "",
            started_at=now,
            ended_at=now,
            cursor_mjd=None,
            files=0,
            new=0,
            changed=0,
            withdrawn=0,
            returned=0,
            unchanged=0,
            observations=0,
            products=0,
            linked=0,
            requests=0,
        ),
    )


def _note(connection: duckdb.DuckDBPyConnection, name: str, act: str, former: str) -> None:
    """Write down what a search was before it changes."""
    connection.execute(
        """INSERT INTO search_edit (search, act, edited_at, run, former_name, instrument, criteria, cone)
           SELECT ?, ?, ?, ?, name, instrument, criteria, cone FROM searches WHERE name = ?""",
        [name, act, utc_now(), next_run(connection) - 1, former],
    )
