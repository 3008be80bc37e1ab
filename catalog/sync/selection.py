"""Which products: by search, by filters, by SQL.

A product row says what CAOM knows; a file row of the keyword search adds the checksum. Files that no product
row lists are still files of the search: `selected` has them, fetched by their own ``data_uri``, while
`products` lists product rows only.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from catalog.errors import NoSuchSearch, UsageError
from catalog.store.database import Database, quoted
from catalog.store.schema import columns_of
from catalog.sync.plan import Rows

URI_PREFIX = "mast:JWST/product/"


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
    wanted = run_sql(database, selection.sql) if selection.sql else None
    with database.read() as connection:
        rows = prepare(connection, selection, wanted)
        query = f"SELECT * EXCLUDE (listed) FROM {rows.sql} WHERE listed ORDER BY data_uri"
        return connection.execute(query, dict(rows.values)).to_arrow_table()


def run_sql(database: Database, sql: str) -> pa.Table:
    """Run the user's query, sealed, and return columns ``data_uri`` and ``filename``, null where it has none."""
    with database.read(sealed=True) as connection:
        try:
            statements = connection.extract_statements(sql)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise UsageError("--sql takes one SELECT")
            answer = connection.execute(statements[0]).to_arrow_table()
        except duckdb.Error as error:
            raise UsageError(f"--sql: {str(error).splitlines()[0]}") from error
    names = {name.lower(): name for name in reversed(answer.column_names)}
    keys = {"data_uri": ("data_uri", "datauri"), "filename": ("filename", "productfilename")}
    found = {key: next((names[s] for s in spellings if s in names), None) for key, spellings in keys.items()}
    if not any(found.values()):
        raise UsageError(f"--sql must return a column data_uri or filename; it has {', '.join(answer.column_names)}")
    empty = pa.nulls(answer.num_rows, pa.string())
    return pa.table({key: answer[name].cast(pa.string()) if name else empty for key, name in found.items()})


def prepare(connection: duckdb.DuckDBPyConnection, selection: Selection, wanted: pa.Table | None) -> Rows:
    """Return the query of everything selected, with its values.

    Its column ``listed`` is false for files that are no product row of the selection. ``wanted`` is what
    `run_sql` returned; it stays registered on the connection.
    """
    if selection.search is not None:
        _require_search(connection, selection.search)
    if wanted is not None:
        connection.register("wanted_rows", wanted)
    chosen, values = _chosen(selection, wanted is not None)
    condition, more = _condition(selection)
    query = f"""
        WITH product AS ({_product(connection)}), file AS ({_file(connection)}), release AS ({_release(connection)}),
        chosen AS ({chosen})
        SELECT * FROM (
            SELECT c.data_uri,
                coalesce(p.filename, f.filename, c.filename, regexp_extract(c.data_uri, '[^/]*$')) AS filename,
                coalesce(f.size, p.size) AS size,
                coalesce(p."productType", f."productType") AS "productType",
                coalesce(p.subgroup, f.subgroup) AS "productSubGroupDescription",
                p.dataproduct_type,
                coalesce(p.calib_level, f.calib_level) AS calib_level,
                coalesce(p.obs_id, f.obs_id) AS obs_id,
                coalesce(p.program, f.program) AS program,
                coalesce(p."dataRights", f."dataRights") AS "dataRights",
                coalesce(f.release_at, r.release_at) AS release_at,
                lower(f.checksum) AS checksum,
                p.description,
                c.listed
            FROM chosen c
            LEFT JOIN product p ON p.data_uri = c.data_uri
            LEFT JOIN file f ON f.data_uri = c.data_uri
            LEFT JOIN release r ON r.obs_id = p.obs_id
        ) {condition}"""
    return Rows(f"({query})", {**values, **more})


