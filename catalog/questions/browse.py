"""Browsing files: counts by facet, pages of a table, and counts by day and place of observation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from catalog.errors import BadValue, UnknownKeyword
from catalog.questions.conditions import Condition, written_out
from catalog.questions.find import Columns, Criteria, conditions_of
from catalog.questions.statement import run_question
from catalog.store.access import ACCESS_COLUMNS, access_query
from catalog.store.again import asks_again
from catalog.store.database import Database
from catalog.store.sql import literal, quoted

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

FACETS = {
    "instrument": "instrument", "exp_type": "exp_type", "filter": "filter", "pupil": "pupil", "program": "program",
    "target": "targname", "level": "productLevel", "calibration": "cal_ver",
}  # fmt: skip
"""Facets that are columns of `files`."""
ACCESS, DISK = "access", "disk"
"""Facets that come from other views."""
NOT_HERE = "not on disk"
_LISTED = 40
CELL = 4
"""The width of a cell of the sky, in degrees."""
_STATES = """SELECT filename, min(state) AS state FROM (
    SELECT filename, state FROM file_drift UNION ALL
    SELECT filename, 'current' FROM local_files WHERE file_id NOT IN (SELECT file_id FROM local_verdict)
) GROUP BY filename"""


@dataclass(frozen=True)
class Choice:
    """The files that a person browses.

    Attributes
    ----------
    criteria : Criteria
        The criteria, as `find` takes them.
    facets : tuple of (str, tuple of str)
        The picked values of facets; a file must have one of them in each facet. An empty text stands for no value.
    """

    criteria: Criteria = field(default_factory=Criteria)
    facets: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True)
class Facet:
    """How many files have each value of one facet, among the files that meet all other criteria.

    Attributes
    ----------
    name : str
        The name of the facet.
    values : tuple of (str, int)
        The most frequent values, each with its number of files; an empty text stands for no value.
    more : bool
        Whether there are more values than these.
    """

    name: str
    values: tuple[tuple[str, int], ...]
    more: bool


@dataclass(frozen=True)
class Leaf:
    """One page of a table of files.

    Attributes
    ----------
    rows : pyarrow.Table
        Rows with the columns that were asked for; ``filename`` is always among them.
    after : tuple of (str or None, str) or None
        The key after which the next page begins; None on the last page.
    sql : str
        The question, with its values written into it.
    """

    rows: pa.Table
    after: tuple[str | None, str] | None
    sql: str


@dataclass(frozen=True)
class Table:
    """Which columns a table of files has, and how it is sorted.

    Attributes
    ----------
    columns : tuple of str
        Names of columns of `files`.
    sort : str
        The column by which it is sorted.
    descending : bool
        Whether the greatest value comes first; files without a value always come last.
    after : tuple of (str or None, str) or None
        The sort value and filename of the last file of the page before.
    limit : int
        The most rows of a page.
    """

    columns: tuple[str, ...]
    sort: str = "date_obs_mjd"
    descending: bool = False
    after: tuple[str | None, str] | None = None
    limit: int = 50


class _Asked:
    """One choice as pieces of SQL, for the columns that a catalog has."""

    def __init__(self, database: Database, connection: duckdb.DuckDBPyConnection, choice: Choice) -> None:
        have = database.columns(connection, "files")
        self.have: Columns = {name.lower(): (name, kind) for name, kind in have.items()}
        self.base = list(conditions_of(choice.criteria, connection, self.have))
        self.picked = {name: self._picked(name, values) for name, values in choice.facets if values}

    def column(self, name: str) -> tuple[str, str] | None:
        return self.have.get(name.lower())

    def _picked(self, facet: str, values: Sequence[str]) -> Condition:
        if facet == DISK:
            return _on_disk(values)
        column = self.column(FACETS[facet]) if facet in FACETS else None
        if column is None:
            raise UnknownKeyword(f"no harvested file has {facet}")
        name, kind = column
        text = quoted(name) if kind == "VARCHAR" else f"CAST({quoted(name)} AS VARCHAR)"
        given = [value for value in values if value]
        parts = [f"{text} IN ({', '.join('?' for _ in given)})"] if given else []
        parts += [f"coalesce({text}, '') = ''"] if "" in values else []
        return Condition(f"({' OR '.join(parts)})", tuple(given))

    def where(self, leave_out: str = "", more: Sequence[Condition] = ()) -> Condition:
        """Join the picked facets, without the one to leave out, and further conditions."""
        parts = [*(part for name, part in self.picked.items() if name != leave_out), *more]
        sql = " AND ".join(part.sql for part in parts)
        return Condition(f" WHERE {sql}" if sql else "", tuple(value for part in parts for value in part.values))

    def all(self, more: Sequence[Condition] = ()) -> Condition:
        return self.where(more=[*self.base, *more])


def _on_disk(values: Sequence[str]) -> Condition:
    there = [value for value in values if value != NOT_HERE]
    parts, bound = [], tuple(there)
    if there:
        parts.append(f"filename IN (SELECT filename FROM ({_STATES}) WHERE state IN ({', '.join('?' for _ in there)}))")
    if NOT_HERE in values:
        parts.append("filename NOT IN (SELECT filename FROM local_files)")
    return Condition(f"({' OR '.join(parts)})", bound)


@asks_again
def facets(database: Database, choice: Choice) -> tuple[int, list[Facet]]:
    """Count files by facet, in one statement.

    Parameters
    ----------
    database : Database
        A catalog.
    The files to count.
        The files that are meant.

    Returns
    -------
    int
        How many files the choice has.
    list of Facet
        The facets that the catalog's files have.

    Raises
    ------
    UnknownKeyword, BadValue
        If a criterion cannot be understood.
    """
    with database.read(sealed=True) as connection:
        asked = _Asked(database, connection, choice)
        access = access_query(connection, "allowed")
    columns = {name: asked.have[column.lower()][0] for name, column in FACETS.items() if asked.column(column)}
    sql, values = _counting(asked, columns, access)
    counted: dict[str, list[tuple[str, int]]] = {name: [] for name in ("", *columns, ACCESS, DISK)}
    with run_question(database, sql, values, ours=True) as reader:
        for row in reader.read_all().to_pylist():
            counted[row["facet"]].append((row["value"] or "", int(row["files"])))
    total = sum(files for _, files in counted.pop(""))
    counted[DISK] = _with_those_not_here(asked, total, counted[DISK])
    return total, [Facet(name, tuple(counts[:_LISTED]), len(counts) > _LISTED) for name, counts in counted.items()]


def _with_those_not_here(asked: _Asked, total: int, counted: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Add the number of files that are not on disk: the remainder, unless a picked state on disk has counted them."""
    if DISK in asked.picked:
        return counted
    absent = total - sum(files for _, files in counted)
    return sorted(
        [*counted, *([(NOT_HERE, absent)] if absent else [])], key=lambda value_and_count: -value_and_count[1]
    )


