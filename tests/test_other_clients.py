"""A catalog in DuckDB clients that know nothing of mastlake."""

from __future__ import annotations

import re

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
