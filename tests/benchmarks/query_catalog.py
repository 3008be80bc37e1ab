"""A catalog of any size for the query benchmark, made by SQL: rows as harvests leave them, 206 keyword columns.

Eight files share an exposure and its footprint, twenty exposures a visit and its target. There is one harvest an
instrument, whose rows come in the order of ingest: visits that were processed again stand far from their neighbours in
time, as they do in the archive. They are laid down in the order in which a harvest lays them down.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

from catalog.missions import JWST
from catalog.store.database import Database, quoted
from catalog.store.history.footprints import note_footprints, number_files
from catalog.store.history.versions import FILES
from catalog.store.schema.migrate import make_views
from catalog.vocabulary.keywords import ArchiveColumn, archive_columns

COLUMNS = 206
_HARVESTS = tuple(JWST.services)
_MEMORY = "6GB"
_SQL_TYPES = {"string": "VARCHAR", "int": "BIGINT", "float": "DOUBLE", "date": "TIMESTAMP", "boolean": "BOOLEAN"}
_SPECIAL = {
    "filename": "printf('jw%05d%03d001_%05d_%05d_nis_%s.fits', 1000 + p, v % 1000, v, e % 20, suffix)",
    "fileSetName": "printf('jw%05d%03d001_%05d_%05d', 1000 + p, v % 1000, v, e % 20)",
    "productLevel": "['1b', '2a', '2a', '2b', '2b', '2c', '2c', '3'][1 + i % 8]",
    "category": "['GO', 'GTO', 'ERS', 'COM', 'CAL', 'DD', 'SURVEY', 'GO'][1 + (hash(p, 1) % 8)::BIGINT]",
    "exp_type": """['NIS_IMAGE', 'NIS_WFSS', 'NIS_SOSS', 'NIS_AMI', 'NRC_IMAGE', 'NRC_TSGRISM', 'MIR_IMAGE', 'MIR_MRS',
                    'NRS_FIXEDSLIT', 'NRS_IFU', 'NRS_MSASPEC', 'NIS_EXTCAL'][1 + (hash(v, 2) % 12)::BIGINT]""",
    "tsovisit": "hash(v, 3) % 10 = 0",
    "targname": "printf('TARGET-%05d', hash(v, 4) % 30000)",
    "targ_ra": "ra",
    "targ_dec": "declination",
    "date_obs_mjd": "mjd",
    "date_beg_mjd": "mjd",
    "expstart": "mjd",
    "date_obs": "TIMESTAMP '1858-11-17' + to_microseconds(CAST(mjd * 86400e6 AS BIGINT))",
    "program": "1000 + p",
    "pi_name": "printf('Investigator %04d', p)",
    "filter": "['F090W', 'F115W', 'F150W', 'F200W', 'F277W', 'F356W', 'F444W', 'CLEAR'][1 + (hash(e, 5) % 8)::BIGINT]",
    "pupil": "['CLEARP', 'GR700XD', 'NRM', 'F090W'][1 + (hash(v, 6) % 4)::BIGINT]",
    "effexptm": "10.0 + hash(e, 7) % 3600",
    "fileSize": "2880 * (10 + hash(i, 8) % 100000)",
    "checksum": "md5(i::VARCHAR)",
    "dataURI": "'mast:JWST/product/' || filename",
    "isRestricted": "hash(p, 9) % 4 = 0",
    "s_region": """printf('POLYGON ICRS %.9f %.9f %.9f %.9f %.9f %.9f %.9f %.9f',
                   ra_e - 0.018 / c, dec_e - 0.018, ra_e + 0.018 / c, dec_e - 0.017,
                   ra_e + 0.019 / c, dec_e + 0.018, ra_e - 0.017 / c, dec_e + 0.019)""",
}
_ROWS = """
    SELECT i, i // 8 AS e, i // 160 AS v, i // 4000 AS p,
           ['uncal', 'rate', 'rateints', 'cal', 'calints', 'x1d', 'x1dints', 'i2d'][1 + i % 8] AS suffix,
           59700 + 1500 * CASE WHEN hash(v) % 6 = 0 THEN (hash(v, 10) % 1000000) / 1e6
                               ELSE (i - {start}) / ({stop} - {start}) END + (e % 20) * 0.02 AS mjd,
           (hash(v, 11) % 3600000000) / 1e7 AS ra,
           degrees(asin(2 * ((hash(v, 12) % 1000000000) / 1e9) - 1)) AS declination,
           ra + (hash(e, 13) % 1000) / 1e5 / greatest(cos(radians(declination)), 0.01) AS ra_e,
           greatest(least(declination + (hash(e, 14) % 1000) / 1e5, 89.9), -89.9) AS dec_e,
           cos(radians(dec_e)) AS c
    FROM (SELECT unnest(range({start}, {stop})) AS i)
"""


def make(path: Path, files: int) -> None:
    """Fill a new catalog; some 8 minutes and 3 GB for 10,000,000 files."""
    database = Database(path)
    columns = archive_columns("niriss")
    kept = [c for c in columns if c.name in _SPECIAL]
    kept += [c for c in columns if c.name not in _SPECIAL][: COLUMNS - len(kept)]
    with database.write() as connection:
        for column in kept:
            if column.name != "filename":
                kind = "BOOLEAN" if column.flag else _SQL_TYPES[column.type]
                connection.execute(f"ALTER TABLE file_version ADD COLUMN {quoted(_name(column))} {kind}")
        make_views(connection)
    ends = [files * number // len(_HARVESTS) for number in range(len(_HARVESTS) + 1)]
    for run, instrument in enumerate(_HARVESTS, 1):
        with database.write() as connection:
            _insert(connection, kept, instrument, run, ends[run - 1], ends[run])
            note_footprints(connection, FILES.table, run)
            number_files(connection, run)


def _name(column: ArchiveColumn) -> str:
    return "si_obs_id" if column.name == "obs_id" else column.name


def _insert(
    connection: duckdb.DuckDBPyConnection,
    columns: list[ArchiveColumn],
    instrument: str,
    run: int,
    start: int,
    stop: int,
) -> None:
    connection.execute(f"SET memory_limit = '{_MEMORY}'")  # only the time to build would differ
    values = ", ".join(f"{_value(column)} AS {quoted(_name(column))}" for column in columns)
    connection.execute(
        f"""INSERT INTO file_version BY NAME
            SELECT {values}, '{instrument}' AS instrument, printf('jw%08d', e) AS obs_id, i AS row_hash,
                   {run} AS checked_run, {run} AS since_run
            FROM ({_ROWS.format(start=start, stop=stop)})
            ORDER BY {", ".join(f"floor({name} / {width})" for name, width in FILES.laid)}, filename"""
    )


def _value(column: ArchiveColumn) -> str:
    if column.name in _SPECIAL:
        return _SPECIAL[column.name]
    salt = sum(column.name.encode())
    kinds = {
        "string": f"'VALUE_' || (hash(v, {salt}) % {5 + salt % 40})",
        "int": f"CAST(hash(e, {salt}) % {2 + salt % 60} AS BIGINT)",
        "float": f"(hash({'e' if salt % 2 else 'v'}, {salt}) % 100000000) / 1e5",
        "date": f"TIMESTAMP '2022-06-01' + to_seconds(CAST(hash(e, {salt}) % 100000000 AS BIGINT))",
        "boolean": f"hash(v, {salt}) % 2 = 0",
    }
    return f"hash(v, {salt}) % 2 = 0" if column.flag else kinds[column.type]


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]))
