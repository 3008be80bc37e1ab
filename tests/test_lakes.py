"""Lakes: a catalog in Parquet files, with its metadata in a database, into which several harvest."""

from __future__ import annotations

import os
import pickle
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from catalog.api.catalog import Catalog
from catalog.api.places import settings_beside
from catalog.archive.client import MastArchive
from catalog.errors import CatalogError, CatalogLocked, NotACatalog, UsageError
from catalog.harvest import harvest
from catalog.questions import statement
from catalog.questions.query_errors import BadQuery
from catalog.questions.statement import rows
from catalog.simulator import Simulator
from catalog.store.between import OpenBetween
from catalog.store.database import Database
from catalog.store.lakes import extensions as lake_extensions
from catalog.store.lakes.address import LakeAddress, lake_address
from catalog.store.lakes.lake import lake_of
from catalog.store.shared import KeptOpen
from catalog.vocabulary.search import Search

from .conftest import Command, state
from .lakes import EMBEDDED, PREFIXES, lake_in, name_in

NOTED = "INSERT INTO changes VALUES (?, 'new', 'file', 'a.fits', NULL)"


@pytest.fixture(params=PREFIXES)
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """An empty lake."""
    return lake_in(tmp_path, request.param, request)


@pytest.fixture
def sqlite(tmp_path: Path, request: pytest.FixtureRequest) -> Database:
    """An empty lake with its metadata in an SQLite file."""
    return lake_in(tmp_path, "ducklake:sqlite:", request)


@pytest.fixture(params=PREFIXES[1:])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """An empty lake that can be read while another process writes."""
    return lake_in(tmp_path, request.param, request)