def _counting(asked: _Asked, columns: Mapping[str, str], access: str) -> tuple[str, list[object]]:
    """Write the statement that counts all facets. The files of a picked facet are counted again without its pick."""
    needed = {
        *columns.values(),
        *(asked.have[column.lower()][0] for column in ACCESS_COLUMNS if column.lower() in asked.have),
    }
    base = " AND ".join(part.sql for part in asked.base)
    listed = ", ".join(map(quoted, sorted(needed)))
    source = "chosen" if base else "files"
    begin = f"chosen AS MATERIALIZED (SELECT {listed} FROM files WHERE {base}), " if base else ""
    everything = asked.where()
    narrowed = Condition(f"allowed AS (SELECT {listed} FROM {source}{everything.sql})", everything.values)
    parts = [part for name in asked.picked if (part := _of_picked(asked, name, columns, source)) is not None]
    together = {name: column for name, column in columns.items() if name not in asked.picked}
    queries = [_grouped_in_one_pass(together), f"SELECT '{ACCESS}', {_WHO}, count(*) FROM ({access}) GROUP BY ALL"]
    if DISK not in asked.picked:
        queries.append(f"SELECT '{DISK}', state, count(*) FROM allowed JOIN ({_STATES}) USING (filename) GROUP BY ALL")
    union = " UNION ALL ".join([*queries, *(part.sql for part in parts)])
    values = [value for part in [*asked.base, narrowed, *parts] for value in part.values]
    sql = f"WITH {begin}{narrowed.sql} SELECT facet, value, files FROM ({union}) ORDER BY facet, files DESC, value"
    return sql, values


