"""The contents of each keyword column of a made-up file, as SQL over the tables of the archive.

The aliases are those of the query in `catalog.simulator.archive_tables`: ``f`` file, ``e`` unit (an exposure or a
level-3 product), ``v`` visit, ``k`` kind, ``o`` optics. Columns without an entry are null, as most are in the real
archive. Times are milliseconds since 1970, UTC; each has a twin in MJD that is made from the same number.
"""

from __future__ import annotations

import json
import re

import duckdb

from catalog.vocabulary.keywords import archive_columns

SQL_TYPES = {"string": "VARCHAR", "int": "BIGINT", "float": "DOUBLE", "date": "BIGINT", "boolean": "BOOLEAN"}
"""The type of a column in the simulator's tables, by its type in an answer's ``fields``."""

CAL_VERSIONS = ("1.5.3", "1.7.2", "1.8.2", "1.9.6", "1.10.1", "1.11.0", "1.12.5", "1.13.4")
CRDS_CONTEXTS = ("0969", "1009", "1062", "1084", "1100", "1123", "1149", "1185")
SDP_VERSIONS = ("2022_2a", "2022_4a", "2022_5c", "2023_1a", "2023_2a", "2023_3b", "2024_1a", "2024_2a")

TIMES: dict[str, str] = {
    "date": "f.made_ms",
    "date_end": "e.end_ms",
    "date_obs": "e.start_ms",
    "date_beg": "e.start_ms",
    "gsendtim": "v.start_ms - 600000",
    "gsstrttm": "v.start_ms - 845000",
    "mu_epoch": "1435838400000",
    "visitend": "v.end_ms + 47000",
    "vststart": "v.start_ms - 3440000",
    "ingestStartDate": "f.ingest_ms - 84000",
    "ingestCompletionDate": "f.ingest_ms",
    "publicReleaseDate": "v.release_ms",
    "gf_end": "v.start_ms - 500000",
    "gf_start": "v.start_ms - 700000",
    "gs_epoch": "1435838400000",
    "pointtim": "v.start_ms - 840000",
}

_IDENTITY = {
    "ArchiveFileID": "5000000 + f.file_no * 3",
    "filename": "f.filename",
    "fileName": "f.filename",
    "fileSetName": "e.fileset",
    "productLevel": "f.product_level",
    "FileSetId": "780000 + e.fileset_no",
    "FileTypeID": "CASE f.product_level WHEN '1b' THEN 74 WHEN '2a' THEN 76 WHEN '2b' THEN 77 ELSE 81 END",
    "dataURI": "'mast:JWST/product/' || f.filename",
    "fileSize": "f.size",
    "checksum": "NULL",
    "isRestricted": "false",
    "isItar": "false",
    "isStale": "u(f.file_no, 'stale') < 0.03",
    "isJitter": "false",
    "datamodl": "f.model",
}

