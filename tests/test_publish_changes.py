"""A publish after a small run: most of the file stays as it was, and who follows pulls only the blocks that differ."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.api.catalog import Catalog
from catalog.errors import NotACatalog
from catalog.publish import publishing
from catalog.publish.blocks import block_size, blocks_of, parse_blocks, stretches
from catalog.publish.manifest import sha256_of
from catalog.publish.publishing import publish
from catalog.store.copies import patched_copy
from catalog.store.copies.shared_copy import SHARED
from catalog.store.database import Database
from tests.conftest import copy_of
from tests.kills_publish import add_run
from tests.published_server import Site, showing

FILES = "SELECT filename, targname FROM files ORDER BY filename"


@pytest.fixture(scope="module")
def _published(_harvested: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    publish(copy_of(_harvested, folder / "catalog.duckdb"), folder / "group")
    return folder


@pytest.fixture
def working(_published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A harvested catalog, which is published in the folder `group` beside it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copytree(_published / "group", tmp_path / "group")
    return copy_of(_published / "catalog.duckdb", tmp_path / "catalog.duckdb")


@pytest.fixture
def site(working: Database, tmp_path: Path) -> Iterator[Site]:
    with showing(tmp_path / "group") as shown:
        shown.gives_ranges = True
        yield shown


def manifest(group: Path, run: int) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((group / f"run-{run:06}.json").read_bytes())
    return said


def change(database: Database, run: int) -> None:
    """Let a run close a few versions of files, bring others, and take a row away."""
    add_run(database, run)
    with database.write() as connection:
        connection.execute("CREATE TEMP TABLE few AS FROM file_version WHERE until_run IS NULL LIMIT 5")
        connection.execute("UPDATE file_version SET until_run = ? WHERE filename IN (SELECT filename FROM few)", [run])
        connection.execute(
            "INSERT INTO file_version SELECT * REPLACE (? AS since_run, 'x' AS checksum) FROM few", [run]
        )
        connection.execute("DELETE FROM search_file_membership WHERE filename IN (SELECT filename FROM few LIMIT 1)")


def rows_of(path: Path) -> dict[str, Any]:
    with Database(path).read() as connection:
        return {
            table: connection.execute(f"SELECT count(*), sum(hash(r)) FROM {table} AS r").fetchone()
            for table in sorted(SHARED)
        }


class TestPatching:
    """The new file is the older one with the differences, and has the rows of the catalog."""

    @pytest.mark.long
    def test_it_has_the_rows_of_the_catalog_and_most_blocks_of_the_older_file(
        self, working: Database, tmp_path: Path
    ) -> None:
        group = tmp_path / "group"
        older = sha256_of(group / "run-000002.duckdb")
        for run in (3, 4):
            change(working, run)
            publish(working, group)
            assert rows_of(group / f"run-{run:06}.duckdb") == rows_of(working.path)
        assert [manifest(group, run)["patches"] for run in (2, 3, 4)] == [0, 1, 2]
        assert sha256_of(group / "run-000002.duckdb") == older
        with Catalog(working, "https://mast.stsci.edu") as own, Catalog.open(group) as shared:
            assert shared.sql(FILES).to_arrow() == own.sql(FILES).to_arrow()

    @pytest.mark.long
    @pytest.mark.parametrize("why", ["many rows", "new column", "another view", "often enough", "other bytes", "gone"])
    def test_it_is_made_anew_where_that_is_not_possible(
        self, working: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
    ) -> None:
        group = tmp_path / "group"
        change(working, 3)
        if why == "many rows":
            monkeypatch.setattr(patched_copy, "_ALWAYS", 0)
            monkeypatch.setattr(patched_copy, "MOST_CHANGED", 0.0)
        elif why == "often enough":
            monkeypatch.setattr(publishing, "MOST_PATCHES", 0)
        elif why == "other bytes":
            with (group / "run-000002.duckdb").open("r+b") as file:
                file.seek(-1, 2)
                file.write(b"x")
        elif why == "gone":
            (group / "run-000002.duckdb").unlink()
        else:
            with working.write() as connection:
                connection.execute(
                    "ALTER TABLE file_version ADD COLUMN surprise VARCHAR"
                    if why == "new column"
                    else "CREATE VIEW mine AS SELECT filename FROM files"
                )
        publish(working, group)
        assert manifest(group, 3)["patches"] == 0
        assert rows_of(group / "run-000003.duckdb") == rows_of(working.path)

    @pytest.mark.long
    def test_a_row_that_is_there_twice_is_no_matter(self, working: Database, tmp_path: Path) -> None:
        group = tmp_path / "group"
        add_run(working, 3)
        with working.write() as connection:
            connection.execute("INSERT INTO keywords FROM keywords LIMIT 1")
        publish(working, group)
        assert rows_of(group / "run-000003.duckdb") == rows_of(working.path)


class TestPullingInPart:
    """Who has the older copy pulls the blocks that differ."""

    def test_only_the_blocks_that_differ_are_pulled(
        self, site: Site, working: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("catalog.publish.blocks.SMALLEST", 1 << 14)
        shutil.rmtree(tmp_path / "group")
        publish(working, tmp_path / "group")
        Catalog.open(site.address).close()
        assert site.ranges == []
        change(working, 3)
        publish(working, tmp_path / "group")
        with Catalog.open(site.address) as shared:
            assert len(shared.runs()) == len(working_runs(working))
        pulled = sum(last - first + 1 for first, last in site.ranges)
        assert 0 < pulled < manifest(tmp_path / "group", 3)["size"] / 2
        (copy,) = (tmp_path / "cache").rglob("run-000003.duckdb")
        assert sha256_of(copy) == manifest(tmp_path / "group", 3)["sha256"]

    @pytest.mark.long
    def test_all_is_asked_for_through_one_connection(
        self, site: Site, working: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("catalog.publish.blocks.SMALLEST", 1 << 14)
        monkeypatch.setattr("catalog.publish.blocks._GAP", 1)
        shutil.rmtree(tmp_path / "group")
        publish(working, tmp_path / "group")
        site.keeps_connections = True
        Catalog.open(site.address).close()
        change(working, 3)
        publish(working, tmp_path / "group")
        assert site.connections == 1
        Catalog.open(site.address).close()
        assert len(site.ranges) > 1
        assert site.connections == 2

    @pytest.mark.long
    @pytest.mark.parametrize("host", ["no ranges", "other bytes", "another range", "a manifest without blocks"])
    def test_a_host_that_gives_no_parts_or_wrong_ones_is_asked_for_the_whole(
        self, site: Site, working: Database, tmp_path: Path, host: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("catalog.publish.blocks.SMALLEST", 1 << 14)
        shutil.rmtree(tmp_path / "group")
        publish(working, tmp_path / "group")
        Catalog.open(site.address).close()
        change(working, 3)
        publish(working, tmp_path / "group")
        name = "run-000003.duckdb"
        if host == "no ranges":
            site.gives_ranges = False
        elif host == "a manifest without blocks":
            said = {key: value for key, value in manifest(tmp_path / "group", 3).items() if key != "blocks"}
            (tmp_path / "group" / "run-000003.json").write_text(json.dumps(said))
        else:
            site.shift = int(host == "another range")
            if host == "other bytes":
                site.part = lambda body: bytes(len(body))
        with Catalog.open(site.address) as shared:
            assert len(shared.runs()) == len(working_runs(working))
        assert site.asked.count(name) >= 1
        (copy,) = (tmp_path / "cache").rglob(name)
        assert sha256_of(copy) == manifest(tmp_path / "group", 3)["sha256"]

    @pytest.mark.parametrize("blocks", [5, None, ["AAAA"]])
    def test_blocks_that_are_no_text_are_refused(self, site: Site, tmp_path: Path, blocks: object) -> None:
        said = {**manifest(tmp_path / "group", 2), "blocks": blocks}
        (tmp_path / "group" / "run-000002.json").write_text(json.dumps(said))
        with pytest.raises(NotACatalog, match="cannot be right"):
            Catalog.open(site.address)


@pytest.mark.parametrize("text", ["", "x", "AAAA", "=", "AAA", "A" * 4000, "\xe9" * 24, "A" * 23 + "\n"])
def test_marks_that_cannot_be_those_of_the_file_are_ignored(text: str) -> None:
    assert parse_blocks(text, 300_000) is None


def working_runs(database: Database) -> list[Any]:
    with database.read() as connection:
        return connection.execute("SELECT run FROM runs").fetchall()


@settings(max_examples=30)
@given(st.sets(st.integers(0, 60)), st.integers(1, 5))
def test_stretches_have_all_blocks_and_are_few(numbers: set[int], most: int) -> None:
    found = stretches(sorted(numbers), 1 << 18, most)
    covered = [number for first, after in found for number in range(first, after)]
    assert covered == sorted(set(covered))
    assert set(covered) >= numbers
    assert len(found) <= most
    assert all(first in numbers and after - 1 in numbers for first, after in found)


def test_the_marks_of_blocks_stay_few(tmp_path: Path) -> None:
    assert block_size(1) == block_size(1 << 30) == 1 << 16
    assert (1 << 40) / block_size(1 << 40) <= 1 << 14
    (tmp_path / "f").write_bytes(b"x" * 600_000)
    blocks = blocks_of(tmp_path / "f", block_size(600_000))
    assert parse_blocks(blocks.to_text(), 600_000) == blocks
