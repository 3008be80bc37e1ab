"""A published catalog as Parquet files, for programs without mastlake."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from catalog.api.catalog import Catalog
from catalog.publish import parquet
from catalog.publish.manifest import sha256_of
from catalog.publish.parquet import GROUPS_OF_FILE, SUMS, parse_sums
from catalog.publish.parquet_parts import Part, PartFile, Parts, parse_parts, to_json
from catalog.publish.publishing import publish
from catalog.store.database import Database
from tests import sync_catalog
from tests.conftest import Command, copy_of


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


def test_views_without_rows_and_without_columns_to_sort_by_are_one_empty_file(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE products (description VARCHAR)")
        view = next(one for one in parquet._EXPORTED if one.view == "products")
        writing = parquet._Writing(connection, view, {}, tmp_path, Parts([], lambda _: False))
        (part,) = parquet._write_view(writing)
    assert part.rows == ds.dataset(tmp_path / "products").count_rows() == 0


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


@pytest.fixture(scope="module")
def _programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    database = sync_catalog.catalog(tmp_path_factory.mktemp("programs") / "catalog.duckdb")
    sync_catalog.add_run(database, 1, "2026-01-01")
    rows = [
        {"filename": f"jw{program:05}_{n}.fits", "instrument": "niriss", "program": str(program), "since_run": 1,
         "checked_run": 1, "row_hash": 0}
        for program in range(1000, 1040)
        for n in range(3)
    ]  # fmt: skip
    rows.append({**rows[0], "filename": "none.fits", "program": None})
    sync_catalog.insert(database, {"file_version": rows})
    return database.path


@pytest.fixture
def programs(_programs: Path, tmp_path: Path) -> Database:
    """A catalog of forty programs with three files each, and a file of none."""
    return copy_of(_programs, tmp_path / "programs.duckdb")


def change(database: Database, run: int, filename: str) -> None:
    sync_catalog.add_run(database, run, f"2026-01-{run:02}")
    sync_catalog.change_file(database, filename, b"new")


class TestReuse:
    """A publish after a small run writes only the files of programs that changed."""

    @pytest.mark.long
    def test_a_file_without_a_change_is_the_older_one(
        self, programs: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        group = tmp_path / "group"
        publish(programs, group, parquet=True)
        change(programs, 2, "jw01020_1.fits")
        written: list[str] = []
        write = parquet._write_files

        def noted(reader: Any, schema: Any, folder: Path, stem: str) -> list[Path]:
            written.append(stem)
            return write(reader, schema, folder, stem)

        monkeypatch.setattr(parquet, "_write_files", noted)
        publish(programs, group, parquet=True)
        assert len(written) == 1
        older, newer = (
            {path.relative_to(folder): path.stat().st_ino for path in folder.rglob("*.parquet")}
            for folder in (group / "run-000001.parquet", group / "run-000002.parquet")
        )
        assert older.keys() == newer.keys()
        changed = [path for path in newer if newer[path] != older[path]]
        assert len(changed) == 1
        assert ds.dataset(group / "run-000002.parquet" / changed[0]).count_rows(ds.field("program") == "1020") == 3
        assert len(list((group / "run-000002.parquet" / "files").iterdir())) > 4
        publish_and_remove(programs, group)
        for path in (group / "run-000002.parquet" / "files").iterdir():
            pq.read_table(path)

    def test_the_files_have_all_rows_once_and_the_checksums_are_right(self, programs: Database, tmp_path: Path) -> None:
        publish(programs, tmp_path / "group", parquet=True)
        folder = tmp_path / "group" / "run-000001.parquet"
        names = ds.dataset(folder / "files").to_table()["filename"].to_pylist()
        assert len(names) == len(set(names)) == 121
        said = dict(line.split("  ")[::-1] for line in (folder / SUMS).read_text().splitlines())
        assert said == {
            path.relative_to(folder).as_posix(): sha256_of(path)
            for path in folder.rglob("*")
            if path.is_file() and path.name != SUMS
        }

    @pytest.mark.long
    def test_a_program_that_comes_or_goes_changes_only_its_own_file(self, programs: Database, tmp_path: Path) -> None:
        group = tmp_path / "group"
        publish(programs, group, parquet=True)
        sync_catalog.add_run(programs, 2, "2026-01-02")
        with programs.write() as connection:
            connection.execute("DELETE FROM file_version WHERE program = '1003'")
        publish(programs, group, parquet=True)
        older, newer = (parse_sums((group / f"run-00000{run}.parquet" / SUMS).read_bytes()) for run in (1, 2))
        assert len(set(newer) - set(older)) == 1

    @pytest.mark.long
    def test_an_older_file_with_other_bytes_is_not_used(self, programs: Database, tmp_path: Path) -> None:
        group = tmp_path / "group"
        publish(programs, group, parquet=True)
        spoilt = next((group / "run-000001.parquet" / "files").iterdir())
        spoilt.write_bytes(spoilt.read_bytes()[:-1] + b"x")
        change(programs, 2, "jw01020_1.fits")
        publish(programs, group, parquet=True)
        assert ds.dataset(group / "run-000002.parquet" / "files").count_rows() == 121

    @pytest.mark.parametrize(
        "text",
        [b"", b"\xff", b"[]", b'{"parts": 1}', b'{"parts": [1]}', b'{"parts": [{"stem": "x"}]}', b"[" * 100_000],
    )
    def test_a_list_of_parts_that_cannot_be_right_has_none(self, text: bytes) -> None:
        assert parse_parts(text) == []

    def test_a_part_with_a_path_out_of_its_folder_is_left_out(self) -> None:
        part = Part("files/x", "f", 1, (PartFile("files/x-0000.parquet", "0" * 64, "0" * 32),))
        odd = Part("files/x", "f", 1, (PartFile("files/../x.parquet", "0" * 64, "0" * 32),))
        assert parse_parts(to_json([part, odd]).encode()) == [part]

    @pytest.mark.parametrize(
        "text",
        [
            b"",
            b"\xff\xfe",
            b"0" * 64 + b"  ../LATEST\n",
            b"0" * 64 + b"  /etc/passwd\n",
            b"0" * 64 + b"  files/../x.parquet",
        ],
    )
    def test_a_list_that_names_other_files_names_none(self, text: bytes) -> None:
        assert parse_sums(text) == {}


def publish_and_remove(database: Database, group: Path) -> None:
    sync_catalog.add_run(database, 3, "2026-01-03")
    assert publish(database, group, keep=2, reading_seconds=-60).removed == ("run-000001.duckdb",)
