"""Which products: by search, by filters, by SQL.

A product row says what CAOM knows; a file row of the keyword search adds the checksum. Files that no product
row lists are still files of the search: `selected` has them, fetched by their own ``data_uri``, while
`products` lists product rows only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from catalog.errors import NoSuchSearch, UsageError
from catalog.missions import JWST
from catalog.store.access import checked_release, exclusive, rights_of_file
from catalog.store.database import Database, columns_of, quoted
from catalog.store.sql import literal
from catalog.store.times import moment
from catalog.sync.plan import Rows
from catalog.sync.vocabulary import ending_of, refuse_unknown

if TYPE_CHECKING:
    import pyarrow as pa  # a list on the screen needs none


@dataclass(frozen=True)
class Selection:
    """Which products are meant; every part narrows, and values match without regard to case.

    Parameters
    ----------
    search : str, optional
        A saved search: the products of its observations, and its files. Without it: everything in the catalog.
    types, subgroups, dataproducts : tuple of str
        As in ``productType``, ``productSubGroupDescription`` and ``dataproduct_type``.
    levels : tuple of int
        Calibration levels.
    extensions : tuple of str
        How names end: ``fits``, ``_x1dints.fits``.
    guide_stars : bool, optional
        True: only guide-star files; False: none; None: whatever the other filters say.
    max_size : int, optional
        In bytes.
    release : str, optional
        ``public`` or ``exclusive``: who may fetch it now.
    sql : str, optional
        A query whose result has a column ``data_uri`` or ``filename``; the filters apply to it too.
    with_inputs : bool
        Also what the association files of selected level-3 products name as their members.
    """

    search: str | None = None
    types: tuple[str, ...] = ()
    levels: tuple[int, ...] = ()
    subgroups: tuple[str, ...] = ()
    dataproducts: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    guide_stars: bool | None = None
    max_size: int | None = None
    sql: str | None = None
    with_inputs: bool = False
    release: str | None = None

    def __post_init__(self) -> None:
        if self.release is not None:
            checked_release(self.release)
        if self.search is not None and self.sql is not None:
            raise UsageError("give a search or --sql, not both; the SQL can name the search in search_files")


def products(database: Database, selection: Selection) -> pa.Table:
    """List the product rows that a selection means, one row a ``data_uri``, in its order.

    Parameters
    ----------
    database : Database
        The catalog.
    selection : Selection
        What is meant.

    Returns
    -------
    pyarrow.Table
        Columns ``data_uri``, ``filename``, ``size``, ``productType``, ``productSubGroupDescription``,
        ``dataproduct_type``, ``calib_level``, ``obs_id``, ``program``, ``dataRights``, ``release_at``,
        ``checksum``, ``description``.

    Raises
    ------
    NoSuchSearch, UsageError
        Where the search was never saved, or the SQL does not run or has neither column.
    """
    with _listed(database, selection, "filename, * EXCLUDE (filename, listed)") as result:
        return result.to_arrow_table()


def product_rows(database: Database, selection: Selection, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """List the same product rows as Python's values, in these columns of `products`.

    Raises
    ------
    NoSuchSearch, UsageError
        See `products`.
    """
    with _listed(database, selection, ", ".join(map(quoted, columns))) as result:
        return result.fetchall()


@contextmanager
def _listed(database: Database, selection: Selection, columns: str) -> Iterator[duckdb.DuckDBPyConnection]:
    wanted = run_sql(database, selection.sql) if selection.sql else None
    with database.read() as connection:
        chosen = prepare(connection, selection, wanted)
        query = f"SELECT {columns} FROM {chosen.sql} WHERE listed ORDER BY data_uri"
        yield connection.execute(query, dict(chosen.values))


def run_sql(database: Database, sql: str) -> pa.Table:
    """Run the user's query, sealed, and return its column ``data_uri`` or ``filename``, without repetitions.

    Where it has both, ``data_uri`` counts, unless some of them are null.
    """
    import pyarrow as pa

    from catalog.questions.statement import rows

    answer = rows(database, sql)
    names = {name.lower(): name for name in reversed(answer.column_names)}
    uri = next((names[name] for name in ("data_uri", "datauri") if name in names), None)
    filename = next((names[name] for name in ("filename", "productfilename") if name in names), None)
    if uri is None and filename is None:
        raise UsageError(f"--sql must return a column data_uri or filename; it has {', '.join(answer.column_names)}")
    by_uri = uri is not None and (filename is None or answer[uri].null_count == 0)
    chosen = uri if by_uri else filename
    try:
        keys = answer[chosen].cast(pa.string()).drop_null().unique()
    except pa.ArrowException as error:  # a list, a structure, bytes that are no text
        raise UsageError(f"--sql must return names as text in {chosen}, not {answer[chosen].type}") from error
    return pa.table({"data_uri" if by_uri else "filename": keys})


def prepare(
    connection: duckdb.DuckDBPyConnection,
    selection: Selection,
    wanted: pa.Table | None,
    inputs: pa.Table | None = None,
) -> Rows:
    """Return the query of everything selected, with its values.

    Its column ``listed`` is false for files that are no product row of the selection. ``wanted`` is what
    `run_sql` returned; ``inputs`` has a column ``filename`` of what comes in addition, whatever the filters say.
    Both stay registered on the connection.
    """
    if selection.search is not None:
        _require_search(connection, selection.search)
    refuse_unknown(connection, selection)
    for name, table in (("wanted_rows", wanted), ("input_rows", inputs)):
        if table is not None:
            connection.register(name, table)
    condition, values = _condition(selection)
    chosen = _chosen(selection, wanted)
    if chosen is _CHOSEN_BY_SEARCH:
        values["search"] = selection.search
    complete = f"""
        WITH product AS ({_product(connection)}), file AS ({_file(connection)}), release AS ({_release(connection)}),
        known AS ({_KNOWN}), chosen AS ({chosen}), filtered AS (FROM chosen c {condition}),
        complete AS ({"FROM filtered" if inputs is None else _WITH_INPUTS})"""
    dated = f"""
        SELECT c.* EXCLUDE (release_at, searched_name, since_run), {_RELEASED} AS release_at
        FROM complete c
        LEFT JOIN release r ON r.obs_id = CASE WHEN {_NOT_PUBLIC} THEN c.obs_id END
        LEFT JOIN runs ON runs.run = CASE WHEN {_NOT_PUBLIC} THEN c.since_run END"""
    if selection.release is None:
        return Rows(f"({complete}{dated})", values, undated=f"({complete} FROM complete)")
    negated = "NOT " if selection.release == "public" else ""
    allowed = f"""({complete}, dated AS ({dated})
        SELECT * FROM dated WHERE {negated}{exclusive('"dataRights"', "release_at")})"""
    return Rows(allowed, values)


_NOT_PUBLIC = "coalesce(upper(c.\"dataRights\"), '') <> 'PUBLIC'"

_RELEASED = """
    CASE WHEN runs.started_at > coalesce(c.release_at, r.release_at) AND c."dataRights" <> '' THEN NULL
        ELSE coalesce(c.release_at, r.release_at) END
