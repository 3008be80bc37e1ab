"""The tables of a made-up archive, filled by DuckDB from the planned visits and the seed.

No row is ever a Python object: an archive of a million files takes a few hundred megabytes of compressed columns in
a private database. The same seed fills the same tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from catalog.missions import JWST
from catalog.simulator import caom
from catalog.simulator.columns import SQL_TYPES, column_types, select_list
from catalog.simulator.file_layout import BLOCK, MAX_PAD, file_layout
from catalog.simulator.kinds import GUIDE_MODES, KINDS, SUFFIXES, Kind
from catalog.simulator.plan import EPOCH_DAYS, FIRST_EPOCH_MJD, PLANNED_EPOCHS, plan_visits

_STRETCH = 122_880  # rows of one DuckDB row group


@dataclass(frozen=True)
class ArchiveOptions:
    """The properties of a made-up archive.

    Attributes
    ----------
    files : int
        The least number of files that the keyword searches list at epoch 0.
    seed : int
        The same options make the same archive, with the same rows and bytes.
    instruments : tuple of str
        The services that have files; the other services answer without rows.
    file_bytes : int or None
        A length to which FITS files are filled up, for download benchmarks; with None, they stay small.
    """

    files: int = 4000
    seed: int = 1
    instruments: tuple[str, ...] = tuple(JWST.services)
    file_bytes: int | None = None


def build_archive(options: ArchiveOptions) -> duckdb.DuckDBPyConnection:
    """Fill a new private database with the archive at epoch 0; files that arrive later are hidden."""
    unknown = set(options.instruments) - set(JWST.services)
    if unknown:
        raise ValueError(f"no such instrument: {', '.join(sorted(unknown))}; there are {', '.join(JWST.services)}")
    con = duckdb.connect(":memory:", config={"threads": 2, "python_enable_replacements": False})
    con.execute("SET enable_progress_bar = false")  # a bar would be drawn on stdout, before READY
    con.execute("ATTACH ':memory:' AS sky (COMPRESS)")
    con.execute("USE sky")
    _make_macros(con, options.seed)
    _load_vocabulary(con)
    _load_visits(con, options)
    _make_units(con)
    _make_files(con, options)
    for instrument in JWST.services:
        _make_keyword_table(con, instrument)
    caom.make_observations(con)
    caom.make_products(con)
    con.execute("DROP TABLE file")
    con.execute("CHECKPOINT sky")
    return con


def _make_macros(con: duckdb.DuckDBPyConnection, seed: int) -> None:
    """Make macros for random numbers, which depend on seed, row and purpose only, and for converting times to MJD."""
    con.execute(
        f"""
        CREATE MACRO u(n, salt) AS (hash(n, salt, {int(seed)}) % 1000003) / 1000003.0;
        CREATE MACRO mjd(ms) AS ms / 86400000.0 + 40587.0;
        CREATE MACRO ms(mjd) AS CAST(round((mjd - 40587.0) * 86400000.0) AS BIGINT);
        CREATE MACRO stamp(ms) AS strftime(make_timestamp(ms * 1000), '%Y%m%dt%H%M%S');
        """
    )


def _load(con: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    con.register("arrived", rows)
    con.execute(f"CREATE TABLE {name} AS SELECT * FROM arrived")
    con.unregister("arrived")


def _load_vocabulary(con: duckdb.DuckDBPyConnection) -> None:
    _load(con, "kind", pa.Table.from_pylist([_kind_row(number, kind) for number, kind in enumerate(KINDS)]))
    optics = [
        {"kind_no": number, "optic_no": place, "elements": "-".join(optic.elements).lower(),
         "names": ";".join(part for part in (optic.filter, optic.pupil, optic.grating) if part), **vars(optic)}
        for number, kind in enumerate(KINDS)
        for place, optic in enumerate(kind.optics)
    ]  # fmt: skip
    detectors = [
        {"kind_no": number, "det_no": place, "detector": detector}
        for number, kind in enumerate(KINDS)
        for place, detector in enumerate(kind.detectors)
    ]
    suffixes = [_suffix_row(number, kind, place, suffix, stage)
                for number, kind in enumerate(KINDS)
                for stage, names in ((2, kind.stage2), (3, kind.stage3))
                for place, suffix in enumerate(names)]  # fmt: skip
    _load(con, "optic", pa.Table.from_pylist(optics))
    _load(con, "detector", pa.Table.from_pylist(detectors))
    _load(con, "suffix", pa.Table.from_pylist(suffixes))


def _kind_row(number: int, kind: Kind) -> dict[str, object]:
    plain = {name: getattr(kind, name) for name in (
        "instrument", "exp_type", "mode", "template", "aperture", "subarray", "readpatt", "frame_s", "association",
        "tso", "spectral", "ngroups", "nints", "patttype")}  # fmt: skip
    return {"kind_no": number, "size1": kind.size[0], "size2": kind.size[1], **plain}


def _suffix_row(number: int, kind: Kind, place: int, name: str, stage: int) -> dict[str, object]:
    suffix = next(each for each in SUFFIXES if each.name == name)
    return {
        "kind_no": number, "stage": stage, "place": place, "suffix": name, "model": suffix.model,
        "product_level": "3" if stage == 3 else suffix.product_level,
        "calib_level": 3 if stage == 3 else suffix.level, "description": suffix.description,
        "base_size": file_layout(name, kind.spectral, kind.tso).size,
    }  # fmt: skip


def _load_visits(con: duckdb.DuckDBPyConnection, options: ArchiveOptions) -> None:
    con.register("planned", plan_visits(options.files, options.seed, options.instruments))
    con.execute(
        """
        CREATE TABLE visit AS
        WITH timed AS (
            SELECT p.*, k.frame_s * k.ngroups * k.nints AS exptime_s, ms(p.start_mjd) AS start_ms,
                   printf('%05d%03d001', p.program, p.observation) AS visit_id,
                   (SELECT count(*) FROM optic o WHERE o.kind_no = p.kind_no) AS activities
            FROM planned p JOIN kind k USING (kind_no)
        )
        SELECT *, start_ms + CAST(activities * dithers * exptime_s * 1200 AS BIGINT) AS end_ms,
               start_ms + 2592000000 + CAST(u(visit_no, 'release') * 25 AS BIGINT) * 1296000000 AS release_ms,
               printf('jw%05d_%s_pool.csv', program, stamp(start_ms + 259200000)) AS pool,
               printf('jw%05d-%s', program, CASE WHEN candidate THEN printf('c1%03d', observation)
                                                 ELSE printf('o%03d', observation) END) AS association_stem,
               printf('N%05X%06d', 5 + visit_no % 7919, CAST(u(visit_no, 'star') * 999999 AS INTEGER)) AS guide_star,
               strftime(make_timestamp(start_ms * 1000), '%Y%jT%H%M%S') || '000_001_osf.xml' AS osf_file
        FROM timed ORDER BY visit_no
        """
    )
    con.unregister("planned")


def _make_units(con: duckdb.DuckDBPyConnection) -> None:
    """Make exposures by segment and detector, and then the level-3 products that are made from them."""
    con.execute(
        """
        CREATE TABLE unit AS
        WITH dithered AS (
            SELECT v.visit_no, o.optic_no, unnest(range(1, v.dithers + 1)) AS dither,
                   CASE WHEN k.tso AND o.optic_no = 0 THEN v.segments ELSE 1 END AS nseg,
                   CASE WHEN k.tso AND o.optic_no > 0 THEN k.nints // 10 ELSE k.nints END AS nints
            FROM visit v JOIN kind k USING (kind_no) JOIN optic o USING (kind_no)
        ), segmented AS (SELECT *, unnest(range(1, nseg + 1)) AS seg FROM dithered),
        exposed AS (
            SELECT s.*, t.det_no, t.detector, false AS combination
            FROM segmented s JOIN visit v USING (visit_no) JOIN detector t USING (kind_no)
            UNION ALL
            SELECT v.visit_no, o.optic_no, 1, 1, CASE WHEN k.tso AND o.optic_no > 0 THEN k.nints // 10 ELSE k.nints END,
                   1, 0, CASE WHEN count(*) > 1 THEN 'MULTIPLE' ELSE any_value(t.detector) END, true
            FROM visit v JOIN kind k USING (kind_no) JOIN optic o USING (kind_no) JOIN detector t USING (kind_no)
            WHERE v.combined GROUP BY ALL
        )
        SELECT row_number() OVER
                   (ORDER BY x.combination, x.visit_no, x.optic_no, x.dither, x.seg, x.det_no) - 1 AS unit_no,
               x.*, v.kind_no, k.frame_s * k.ngroups * x.nints AS exptime_s
        FROM exposed x JOIN visit v USING (visit_no) JOIN kind k USING (kind_no)
        ORDER BY unit_no
        """
    )
    _name_units(con)


def _name_units(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        """
        CREATE TABLE named AS
        SELECT e.*,
            v.start_ms + CAST((e.optic_no * v.dithers + e.dither - 1) * v.exptime_s * 1150 AS BIGINT) AS start_ms,
            CASE WHEN e.combination
                THEN printf('%s_t%03d_%s_%s', v.association_stem, v.target_number, k.instrument,
                            concat_ws('-', nullif(o.elements, ''), CASE WHEN k.tso THEN lower(k.subarray) END,
                                      CASE WHEN o.elements = '' THEN 'clear' END))
                ELSE printf('jw%s_041%02d_%05d%s_%s', v.visit_id, e.optic_no + 1, e.dither,
                            CASE WHEN k.tso THEN printf('-seg%03d', e.seg) ELSE '' END, lower(e.detector)) END AS stem,
            CASE WHEN e.combination
                THEN printf('%s_t%03d_%s', v.association_stem, v.target_number, k.instrument)
                ELSE printf('jw%s_041%02d_%05d', v.visit_id, e.optic_no + 1, e.dither) END AS fileset,
            printf('%s_%s_%s_%05d_asn.json', v.association_stem, stamp(v.start_ms + 259200000),
                   CASE WHEN e.combination THEN k.association WHEN k.tso THEN 'tso-spec2'
                        WHEN k.spectral THEN 'spec2' ELSE 'image2' END,
                   CASE WHEN e.combination THEN e.optic_no + 1
                        ELSE row_number() OVER (PARTITION BY e.visit_no, e.combination ORDER BY e.unit_no) END) AS asn,
            e.visit_no * 64 + e.optic_no * 8 + e.dither AS fileset_no,
            p.unit_no AS parent_no,
            e.combination OR p.unit_no IS NULL OR u(e.unit_no, 'listed') < 0.3 AS listed,
            printf('POLYGON %.6f %.6f %.6f %.6f %.6f %.6f %.6f %.6f', v.ra - 0.01, v.dec - 0.01, v.ra + 0.01,
                   v.dec - 0.01, v.ra + 0.01, v.dec + 0.01, v.ra - 0.01, v.dec + 0.01) AS region
        FROM unit e JOIN visit v USING (visit_no) JOIN kind k ON k.kind_no = e.kind_no
        JOIN optic o ON o.kind_no = e.kind_no AND o.optic_no = e.optic_no
        LEFT JOIN (SELECT unit_no, visit_no, optic_no, false AS combination FROM unit WHERE combination) p
            ON p.visit_no = e.visit_no AND p.optic_no = e.optic_no AND p.combination = e.combination
        ORDER BY e.unit_no;
        DROP TABLE unit;
        CREATE TABLE unit AS
        SELECT *, start_ms + CAST(exptime_s * 1100 AS BIGINT) AS end_ms FROM named ORDER BY unit_no;
        DROP TABLE named;
        """
    )


def _make_files(con: duckdb.DuckDBPyConnection, options: ArchiveOptions) -> None:
    """Make every searchable file, with the epoch that first shows it, its time of ingest, and its length."""
    con.execute(_FILES_SQL)
    con.execute(_GUIDES_SQL, [[list(mode) for mode in GUIDE_MODES], file_layout("stream", False, False).size,
                              file_layout("cal", False, False).size])  # fmt: skip
    con.execute(
        f"""
        CREATE TABLE file AS
        WITH arrived AS (
            SELECT * EXCLUDE (made_after_ms),
                   row_number() OVER (ORDER BY instrument = 'guidestar', unit_no, place, filename) - 1 AS file_no,
                   CASE WHEN born = 0
                        THEN least(made_after_ms + CAST((1 + u(unit_no, 'ingest') * 24) * 86400000 AS BIGINT),
                                   ms({FIRST_EPOCH_MJD} - 0.5 - u(unit_no, 'late')))
                        ELSE ms({FIRST_EPOCH_MJD} + {EPOCH_DAYS} * (born - 0.05 - 0.8 * u(unit_no, 'ingest'))) END
                   + place * 47 AS ingest_ms
            FROM (SELECT * FROM science_file UNION ALL BY NAME SELECT * FROM guide_file)
        ), padded AS (
            SELECT *, {pad_sql(options.file_bytes)} AS pad FROM arrived
        )
        SELECT *, ingest_ms - 96000 - place * 6000 AS made_ms, base_size + pad * {BLOCK} AS size
        FROM padded WHERE instrument IN ({", ".join(repr(name) for name in options.instruments)}) ORDER BY file_no;
        DROP TABLE science_file;
        DROP TABLE guide_file;
        """
    )


def pad_sql(file_bytes: int | None) -> str:
    """Return SQL for the number of blocks of an ASDF extension: a few, and as many more as fill up a file."""
    fill = f"greatest(0, ({int(file_bytes or 0)} - base_size) // {BLOCK} - {MAX_PAD})"
    return f"1 + {fill} + CAST(u(file_no, 'pad') * {MAX_PAD - 1} AS BIGINT)"


_FILES_SQL = f"""
    CREATE TABLE science_file AS
    SELECT e.unit_no, e.visit_no, k.instrument, s.place, s.suffix, s.model, s.product_level, s.base_size,
           e.stem || '_' || s.suffix || '.fits' AS filename, v.end_ms AS made_after_ms,
           CASE WHEN v.born = 0 AND NOT e.combination AND s.suffix NOT IN ('rate', 'rateints', 'cal', 'calints')
                    AND u(e.unit_no * 16 + s.place, 'arrival') < 0.1
                THEN 1 + CAST(u(e.unit_no, 'arrival epoch') * {PLANNED_EPOCHS - 1} AS INTEGER) ELSE v.born END AS born,
           NULL::VARCHAR AS exp_type, e.stem, e.start_ms
    FROM unit e JOIN visit v USING (visit_no) JOIN kind k ON k.kind_no = e.kind_no
    JOIN suffix s ON s.kind_no = e.kind_no AND s.stage = CASE WHEN e.combination THEN 3 ELSE 2 END
