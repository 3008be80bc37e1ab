"""What every table, view, column and macro is, kept in the catalog itself: any DuckDB client shows it."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from catalog.caom import observation_columns
from catalog.keywords import Keyword, dictionary
from catalog.store.database import quoted
from catalog.store.models import metadata

_TABLES: Mapping[str, str] = {
    "alembic_version": "which revision of the schema this is",
    "association_member": "members of association files on this disk; see the view lineage",
    "card_label": "keywords and comments of cards on this disk, each once; see the view cards",
    "card_value": "distinct cards on this disk; see the view cards",
    "changes": "what each run changed: new, changed, withdrawn and returned files, observations and products",
    "file_version": "every state that files were in, from since_run until until_run; see the view files",
    "footprints": "every footprint (s_region) that was harvested, with a circle about it; see footprints_overlapping()",
    "hdu_header": "HDUs of files on this disk; see the view hdus",
    "header_finding": "what is not as the FITS standard has it; see the view findings",
    "keywords": "the keyword dictionary: what the archive can be searched by",
    "local_file_version": "every state that files on this disk were in; see the view local_files",
    "local_header": "one row a file on this disk; see the view headers",
    "observation_product_link": "which products observations listed when; see the view observation_products",
    "observation_version": "every state that observations were in; see the view observations",
    "pending": "what could not be asked of the archive, and is asked again by the next harvest",
    "product_version": "every state that products were in; see the view products",
    "runs": "one row a harvest of a search",
    "search_file_membership": "which files searches matched when; see the view search_files",
    "search_observation_membership": "which observations searches led to when; see the view search_observations",
    "searches": "saved searches",
}
_MACROS: Mapping[str, str] = {
    "apt_observation": "the observation's number in its program, from a file's name",
    "file_id": "the id of a file's CAOM observation, from its name",
    "footprints_overlap": "do two footprints overlap? POLYGON or CIRCLE, ICRS, degrees",
    "program_of": "the program, from a file's name",
    "region_circle": "a circle about a footprint: {ra, dec, radius}, degrees",
    "separation": "degrees between two places: separation(ra, dec, ra, dec), degrees",
}
_TABLE_MACROS: Mapping[str, str] = {
    "files_at": "files as they stood after a run",
    "observations_at": "observations as they stood after a run",
    "products_at": "products as they stood after a run",
    "footprints_overlapping": "every s_region that overlaps one: FROM footprints_overlapping('CIRCLE 1 2 3')",
    "header_value": "one keyword in every header on this disk: FROM header_value('CRDS_CTX')",
}
_COLUMNS: Mapping[str, str] = {
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
    "boolean": "the card's value where it is T or F",
    "checksum": "MD5",
    "data_uri": "where to download from, and the product's identity",
    "file_size": "bytes",
    "filename": "without folders",
    "hdu": "from 0",
    "ingest_mjd": "when the archive had taken it in, MJD (UTC)",
    "is_stale": "the archive is about to make a newer version",
    "keyword": "FITS keyword",
    "number": "the card's value where it is a number",
    "obs_id": "CAOM's id of the observation",
    "path": "where it lies on this disk",
    "position": "of the card in its header, from 0",
    "search": "name of the search",
    "since_run": "the run that saw this state first",
    "until_run": "the run that saw it no longer; null: it is true now",
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
    for table, comment in _TABLES.items():
        connection.execute(f"COMMENT ON TABLE {table} IS {_literal(comment)}")
    for kind, macros in (("MACRO", _MACROS), ("MACRO TABLE", _TABLE_MACROS)):
        for macro, comment in macros.items():
            connection.execute(f"COMMENT ON {kind} {macro} IS {_literal(comment)}")
    fixed = {column.name: column.comment for table in metadata.tables.values() for column in table.columns}
    bare = connection.execute(
        """SELECT table_name, column_name FROM duckdb_columns()
           WHERE NOT internal AND comment IS NULL AND table_name <> 'alembic_version'"""
    ).fetchall()
    for relation, column in bare:
        meaning = _meaning(str(relation), str(column)) or fixed.get(str(column))
        if meaning:
            connection.execute(f"COMMENT ON COLUMN {relation}.{quoted(str(column))} IS {_literal(meaning)}")


def _meaning(relation: str, column: str) -> str | None:
    """Return what a column of the archive's or of a view means, with its unit."""
    if relation in ("observations", "observation_version"):
        return _of(observation_columns().get(column)) or _COLUMNS.get(column)
    if relation in ("products", "product_version"):
        return _PRODUCT_COLUMNS.get(column) or _COLUMNS.get(column)
    if relation in ("files", "file_version", "headers", "local_header"):
        return _COLUMNS.get(column) or _of(dictionary().get(column.removeprefix("si_")))
    return _COLUMNS.get(column)


def _of(word: Keyword | None) -> str | None:
    if word is None or not word.meaning:
        return None
    return word.meaning + (f" [{word.unit}]" if word.unit else "")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