_PROGRAM = {
    "program": "v.program",
    "category": "v.category",
    "subcat": "CASE WHEN v.category IN ('COM', 'CAL') THEN upper(k.instrument) END",
    "scicat": "CASE WHEN v.category NOT IN ('COM', 'CAL') THEN 'Planets and Planet Formation' END",
    "title": "v.title",
    "pi_name": "v.pi",
    "observtn": "v.observation",
    "obslabel": "v.targprop || ' ' || k.mode",
    "visit": "1",
    "visit_id": "v.visit_id",
    "visitgrp": "'04'",
    "visitsta": "'SUCCESSFUL'",
    "visitype": "'PRIME_TARGETED_FIXED'",
    "seq_id": "1",
    "act_id": "lpad((e.optic_no + 1)::VARCHAR, 2, '0')",
    "exposure": "e.dither",
    "obs_id": "'V' || v.visit_id || 'P0000000004' || '1' || lpad((e.optic_no + 1)::VARCHAR, 2, '0')",
    "obsfoldr": "CASE WHEN v.category = 'ERS' THEN 'Transmission - ' || v.targprop END",
    "template": "k.template",
    "asnpool": "v.pool",
    "asntable": "e.asn",
    "targname": "v.targname",
    "targprop": "v.targprop",
    "targcat": "v.targcat",
    "targdesc": "v.targdesc",
    "targtype": "'FIXED'",
    "targ_ra": "v.ra + (u(v.visit_no, 'ra') - 0.5) * 1e-6",
    "targ_dec": "v.dec + (u(v.visit_no, 'dec') - 0.5) * 1e-6",
    "prop_ra": "v.ra",
    "prop_dec": "v.dec",
    "targura": "0.1",
    "targudec": "0.1",
    "mu_ra": "(u(v.targname, 'mu_ra') - 0.5) * 0.05",
    "mu_dec": "(u(v.targname, 'mu_dec') - 0.5) * 0.05",
    "va_ra": "v.ra + (u(e.unit_no, 'va_ra') - 0.5) * 0.02",
    "va_dec": "v.dec + (u(e.unit_no, 'va_dec') - 0.5) * 0.002",
}

_EXPOSURE = {
    "apername": "k.aperture",
    "pps_aper": "k.aperture",
    "instrume": "upper(k.instrument)",
    "detector": "e.detector",
    "exp_type": "k.exp_type",
    "filter": "o.filter",
    "pupil": "o.pupil",
    "grating": "o.grating",
    "band": "o.band",
    "channel": "CASE WHEN k.instrument = 'miri' THEN o.channel"
    " WHEN e.detector LIKE '%LONG' THEN 'LONG' ELSE 'SHORT' END",
    "module": "CASE WHEN e.detector LIKE 'NRCA%' THEN 'A' WHEN e.detector LIKE 'NRCB%' THEN 'B' ELSE 'MULTIPLE' END",
    "fxd_slit": "o.slit",
    "subarray": "k.subarray",
    "subsize1": "k.size1",
    "subsize2": "k.size2",
    "substrt1": "1",
    "substrt2": "CASE WHEN k.size2 = 256 THEN 1793 ELSE 1 END",
    "readpatt": "k.readpatt",
    "tframe": "k.frame_s",
    "tgroup": "k.frame_s",
    "tsample": "10.0",
    "ngroups": "k.ngroups",
    "nints": "e.nints",
    "nframes": "1",
    "nsamples": "1",
    "nresets": "1",
    "nrststrt": "1",
    "groupgap": "0",
    "drpfrms1": "0",
    "drpfrms3": "0",
    "frmdivsr": "1",
    "effexptm": "e.exptime_s",
    "effinttm": "k.frame_s * k.ngroups",
    "duration": "e.exptime_s * 1.11",
    "expstart": "mjd(e.start_ms)",
    "expmid": "mjd((e.start_ms + e.end_ms) // 2)",
    "expend": "mjd(e.end_ms)",
    "bstrtime": "mjd(e.start_ms) + 0.0024",
    "bmidtime": "mjd((e.start_ms + e.end_ms) // 2) + 0.0024",
    "bendtime": "mjd(e.end_ms) + 0.0024",
    "hstrtime": "mjd(e.start_ms) + 0.00244",
    "hmidtime": "mjd((e.start_ms + e.end_ms) // 2) + 0.00244",
    "hendtime": "mjd(e.end_ms) + 0.00244",
    "bartdelt": "206.75 * (u(v.visit_no, 'bart') - 0.5)",
    "helidelt": "210.79 * (u(v.visit_no, 'heli') - 0.5)",
    "expcount": "e.dither",
    "nexposur": "v.dithers",
    "exsegnum": "CASE WHEN k.tso THEN e.seg END",
    "exsegtot": "CASE WHEN k.tso THEN e.nseg END",
    "intstart": "1 + (e.seg - 1) * (e.nints // e.nseg)",
    "intend": "CASE WHEN e.seg = e.nseg THEN e.nints ELSE e.seg * (e.nints // e.nseg) END",
    "tsovisit": "CASE WHEN k.tso THEN 't' ELSE 'f' END",
    "patt_num": "e.dither",
    "patttype": "k.patttype",
    "noutputs": "1",
    "fastaxis": "-2",
    "slowaxis": "-1",
    "sca_num": "480 + e.det_no",
    "datamode": "91",
    "srctyapt": "CASE WHEN k.spectral THEN 'POINT' ELSE 'UNKNOWN' END",
    "expripar": "'PRIME'",
    "lamp": "'NONE'",
    "cccstate": "'OPEN'",
    "fpe_side": "'A'",
    "ice_side": "'A'",
    "dithopfr": "CASE WHEN k.instrument = 'miri' THEN 'POINT-SOURCE' END",
    "dithdirc": "CASE WHEN k.instrument = 'miri' THEN 'NEGATIVE' END",
    "focuspos": "0.331084",
    "fwcpos": "74.9 + 240.0 * e.optic_no + u(e.unit_no, 'fwcpos') * 0.2",
    "pwcpos": "245.7 + u(e.unit_no, 'pwcpos') * 0.1",
    "gwa_xtil": "0.35 + u(e.unit_no, 'gwa_xtil') * 0.01",
    "gwa_ytil": "0.13 + u(e.unit_no, 'gwa_ytil') * 0.01",
    "s_region": "e.region",
}