"""
"""A date that was past when the archive still called the product exclusive is not the date it becomes public."""


def _require_search(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    saved = [str(row[0]) for row in connection.execute("SELECT name FROM searches ORDER BY name").fetchall()]
    if name not in saved:
        import difflib

        near = difflib.get_close_matches(name, saved, 1) or saved[:3]
        hint = f"; there is {', '.join(near)}" if near else "; none is saved yet, harvest makes one"
        raise NoSuchSearch(f"no search is named {name}{hint}")


def _chosen(selection: Selection, wanted: pa.Table | None) -> str:
    if wanted is not None:
        return _CHOSEN_BY_URI if "data_uri" in wanted.column_names else _CHOSEN_BY_NAME
    return _CHOSEN_ALL if selection.search is None else _CHOSEN_BY_SEARCH


_KNOWN = """
    SELECT coalesce(p.data_uri, f.data_uri) AS data_uri,
        coalesce(p.filename, f.filename) AS filename,
        coalesce(f.size, p.size) AS size,
        coalesce(p."productType", f."productType") AS "productType",
        coalesce(p.subgroup, f.subgroup) AS "productSubGroupDescription",
        p.dataproduct_type,
        coalesce(p.calib_level, f.calib_level) AS calib_level,
        coalesce(p.obs_id, f.obs_id) AS obs_id,
        coalesce(p.program, f.program) AS program,
        coalesce(p."dataRights", f."dataRights") AS "dataRights",
        f.release_at,
        coalesce(p.since_run, f.since_run) AS since_run,
        lower(f.checksum) AS checksum,
        p.description,
        f.filename AS searched_name,
        p.data_uri IS NOT NULL AS listed
    FROM product p FULL JOIN file f ON f.data_uri = p.data_uri
"""

_CHOSEN_ALL = "FROM known"

_CHOSEN_BY_SEARCH = """
    FROM (SELECT * REPLACE (
            listed AND data_uri IN (
                SELECT data_uri FROM observation_products
                WHERE obs_id IN (SELECT obs_id FROM search_observations WHERE search = $search)
            ) AS listed)
        FROM known)
    WHERE listed OR coalesce(searched_name IN (SELECT filename FROM search_files WHERE search = $search), false)
"""

_CHOSEN_BY_URI = """
    SELECT k.* REPLACE (w.data_uri AS data_uri, true AS listed,
        coalesce(k.filename, regexp_extract(w.data_uri, '[^/]*$')) AS filename)
    FROM wanted_rows w LEFT JOIN known k ON k.data_uri = w.data_uri
"""

_CHOSEN_BY_NAME = """
    SELECT k.* REPLACE (w.filename AS filename, true AS listed)
    FROM wanted_rows w LEFT JOIN known k ON k.filename = w.filename