class TestAddress:
    """What the name of a lake means."""

    def test_a_path_is_made_absolute(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert lake_address("ducklake:a.lake") == LakeAddress("duckdb", str(tmp_path / "a.lake"))
        assert lake_address("DuckLake:SQLite:a.lake").name == f"ducklake:sqlite:{tmp_path / 'a.lake'}"
        assert settings_beside("ducklake:a.lake") == tmp_path / "a.lake"

    @pytest.mark.parametrize("name", ["ducklake:", "ducklake:sqlite:", "ducklake:folder/", "ducklake:what?.lake"])
    def test_a_name_without_a_path_is_refused(self, name: str) -> None:
        with pytest.raises(UsageError, match="ducklake:PATH"):
            lake_address(name)

    def test_the_place_of_the_rows_can_stand_in_the_name(self, tmp_path: Path) -> None:
        address = lake_address(f"ducklake:postgres:service=a,schema=b,data={tmp_path}/c=d,e/")
        assert (address.data, address.schema, address.server) == (f"{tmp_path}/c=d,e", "b", {"service": "a"})
        assert lake_address(address.name) == address
        assert lake_address("ducklake:sqlite:/a.lake,data=s3://abc/d/").data == "s3://abc/d"

    @pytest.mark.long
    def test_the_rows_of_a_lake_are_in_the_folder_that_its_name_says(self, tmp_path: Path, mastlake: Command) -> None:
        named = f"ducklake:{tmp_path / 'a.lake'}"
        assert mastlake("--catalog", f"{named},data={tmp_path / 'rows'}", "searches", "--json").code == 1
        path, engine = lake_of(f"{named},data={tmp_path / 'rows'}")
        with Database(path, engine=engine).write() as connection:
            connection.execute(NOTED, [1])
        assert list((tmp_path / "rows").rglob("*.parquet"))
        with Catalog.open(named) as catalog:
            assert len(catalog.sql("FROM changes")) == 1
        outcome = mastlake("--catalog", f"{named},data={tmp_path / 'other'}", "status")
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)
        assert f"are in {tmp_path / 'rows'}" in outcome.err

    @pytest.mark.parametrize("data", ["s3://AKIA:hidden@bucket/lake", "https://me:hidden@example.org/lake"])
    def test_keys_in_the_place_of_the_rows_are_refused_and_not_repeated(
        self, data: str, tmp_path: Path, mastlake: Command
    ) -> None:
        outcome = mastlake("--catalog", f"ducklake:{tmp_path / 'a.lake'},data={data}", "status")
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)
        assert "hidden" not in outcome.err + outcome.out

    @pytest.mark.parametrize(
        "server",
        [
            "host=x password=secret",
            "host=x,password=secret",
            "service=x,passfile=secret",
            "postgresql://user:secret@host/db",
            "dbname=postgresql://user:secret@host/db",
            "service=a,service=secret",
        ],
    )
    def test_a_password_in_a_name_is_refused_and_not_repeated(self, mastlake: Command, server: str) -> None:
        outcome = mastlake("--catalog", f"ducklake:postgres:{server}", "status")
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)
        assert "service=NAME" in outcome.err
        assert "secret" not in outcome.err + outcome.out

    @pytest.mark.parametrize(
        "name",
        [
            "postgresql://user:secret@host/db",
            "PG://secret@host/",
            "ftp://u:secret@h/x.db",
            "ducklake:https://u:secret@h/",
        ],
    )
    @pytest.mark.parametrize(
        "words",
        [
            "--catalog NAME status",
            "copy NAME new.db",
            "copy FROM NAME",
            "clone NAME",
            "--catalog NAME clone FROM",
            "--catalog FROM publish NAME",
            "--catalog . --local-catalog NAME status",
        ],
    )
    def test_an_address_that_no_catalog_has_is_refused_and_its_password_not_repeated(
        self,
        mastlake: Command,
        database: Database,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        name: str,
        words: str,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with database.write():
            pass
        outcome = mastlake(*({"NAME": name, "FROM": str(database.path)}.get(word, word) for word in words.split()))
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)
        assert "secret" not in outcome.err + outcome.out
        assert not [path for path in tmp_path.rglob("*") if ":" in path.name]

    @pytest.mark.parametrize("prefix", EMBEDDED)
    def test_the_metadata_of_a_lake_are_no_catalog_of_one_file(
        self, tmp_path: Path, request: pytest.FixtureRequest, prefix: str
    ) -> None:
        lake = lake_in(tmp_path, prefix, request)
        with pytest.raises(NotACatalog, match=f"{prefix}PATH"), Database(lake.path).read():
            pass

    @pytest.mark.parametrize(
        "words", [["status"], ["searches"], ["harvest", "--instrument", "niriss", "x"], ["upkeep"]]
    )
    def test_a_catalog_of_one_file_is_no_lake(self, mastlake: Command, database: Database, words: list[str]) -> None:
        with database.write():
            pass
        before = database.path.read_bytes()
        outcome = mastlake("--catalog", f"ducklake:{database.path}", *words)
        assert (outcome.code, outcome.err.count("\n")) == (1, 1)
        assert "its name is the path alone" in outcome.err
        assert database.path.read_bytes() == before

    def test_without_the_extension_one_line_says_what_to_install(
        self, lake: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lake_extensions, "find_spec", lambda name: None)
        with pytest.raises(CatalogError, match=r"pip install 'mastlake\[lake\]'"), lake.read():
            pass


