"""Units and meanings of columns are told in the same way on a file and on a lake, which keeps fewer comments."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.api.catalog import Catalog
from tests import sync_catalog

RELATIONS = ["files", "observations", "products", "local_files", "cards", "drift", "file_version", "runs"]


@pytest.fixture
def file(tmp_path: Path) -> Catalog:
    made = sync_catalog.catalog(tmp_path / "file.duckdb")
    sync_catalog.add_files(made, {"mast:JWST/product/jw00001_nis_x1d.fits": b"x"})
    sync_catalog.add_run(made, 1, "2026-01-01")
    return Catalog.open(made.path)


def told(catalog: Catalog) -> dict[str, list[dict[str, object]]]:
    """Return what DESCRIBE and the page tell of the columns of each table and view."""
    answers = {f"page {name}": catalog.ask_columns(name).result().to_arrow().to_pylist() for name in RELATIONS}
    for name in RELATIONS:
        rows = catalog.sql(f"DESCRIBE {name}").to_arrow().to_pylist()
        answers[f"DESCRIBE {name}"] = [{key: row[key] for key in ("column_name", "unit", "meaning")} for row in rows]
    return answers


@pytest.mark.long
def test_a_lake_tells_what_a_file_tells(file: Catalog, tmp_path: Path) -> None:
    file.copy_to(f"ducklake:sqlite:{tmp_path}/lake")
    with file, Catalog.open(f"ducklake:sqlite:{tmp_path}/lake") as lake:
        of_file, of_lake = told(file), told(lake)
        assert {name for name in of_file if of_file[name] != of_lake.get(name)} == set()
        for ending in ("vot", "ecsv", "parquet"):
            for question in ("FROM files", "FROM observations", "SELECT t_obs_release + 1 AS t FROM observations"):
                paths = [tmp_path / f"{name}.{ending}" for name in ("file", "lake")]
                for path, catalog in zip(paths, (file, lake), strict=True):
                    catalog.sql(question).write(path)
                assert paths[0].read_bytes() == paths[1].read_bytes()


def test_no_column_is_taken_for_the_values_of_another_type_of_none(file: Catalog) -> None:
    with file:
        comments = "SELECT column_name FROM duckdb_columns() WHERE comment LIKE 'values of  that%'"
        assert file.sql(comments).to_arrow().to_pylist() == []
