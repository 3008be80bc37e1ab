"""Footprints: the table that has each of them once, with a circle around it and a number; and the numbers of files.

The circle rules out most footprints, and each of the others is examined once, however many files have it. Files
refer to a footprint by its number. A number begins with the place, and rows are laid down in bands of declination. So
DuckDB can skip most row groups by the least and the greatest number in them; texts would all have to be read.
"""

from __future__ import annotations

import duckdb

from catalog.store.database import columns_of

NUMBER = """
    (CAST(floor(("dec" + 90) / 180 * 32767) AS BIGINT) << 48) | (CAST(floor(ra / 360 * 65535) AS BIGINT) << 32)
    | CAST(md5_number_lower(s_region) & 4294967295 AS BIGINT)
"""
"""SQL of a footprint's number: 15 bits of declination, 16 of right ascension, and 32 of the MD5 of the text.

The number depends on the footprint alone, so a catalog has the same numbers whatever its history is.
"""

BAND_REACH, WIDE = 1, -100
BAND = f'CASE WHEN radius <= {BAND_REACH} THEN CAST(floor("dec") AS SMALLINT) ELSE {WIDE} END'
"""SQL of the degree of declination of a footprint; for one wider than two degrees, a number outside the sky.

A question reads only the few bands that it may touch; DuckDB skips the others.
"""

SHAPES = "STRUCT(corners DOUBLE[3][], radius DOUBLE)[]"
"""The type of the shapes that the macro ``region_shapes`` reads from a footprint's text."""
STORED_SHAPES = "STRUCT(corners DOUBLE[][], radius DOUBLE)[]"
"""The type in which `footprints` keeps shapes, since other engines have no arrays of a fixed size."""


def note_footprints(connection: duckdb.DuckDBPyConnection, table: str, run: int) -> None:
    """Add the footprints that a run brought to the table `footprints`.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection in a transaction.
    table : str
        A table of versions that may have a column ``s_region``.
    run : int
        The run whose rows are looked at; 0 for the rows of all runs.
    """
    if "s_region" in columns_of(connection, table):
        add_footprints(connection, f"SELECT s_region FROM {table} WHERE {int(run)} IN (0, since_run)")


def add_footprints(connection: duckdb.DuckDBPyConnection, regions: str) -> None:
    """Add footprints to the table `footprints`, if they are new and can be read; ``regions`` is a query of them."""
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE footprints_in AS
            SELECT DISTINCT CAST(s_region AS VARCHAR) AS s_region FROM ({regions}) r(s_region)
            WHERE s_region IS NOT NULL"""
    )
    connection.execute(
        f"""INSERT INTO footprints (number, s_region, ra, dec, radius, shapes, band)
            SELECT {NUMBER}, s_region, ra, "dec", radius, CAST(region_shapes(s_region) AS {STORED_SHAPES}), {BAND}
            FROM (
                SELECT s_region, unnest(region_circle(s_region))
                FROM footprints_in ANTI JOIN footprints USING (s_region)
            )
            WHERE radius IS NOT NULL
            ORDER BY 1, 2"""
    )


def number_files(connection: duckdb.DuckDBPyConnection, run: int) -> None:
    """Give each file that a run changed the number of its footprint, or else of its observation's footprint.

    Time series have no ``s_region`` of their own. Files that did not change get a new number if their observation
    changed.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection in a transaction, after `note_footprints` and after files were linked to observations.
    run : int
        The run; 0 for all runs.
    """
    own = "s_region" in columns_of(connection, "file_version")
    if own:
        _renumber(
            connection,
            f"""SELECT v.filename, v.since_run, f.number FROM file_version v JOIN footprints f USING (s_region)
                WHERE {int(run)} IN (0, v.since_run) AND v.footprint IS DISTINCT FROM f.number""",
        )
    if "s_region" in columns_of(connection, "observation_version"):
        _renumber(
            connection,
            f"""SELECT v.filename, v.since_run, f.number FROM file_version v
                LEFT JOIN observation_version o ON o.obs_id = v.obs_id AND o.until_run IS NULL
                LEFT JOIN footprints f ON f.s_region = o.s_region
                WHERE v.until_run IS NULL {"AND v.s_region IS NULL" if own else ""}
                  AND v.footprint IS DISTINCT FROM f.number
                  AND ({int(run)} IN (0, v.since_run) OR v.obs_id IN (
                      SELECT obs_id FROM observation_version WHERE {int(run)} IN (since_run, until_run)))""",
        )


def _renumber(connection: duckdb.DuckDBPyConnection, numbers: str) -> None:
    """Give versions of files a number; without any, `file_version` with its hundreds of columns is left alone."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE renumbered AS {numbers}")
    if connection.execute("FROM renumbered LIMIT 1").fetchone() is None:
        return
    connection.execute(
        """UPDATE file_version SET footprint = n.number FROM renumbered n
           WHERE file_version.filename = n.filename AND file_version.since_run = n.since_run"""
    )