class TestOpening:
    """A lake is opened, moved and shared."""

    @pytest.mark.long
    @pytest.mark.parametrize("prefix", EMBEDDED)
    def test_a_lake_and_its_rows_can_be_moved_together(
        self, prefix: str, tmp_path: Path, request: pytest.FixtureRequest
    ) -> None:
        lake = lake_in(tmp_path, prefix, request)
        with lake.write() as connection:
            connection.execute(NOTED, [1])
        to = tmp_path / "moved" / "other.lake"
        to.parent.mkdir()
        lake.path.rename(to)
        Path(f"{lake.path}.files").rename(f"{to}.files")
        name = lake.named.replace(str(lake.path), str(to))
        with Catalog.open(name) as catalog:
            assert len(catalog.sql("FROM changes")) == 1

    @pytest.mark.long
    def test_a_commit_names_its_run(self, lake: Database) -> None:
        with lake.write() as connection:
            connection.execute(NOTED, [1])
        with lake.read() as connection:
            told = connection.execute("SELECT commit_message FROM lake.snapshots() ORDER BY snapshot_id DESC LIMIT 1")
            assert told.fetchone() == ("run 0",)

    @pytest.mark.long
    def test_a_block_sees_one_snapshot_while_another_process_commits(self, shared: Database) -> None:
        with KeptOpen(shared.path, engine=shared.engine).read(sealed=True) as connection:
            with shared.write() as writing:
                writing.execute(NOTED, [1])
            assert connection.execute("FROM changes").fetchall() == []
        with shared.read() as connection:
            assert len(connection.execute("FROM changes").fetchall()) == 1

    @pytest.mark.long
    def test_a_kept_connection_follows_what_others_commit(self, shared: Database) -> None:
        kept = KeptOpen(shared.path, engine=shared.engine)
        for number in range(3):
            with kept.read(sealed=True) as connection:
                assert len(connection.execute("FROM changes").fetchall()) == number
            with shared.write() as connection:
                connection.execute(NOTED, [number])
        kept.release()

    @pytest.mark.long
    def test_blocks_of_a_harvest_keep_nobody_from_writing_and_see_what_others_commit(self, shared: Database) -> None:
        between = OpenBetween(shared)
        seen = []
        for number in range(3):
            with between.read() as connection:
                assert len(connection.execute("FROM changes").fetchall()) == number
                seen.append(connection)
            between.make_room()
            with between.read() as connection:
                assert connection is seen[-1]
            with Database(shared.path, wait=0, engine=shared.engine).write() as writing:
                writing.execute(NOTED, [number])
        between.release()

    @pytest.mark.long
    def test_a_connection_that_was_idle_for_long_is_not_used_again(
        self, shared: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("catalog.store.between._KEPT_SECONDS", 0.0)
        between = OpenBetween(shared)
        with between.read() as first:
            pass
        between.make_room()
        with between.read() as second:
            assert second is not first
        between.release()

    @pytest.mark.long
    def test_who_waits_to_commit_is_told_who_holds_the_lake(self, shared: Database) -> None:
        waits = Database(shared.path, wait=0.1, engine=shared.engine)
        told = f"PID {os.getpid()} on .*, since 2"
        with shared.write(), pytest.raises(CatalogLocked, match=told), waits.turn():
            pass

    def test_another_file_is_refused_and_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "notes.txt"
        path.write_text("no lake " * 1000)
        for prefix in EMBEDDED:
            with pytest.raises(NotACatalog), Catalog.open(f"{prefix}{path}") as catalog:
                catalog.searches()
        assert path.read_text().startswith("no lake")

    @pytest.mark.long
    def test_a_view_that_may_do_more_than_read_is_refused(
        self, lake: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with lake.write() as connection:
            connection.execute("CREATE VIEW mine AS SELECT * FROM query('SELECT 1 AS a')")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "of another user"))
        ask = f"from catalog.cli.main import run; run(['--catalog', {lake.named!r}, 'runs'])"
        done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert "the view mine" in done.stderr

    def test_there_is_no_lake_yet(self, tmp_path: Path, mastlake: Command) -> None:
        outcome = mastlake("--catalog", f"ducklake:{tmp_path / 'none.lake'}", "status")
        assert outcome.code == 1
        assert "mastlake harvest" in outcome.err
        assert list(tmp_path.iterdir()) == []


