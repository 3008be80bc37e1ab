"""One author a table: each table of the catalog is written by the module that owns it, and by no other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from catalog.store.schema.models import metadata
from tests.test_sql_text import VALUE, written

ROOT = Path(__file__).parent.parent
HISTORY = "catalog/store/history"
_VERSIONS = {f"{HISTORY}/{name}.py" for name in ("comparison", "merge", "links", "footprints", "widening")}
OWNERS = {
    "association_member": {f"{HISTORY}/header_rows.py"},
    "card_label": {f"{HISTORY}/header_rows.py"},
    "card_value": {f"{HISTORY}/header_rows.py"},
    "column_finding": {f"{HISTORY}/widening.py"},
    "changes": {f"{HISTORY}/run_notes.py"},
    "file_version": _VERSIONS,
    "footprints": {f"{HISTORY}/footprints.py"},
    "hdu_header": {f"{HISTORY}/header_rows.py"},
    "header_finding": {f"{HISTORY}/header_rows.py"},
    "ingest_mark": {f"{HISTORY}/run_notes.py"},
    "keyword_difference": {f"{HISTORY}/keyword_differences.py"},
    "keywords": {"catalog/store/schema/migrate.py"},
    "local_file_version": {f"{HISTORY}/local_files.py"},
    "local_folder": {f"{HISTORY}/local_files.py"},
    "local_header": {f"{HISTORY}/header_rows.py"},
    "local_verdict": {f"{HISTORY}/verdicts.py"},
    "observation_product_link": _VERSIONS,
    "observation_version": _VERSIONS,
    "pending": {f"{HISTORY}/run_notes.py"},
    "product_reading": {f"{HISTORY}/run_notes.py"},
    "product_version": _VERSIONS,
    "runs": {f"{HISTORY}/runs.py"},
    "search_cursor": {f"{HISTORY}/runs.py"},
    "search_edit": {f"{HISTORY}/search_edits.py"},
    "search_file_membership": _VERSIONS,
    "search_observation_membership": _VERSIONS,
    "searches": {f"{HISTORY}/runs.py"},
    "set_aside": {f"{HISTORY}/run_notes.py"},
}
"""Versions and links are merged by one module; others beside it compare, close, link and number them."""
PASSING = {
    "catalog/changes/net.py": {"net", "member"},
    "catalog/questions/drift.py": {VALUE},
    "catalog/store/copies/shared_copy.py": {"copy"},
    "catalog/store/copies/whole_copy.py": {VALUE},
    "catalog/store/duckdb_file.py": {VALUE},
    "catalog/store/lakes/dialect.py": {VALUE},
    "catalog/store/local_catalog.py": {"following", VALUE},
    "catalog/store/copies/patched_copy.py": {"copy"},
    "catalog/sync/decisions.py": {"decisions", "refused_folders"},
}
"""Modules that write temporary tables, or all tables of a copy; and the engines, which are told the table.

`VALUE`: a name that is no constant.
"""
SOURCES = sorted(
    path for room in ("catalog", "cli") for path in (ROOT / room).rglob("*.py") if "simulator" not in path.parts
)
"""The built-in archive has a database of its own."""
WRITES = re.compile(
    rf"\b(?:INSERT\s+(?:OR\s+\w+\s+)?INTO|UPDATE|DELETE\s+FROM|MERGE\s+INTO|TRUNCATE(?:\s+TABLE)?|ALTER\s+TABLE|COPY"
    rf'|(?:CREATE|CREATE\s+OR\s+REPLACE|DROP)\s+TABLE(?:\s+IF\s+(?:NOT\s+)?EXISTS)?)\s+"?([a-z_]\w*|{VALUE})'
)


def tables_written(source: str) -> set[str]:
    """Return the tables that statements in a source write; `VALUE` for a name that is put in."""
    tree = ast.parse(source)
    texts = [text for node in ast.walk(tree) if (text := written(node)) is not None]
    return {name for text in texts for name in WRITES.findall(text)}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_writes_only_the_tables_that_it_owns(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    own = {table for table, owners in OWNERS.items() if name in owners} | PASSING.get(name, set())
    if name in {owner for owners in OWNERS.values() for owner in owners}:
        own.add(VALUE)
    assert tables_written(path.read_text()) - own - _temporary(path.read_text()) == set()


def _temporary(source: str) -> set[str]:
    """Return the temporary tables that a module makes."""
    texts = [text for node in ast.walk(ast.parse(source)) if (text := written(node)) is not None]
    return {name for text in texts for name in re.findall(r"TEMP TABLE (\w+)", text)}


def test_every_table_has_an_owner() -> None:
    assert set(OWNERS) == set(metadata.tables)


def test_history_is_written_in_its_own_room() -> None:
    assert {owner for table, owners in OWNERS.items() if table != "keywords" for owner in owners} <= {
        str(path.relative_to(ROOT)) for path in (ROOT / HISTORY).glob("*.py")
    }


@pytest.mark.parametrize(
    ("source", "table"),
    [
        ('"INSERT INTO runs VALUES (1)"', "runs"),
        ("f'''UPDATE {table} SET a = 1'''", VALUE),
        ('"""DELETE  FROM pending"""', "pending"),
        ('"MERGE INTO file_version USING x"', "file_version"),
        ('"ALTER TABLE local_header ADD COLUMN a INT"', "local_header"),
        ('f"CREATE OR REPLACE TABLE local_header ({columns})"', "local_header"),
        ("'INSERT OR IGNORE INTO changes FROM x'", "changes"),
    ],
)
def test_each_way_of_writing_is_found(source: str, table: str) -> None:
    assert tables_written(source) == {table}
