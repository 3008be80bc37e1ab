"""The schema of a catalog: its migrations, and the views, which are made again each time.

Alembic migrates the tables with fixed columns. Views name the columns of the version tables, which grow, and DuckDB
binds the columns of a view when it is made. So views are made again whenever a table has grown.
"""

from __future__ import annotations

from importlib import import_module
from importlib.machinery import ModuleSpec

import duckdb

from catalog.missions import JWST
from catalog.store.access import make_access_view
from catalog.store.duckdb_file import dialect_of
from catalog.store.engine import Comment
from catalog.store.history.footprints import note_footprints, number_files
from catalog.store.history.keyword_differences import keep_differences
from catalog.store.history.verdicts import keep_verdicts
from catalog.store.relations import ATTACHED_AS, attached, current, local_files
from catalog.store.schema.comments import comment_on_everything
from catalog.store.schema.local_views import make_local_views
from catalog.store.schema.sky_macros import make_sky_macros
from catalog.store.sql import columns_of, quoted, tables_of

_OWN_COLUMNS = {"mission", "since_run", "until_run", "row_hash", "checked_run"}

_ALIASES = {
    "files": {
        "data_uri": "dataURI",
        "file_size": "fileSize",
        "is_stale": "isStale",
        "ingest_mjd": JWST.ingest_column,
    },
    "observations": {},
    "products": {"filename": "productFilename"},
}
_VERSIONS = {"files": "file_version", "observations": "observation_version", "products": "product_version"}

_COMMENTS = {
    "exposures": "one row an exposure: its segments, detectors and products counted once, for sums of times",
    "files": "one row for each FITS file that a search matches now; every keyword the archive returned",
    "observations": "one row for each CAOM observation, as it is now",
    "products": "one row for each thing that can be downloaded, as it is now",
    "observation_products": "which products each observation lists, many to many",
    "search_files": "which files each search matches now",
    "search_observations": "which observations each search leads to now",
    "file_access": "who may fetch each file now, and from when on everybody may",
    "local_files": "files on this disk that were fetched or indexed",
}

_RUN = "coalesce(TRY_CAST(CAST(run AS VARCHAR) AS DOUBLE), -1)"
_A_RUN = f"""
    (SELECT CASE WHEN {_RUN} BETWEEN 0 AND newest AND {_RUN} = floor({_RUN}) THEN true
        ELSE error(format('there is no run {{}}; SELECT run, ended_at FROM runs lists them',
                          coalesce(CAST(run AS VARCHAR), 'NULL'))) END
     FROM (SELECT coalesce(max(runs.run), 0) AS newest FROM {attached("runs")}))
"""
"""A date without quotes, like 2026-11-27, is a number as well; and a run that does not exist yet is no valid number."""

_EXPOSURE_COLUMNS = (
    "instrument", "targname", "program", "pi_name", "category", "observtn", "exp_type", "filter", "pupil", "grating",
    "subarray", "date_obs", "date_obs_mjd", "nints", "effexptm", "duration",
)  # fmt: skip
"""Columns of files that are the same for all files of an exposure."""

_FIXED_VIEWS = {
    "observation_products": "SELECT obs_id, data_uri, since_run FROM observation_product_link WHERE until_run IS NULL",
    "search_files": "SELECT search, filename, since_run, until_run FROM search_file_membership WHERE until_run IS NULL",
    "search_observations": """
        SELECT search, obs_id, since_run, until_run FROM search_observation_membership WHERE until_run IS NULL
    """,
    "local_files": local_files(),
}


def migrate(connection: duckdb.DuckDBPyConnection) -> None:
    """Bring a catalog to the newest revision, create what is missing, and close the connection.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection for writing. SQLAlchemy gets it instead of the path, which it would read as an address.
    """
    import sqlalchemy
    from alembic import command
    from alembic.config import Config
    from duckdb_sqlalchemy import ConnectionWrapper

    engine = sqlalchemy.create_engine(
        "duckdb://", creator=lambda: ConnectionWrapper(connection), poolclass=sqlalchemy.pool.StaticPool
    )
    try:
        with engine.begin() as within:
            _to_baseline(connection)
            config = Config()
            config.set_main_option("script_location", _folder(_migrations()).replace("%", "%%"))
            config.attributes["connection"] = within
            command.upgrade(config, "head")
            fill_keywords(connection)  # the same connection, so the same transaction
            make_views(connection)
            _fill_footprints(connection)
            keep_differences(connection)
            keep_verdicts(connection)
    finally:
        engine.dispose()
        connection.close()