class TestSameSQL:
    """A statement means the same on each engine."""

    @pytest.mark.long
    def test_filename_is_the_name_of_a_file_of_the_archive(self, sqlite: Database, database: Database) -> None:
        for each in (sqlite, database):
            with each.write() as connection:
                connection.execute(NOTED, [1])
                connection.execute(
                    "INSERT INTO file_version BY NAME SELECT 'a.fits' AS filename, 'JWST' AS mission, 1 AS since_run, "
                    "1 AS checked_run, 1 AS row_hash, 'niriss' AS instrument"
                )
            with each.read(sealed=True):
                for asked in (
                    "SELECT filename FROM files JOIN changes ON key = filename",
                    "SELECT FileName FROM files f, Changes c WHERE c.key = filename",
                    "WITH c AS (FROM changes) SELECT filename FROM file_version JOIN c ON key = filename",
                    "SELECT filename FROM file_version JOIN changes ON since_run = run",
                ):
                    assert rows(each, asked).to_pylist() == [{"filename": "a.fits"}]
                assert rows(each, "EXPLAIN SELECT filename FROM files JOIN changes ON key = filename").num_rows
                with pytest.raises(BadQuery, match='"filename" not found'):
                    rows(each, "SELECT filename FROM changes")


@pytest.mark.long
def test_another_process_opens_the_same_lake_from_a_pickle(lake: Database) -> None:
    with lake.write() as connection:
        connection.execute("INSERT INTO changes (run, kind, what, key) VALUES (1, 'new', 'file', 'a')")
    with Catalog.open(lake.at) as catalog:
        packed = pickle.dumps(catalog)
    ask = "import pickle, sys; print(pickle.load(sys.stdin.buffer).sql('SELECT count(*) AS n FROM changes')['n'][0])"
    done = subprocess.run([sys.executable, "-c", ask], input=packed, capture_output=True, check=True)
    assert done.stdout == b"1\n"


class TestSealed:
    """A statement reads the lake's rows, and nothing else."""

    @pytest.mark.long
    @pytest.mark.parametrize(
        "statement",
        [
            "FROM __ducklake_metadata_lake.ducklake_table",
            'FROM "__DuckLake_metadata_lake".main.ducklake_table',
            "FROM query_table('__ducklake_metadata_lake.main.ducklake_table')",
            "FROM query_table('__duck' || 'lake_metadata_lake.main.ducklake_table')",
            "DESCRIBE __ducklake_metadata_lake.ducklake_table",
            "FROM lake.snapshots()",
            "FROM ducklake_list_files('lake', 'runs')",
            "SELECT (SELECT count(*) FROM __ducklake_metadata_lake.ducklake_data_file)",
        ],
    )
    def test_a_statement_does_not_reach_the_metadata(self, shared: Database, statement: str) -> None:
        with pytest.raises(BadQuery, match=r"reads the catalog and nothing else|nothing that is computed"):
            rows(shared, statement)


@pytest.mark.long
@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_lake_has_after_each_harvest_what_a_file_has(
    prefix: str,
    tmp_path: Path,
    own_sky: Simulator,
    connect: Callable[[str], MastArchive],
    request: pytest.FixtureRequest,
) -> None:
    archive, search = connect(own_sky.url), Search.parse("nircam", "nircam", ())
    path, engine = lake_of(name_in(tmp_path, prefix, request))
    lake, file = Database(path, engine=engine), Database(tmp_path / "file.duckdb")
    for number in range(3):
        ran = [harvest(database, archive, search).run for database in (lake, file)]
        assert (ran[0].new, ran[0].changed, ran[0].withdrawn) == (ran[1].new, ran[1].changed, ran[1].withdrawn)
        assert state(lake) == state(file)
        if not number:  # each row went in once, as a whole
            with lake.read() as connection:
                rewritten = (
                    "SELECT delete_file_count FROM ducklake_table_info('lake') WHERE table_name = 'file_version'"
                )
                assert connection.execute(rewritten).fetchone() == (0,)
        own_sky.advance()
    with Catalog.open(file.path) as one, Catalog.open(lake.named) as other:
        assert one.changes(since=1).groups == other.changes(since=1).groups
    asked = "SELECT filename, since_run, until_run, footprint, obs_id FROM file_version ORDER BY ALL"
    with lake.read() as one, file.read() as other:
        assert one.execute(asked).fetchall() == other.execute(asked).fetchall()