_POINTING = {
    "pcs_mode": "'FINEGUIDE'",
    "gdstarid": "v.guide_star",
    "gs_order": "1",
    "gs_ra": "v.ra + (u(v.visit_no, 'gs_ra') - 0.5) * 0.3",
    "gs_dec": "v.dec + (u(v.visit_no, 'gs_dec') - 0.5) * 0.2",
    "gs_ura": "u(v.visit_no, 'gs_ura') * 3e-4",
    "gs_udec": "u(v.visit_no, 'gs_udec') * 3e-4",
    "gs_mag": "13.0 + u(v.visit_no, 'gs_mag') * 4.0",
    "gs_umag": "0.03 + u(v.visit_no, 'gs_umag') * 0.1",
    "gs_v3_pa": "u(v.visit_no, 'gs_v3_pa') * 360.0",
    "gs_mura": "(u(v.visit_no, 'gs_mura') - 0.5) * 0.02",
    "gs_mudec": "(u(v.visit_no, 'gs_mudec') - 0.5) * 0.02",
    "pa_v3": "u(v.visit_no, 'gs_v3_pa') * 360.0",
    "ra_v1": "v.ra + 0.01",
    "dec_v1": "v.dec + 0.01",
    "gsacstat": "'SUCCESSFUL'",
    "fgs_aper": "'FGS1_FULL'",
    "v2_ref": "207.19",
    "v3_ref": "-697.5",
    "v3i_yang": "-1.2508",
    "vparity": "-1",
    "jittravg": "u(e.unit_no, 'jitter') * 0.01",
    "numrefst": "10",
    "engqlptg": "'CALCULATED_TRACK_TR_202111'",
    "eng_qual": "'OK'",
    "nwfsest": "v.start_mjd + 1.92",
    "pwfseet": "v.start_mjd - 0.15",
    "sctarate": "(u(e.unit_no, 'sctarate') - 0.5) * 1e-2",
    "osf_file": "v.osf_file",
}

