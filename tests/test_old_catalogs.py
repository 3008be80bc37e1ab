"""Catalogs of older schemas are brought to the newest, and revisions hold their own SQL."""

from __future__ import annotations

import ast
import lzma
import shutil
from pathlib import Path

import duckdb
import pytest

from catalog.errors import NotACatalog
from catalog.store import database as store
from catalog.store.database import Database, columns_of
from catalog.store.revision import HEAD
from catalog.store.schema.models import metadata

from .kills_migration import OLD_CATALOGS

ROOT = Path(__file__).parent.parent
REVISIONS = [f"{number:04d}" for number in range(1, 12)]


def old_catalog(path: Path, revision: str) -> None:
    """Make the tables as a revision left them; two of the last changed no table."""
    ddl = OLD_CATALOGS / f"{min(revision, '0009')}.sql"
    with duckdb.connect(path) as connection:
        connection.execute(ddl.read_text())
        connection.execute("INSERT INTO alembic_version VALUES (?)", [revision])
        connection.execute(_ROWS)


_ROWS = """
    ALTER TABLE file_version ADD COLUMN s_region VARCHAR;
    ALTER TABLE file_version ADD COLUMN nints BIGINT;
    INSERT INTO searches (name, kind, instrument, criteria, cursor_mjd, created_at)
        VALUES ('soss', 'files', 'niriss', ['exp_type=NIS_SOSS'], 59800.5, '2026-11-01');
    INSERT INTO runs (run, search, kind, server, started_at, ended_at, cursor_mjd, files, new, changed, withdrawn,
                      returned, unchanged, observations, products, linked, requests)
        VALUES (1, 'soss', 'full', 'https://mast.stsci.edu', '2026-11-01', '2026-11-02', 59800.5, 1, 1, 0, 0, 0, 0, 0,
                0, 0, 3);
    INSERT INTO file_version (filename, instrument, row_hash, checked_run, since_run, until_run, s_region, nints) VALUES
        ('a_x1d.fits', 'niriss', 5, 1, 1, 2, 'CIRCLE 10 20 0.1', 3),
        ('a_x1d.fits', 'niriss', 6, 2, 2, NULL, 'CIRCLE 10 20 0.1', 4);
    INSERT INTO local_file_version
            (file_id, path, filename, size, mtime_ns, inode, checksum, data_uri, indexed, since_at)
        VALUES (1, '/data/a_x1d.fits', 'a_x1d.fits', 2880, 1, 1, 'd41d', 'mast:JWST/product/a_x1d.fits', true,
                '2026-11-03');
    INSERT INTO card_label VALUES (1, 'NINTS', 'integer', '');
    INSERT INTO card_value VALUES (1, 1, '3');
    INSERT INTO hdu_header VALUES (1, 0, 'PRIMARY', 1, 'PRIMARY', 8, [], 0, 2880, 0, [1, 1]);
"""


@pytest.mark.long
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_catalog_of_every_older_schema_becomes_one_of_the_newest(tmp_path: Path, revision: str) -> None:
    database = Database(tmp_path / "catalog.duckdb")
    old_catalog(database.path, revision)
    with database.read() as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
        for table in metadata.sorted_tables:
            assert {column.name for column in table.columns} <= set(columns_of(connection, table.name)), table.name
        assert connection.execute("SELECT filename, nints, since_run FROM files").fetchall() == [("a_x1d.fits", 4, 2)]
        assert connection.execute("SELECT nints FROM files_at(1)").fetchall() == [(3,)]
        assert connection.execute("SELECT keyword, text, position FROM cards ORDER BY ALL").fetchall() == [
            ("NINTS", "3", 0),
            ("NINTS", "3", 1),
        ]
        assert connection.execute("SELECT DISTINCT mission FROM file_version").fetchall() == [("JWST",)]
        found = "SELECT filename FROM files SEMI JOIN footprint_numbers('CIRCLE 10 20 0.01') n ON n.number = footprint"
        assert connection.execute(found).fetchall() == [("a_x1d.fits",)]
        if revision < "0008":
            assert connection.execute("FROM search_cursor").fetchall() == [("soss", "niriss", 59800.5)]
        if revision < "0007":
            fetched = "SELECT fetched_checksum, fetched_run FROM local_file_version"
            assert connection.execute(fetched).fetchall() == [("d41d", 1)]
    with database.write() as connection, pytest.raises(duckdb.ConstraintException):
        connection.execute("UPDATE runs SET mission = NULL")


@pytest.mark.long
def test_a_real_catalog_of_before_the_baseline_keeps_all_that_it_had(tmp_path: Path) -> None:
    path = tmp_path / "catalog.duckdb"
    with lzma.open(OLD_CATALOGS / "0011.duckdb.xz") as packed, path.open("wb") as catalog:
        shutil.copyfileobj(packed, catalog)
    asked = (
        "SELECT * EXCLUDE (footprint) FROM files ORDER BY ALL",
        "SELECT * EXCLUDE (footprint) FROM files_at(1) ORDER BY ALL",
        "FROM observations ORDER BY ALL",
        "FROM products ORDER BY ALL",
        "FROM observation_products ORDER BY ALL",
        "FROM local_files ORDER BY ALL",
        "FROM cards ORDER BY ALL",
        "FROM headers ORDER BY ALL",
        "FROM drift ORDER BY ALL",
        "FROM lineage ORDER BY ALL",
        "SELECT * EXCLUDE (footprint), footprint IS NULL FROM files ORDER BY ALL",
        "SELECT s_region, ra, dec, radius, number, band FROM footprints ORDER BY ALL",
    )
    with duckdb.connect(path, read_only=True) as before:
        answers = [before.execute(one).fetchall() for one in asked]
    with Database(path).read() as after:
        assert [after.execute(one).fetchall() for one in asked] == answers
    assert answers[0]


def test_no_revision_imports_living_code() -> None:
    folder = ROOT / "migrations"
    for source in [folder / "before_baseline.py", *(folder / "versions").glob("r*.py")]:
        for node in ast.walk(ast.parse(source.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            allowed = {"__future__", "alembic", "sqlalchemy", "duckdb", "collections", "typing"}
            assert {name.partition(".")[0] for name in names} <= allowed, source.name


def test_a_catalog_of_an_unknown_schema_is_one_line_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "catalog.duckdb"
    old_catalog(path, "0001")
    with duckdb.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    store._ready.clear()
    before = path.read_bytes()
    with pytest.raises(NotACatalog, match="harvest into a new one"), Database(path).read():
        pass
    assert path.read_bytes() == before