"""

_GUIDES_SQL = """
    CREATE TABLE guide_file AS
    WITH mode AS (SELECT unnest($1) AS names, generate_subscripts($1, 1) AS place),
    ending AS (SELECT * FROM (VALUES ('stream', '1b', $2, 0), ('cal', '2a', $3, 1))
               AS t(suffix, product_level, base_size, second)),
    first_unit AS (SELECT visit_no, min(unit_no) AS unit_no FROM unit WHERE NOT combination GROUP BY visit_no)
    SELECT e.unit_no, v.visit_no, 'guidestar' AS instrument, 2 * m.place + d.second AS place, d.suffix,
           'Guider' || CASE WHEN d.second = 0 THEN 'Raw' ELSE 'Cal' END || 'Model' AS model,
           d.product_level, d.base_size,
           v.end_ms AS made_after_ms, v.born, m.names[2] AS exp_type,
           printf('jw%s_%s_%s', v.visit_id, m.names[1],
                  CASE WHEN m.names[1] = 'gs-id' THEN '1_image'
                       ELSE strftime(make_timestamp((v.start_ms - 900000 + m.place * 120000) * 1000),
                                     '%Y%j%H%M%S') END) AS stem,
           v.start_ms - 900000 + m.place * 120000 AS start_ms,
           stem || '_' || d.suffix || '.fits' AS filename
    FROM visit v JOIN first_unit e USING (visit_no), mode m, ending d