_SYSTEM = {
    "telescop": "'JWST'",
    "origin": "'STSCI'",
    "timesys": "'UTC'",
    "prd_ver": "'PRDOPSSOC-061'",
    "oss_ver": "'008.004.011.000'",
    "sdp_ver": f"'{SDP_VERSIONS[0]}'",
    "cal_ver": f"'{CAL_VERSIONS[0]}'",
    "cal_vcs": "'RELEASE'",
    "crds_ctx": f"'jwst_{CRDS_CONTEXTS[0]}.pmap'",
    "crds_ver": "'11.16.22'",
    "bkgdtarg": "'f'",
    "dataprob": "'f'",
    "hga_move": "CASE WHEN u(e.unit_no, 'hga_move') < 0.1 THEN 't' ELSE 'f' END",
    "intarget": "'f'",
    "targoopp": "'f'",
    "zerofram": "'f'",
    "exp_only": "'f'",
    "crowdfld": "'f'",
    "compress": "'f'",
    "nextend": "CASE WHEN f.product_level = '1b' THEN 3 END",
}

_EXPRESSIONS: dict[str, str] = {**_IDENTITY, **_PROGRAM, **_EXPOSURE, **_POINTING, **_SYSTEM}


def column_types(instrument: str) -> dict[str, str]:
    """Return the columns of one keyword search, in order, with their types in ``fields``."""
    return {column.name: column.type for column in archive_columns(instrument)}


def select_list(instrument: str) -> str:
    """Return the SQL that makes a row of one keyword search: every column in its type."""
    return ",\n".join(
        f'CAST({_expression(name, instrument)} AS {SQL_TYPES[kind]}) AS "{name}"'
        for name, kind in column_types(instrument).items()
    )


def _expression(name: str, instrument: str) -> str:
    if instrument == "guidestar" and name in _GUIDE:
        return _GUIDE[name]
    if name in TIMES:
        return TIMES[name]
    twin = name.removesuffix("_mjd")
    if twin != name and twin in TIMES:
        return f"mjd({TIMES[twin]})"
    return _EXPRESSIONS.get(name, "NULL")


_GUIDE = {
    "exp_type": "f.exp_type",
    "detector": "'GUIDER1'",
    "instrume": "'FGS'",
    "apername": "'FGS1_FULL'",
    "subarray": "CASE WHEN f.exp_type = 'FGS_ID-IMAGE' THEN 'FULL' ELSE '8X8' END",
    "readpatt": "CASE f.exp_type WHEN 'FGS_FINEGUIDE' THEN 'FINEGUIDE' WHEN 'FGS_TRACK' THEN 'TRACK'"
    " WHEN 'FGS_ACQ1' THEN 'ACQ1' WHEN 'FGS_ACQ2' THEN 'ACQ2' ELSE 'ID' END",
    "fileSetName": "f.stem",
    "obs_id": "'V' || v.visit_id || 'P0000000000000'",
    "obslabel": "v.targprop",
    "guidesta": "v.guide_star",
    "date_obs": "f.start_ms",
    "date_beg": "f.start_ms",
    "date_end": "f.start_ms + 60000",
    "date_obs_mjd": "mjd(f.start_ms)",
    "date_beg_mjd": "mjd(f.start_ms)",
    "date_end_mjd": "mjd(f.start_ms + 60000)",
    "duration": "60.0",
    "datastrt": "mjd(f.start_ms)",
    "dataend": "mjd(f.start_ms + 60000)",
}

_CHANGING = {"checksum", "isRestricted", "sdp_ver", "cal_ver", "crds_ctx"}
_ALIAS = re.compile(r"\b[fevko]\.")


def fixed_values(con: duckdb.DuckDBPyConnection, instrument: str) -> dict[str, str]:
    """Return the columns of one keyword search that have the same value in all rows, as JSON."""
    fixed = [
        name
        for name in column_types(instrument)
        if name not in _CHANGING and not _ALIAS.search(_expression(name, instrument))
    ]
    types = column_types(instrument)
    values = ", ".join(f"CAST({_expression(name, instrument)} AS {SQL_TYPES[types[name]]})" for name in fixed)
    row = con.execute(f"SELECT {values}").fetchone() or ()
    return {
        name: json.dumps(f"/Date({value})/" if types[name] == "date" and value is not None else value)
        for name, value in zip(fixed, row, strict=True)
    }