class TestCopy:
    """A catalog moves between a file and a lake."""

    @pytest.mark.long
    def test_a_file_becomes_a_lake_and_a_file_again(
        self, database: Database, tmp_path: Path, mastlake: Command
    ) -> None:
        with database.write() as connection:
            connection.execute(NOTED, [1])
            connection.execute('ALTER TABLE file_version ADD COLUMN "an odd ""name" DOUBLE')
        lake, back = f"ducklake:sqlite:{tmp_path / 'new.lake'}", tmp_path / "back.duckdb"
        to_lake = mastlake("copy", database.path, lake, "--json")
        assert to_lake.code == 0, to_lake.err
        to_file = mastlake("copy", lake, back, "--json")
        assert to_file.json["tables"] == to_lake.json["tables"]
        assert {"table": "changes", "rows": 1} in [
            {"table": table["table"], "rows": table["rows"]} for table in to_file.json["tables"]
        ]
        with database.read() as one, Database(back).read() as other:
            for asked in ("DESCRIBE file_version", "FROM changes", "FROM keywords ORDER BY ALL"):
                assert one.execute(asked).fetchall() == other.execute(asked).fetchall()
        refused = mastlake("copy", lake, back)
        assert (refused.code, refused.err.count("\n")) == (2, 1)

    @pytest.mark.long
    @pytest.mark.parametrize("prefix", PREFIXES)
    def test_a_lake_has_what_the_file_has(
        self, prefix: str, catalog: Database, tmp_path: Path, request: pytest.FixtureRequest
    ) -> None:
        name = name_in(tmp_path, prefix, request)
        with Catalog.open(catalog.path) as file:
            file.copy_to(name)
        path, engine = lake_of(name)
        assert state(Database(path, engine=engine)) == state(catalog)

    @pytest.mark.long
    def test_a_lake_is_published(self, sqlite: Database, catalog: Database, tmp_path: Path) -> None:
        name = f"ducklake:sqlite:{tmp_path / 'new.lake'}"
        with Catalog.open(catalog.path) as file:
            file.copy_to(name)
        with Catalog.open(name) as lake:
            assert lake.publish(tmp_path / "group").published
        with Catalog.open(tmp_path / "group") as published:
            assert len(published.find()) == len(file.find())


LIMIT = "SELECT count(*) FROM lake.options() WHERE option_name = 'parquet_row_group_size_bytes'"


