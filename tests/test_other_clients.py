"""A catalog in DuckDB clients that know nothing of mastlake."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

from catalog.store.database import Database
from catalog.store.schema.inlined_macros import inlined
from catalog.store.schema.sky_macros import _MACROS as SKY

REGIONS = [
    "CIRCLE 10 0.1 0.2",
    "POLYGON 10 0 10.5 0 10.5 0.4",
    "CIRCLE 200 -60 1",
    "nothing",
    "POLYGON ICRS 9.9 0.4 10.1 0.4 10 0.6",
]


@pytest.mark.long
def test_macros_of_the_sky_work_where_the_catalog_is_attached_under_a_name(catalog: Database) -> None:
    with duckdb.connect() as client:
        client.execute(f"ATTACH '{catalog.path}' AS lake (READ_ONLY)")
        found = client.execute(
            "SELECT lake.footprints_overlap($1, $2), lake.separation(1, 2, 1, 3), lake.region_circle($1).radius",
            REGIONS[:2],
        ).fetchone()
        assert found == (True, pytest.approx(1.0), pytest.approx(0.2))
        client.execute("USE lake")
        assert client.execute("SELECT count(*) > 0 FROM files_at(1)").fetchone() == (True,)


OF_TABLES = {
    "files_at(1{})": "files_at(1)",
    "observations_at(1{})": "observations_at(1)",
    "products_at(2{})": "products_at(2)",
    "footprint_numbers('CIRCLE 217.33 -3.44 1'{})": "footprint_numbers('CIRCLE 217.33 -3.44 1')",
    "footprints_overlapping('CIRCLE 217.33 -3.44 1'{})": "footprints_overlapping('CIRCLE 217.33 -3.44 1')",
    "header_value('CRDS_CTX'{})": "header_value('CRDS_CTX')",
}
"""Table macros where their catalog is attached, and where it is open."""


def relations(client: duckdb.DuckDBPyConnection) -> list[str]:
    """Views, and tables."""
    found = client.execute(
        """SELECT view_name FROM duckdb_views() WHERE NOT internal UNION ALL SELECT table_name FROM duckdb_tables()"""
    ).fetchall()
    return [str(name) for (name,) in found]


def rows(client: duckdb.DuckDBPyConnection, relation: str) -> list[str]:
    return sorted(map(str, client.execute(f"FROM {relation}").fetchall()))


@pytest.mark.long
@pytest.mark.parametrize("name", ["lake", "my lake-2", "files", "memory.x"])
def test_views_and_table_macros_answer_alike_where_the_catalog_is_attached_under_any_name(
    catalog: Database, name: str
) -> None:
    with duckdb.connect() as client, catalog.read() as own:
        client.execute(f"""ATTACH '{catalog.path}' AS "{name}" (READ_ONLY)""")
        for relation in relations(own):
            assert rows(client, f'"{name}".{relation}') == rows(own, relation), relation
        for attached, bare in OF_TABLES.items():
            expected = rows(own, bare)
            assert expected or "header" in bare
            for argument in (f", attached_as := '{name}'", f", '{name}'"):
                assert rows(client, f'"{name}".{attached.format(argument)}') == expected, attached


@pytest.mark.long
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_an_exported_catalog_can_be_imported_and_is_a_catalog_again(
    catalog: Database, tmp_path: Path, form: str
) -> None:
    with duckdb.connect(catalog.path, read_only=True) as client:
        client.execute(f"EXPORT DATABASE '{tmp_path / 'exported'}' (FORMAT {form})")
    again = Database(tmp_path / "again.duckdb")
    with duckdb.connect(again.path) as client:
        client.execute(f"IMPORT DATABASE '{tmp_path / 'exported'}'")
    with catalog.read() as before, again.read() as after:
        assert relations(after) == relations(before)
        for relation in (*relations(before), *OF_TABLES.values()):
            found, expected = rows(after, relation), rows(before, relation)
            # In CSV, DuckDB takes an empty text for null.
            assert (found == expected) if form == "parquet" else (len(found) == len(expected)), relation


@pytest.mark.long
def test_each_macro_calls_functions_of_duckdb_alone_and_answers_as_before() -> None:
    with duckdb.connect() as nested, duckdb.connect() as flat:
        for client, macros in ((nested, SKY), (flat, inlined(SKY))):
            for head, expression in macros.items():
                client.execute(f"CREATE MACRO {head} AS ({expression})")
        names = "|".join(head.partition("(")[0] for head in SKY)
        definitions = flat.execute("SELECT macro_definition FROM duckdb_functions() WHERE NOT internal").fetchall()
        assert not [one for (one,) in definitions if re.search(rf"\b({names})\(", one)]
        for one in REGIONS:
            for other in REGIONS:
                question = "SELECT footprints_overlap($1, $2), region_circle($1), region_shapes($2)"
                assert str(flat.execute(question, [one, other]).fetchall()) == str(
                    nested.execute(question, [one, other]).fetchall()
                )
