"""A published catalog as Parquet files, for programs without mastlake."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from catalog.api.catalog import Catalog
from catalog.publish import parquet
from catalog.publish.parquet import GROUPS_OF_FILE
from catalog.publish.publishing import publish
from catalog.store.database import Database
from tests import sync_catalog
from tests.conftest import Command


@pytest.fixture(scope="module")
def group(_harvested: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parquet") / "group"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "ROWS_OF_GROUP", 12)  # many row groups of few rows
        publish(Database(_harvested), folder, parquet=True)
    return folder


@pytest.fixture
def files(group: Path) -> Path:
    return group / "run-000002.parquet" / "files"


@pytest.mark.parametrize("view", ["files", "observations", "products", "observation_products", "keywords"])
def test_every_reader_finds_the_rows_of_the_catalog(group: Path, view: str) -> None:
    with Catalog.open(group) as shared:
        (count,) = shared.sql(f"SELECT count(*) AS n FROM {view}")["n"]
    folder = group / "run-000002.parquet" / view
    assert ds.dataset(folder).count_rows() == count > 0
    assert pl.scan_parquet(f"{folder}/*.parquet").select(pl.len()).collect().item() == count
    assert duckdb.sql(f"SELECT count(*) FROM '{folder}/*.parquet'").fetchone() == (count,)


def test_pandas_reads_a_program(files: Path) -> None:
    pandas = pytest.importorskip("pandas")
    program = ds.dataset(files).head(1)["program"][0].as_py()
    found = pandas.read_parquet(files, filters=[("program", "==", program)])
    assert set(found["program"]) == {program}


def test_columns_and_schemas_say_what_they_mean(group: Path, files: Path) -> None:
    columns = pq.read_table(group / "run-000002.parquet" / "columns.parquet").to_pylist()
    meanings = {(one["table"], one["column"]): one["meaning"] for one in columns}
    assert "without folders" in meanings["files", "filename"]
    schema = pq.read_schema(next(files.iterdir()))
    assert schema.field("filename").metadata[b"comment"].decode() == meanings["files", "filename"]
    assert b"MAST" in schema.metadata[b"licence"]
    readme = (group / "run-000002.parquet" / "README.md").read_text()
    assert "publishing/data-use" in readme
    assert "columns.parquet" in readme


@pytest.mark.parametrize("column", ["program", "date_obs_mjd", "targ_ra"])
def test_a_filter_by_program_time_or_place_reads_few_row_groups(files: Path, column: str) -> None:
    read = total = 0
    wanted = None
    for fragment in ds.dataset(files).get_fragments():
        groups = fragment.split_by_row_group()
        total += len(groups)
        if wanted is None:
            wanted = fragment.head(1)[column][0].as_py()
        field = ds.field(column)
        read += sum(len(one.subset((field >= wanted) & (field <= wanted)).row_groups) for one in groups)
    assert total > 20
    assert 0 < read <= total / 2


def test_long_views_are_split_into_files(files: Path) -> None:
    assert all(pq.read_metadata(path).num_row_groups <= GROUPS_OF_FILE for path in files.iterdir())
    assert len({path.name.partition("-")[0] for path in files.iterdir()}) == 2


@pytest.mark.long
def test_it_can_be_added_to_a_published_run_and_goes_with_it(
    mastlake: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = sync_catalog.catalog(tmp_path / "catalog.duckdb")
    sync_catalog.add_run(small, 1, "2026-01-01")
    assert mastlake("publish", "group", "--json").json["parquet"] is None
    done = mastlake("publish", "group", "--parquet", "--json").json
    assert (done["published"], done["parquet"]) == (False, "run-000001.parquet")
    assert (tmp_path / "group" / "run-000001.parquet" / "README.md").exists()
    shutil.copytree(tmp_path / "group" / "run-000001.parquet", tmp_path / "group" / ".partial-1.parquet")
    sync_catalog.add_run(small, 2, "2026-01-02")
    publish(small, tmp_path / "group", keep=1, reading_seconds=0)
    assert not list((tmp_path / "group").glob("*.parquet"))
    assert not list((tmp_path / "group").glob(".partial-*"))