def _require_search(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    saved = [str(row[0]) for row in connection.execute("SELECT name FROM searches ORDER BY name").fetchall()]
    if name not in saved:
        near = difflib.get_close_matches(name, saved, 1) or saved[:3]
        hint = f"; there is {', '.join(near)}" if near else "; none is saved yet, harvest makes one"
        raise NoSuchSearch(f"no search is named {name}{hint}")


def _chosen(selection: Selection, by_sql: bool) -> tuple[str, dict[str, object]]:
    """The query of (data_uri, filename, listed), once a data_uri."""
    if by_sql:
        return _CHOSEN_BY_SQL, {}
    if selection.search is None:
        return _CHOSEN_ALL, {}
    return _CHOSEN_BY_SEARCH, {"search": selection.search}


_CHOSEN_ALL = """
    SELECT data_uri, NULL::VARCHAR AS filename, true AS listed FROM product
    UNION ALL
    SELECT data_uri, filename, false FROM file ANTI JOIN product USING (data_uri)
"""

_CHOSEN_BY_SEARCH = """
    SELECT data_uri, any_value(filename) AS filename, bool_or(listed) AS listed FROM (
        SELECT data_uri, NULL::VARCHAR AS filename, true AS listed
        FROM product SEMI JOIN (
            SELECT data_uri FROM observation_products SEMI JOIN
            (SELECT obs_id FROM search_observations WHERE search = $search) USING (obs_id)
        ) USING (data_uri)
        UNION ALL
        SELECT data_uri, filename, false
        FROM file SEMI JOIN (SELECT filename FROM search_files WHERE search = $search) USING (filename)
    ) GROUP BY data_uri
"""

_CHOSEN_BY_SQL = """
    WITH named AS (
        SELECT filename, max(data_uri) AS data_uri FROM (
            SELECT filename, data_uri FROM product SEMI JOIN wanted_rows USING (filename)
            UNION ALL SELECT filename, data_uri FROM file SEMI JOIN wanted_rows USING (filename)
        ) GROUP BY filename
    )
    SELECT DISTINCT coalesce(w.data_uri, n.data_uri) AS data_uri,
        CASE WHEN coalesce(w.data_uri, n.data_uri) IS NULL THEN w.filename END AS filename, true AS listed
    FROM wanted_rows w LEFT JOIN named n ON n.filename = w.filename
    WHERE coalesce(w.data_uri, w.filename) IS NOT NULL
"""


def _column(present: Iterable[str], name: str, kind: str) -> str:
    """A column in its type, or a null of that type where the archive never sent it."""
    if name.lower() not in {c.lower() for c in present}:
        return f"NULL::{kind}"
    return quoted(name) if kind == "VARCHAR" else f"TRY_CAST({quoted(name)} AS {kind})"


def _product(connection: duckdb.DuckDBPyConnection) -> str:
    have = columns_of(connection, "products")
    return f"""
        SELECT data_uri,
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
    uri = f"coalesce({_column(have, 'dataURI', 'VARCHAR')}, '{URI_PREFIX}' || filename)"
    suffix = "upper(regexp_extract(filename, '_([A-Za-z0-9-]+)\\.[A-Za-z.]+$', 1))"
    restricted = _column(have, "isRestricted", "BOOLEAN")
    return f"""
        SELECT {uri} AS data_uri, filename,
            {_column(have, "fileSize", "BIGINT")} AS size,
            {_column(have, "checksum", "VARCHAR")} AS checksum,
            CASE WHEN filename LIKE '%\\_gs-%' ESCAPE '\\' THEN 'AUXILIARY' ELSE 'SCIENCE' END AS "productType",
            nullif({suffix}, '') AS subgroup,
            TRY_CAST(left({_column(have, "productLevel", "VARCHAR")}, 1) AS BIGINT) AS calib_level,
            {_column(have, "obs_id", "VARCHAR")} AS obs_id,
            {_column(have, "program", "VARCHAR")} AS program,
            CASE {restricted} WHEN true THEN 'EXCLUSIVE_ACCESS' WHEN false THEN 'PUBLIC' END AS "dataRights",
            {_column(have, "publicReleaseDate", "TIMESTAMP")} AS release_at
        FROM files"""


def _release(connection: duckdb.DuckDBPyConnection) -> str:
    have = columns_of(connection, "observations")
    released = _column(have, "t_obs_release", "DOUBLE")
    return f"""
        SELECT obs_id, TIMESTAMP '1858-11-17' + to_microseconds(CAST({released} * 86400e6 AS BIGINT)) AS release_at
        FROM observations"""


def _condition(selection: Selection) -> tuple[str, dict[str, object]]:
    """The WHERE clause of a selection's filters, and its values by name."""
    terms: list[str] = []
    values: dict[str, object] = {}
    words = {"productType": "types", "productSubGroupDescription": "subgroups", "dataproduct_type": "dataproducts"}
    for column, field in words.items():
        if allowed := getattr(selection, field):
            terms.append(f"lower({quoted(column)}) IN (SELECT unnest(${field}::VARCHAR[]))")
            values[field] = [word.strip().lower() for word in allowed]
    if selection.levels:
        terms.append("calib_level IN (SELECT unnest($levels::BIGINT[]))")
        values["levels"] = [int(level) for level in selection.levels]
    if selection.extensions:
        endings = [e.lower() if e.startswith((".", "_")) else f".{e.lower()}" for e in selection.extensions]
        terms.append(f"({' OR '.join(f'ends_with(lower(filename), $ending{n})' for n in range(len(endings)))})")
        values.update({f"ending{n}": ending for n, ending in enumerate(endings)})
    if selection.guide_stars is not None:
        guide = "(lower(coalesce(\"productSubGroupDescription\", '')) LIKE 'gs-%' OR contains(lower(filename), '_gs-'))"
        terms.append(guide if selection.guide_stars else f"NOT {guide}")
    if selection.max_size is not None:
        terms.append("size <= $max_size")
        values["max_size"] = selection.max_size
    return (f"WHERE {' AND '.join(terms)}" if terms else ""), values