class TestUpkeep:
    """A lake is kept up."""

    def test_each_lake_limits_its_row_groups_so_that_they_fit_into_memory(self, sqlite: Database) -> None:
        with sqlite.write() as connection:
            assert connection.execute(LIMIT).fetchall() == [(1,)]
        sqlite.release()
        with sqlite3.connect(sqlite.path) as metadata:  # as an older mastlake left it
            metadata.execute("DELETE FROM ducklake_metadata WHERE key = 'parquet_row_group_size_bytes'")
        metadata.close()
        with Catalog.open(sqlite.named) as catalog:
            catalog.upkeep()
        with sqlite.write() as connection:
            assert connection.execute(LIMIT).fetchall() == [(1,)]

    @pytest.mark.long
    def test_small_files_are_merged_and_old_ones_removed(self, lake: Database, mastlake: Command) -> None:
        for run in range(4):
            with lake.write() as connection:
                connection.execute(NOTED, [run])
        kept = mastlake("--catalog", lake.named, "upkeep", "--json")
        assert kept.json["files_after"] < kept.json["files_before"]
        assert (kept.json["snapshots_expired"], kept.json["files_removed"]) == (0, 0)
        assert mastlake("--catalog", lake.named, "upkeep", "--reading", "0", "--json").json["files_removed"] > 0
        with lake.read() as connection:
            assert connection.execute("SELECT run FROM changes ORDER BY run").fetchall() == [(0,), (1,), (2,), (3,)]

    @pytest.mark.long
    def test_a_question_whose_rows_are_removed_meanwhile_is_asked_once_more(
        self, sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for run in range(3):
            with sqlite.write() as connection:
                connection.execute(NOTED, [run])
        kept, asked = KeptOpen(sqlite.path, engine=sqlite.engine), []
        upkeep = f"from catalog.cli.main import run; run(['--catalog', {sqlite.named!r}, 'upkeep', '--reading', '0'])"

        def after_upkeep(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
            asked.append(connection)
            if len(asked) < 2:
                subprocess.run([sys.executable, "-c", upkeep], check=True, capture_output=True)
            return sql

        monkeypatch.setattr(statement, "checked", after_upkeep)
        counted = {"n": 3}
        assert rows(kept, "SELECT count(*) AS n FROM changes WHERE key = 'a.fits'").to_pylist() == [counted]
        assert len(asked) == 2
        kept.release()

    def test_a_question_whose_rows_are_gone_for_good_fails_in_one_line(
        self, sqlite: Database, mastlake: Command
    ) -> None:
        with sqlite.write() as connection:
            connection.execute(NOTED, [1])
        for path in Path(f"{sqlite.path}.files").rglob("*.parquet"):
            if "changes" in path.parts:
                path.unlink()
        outcome = mastlake("--catalog", sqlite.named, "sql", "FROM changes")
        assert (outcome.code, outcome.err.count("\n")) == (1, 1)
        assert "upkeep removed them meanwhile" in outcome.err

    @pytest.mark.long
    def test_a_lake_that_lost_a_file_of_rows_is_not_kept_up_and_one_line_says_so(
        self, sqlite: Database, mastlake: Command
    ) -> None:
        for run in range(3):
            with sqlite.write() as connection:
                connection.execute("INSERT INTO changes (run, kind, what, key) VALUES (?, 'new', 'file', 'a')", [run])
        next(Path(f"{sqlite.path}.files").glob("main/changes/*.parquet")).unlink()
        outcome = mastlake("--catalog", sqlite.at, "upkeep")
        assert (outcome.code, outcome.err.count("\n")) == (1, 1)
        assert "are gone" in outcome.err
        assert "put them back from a backup; what upkeep did until then is kept" in outcome.err

    def test_a_snapshot_that_there_is_not_is_named_in_one_line(self, sqlite: Database, mastlake: Command) -> None:
        outcome = mastlake("--catalog", sqlite.named, "sql", "FROM runs AT (VERSION => 999)")
        assert (outcome.code, outcome.err.count("\n")) == (1, 1)
        assert "has no snapshot 999" in outcome.err

    def test_a_catalog_file_needs_none(self, database: Database, mastlake: Command) -> None:
        outcome = mastlake("--catalog", database.path, "upkeep")
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)


COMMIT = """
import sys
from catalog.store.database import Database
from catalog.store.lakes.lake import lake_of
path, engine = lake_of(sys.argv[1])
for number in range(int(sys.argv[2]), 1000):
    with Database(path, engine=engine).write() as connection:
        connection.execute("INSERT INTO changes VALUES (?, 'new', 'file', 'a.fits', NULL)", [number])
    print(number, flush=True)
"""


@pytest.mark.long
def test_a_committer_that_is_killed_leaves_the_last_whole_commit(lake: Database) -> None:
    chance, count = random.Random(5), 0
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", COMMIT, lake.named, str(count)], stdout=subprocess.PIPE, text=True
        ) as committer:
            assert committer.stdout is not None
            said = [int(committer.stdout.readline())]
            time.sleep(chance.uniform(0, 0.4))
            committer.kill()
            said += [int(line) for line in committer.stdout]
        with lake.read() as connection:
            kept = [run for (run,) in connection.execute("SELECT run FROM changes ORDER BY run").fetchall()]
        assert kept in (list(range(said[-1] + 1)), list(range(said[-1] + 2)))  # one may be told too late
        count = len(kept)
    with Catalog.open(lake.named) as catalog:
        catalog.upkeep(reading_seconds=0)
        assert len(catalog.sql("FROM changes")) == count