"""


def _make_keyword_table(con: duckdb.DuckDBPyConnection, instrument: str) -> None:
    """Fill the table of one keyword search, with the simulator's own columns, whose names begin with an underscore.

    The files are made and compressed in blocks, so that only one block is uncompressed in memory.
    """
    ends = con.execute(
        "SELECT coalesce(min(file_no), 0), coalesce(max(file_no), -1) FROM file WHERE instrument = $name",
        {"name": instrument},
    ).fetchone()
    first, last = ends if ends else (0, -1)
    if last < first:
        own = "_file BIGINT, _unit BIGINT, _visit BIGINT, _born INTEGER, _gone BOOLEAN, _version INTEGER, _pad BIGINT"
        columns = ", ".join(f'"{name}" {SQL_TYPES[kind]}' for name, kind in column_types(instrument).items())
        con.execute(f"CREATE TABLE si_{instrument} ({columns}, {own})")
        return
    rows = f"""
        SELECT {select_list(instrument)},
               f.file_no AS _file, f.unit_no AS _unit, f.visit_no AS _visit, f.born AS _born, f.born > 0 AS _gone,
               0 AS _version, f.pad AS _pad
        FROM file f JOIN unit e USING (unit_no) JOIN visit v ON v.visit_no = e.visit_no
        JOIN kind k ON k.kind_no = e.kind_no JOIN optic o ON o.kind_no = e.kind_no AND o.optic_no = e.optic_no
        WHERE f.instrument = '{instrument}' AND f.file_no BETWEEN $first AND $last
        """
    begun = f"CREATE TABLE si_{instrument} AS {rows} ORDER BY f.file_no"
    con.execute(begun, {"first": first, "last": min(last, first + _STRETCH - 1)})
    for start in range(first + _STRETCH, last + 1, _STRETCH):
        con.execute("CHECKPOINT sky")
        con.execute(
            f"INSERT INTO si_{instrument} {rows} ORDER BY f.file_no",
            {"first": start, "last": min(last, start + _STRETCH - 1)},
        )


def row_counts(con: duckdb.DuckDBPyConnection, instruments: Sequence[str] = tuple(JWST.services)) -> dict[str, int]:
    """Count the files that each keyword search lists now."""
    counts = {}
    for instrument in instruments:
        row = con.execute(f"SELECT count(*) FROM si_{instrument} WHERE NOT _gone").fetchone()
        counts[instrument] = int(row[0]) if row else 0
    return counts
