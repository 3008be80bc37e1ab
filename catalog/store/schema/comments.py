"""What every table, view, column and macro is, kept in the catalog itself: any DuckDB client shows it."""

from __future__ import annotations

import json
from collections.abc import Mapping

import duckdb

from catalog.store.database import literal, quoted
from catalog.store.schema.table_meanings import COLUMNS, TABLES
from catalog.vocabulary.keywords import Keyword, dictionary
from catalog.vocabulary.observation_columns import observation_columns
from catalog.vocabulary.spelling import sent_name

_MACROS: Mapping[str, str] = {
    "apt_observation": "the observation's number in its program, from a file's name",
    "exposure_of": "the exposure, from a file's name; null for what was made from several",
    "file_id": "the id of a file's CAOM observation, from its name",
    "footprints_overlap": "do two footprints overlap? POLYGON or CIRCLE, ICRS, degrees",
    "program_of": "the program, from a file's name",
    "region_circle": "a circle about a footprint: {ra, dec, radius}, degrees",
    "separation": "degrees between two places: separation(ra, dec, ra, dec), degrees",
}
_TABLE_MACROS: Mapping[str, str] = {
    "files_at": "files as they stood after a run; attached_as: the name of a database that is not in use",
    "observations_at": "observations as they stood after a run; attached_as: see files_at",
    "products_at": "products as they stood after a run; attached_as: see files_at",
    "footprints_overlapping": "every s_region that overlaps one: FROM footprints_overlapping('CIRCLE 1 2 3')",
    "footprint_numbers": "files.footprint of each that overlaps one: FROM footprint_numbers('CIRCLE 1 2 3')",
    "header_value": "one keyword in every header on this disk: FROM header_value('CRDS_CTX')",
}
_PRODUCT_COLUMNS: Mapping[str, str] = {
    "allowed": "all values it can have; null: any",
    "archive": "the value that the archive has",
    "bitpix": "bits and kind of a pixel, as in the FITS standard",
    "changed": "how many the run found changed",
    "comment": "what stands after the value",
    "created_at": "UTC",
    "data_at": "byte where the data begin",
    "ended_at": "UTC",
    "fits_keyword": "in the headers of files; null: the archive's own",
    "header": "the value that the file has",
    "inode": "of the file",
    "input": "name of a file that went into the other",
    "instruments": "whose searches have it",
    "label_id": "keyword, kind and comment, each combination once",
    "meaning": "what it says",
    "mtime_ns": "when the file was last changed, nanoseconds since 1970",
    "nextend": "number of extensions",
    "observations": "how many the search leads to",
    "output": "name of the file that was made",
    "products": "how many these list",
    "reason": "why, in words",
    "returned": "how many the run found again after they had been withdrawn",
    "row_hash": "of all values, to see a change quickly",
    "run": "number of the harvest",
    "server": "address of the archive",
    "since_at": "from when on it is known, UTC",
    "started_at": "UTC",
    "state": "stale, missing, corrupt, unknown, or differs for a keyword",
    "unchanged": "how many the run found as they were",
    "unit": "as astropy reads it",
    "via": "name of the association file",
    "withdrawn": "how many the run no longer found",
    "calib_level": "-1 planned, 0 raw, 1 instrumental, 2 calibrated, 3 combined",
    "dataproduct_type": "image, spectrum, cube, timeseries, ...",
    "dataRights": "PUBLIC, or EXCLUSIVE_ACCESS",
    "dataURI": "where to download from",
    "description": "what the product is",
    "filters": "filters of the observation",
    "obs_collection": "the mission",
    "obsID": "the archive's number of the observation; it is not stable",
    "parent_obsid": "the archive's number of the observation that lists it; it is not stable",
    "productDocumentationURL": "where it is described",
    "productFilename": "name of the file",
    "productGroupDescription": "Minimum Recommended Products, or not",
    "productSubGroupDescription": "the file name's suffix, like X1DINTS",
    "productType": "SCIENCE, PREVIEW, INFO, AUXILIARY",
    "project": "what made it, like CALJWST",
    "proposal_id": "number of the program",
    "prvversion": "version of the pipeline",
    "size": "bytes",
    "type": "S: of one exposure; C: of several; D: of other things",
}


def comment_on_everything(connection: duckdb.DuckDBPyConnection) -> None:
    """Write the comments anew; views and macros lose theirs whenever they are made anew."""
    from catalog.store.schema.models import metadata  # SQLAlchemy takes longer to import than most commands run

    comments = [f"COMMENT ON TABLE {table} IS {literal(comment)}" for table, comment in TABLES.items()]
    for kind, macros in (("MACRO", _MACROS), ("MACRO TABLE", _TABLE_MACROS)):
        comments += [f"COMMENT ON {kind} {macro} IS {literal(comment)}" for macro, comment in macros.items()]
    fixed = {(table.name, one.name): one.comment for table in metadata.tables.values() for one in table.columns}
    elsewhere = {column: comment for (_, column), comment in fixed.items() if comment}
    bare = connection.execute(
        """SELECT table_name, column_name FROM duckdb_columns()
           WHERE NOT internal AND comment IS NULL AND table_name <> 'alembic_version'"""
    ).fetchall()
    for relation, column in bare:
        if (relation, column) in fixed:
            meaning = fixed[relation, column]
        else:
            meaning = _meaning(str(relation), str(column)) or elsewhere.get(column)
            meaning = _with_sent_name(str(relation), str(column), meaning)
        if meaning:
            comments.append(f"COMMENT ON COLUMN {relation}.{quoted(str(column))} IS {literal(meaning)}")
    connection.execute(";".join(comments))


_KINDS: Mapping[str, str] = {
    "files": "file",
    "file_version": "file",
    "observations": "observation",
    "observation_version": "observation",
    "products": "product",
    "product_version": "product",
}


def _with_sent_name(relation: str, column: str, meaning: str | None) -> str | None:
    """Add the archive's own name of a column, where the catalog spells it otherwise."""
    kind = _KINDS.get(relation)
    sent = sent_name(column, kind) if kind else column
    if sent == column:
        return meaning
    told = f"the archive's column {json.dumps(sent)}"
    return f"{meaning}; {told}" if meaning else told


def _meaning(relation: str, column: str) -> str | None:
    """Return what a column of the archive's or of a view means, with its unit."""
    if relation in ("observations", "observation_version"):
        return _of(observation_columns().get(column)) or COLUMNS.get(column)
    if relation in ("products", "product_version"):
        return _PRODUCT_COLUMNS.get(column) or COLUMNS.get(column)
    if relation in ("files", "file_version", "headers", "local_header", "exposures"):
        return COLUMNS.get(column) or _of(dictionary().get(column.removeprefix("si_")))
    return COLUMNS.get(column)


def _of(word: Keyword | None) -> str | None:
    if word is None or not word.meaning:
        return None
    return word.meaning + (f" [{word.unit}]" if word.unit else "")
