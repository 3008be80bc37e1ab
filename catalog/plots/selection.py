"""The files for a picture: those of a search, of criteria, or of any question."""

from __future__ import annotations

from dataclasses import dataclass, field

import duckdb

from catalog.errors import UsageError
from catalog.questions.conditions import Condition
from catalog.questions.find import Criteria, statement
from catalog.questions.hints import why_nothing
from catalog.questions.statement import first_rows, rows
from catalog.store.database import Database, columns_of, quoted
from catalog.store.history.runs import saved_search


@dataclass(frozen=True)
class FilesToDraw:
    """Files of the catalog; a file must meet all conditions.

    Attributes
    ----------
    search : str or None
        The name of a saved search.
    criteria : Criteria
        Criteria, as `catalog.questions.find` takes them.
    sql : str or None
        A read-only query whose result has a column ``filename``.
    limit : int or None
        The most files, in the order of observation.
    """

    search: str | None = None
    criteria: Criteria = field(default_factory=Criteria)
    sql: str | None = None
    limit: int | None = None

    def told(self) -> str:
        """Describe the choice, for a title."""
        criteria = self.criteria
        words = [self.search, *criteria.written, criteria.target]
        for name in ("cone", "footprint", "since", "until", "program", "pi", "instrument", "release"):
            value = getattr(criteria, name)
            words.append(f"{name} {value}" if value else None)
        words.append(f"the first {self.limit:,}" if self.limit is not None else None)
        return "  ".join(word for word in words if word) or ("a query" if self.sql else "all files")

    @property
    def is_everything_of(self) -> bool:
        """True if only a search was given, or nothing at all."""
        return self.criteria == Criteria() and self.sql is None and self.limit is None


def condition_of_choice(database: Database, choice: FilesToDraw) -> Condition:
    """Write a choice as SQL over `files`, which it calls ``f``.

    Raises
    ------
    NoSuchSearch
        The error names the nearest name.
    UsageError
        If a criterion cannot be understood, or the query has no column ``filename``.
    """
    parts: list[Condition] = []
    if choice.search is not None:
        with database.read() as connection:
            saved_search(connection, choice.search)
        parts.append(Condition(_OF_SEARCH, (choice.search, choice.search)))
    if choice.criteria != Criteria():
        sql, given = statement(choice.criteria, everything=True, limit=None, database=database)
        parts.append(Condition(f"f.filename IN (SELECT filename FROM ({sql}))", tuple(given)))
    if choice.sql is not None:
        parts.append(Condition("f.filename IN (SELECT unnest(?::VARCHAR[]))", (_filenames(database, choice.sql),)))
    values = tuple(value for part in parts for value in part.values)
    condition = Condition(" AND ".join(part.sql for part in parts) or "true", values)
    return condition if choice.limit is None else _limited(database, condition, choice.limit)


def _limited(database: Database, condition: Condition, limit: int) -> Condition:
    """Limit a condition to the first files in the order of observation."""
    with database.read() as connection:
        begun = column_or_null(connection, "files", "date_obs_mjd", "DOUBLE", "f")
    return Condition(
        f"""f.filename IN (SELECT f.filename FROM files f WHERE {condition.sql}
                           ORDER BY {begun}, f.filename LIMIT {int(limit)})""",
        condition.values,
    )


_OF_SEARCH = """(f.filename IN (SELECT filename FROM search_files WHERE search = ?)
    OR f.obs_id IN (SELECT obs_id FROM search_observations WHERE search = ?))"""


def _filenames(database: Database, sql: str) -> list[str]:
    answer = rows(database, sql)
    if "filename" not in answer.column_names:
        raise UsageError(f"--sql must return a column filename; it has {', '.join(answer.column_names)}")
    return [str(name) for name in answer.column("filename").unique().to_pylist() if name is not None]


def nothing(database: Database, choice: FilesToDraw, what: str) -> UsageError:
    """Return the error to raise if there is nothing to draw; it says what is near, as `find` does."""
    if choice == FilesToDraw():
        return UsageError(f"the catalog has no {what} yet: mastlake harvest NAME --instrument ...")
    hint = "mastlake find shows what there is"
    if choice.criteria != Criteria():
        sql, values = statement(choice.criteria, limit=1, database=database)
        if not first_rows(database, sql, values, 1)[1]:
            hint = why_nothing(database, choice.criteria)
    return UsageError(f"nothing with {what} matches ({choice.told().replace('  ', ', ')}); {hint}")


def column_or_null(connection: duckdb.DuckDBPyConnection, view: str, name: str, kind: str, alias: str) -> str:
    """Return the SQL of a column under an alias, or of a null if the archive never sent the column."""
    have = {column.lower(): column for column in columns_of(connection, view)}
    return f"TRY_CAST({alias}.{quoted(have[name.lower()])} AS {kind})" if name.lower() in have else f"NULL::{kind}"
