"""The bytes for a data URI: FITS files, previews, associations, pools and light curves."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import duckdb

from catalog.simulator.columns import column_types
from catalog.simulator.fits import Body, fits_body

_JPEG = base64.b85decode(
    "|JeWF01!$>Nk#wx0RR9200961|JwjV02>k%7Zed27Zw*D92+1gLMtdGB`8rkJupIGRb^yfRb5+Zc$tA}agcLcU4^xVke;Kft*d8%yve$z$C;?"
    "Br2oJG3kU!Z01yEI5di<h02KfM0RR910000000000000061^>hV77zdf00000000000000000004LI2tS2mt{A06zenj1Z#($iWIQ|Je"
)
"""A grey ramp of 16 by 16 pixels."""


def science_bodies(
    con: duckdb.DuckDBPyConnection,
    table: str,
    file_nos: list[int],
    made_from: Mapping[int, Mapping[str, object]],
    later: int = 0,
) -> dict[int, Body]:
    """Make searchable files from their rows.

    Parameters
    ----------
    con : DuckDBPyConnection
        A connection to the tables of the archive.
    table : str
        The table of the keyword search that lists the files.
    file_nos : list of int
        The simulator's own numbers of the files.
    made_from : mapping
        For files with columns that were edited since: the values when the file was made, by number.
    later : int
        Make the version that is so many processings later than the row's.
    """
    rows = con.execute(
        f"""
        SELECT s.*, k.spectral AS _spectral, k.tso AS _tso
        FROM {table} s JOIN visit v ON v.visit_no = s._visit JOIN kind k USING (kind_no)
        WHERE s._file IN (SELECT unnest($file_nos))
        """,
        {"file_nos": file_nos},
    ).to_arrow_table()
    columns = column_types(table.removeprefix("si_"))
    return {row["_file"]: _from_row(row, made_from.get(row["_file"], {}), later, columns) for row in rows.to_pylist()}


def _from_row(row: dict[str, Any], made_from: Mapping[str, object], later: int, columns: Mapping[str, str]) -> Body:
    """Make a file from its row; columns that the archive got later are not in the header."""
    guide = "fileName" in row
    header = {column: made_from.get(column, row[column]) for column in columns}
    return fits_body(
        header, row["_version"] + later, row["_pad"], row["_spectral"] and not guide, row["_tso"] and not guide
    )


def other_body(con: duckdb.DuckDBPyConnection, filename: str) -> Body | None:
    """Make a product that no keyword search lists; return None if there is none with that name."""
    rows = con.execute(
        "SELECT _form, size, _unit, _visit FROM product WHERE filename = $name AND NOT _gone AND _file IS NULL",
        {"name": filename},
    ).fetchone()
    if rows is None:
        return None
    form, size, unit, visit = rows
    if form == "preview":
        return Body(((_preview(filename, size), 1),))
    text = {"association": _association, "pool": _pool, "light curve": _light_curve}[form](
        con, filename, visit if form == "pool" else unit
    )
    return Body(((text.encode().ljust(size, b"\n"), 1),))


def _preview(filename: str, size: int) -> bytes:
    """Return a valid JPEG with the name in its comment segment, which also fills it up to its length."""
    length = size - len(_JPEG) - 2
    comment = b"\xff\xfe" + length.to_bytes(2, "big") + filename.encode().ljust(length - 2)
    return _JPEG[:2] + comment + _JPEG[2:]


def _association(con: duckdb.DuckDBPyConnection, filename: str, unit: int) -> str:
    row = con.execute(
        """
        SELECT e.stem, e.combination, v.program, v.targprop, k.tso, v.association_stem, v.pool
        FROM unit e JOIN visit v USING (visit_no) JOIN kind k ON k.kind_no = e.kind_no WHERE e.unit_no = $unit
        """,
        {"unit": unit},
    ).fetchone()
    assert row is not None
    stem, combination, program, target, tso, association_stem, pool = row
    members = con.execute(
        "SELECT stem FROM unit WHERE CASE WHEN $combination THEN parent_no ELSE unit_no END = $unit ORDER BY unit_no",
        {"unit": unit, "combination": combination},
    ).fetchall()
    ending = ("cal" if combination else "rate") + ("ints" if tso else "")
    association = {
        "asn_type": filename.split("_")[-3],
        "asn_id": association_stem.split("-")[1],
        "asn_pool": pool.removesuffix(".csv"),
        "program": f"{program:05d}",
        "target": target,
        "products": [{
            "name": stem if combination else stem.rsplit("_", 1)[0],
            "members": [{"expname": f"{member[0]}_{ending}.fits", "exptype": "science"} for member in members],
        }],
    }  # fmt: skip
    return json.dumps(association, indent=1)


def _pool(con: duckdb.DuckDBPyConnection, filename: str, visit: int) -> str:
    rows = con.execute(
        "SELECT DISTINCT fileset, nseg FROM unit WHERE visit_no = $visit AND NOT combination ORDER BY ALL LIMIT 30",
        {"visit": visit},
    ).fetchall()
    return "FILESET|SEGMENTS\n" + "".join(f"{fileset}|{segments}\n" for fileset, segments in rows)


def _light_curve(con: duckdb.DuckDBPyConnection, filename: str, unit: int) -> str:
    """Return an ECSV table with the dip of a transit."""
    head = "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: MJD, datatype: float64}\n# - {name: flux, datatype: float64}\n"
    row = con.execute("SELECT start_ms FROM unit WHERE unit_no = $unit", {"unit": unit}).fetchone()
    start = (row[0] if row else 0) / 86_400_000 + 40_587
    lines = [f"{start + step * 0.004:.4f} {0.985 if 15 < step < 35 else 1.0}" for step in range(50)]
    return head + "MJD flux\n" + "\n".join(lines) + "\n"