_WHO = "CASE WHEN exclusive THEN 'exclusive' ELSE 'public' END"


def _grouped_in_one_pass(columns: Mapping[str, str]) -> str:
    """Write the query that groups the chosen files by each of some columns, and counts all of them, in one pass."""
    names = [quoted(column) for column in columns.values()]
    bits = len(names)
    masks = {(1 << bits) - 1 - (1 << (bits - 1 - place)): name for place, name in enumerate(columns)}
    facet = "".join(f" WHEN {mask} THEN {literal(name)}" for mask, name in masks.items())
    sets = ", ".join(["()", *(f"({name})" for name in names)])
    texts = ", ".join(["NULL", *(f"CAST({name} AS VARCHAR)" for name in names)])
    grouped = f"CASE grouping({', '.join(names)}){facet} ELSE '' END" if names else "''"
    return f"""SELECT facet, value, files FROM (
        SELECT {grouped} AS facet, coalesce({texts}, NULL) AS value, count(*) AS files
        FROM allowed GROUP BY GROUPING SETS ({sets})
    ) QUALIFY row_number() OVER (PARTITION BY facet ORDER BY files DESC, value) <= {_LISTED + 1}"""


def _of_picked(asked: _Asked, name: str, columns: Mapping[str, str], source: str) -> Condition | None:
    """Write the query of one picked facet, which its own pick does not narrow."""
    where = asked.where(name)
    if name == DISK:
        return Condition(
            f"SELECT '{DISK}', coalesce(state, '{NOT_HERE}'), count(*) FROM {source} "
            f"LEFT JOIN ({_STATES}) USING (filename){where.sql} GROUP BY ALL",
            where.values,
        )
    column = quoted(columns[name])
    return Condition(
        f"SELECT * FROM (SELECT {literal(name)}, CAST({column} AS VARCHAR) AS v, count(*) AS n "
        f"FROM {source}{where.sql} GROUP BY ALL ORDER BY n DESC, v LIMIT {_LISTED + 1})",
        where.values,
    )


@asks_again
def leaf(database: Database, choice: Choice, table: Table) -> Leaf:
    """Return one page of a table of files, sorted by a column and then by filename. A key leads to the next page.

    Parameters
    ----------
    database : Database
        A catalog.
    choice : Choice
        The files to list.
    table : Table
        The columns, their order, and the file after which the page begins.

    Raises
    ------
    UnknownKeyword, BadValue
        If a criterion, a column or a key cannot be understood.
    """
    with database.read(sealed=True) as connection:
        asked = _Asked(database, connection, choice)
    listed = [asked.column(name) for name in dict.fromkeys(["filename", *table.columns])]
    if None in listed:
        raise UnknownKeyword("no harvested file has one of these columns; choose others")
    names = [column[0] for column in listed if column is not None]
    sort, kind = asked.column(table.sort) or ("filename", "VARCHAR")
    where = asked.all([_after(sort, kind, table)] if table.after else [])
    bound = _last_of_page(database, asked, sort, kind, table)
    order = f"{quoted(sort)} {'DESC' if table.descending else 'ASC'} NULLS LAST, filename"
    shown = ", ".join(map(quoted, names))
    sql = f"SELECT {shown}\nFROM files{where.sql.replace(' WHERE ', chr(10) + 'WHERE ', 1)}\nORDER BY {order}"
    key = f"CAST({quoted(sort)} AS VARCHAR) AS sort_key"
    paging = asked.all([*([_after(sort, kind, table)] if table.after else []), *bound])
    paged = f"SELECT {shown}, {key} FROM files{paging.sql} ORDER BY {order} LIMIT {table.limit + 1}"
    with run_question(database, paged, paging.values, ours=True) as reader:
        rows = reader.read_all()
    last = rows.slice(table.limit - 1, 1).to_pylist() if rows.num_rows > table.limit else []
    after = (last[0]["sort_key"], last[0]["filename"]) if last else None
    statement = written_out(sql, where.values) + f"\nLIMIT {table.limit}"
    return Leaf(rows.slice(0, table.limit).drop_columns(["sort_key"]), after, statement)


