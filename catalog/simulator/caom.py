"""CAOM's part of the made-up archive: observations, and their products.

Most exposures that were combined in a level-3 observation have no observation of their own (``listed`` is false), but
their files are among its products. Guide-star files and pools are products of many observations. The number ``obsid``
can change when an observation is processed again; ``obs_id`` does not.
"""

from __future__ import annotations

import duckdb

from catalog.simulator.kinds import GUIDE_MODES

OBSERVATION_TYPES: dict[str, str] = {
    "intentType": "string", "obs_collection": "string", "provenance_name": "string", "instrument_name": "string",
    "project": "string", "filters": "string", "wavelength_region": "string", "target_name": "string",
    "target_classification": "string", "obs_id": "string", "s_ra": "float", "s_dec": "float",
    "dataproduct_type": "string", "proposal_pi": "string", "calib_level": "int", "t_min": "float", "t_max": "float",
    "t_exptime": "float", "em_min": "float", "em_max": "float", "obs_title": "string", "t_obs_release": "float",
    "proposal_id": "string", "proposal_type": "string", "sequence_number": "int", "s_region": "string",
    "jpegURL": "string", "dataURL": "string", "dataRights": "string", "mtFlag": "boolean", "srcDen": "float",
    "obsid": "string", "objID": "int",
}  # fmt: skip

PRODUCT_TYPES: dict[str, str] = {
    "obsID": "string", "obs_collection": "string", "dataproduct_type": "string", "obs_id": "string",
    "description": "string", "type": "string", "dataURI": "string", "productType": "string",
    "productGroupDescription": "string", "productSubGroupDescription": "string", "productDocumentationURL": "string",
    "project": "string", "prvversion": "string", "proposal_id": "string", "productFilename": "string", "size": "int",
    "parent_obsid": "string", "dataRights": "string", "calib_level": "int", "filters": "string",
}  # fmt: skip

PREVIEW_BYTES = 512
POOL_BYTES = 2048
LIGHT_CURVE_BYTES = 4096
ASSOCIATION_BYTES = 1024
MEMBER_BYTES = 128

_VOT = {"string": "char", "int": "int", "float": "double", "boolean": "boolean"}
_UNITS = {"s_ra": "deg", "s_dec": "deg", "t_min": "d", "t_max": "d", "t_exptime": "s", "em_min": "nm", "em_max": "nm",
          "t_obs_release": "d", "distance": "arcsec", "size": "byte"}  # fmt: skip


def columns_config(name: str) -> dict[str, dict[str, str]]:
    """Return the column configuration of a service, in the archive's form; empty if the archive gives none."""
    if name == "Mast.Caom.Cone":
        types = {**OBSERVATION_TYPES, "distance": "float"}
    elif name == "Mast.Caom.Products":
        types = PRODUCT_TYPES
    else:
        return {}
    config = {column: _column_config(column, kind) for column, kind in types.items()}
    if "obs_collection" in config:
        config["obs_collection"]["separator"] = config["filters"]["separator"] = ";"
    return config


def _column_config(column: str, kind: str) -> dict[str, str]:
    entry = {"text": column.replace("_", " "), "vot.datatype": _VOT[kind], "vot.description": column}
    if column in _UNITS:
        entry["vot.unit"] = _UNITS[column]
    return entry


def make_observations(con: duckdb.DuckDBPyConnection) -> None:
    """Fill the observations: listed exposures, level-3 products, and those that are planned but not taken yet."""
    con.execute(
        """
        CREATE TABLE observation AS
        SELECT 'science' AS "intentType", 'JWST' AS obs_collection, 'CALJWST' AS provenance_name,
            upper(k.instrument) || '/' || k.mode AS instrument_name, 'JWST' AS project, nullif(o.names, '') AS filters,
            'INFRARED' AS wavelength_region, v.targprop AS target_name,
            concat_ws('; ', v.targcat, v.targdesc) AS target_classification, e.stem AS obs_id,
            v.ra + (u(v.visit_no, 'ra') - 0.5) * 1e-6 AS s_ra, v.dec + (u(v.visit_no, 'dec') - 0.5) * 1e-6 AS s_dec,
            CASE WHEN k.spectral THEN CASE WHEN k.mode = 'IFU' AND e.combination THEN 'cube' ELSE 'spectrum' END
                 ELSE 'image' END AS dataproduct_type,
            v.pi AS proposal_pi, CASE WHEN e.combination THEN 3 ELSE 2 END::BIGINT AS calib_level,
            mjd(e.start_ms) AS t_min, mjd(e.end_ms) AS t_max, e.exptime_s AS t_exptime,
            CASE WHEN k.instrument = 'miri' THEN 4900.0 ELSE 600.0 END AS em_min,
            CASE WHEN k.instrument = 'miri' THEN 27900.0 ELSE 5300.0 END AS em_max,
            v.title AS obs_title, mjd(v.release_ms) AS t_obs_release, v.program::VARCHAR AS proposal_id,
            v.category AS proposal_type, NULL::BIGINT AS sequence_number, e.region AS s_region,
            'mast:JWST/product/' || e.stem || CASE WHEN e.combination THEN NULL WHEN k.tso THEN '_rateints.jpg'
                                                ELSE '_rate.jpg' END AS "jpegURL",
            'mast:JWST/product/' || e.stem || '_' || s.suffix || '.fits' AS "dataURL",
            CASE WHEN v.release_ms > ms(59869.75) AND v.category IN ('GO', 'GTO')
                 THEN 'EXCLUSIVE_ACCESS' ELSE 'PUBLIC' END AS "dataRights",
            false AS "mtFlag", NULL::DOUBLE AS "srcDen", (84000000 + e.unit_no * 13)::VARCHAR AS obsid,
            (271000000 + e.unit_no * 7)::BIGINT AS "objID",
            e.unit_no AS _unit, v.visit_no AS _visit, e.parent_no AS _parent, v.born AS _born, v.born > 0 AS _gone,
            e.listed AS _listed, NULL::BIGINT AS _planned
        FROM unit e JOIN visit v USING (visit_no) JOIN kind k ON k.kind_no = e.kind_no
        JOIN optic o ON o.kind_no = e.kind_no AND o.optic_no = e.optic_no
        JOIN (SELECT kind_no, stage, arg_max(suffix, place) AS suffix FROM suffix GROUP BY ALL) s
            ON s.kind_no = e.kind_no AND s.stage = CASE WHEN e.combination THEN 3 ELSE 2 END
        ORDER BY e.unit_no
        """
    )
    con.execute(_PLANNED_SQL)


