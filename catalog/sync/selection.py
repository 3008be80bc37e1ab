"""Which products are meant: by search, by filters, or by SQL.

A product row has what CAOM knows, and the file row of the keyword search adds the checksum. Files that no product row
lists still belong to the search: `selection_query` includes them, to be fetched by their own ``data_uri``, while
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
from catalog.store.times import time_of_mjd
from catalog.sync.plan import Rows
from catalog.sync.selection_words import ending_of, refuse_unknown

if TYPE_CHECKING:
    import pyarrow as pa  # to list products on the screen, it is not needed


@dataclass(frozen=True)
class Selection:
    """Which products are meant; a product must meet all conditions, and the case of values does not matter.

    Parameters
    ----------
    search : str, optional
        A saved search: the products of its observations, and its files. Without it, everything in the catalog.
    types, subgroups, dataproducts : tuple of str
        Values of ``productType``, ``productSubGroupDescription`` and ``dataproduct_type``.
    levels : tuple of int
        Calibration levels.
    extensions : tuple of str
        The ends of names: ``fits``, ``_x1dints.fits``.
    guide_stars : bool, optional
        True: only guide-star files; False: no guide-star files; None: no condition.
    max_size : int, optional
        The largest size in bytes.
    release : str, optional
        ``public`` or ``exclusive``: who may fetch the product now.
    sql : str, optional
        A query whose result has a column ``data_uri`` or ``filename``; the filters apply to it too.
    with_inputs : bool
        Also select the members that the association files of selected level-3 products name.
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
    """List the product rows of a selection, one row for each ``data_uri``, ordered by it.

    Parameters
    ----------
    database : Database
        The catalog.
    selection : Selection
        The products that are meant.

    Returns
    -------
    pyarrow.Table
        Columns ``data_uri``, ``filename``, ``size``, ``productType``, ``productSubGroupDescription``,
        ``dataproduct_type``, ``calib_level``, ``obs_id``, ``program``, ``dataRights``, ``release_at``,
        ``checksum``, ``description``.

    Raises
    ------
    NoSuchSearch, UsageError
        If the search is not saved, or the SQL fails or has neither column.
    """
    with _listed_products(database, selection, "filename, * EXCLUDE (filename, listed)") as result:
        return result.to_arrow_table()


def product_rows(database: Database, selection: Selection, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """List the same product rows as values of Python, with the given columns of `products`.

    Raises
    ------
    NoSuchSearch, UsageError
        See `products`.
    """
    with _listed_products(database, selection, ", ".join(map(quoted, columns))) as result:
        return result.fetchall()


@contextmanager
def _listed_products(database: Database, selection: Selection, columns: str) -> Iterator[duckdb.DuckDBPyConnection]:
    uris_of_sql = run_sql(database, selection.sql) if selection.sql else None
    with database.read() as connection:
        selected = selection_query(connection, selection, uris_of_sql)
        query = f"SELECT {columns} FROM {selected.sql} WHERE listed ORDER BY data_uri"
        yield connection.execute(query, dict(selected.values))


def run_sql(database: Database, sql: str) -> pa.Table:
    """Run the user's query, sealed, and return its column ``data_uri`` or ``filename``, without repetitions.

    If the result has both columns, ``data_uri`` counts, unless some of its values are null.
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
    key_column = uri if by_uri else filename
    try:
        keys = answer[key_column].cast(pa.string()).drop_null().unique()
    except pa.ArrowException as error:  # a list, a structure, or bytes that are no text
        raise UsageError(f"--sql must return names as text in {key_column}, not {answer[key_column].type}") from error
    return pa.table({"data_uri" if by_uri else "filename": keys})


def selection_query(
    connection: duckdb.DuckDBPyConnection,
    selection: Selection,
    uris_of_sql: pa.Table | None,
    inputs: pa.Table | None = None,
) -> Rows:
    """Return the query of everything selected, with its values.

    Its column ``listed`` is false for files that are no product row of the selection. ``uris_of_sql`` is what `run_sql`
    returned. ``inputs`` has a column ``filename`` of files to select in addition, whatever the filters say. Both stay
    registered on the connection.
    """
    if selection.search is not None:
        _require_search(connection, selection.search)
    refuse_unknown(connection, selection)
    for name, table in (("wanted_rows", uris_of_sql), ("input_rows", inputs)):
        if table is not None:
            connection.register(name, table)
    condition, values = _condition(selection)
    restricted = _restriction(selection, uris_of_sql)
    if restricted is _CHOSEN_BY_SEARCH:
        values["search"] = selection.search
    complete = f"""
        WITH product AS ({_product(connection)}), file AS ({_file(connection)}), release AS ({_release(connection)}),
        known AS ({_KNOWN}), chosen AS ({restricted}), filtered AS (FROM chosen c {condition}),
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
"""A date that was in the past when the archive still called the product exclusive is not its release date."""


def _require_search(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    saved = [str(row[0]) for row in connection.execute("SELECT name FROM searches ORDER BY name").fetchall()]
    if name not in saved:
        import difflib

        near = difflib.get_close_matches(name, saved, 1) or saved[:3]
        hint = f"; there is {', '.join(near)}" if near else "; none is saved yet, harvest makes one"
        raise NoSuchSearch(f"no search is named {name}{hint}")


def _restriction(selection: Selection, uris_of_sql: pa.Table | None) -> str:
    if uris_of_sql is not None:
        return _CHOSEN_BY_URI if "data_uri" in uris_of_sql.column_names else _CHOSEN_BY_NAME
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
    """Write a column in its type, or a null of that type if the archive never sent the column."""
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
    """Write files as products: the suffix of the name is the subgroup, and each is a science or a guide-star file."""
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
        SELECT obs_id, {time_of_mjd(released)} AS release_at FROM observations"""


def _condition(selection: Selection) -> tuple[str, dict[str, object]]:
    """Return the WHERE clause of a selection's filters, and its values by name."""
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