def _last_of_page(database: Database, asked: _Asked, sort: str, kind: str, table: Table) -> list[Condition]:
    """Find the sort value that ends a page, so that other columns are read only up to there."""
    column, down = quoted(sort), table.descending
    more = [*([_after(sort, kind, table)] if table.after else []), Condition(f"{column} IS NOT NULL")]
    where = asked.all(more)
    sql = f"""SELECT CAST({"min" if down else "max"}(k) AS VARCHAR) AS k, count(*) AS n FROM (
        SELECT {column} AS k FROM files{where.sql} ORDER BY k {"DESC" if down else "ASC"} LIMIT {table.limit + 1})"""
    with run_question(database, sql, where.values, ours=True) as reader:
        (row,) = reader.read_all().to_pylist()
    if row["n"] <= table.limit:
        return []
    return [Condition(f"{column} {'>=' if down else '<='} TRY_CAST(? AS {kind})", (row["k"],))]


def _after(sort: str, kind: str, table: Table) -> Condition:
    assert table.after is not None
    value, filename = table.after
    column = quoted(sort)
    if value is None:
        return Condition(f"({column} IS NULL AND filename > ?)", (filename,))
    sign = "<" if table.descending else ">"
    bound = f"TRY_CAST(? AS {kind})"
    return Condition(
        f"({column} {sign} {bound} OR ({column} = {bound} AND filename > ?) OR {column} IS NULL)",
        (value, value, filename),
    )


def any_file(database: Database, choice: Choice) -> bool:
    """Say whether the choice has any file."""
    with database.read(sealed=True) as connection:
        where = _Asked(database, connection, choice).all()
    with run_question(database, f"SELECT 1 FROM files{where.sql} LIMIT 1", where.values, ours=True) as reader:
        return bool(reader.read_all().num_rows)


def statement_of(database: Database, choice: Choice) -> tuple[str, tuple[Any, ...]]:
    """Write the statement that gives all columns of the chosen files, and its values."""
    with database.read(sealed=True) as connection:
        asked = _Asked(database, connection, choice)
    where = asked.all()
    order = [name for name in ("date_obs_mjd", "filename") if name in asked.have]
    return f"SELECT * FROM files{where.sql} ORDER BY {', '.join(order)}", where.values


def days(database: Database, choice: Choice) -> list[tuple[int, int]]:
    """Count the chosen files by the day of observation (MJD, UTC); files without a day are left out."""
    return [(int(day), int(files)) for day, files in _grouped(database, choice, "date_obs_mjd", ("date_obs_mjd",), 1)]


def sky_cells(database: Database, choice: Choice) -> list[tuple[int, int, int]]:
    """Count the chosen files by cells of `CELL` degrees of right ascension and declination (J2000)."""
    counted = _grouped(database, choice, "targ_ra", ("targ_ra", "targ_dec"), CELL)
    return [(int(ra) * CELL, int(dec) * CELL, int(files)) for ra, dec, files in counted]


def _grouped(
    database: Database, choice: Choice, needed: str, columns: Sequence[str], width: int
) -> list[tuple[Any, ...]]:
    with database.read(sealed=True) as connection:
        asked = _Asked(database, connection, choice)
    if asked.column(needed) is None:
        return []
    where = asked.all([Condition(f"{name} BETWEEN -1e6 AND 1e6") for name in columns])
    groups = ", ".join(f"floor({name} / {width}) AS g{number}" for number, name in enumerate(columns))
    sql = f"SELECT {groups}, count(*) AS files FROM files{where.sql} GROUP BY ALL ORDER BY ALL"
    with run_question(database, sql, where.values, ours=True) as reader:
        rows = reader.read_all().to_pylist()
    return [tuple(row.values()) for row in rows]


def checked_facet(name: str) -> str:
    """Return the name of a facet; refuse any other name.

    Raises
    ------
    BadValue
        The error names all facets.
    """
    if name not in (*FACETS, DISK):
        raise BadValue(f"there is no facet {name!r}; there are {', '.join((*FACETS, DISK))}")
    return name