"""

_WITH_INPUTS = f"""
    FROM filtered
    UNION ALL BY NAME
    SELECT k.* REPLACE (coalesce(k.data_uri, {literal(JWST.uri_prefix)} || i.filename) AS data_uri,
                        i.filename AS filename)
    FROM input_rows i LEFT JOIN known k ON k.filename = i.filename
    WHERE i.filename NOT IN (SELECT filename FROM filtered)
"""


def _column(present: Iterable[str], name: str, kind: str) -> str:
    """A column in its type, or a null of that type where the archive never sent it."""
    if name.lower() not in {c.lower() for c in present}:
        return f"NULL::{kind}"
    return f"TRY_CAST({quoted(name)} AS {kind})"


def _product(connection: duckdb.DuckDBPyConnection) -> str:
    have = columns_of(connection, "products")
    return f"""
        SELECT data_uri, since_run,
            coalesce({_column(have, "productFilename", "VARCHAR")}, regexp_extract(data_uri, '[^/]*$')) AS filename,
            {_column(have, "size", "BIGINT")} AS size,
            {_column(have, "productType", "VARCHAR")} AS "productType",
            {_column(have, "productSubGroupDescription", "VARCHAR")} AS subgroup,
            {_column(have, "dataproduct_type", "VARCHAR")} AS dataproduct_type,
            {_column(have, "calib_level", "BIGINT")} AS calib_level,
            {_column(have, "obs_id", "VARCHAR")} AS obs_id,
            {_column(have, "proposal_id", "VARCHAR")} AS program,
            {_column(have, "dataRights", "VARCHAR")} AS "dataRights",
            {_column(have, "description", "VARCHAR")} AS description
        FROM products"""


def _file(connection: duckdb.DuckDBPyConnection) -> str:
    """Files as products: the suffix of a name is the subgroup, and every one of them is science or guide star."""
    have = columns_of(connection, "files")
    uri = f"coalesce({_column(have, 'dataURI', 'VARCHAR')}, {literal(JWST.uri_prefix)} || filename)"
    suffix = "upper(regexp_extract(filename, '_([A-Za-z0-9-]+)\\.[A-Za-z.]+$', 1))"
    restricted = _column(have, "isRestricted", "BOOLEAN")
    return f"""
        SELECT {uri} AS data_uri, filename, since_run,
            {_column(have, "fileSize", "BIGINT")} AS size,
            {_column(have, "checksum", "VARCHAR")} AS checksum,
            CASE WHEN filename LIKE '%\\_gs-%' ESCAPE '\\' THEN 'AUXILIARY' ELSE 'SCIENCE' END AS "productType",
            nullif({suffix}, '') AS subgroup,
            TRY_CAST(left({_column(have, "productLevel", "VARCHAR")}, 1) AS BIGINT) AS calib_level,
            {_column(have, "obs_id", "VARCHAR")} AS obs_id,
            {_column(have, "program", "VARCHAR")} AS program,
            {rights_of_file(restricted)} AS "dataRights",
            {_column(have, "publicReleaseDate", "TIMESTAMP")} AS release_at
        FROM files"""


def _release(connection: duckdb.DuckDBPyConnection) -> str:
    have = columns_of(connection, "observations")
    released = _column(have, "t_obs_release", "DOUBLE")
    return f"""
        SELECT obs_id, {moment(released)} AS release_at FROM observations"""


def _condition(selection: Selection) -> tuple[str, dict[str, object]]:
    """The WHERE clause of a selection's filters, and its values by name."""
    terms: list[str] = []
    values: dict[str, object] = {}
    words = {"productType": "types", "productSubGroupDescription": "subgroups", "dataproduct_type": "dataproducts"}
    for column, field in words.items():
        if allowed := getattr(selection, field):
            terms.append(f"lower(c.{quoted(column)}) IN (SELECT unnest(${field}::VARCHAR[]))")
            values[field] = [word.strip().lower() for word in allowed]
    if selection.levels:
        terms.append("c.calib_level IN (SELECT unnest($levels::BIGINT[]))")
        values["levels"] = [int(level) for level in selection.levels]
    if selection.extensions:
        endings = [ending_of(word) for word in selection.extensions]
        terms.append(f"({' OR '.join(f'ends_with(lower(c.filename), $ending{n})' for n in range(len(endings)))})")
        values.update({f"ending{n}": ending for n, ending in enumerate(endings)})
    if selection.guide_stars is not None:
        guide = (
            "(lower(coalesce(c.\"productSubGroupDescription\", '')) LIKE 'gs-%' OR contains(lower(c.filename), '_gs-'))"
        )
        terms.append(guide if selection.guide_stars else f"NOT {guide}")
    if selection.max_size is not None:
        terms.append("c.size <= $max_size")
        values["max_size"] = selection.max_size
    return (f"WHERE {' AND '.join(terms)}" if terms else ""), values
