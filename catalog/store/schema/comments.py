"""Comments on every table, view, column and macro; they are in the catalog itself, so any DuckDB client shows them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import duckdb

from catalog.store.duckdb_file import dialect_of
from catalog.store.engine import Comment
from catalog.store.history.widening import WORDS
from catalog.store.schema.column_meanings import COLUMNS
from catalog.store.sql import quoted
from catalog.vocabulary.keywords import Keyword, dictionary
from catalog.vocabulary.observation_columns import observation_columns
from catalog.vocabulary.spelling import sent_name

_MACROS: Mapping[str, str] = {
    "apt_observation": "the observation's number in its program, from a file's name",
    "exposure_of": "the exposure, from a file's name; null for a product of several exposures",
    "file_id": "the id of a file's CAOM observation, from its name",
    "footprints_overlap": "do two footprints overlap? POLYGON or CIRCLE, ICRS, degrees",
    "program_of": "the program, from a file's name",
    "region_circle": "a circle around a footprint: {ra, dec, radius}, degrees",
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
    """Write all comments again, since views and macros lose theirs whenever they are created again."""
    from catalog.store.schema.models import metadata  # SQLAlchemy takes longer to import than most commands run

    of_tables = {"alembic_version": "which revision of the schema this is"}
    of_tables |= {table.name: table.comment or "" for table in metadata.tables.values()}
    comments = [Comment("TABLE", table, text) for table, text in of_tables.items()]
    for kind, macros in (("MACRO", _MACROS), ("MACRO TABLE", _TABLE_MACROS)):
        comments += [Comment(kind, macro, text) for macro, text in macros.items()]
    comments += [
        Comment("COLUMN", f"{relation}.{quoted(column)}", text) for relation, column, text in _bare(connection)
    ]
    own = _names_in(connection)
    dialect_of(connection).comment(connection, (c for c in comments if c.kind == "COLUMN" or c.name in own))


def unkept_comments(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str]]:
    """Return relation, column and meaning of each column whose comment the engine cannot keep: those of a lake's views.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection to the catalog.
    """
    return list(_bare(connection)) if dialect_of(connection).name == "ducklake" else []


def _bare(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, str, str]]:
    """Yield relation, column and meaning of each column that has no comment."""
    from catalog.store.schema.models import metadata

    fixed = {
        (table.name, column.name): column.comment for table in metadata.tables.values() for column in table.columns
    }
    elsewhere = {column: comment for (_, column), comment in fixed.items() if comment}
    bare = connection.execute(
        """SELECT table_name, column_name FROM duckdb_columns()
           WHERE database_name = current_database() AND NOT internal AND comment IS NULL
             AND table_name <> 'alembic_version'"""
    ).fetchall()
    for relation, column in bare:
        if (relation, column) in fixed:
            meaning = fixed[relation, column]
        else:
            meaning = _meaning(str(relation), str(column)) or elsewhere.get(column)
            meaning = _with_sent_name(str(relation), str(column), meaning)
        if meaning:
            yield str(relation), str(column), meaning


def _names_in(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Return the tables and macros of the catalog itself, without those of a published one that is attached."""
    rows = connection.execute(
        """SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()
           UNION SELECT function_name FROM duckdb_functions() WHERE database_name = current_database()"""
    ).fetchall()
    return {str(name) for (name,) in rows}


_KINDS: Mapping[str, str] = {
    "files": "file",
    "file_version": "file",
    "observations": "observation",
    "observation_version": "observation",
    "products": "product",
    "product_version": "product",
}


def _with_sent_name(relation: str, column: str, meaning: str | None) -> str | None:
    """Add the archive's own name of a column, if the catalog spells it differently."""
    kind = _KINDS.get(relation)
    sent = sent_name(column, kind) if kind else column
    if sent == column:
        return meaning
    sent_as = f"the archive's column {json.dumps(sent)}"
    return f"{meaning}; {sent_as}" if meaning else sent_as


def _meaning(relation: str, column: str) -> str | None:
    """Return the meaning of a column of the archive or of a view, with its unit."""
    first, _, word = column.rpartition("%")
    if first and word in WORDS.values():
        return f"values of {first} that came as {word}"
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