def _to_baseline(connection: duckdb.DuckDBPyConnection) -> None:
    """Bring a catalog that is older than the baseline to the baseline."""
    before_baseline = import_module(f"{_migrations().name}.before_baseline")
    if "alembic_version" not in tables_of(connection):
        return
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    if row is not None and row[0] in before_baseline.REVISIONS:
        before_baseline.upgrade(connection, row[0])


def _fill_footprints(connection: duckdb.DuckDBPyConnection) -> None:
    """Note all footprints again, if there are none."""
    if connection.execute("SELECT 1 FROM footprints LIMIT 1").fetchone() is None:
        for table in ("file_version", "observation_version"):
            note_footprints(connection, table, 0)
        number_files(connection, 0)


def _migrations() -> ModuleSpec:
    from importlib.util import find_spec

    spec = find_spec("catalog.migrations") or find_spec("migrations")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("the migrations are not installed")
    return spec


def _folder(package: ModuleSpec) -> str:
    return next(iter(package.submodule_search_locations or ()))


def fill_keywords(connection: duckdb.DuckDBPyConnection) -> None:
    """Write the keyword dictionary into the catalog, in place of the old one."""
    import pyarrow as pa

    from catalog.vocabulary.keywords import dictionary

    words = dictionary().values()
    fields = ("name", "fits_keyword", "kind", "unit", "meaning", "allowed", "instruments", "hdu")
    lists = pa.list_(pa.string())
    types = {field: lists if field in ("allowed", "instruments") else pa.string() for field in fields}
    table = pa.table({f: pa.array([getattr(word, f) for word in words], types[f]) for f in fields})
    connection.execute("DELETE FROM keywords")
    connection.register("dictionary_rows", table)
    connection.execute("INSERT INTO keywords BY NAME FROM dictionary_rows")
    connection.unregister("dictionary_rows")


def make_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Create or replace all views and macros, over the columns that the tables have now."""
    make_sky_macros(connection)
    for view, table in _VERSIONS.items():
        columns = [c for c in columns_of(connection, table) if c not in _OWN_COLUMNS]
        present = {c.lower() for c in columns}
        aliases = {a: c for a, c in _ALIASES[view].items() if c.lower() in present and a.lower() not in present}
        shown = [quoted(c) for c in columns] + [f"{quoted(c)} AS {a}" for a, c in aliases.items()]
        selected = ", ".join([*shown, "since_run"])
        connection.execute(f"CREATE OR REPLACE VIEW {view} AS SELECT {selected} FROM {table} WHERE until_run IS NULL")
        connection.execute(
            f"""CREATE OR REPLACE MACRO {view}_at(run, {ATTACHED_AS} := '') AS TABLE
                SELECT {selected} FROM {attached(table)}
                WHERE since_run <= {_RUN} AND (until_run IS NULL OR until_run > {_RUN}) AND {_A_RUN}"""
        )
    for view, query in _FIXED_VIEWS.items():
        connection.execute(f"CREATE OR REPLACE VIEW {view} AS {query}")
    make_access_view(connection)
    make_local_views(connection)
    for macro, expression in JWST.name_rules.items():
        connection.execute(f"CREATE OR REPLACE MACRO {macro} AS {expression}")
    connection.execute(f"CREATE OR REPLACE VIEW exposures AS {_exposures(connection)}")
    dialect_of(connection).comment(connection, (Comment("VIEW", view, text) for view, text in _COMMENTS.items()))
    comment_on_everything(connection)


def make_views_of_headers(connection: duckdb.DuckDBPyConnection) -> None:
    """Create or replace the views and macros of local files, over the columns that the tables have now."""
    connection.execute(f"CREATE OR REPLACE VIEW local_files AS {local_files()}")
    dialect_of(connection).comment(connection, [Comment("VIEW", "local_files", _COMMENTS["local_files"])])
    make_local_views(connection)
    comment_on_everything(connection)


def _exposures(connection: duckdb.DuckDBPyConnection) -> str:
    """Return the query of exposures; each file, even of one segment, repeats the time of the whole exposure."""
    have = {name.lower() for name in columns_of(connection, "files")}
    columns = [f"any_value({name}) AS {name}" for name in _EXPOSURE_COLUMNS if name in have]
    return f"""
        SELECT {", ".join(["exposure_of(filename) AS exposure", *columns, "count(*) AS files"])}
        FROM {current("file_version")}
        WHERE exposure_of(filename) IS NOT NULL GROUP BY ALL"""