_PLANNED_SQL = """
    INSERT INTO observation
    SELECT o.* REPLACE (regexp_replace(obs_id, '_04(\\d)(\\d\\d)_', '_xx\\1\\2_') AS obs_id, -1 AS calib_level,
                        NULL AS t_min, NULL AS t_max, NULL AS "jpegURL", NULL AS "dataURL",
                        'PUBLIC' AS "dataRights",
                        (obsid::BIGINT + 500000000)::VARCHAR AS obsid, false AS _gone, true AS _listed,
                        NULL AS _unit, NULL AS _parent, _born AS _planned)
    FROM observation o WHERE _born > 0 AND calib_level = 2 ORDER BY o._unit
    """


def make_products(con: duckdb.DuckDBPyConnection) -> None:
    """Fill the products: searchable files, a preview of each, associations, pools and light curves."""
    con.execute(_PRODUCTS_SQL, [[list(mode) for mode in GUIDE_MODES]])


_PRODUCTS_SQL = f"""
    CREATE TABLE product AS
    WITH mode AS (SELECT one[2] AS exp_type, upper(one[1]) AS subgroup, one[3] AS description
                  FROM (SELECT unnest($1) AS one)),
    listed AS (
        SELECT f.file_no AS _file, f.unit_no AS _unit, f.visit_no AS _visit,
               CASE WHEN f.instrument = 'guidestar' THEN 'guide' ELSE 'file' END AS _form, f.filename, f.size, f.born,
               CASE WHEN f.instrument = 'guidestar' THEN CASE f.product_level WHEN '1b' THEN 1 ELSE 2 END
                    ELSE s.calib_level END AS calib_level,
               coalesce(m.description, s.description) AS description,
               CASE WHEN f.instrument = 'guidestar' THEN 'AUXILIARY' ELSE 'SCIENCE' END AS product_type,
               coalesce(m.subgroup, upper(f.suffix)) AS subgroup, f.instrument
        FROM file f JOIN unit e USING (unit_no)
        LEFT JOIN suffix s ON s.kind_no = e.kind_no AND s.suffix = f.suffix AND f.instrument <> 'guidestar'
            AND s.stage = CASE WHEN e.combination THEN 3 ELSE 2 END
        LEFT JOIN mode m ON m.exp_type = f.exp_type
        UNION ALL
        SELECT NULL, f.unit_no, f.visit_no, 'preview', replace(f.filename, '.fits', '.jpg'), {PREVIEW_BYTES}, f.born,
               CASE WHEN e.combination THEN 3 WHEN f.suffix = 'uncal' THEN 1 ELSE 2 END,
               'Preview-Full', 'PREVIEW', NULL, f.instrument
        FROM file f JOIN unit e USING (unit_no) WHERE f.instrument <> 'guidestar' AND f.suffix NOT LIKE 'x1d%'
        UNION ALL
        SELECT NULL, e.unit_no, e.visit_no, 'association', e.asn,
               {ASSOCIATION_BYTES} + {MEMBER_BYTES} * (CASE WHEN e.combination THEN
                   (SELECT count(*) FROM unit c WHERE c.parent_no = e.unit_no) ELSE 1 END), v.born,
               CASE WHEN e.combination THEN 3 ELSE 2 END,
               'source/target (L3) : association generator', 'INFO', 'ASN', NULL
        FROM unit e JOIN visit v USING (visit_no)
        UNION ALL
        SELECT NULL, min(e.unit_no), v.visit_no, 'pool', v.pool, {POOL_BYTES}, v.born, 3,
               'source/target (L3) : association pool', 'INFO', 'POOL', NULL
        FROM unit e JOIN visit v USING (visit_no) WHERE NOT e.combination GROUP BY v.visit_no, v.pool, v.born
        UNION ALL
        SELECT NULL, e.unit_no, e.visit_no, 'light curve', e.stem || '_whtlt.ecsv', {LIGHT_CURVE_BYTES}, v.born, 3,
               'target   (L3) : spectroscopic white-light curve', 'SCIENCE', 'WHTLT', NULL
        FROM unit e JOIN visit v USING (visit_no) JOIN kind k ON k.kind_no = e.kind_no WHERE e.combination AND k.tso
    )
    SELECT row_number() OVER (ORDER BY _unit, _form, filename) - 1 AS _product, l._file, l._unit, l._visit,
           e.parent_no AS _parent, l._form, l._form IN ('guide', 'pool') AS _shared, l.filename, l.size::BIGINT AS size,
           l.calib_level::BIGINT AS calib_level, l.description, l.product_type, l.subgroup, l.instrument AS _instrument,
           '1.5.3' AS prvversion, l.born AS _born, l.born > 0 AS _gone
    FROM listed l JOIN unit e ON e.unit_no = l._unit
    ORDER BY _product
"""
