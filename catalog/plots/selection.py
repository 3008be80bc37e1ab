"""Which files a picture is about: a search, criteria, or any question."""

from __future__ import annotations

from dataclasses import dataclass, field

import duckdb

from catalog.errors import UsageError
from catalog.questions.conditions import Condition
from catalog.questions.find import Criteria, statement
from catalog.questions.statement import rows
from catalog.store.database import Database, columns_of, quoted
from catalog.store.history.runs import saved_search


@dataclass(frozen=True)
class FilesToDraw:
    """Files of the catalog; every part narrows.

    Attributes
    ----------
    search : str or None
        A saved search.
    criteria : Criteria
        As `catalog.questions.find` takes them.
    sql : str or None
        A read-only query whose result has a column ``filename``.
    limit : int or None
        Files at most, in the order of observation.
    """

    search: str | None = None
    criteria: Criteria = field(default_factory=Criteria)
    sql: str | None = None
    limit: int | None = None

    def told(self) -> str:
        """Say what was chosen, for a title."""
        one = self.criteria
        words = [self.search, *one.written, one.target]
        for name in ("cone", "footprint", "since", "until", "program", "pi", "instrument", "release"):
            value = getattr(one, name)
            words.append(f"{name} {value}" if value else None)
        words.append(f"the first {self.limit:,}" if self.limit is not None else None)
        return "  ".join(word for word in words if word) or ("a query" if self.sql else "all files")

    @property
    def is_everything_of(self) -> bool:
        """True where nothing but a search, or nothing at all, was asked for."""
        return self.criteria == Criteria() and self.sql is None and self.limit is None


def condition_of_choice(database: Database, chosen: FilesToDraw) -> Condition:
    """Write a choice as SQL over `files`, under the name ``f``.

    Raises
    ------
    NoSuchSearch
        With the nearest name.
    UsageError
        If the criteria are not understood, or the query has no column ``filename``.
    """
    parts: list[Condition] = []
    if chosen.search is not None:
        with database.read() as connection:
            saved_search(connection, chosen.search)
        parts.append(Condition(_OF_SEARCH, (chosen.search, chosen.search)))
    if chosen.criteria != Criteria():
        sql, given = statement(chosen.criteria, everything=True, limit=None, database=database)
        parts.append(Condition(f"f.filename IN (SELECT filename FROM ({sql}))", tuple(given)))
    if chosen.sql is not None:
        parts.append(Condition("f.filename IN (SELECT unnest(?::VARCHAR[]))", (_filenames(database, chosen.sql),)))
    values = tuple(value for part in parts for value in part.values)
    found = Condition(" AND ".join(part.sql for part in parts) or "true", values)
    return found if chosen.limit is None else _first(database, found, chosen.limit)


def _first(database: Database, wanted: Condition, limit: int) -> Condition:
    """Narrow a condition to the first files in the order of observation."""
    with database.read() as connection:
        begun = column_or_null(connection, "files", "date_obs_mjd", "DOUBLE", "f")
    return Condition(
        f"""f.filename IN (SELECT f.filename FROM files f WHERE {wanted.sql}
                           ORDER BY {begun}, f.filename LIMIT {int(limit)})""",
        wanted.values,
    )


_OF_SEARCH = """(f.filename IN (SELECT filename FROM search_files WHERE search = ?)
    OR f.obs_id IN (SELECT obs_id FROM search_observations WHERE search = ?))"""


def _filenames(database: Database, sql: str) -> list[str]:
    answer = rows(database, sql)
    if "filename" not in answer.column_names:
        raise UsageError(f"--sql must return a column filename; it has {', '.join(answer.column_names)}")
    return [str(name) for name in answer.column("filename").unique().to_pylist() if name is not None]


def nothing(chosen: FilesToDraw, what: str) -> UsageError:
    """Return what to say where there is nothing to draw."""
    if chosen == FilesToDraw():
        return UsageError(f"the catalog has no {what} yet: mastlake harvest NAME --instrument ...")
    return UsageError(
        f"nothing with {what} matches ({chosen.told().replace('  ', ', ')}); mastlake find shows what there is"
    )


def column_or_null(connection: duckdb.DuckDBPyConnection, view: str, name: str, kind: str, alias: str) -> str:
    """Return the SQL of a column under an alias, or of a null where the archive never sent it."""
    have = {one.lower(): one for one in columns_of(connection, view)}
    return f"TRY_CAST({alias}.{quoted(have[name.lower()])} AS {kind})" if name.lower() in have else f"NULL::{kind}"
