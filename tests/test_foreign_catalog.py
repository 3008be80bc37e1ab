"""A catalog that somebody else made is data: what lies in it does nothing that mastlake did not write."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from catalog.errors import CatalogError, NotACatalog, UsageError
from catalog.questions.statement import rows
from catalog.store import proven
from catalog.store.database import Database

from .conftest import Command
from .files_server import fits


@pytest.fixture
def foreign(database: Database) -> Database:
    """A catalog that this user has not proven yet."""
    with database.write():
        pass
    return database


def changed(database: Database, *statements: str) -> None:
    """Do with another client what an attacker would, and forget that the file was looked at."""
    copy = database.path.with_name("copy.duckdb")
    copy.write_bytes(database.path.read_bytes())
    with duckdb.connect(str(copy)) as connection:
        for statement in statements:
            connection.execute(statement)
    copy.replace(database.path)


def in_place_of_searches(column: str) -> tuple[str, ...]:
    return (
        "ALTER TABLE searches RENAME TO kept",
        f"CREATE VIEW searches AS SELECT * REPLACE ({column}) FROM kept",
    )


class TestDefinitions:
    """Views, macros and expressions."""

    @pytest.mark.parametrize(
        "statements",
        [
            in_place_of_searches("['targname=' || (SELECT content FROM read_text('/etc/hostname'))] AS criteria"),
            in_place_of_searches("kind AS kind"),
            ["CREATE OR REPLACE MACRO separation(a, b, c, d) AS json_serialize_plan('FROM pandas_scan(NULL)')"],
            ["CREATE OR REPLACE MACRO files_at(run) AS TABLE FROM pandas_scan(run)"],
            ["CREATE OR REPLACE VIEW files AS SELECT json_serialize_plan('FROM range(1)') AS filename"],
            ["CREATE SCHEMA e", "CREATE MACRO e.pandas_scan(a) AS TABLE SELECT 1", "CREATE VIEW v AS FROM range(1)",
             "CREATE MACRO main.files_at2(run) AS TABLE FROM pandas_scan(run)"],
            ["CREATE TABLE t (a INTEGER, b VARCHAR GENERATED ALWAYS AS (json_serialize_plan('SELECT ' || a)))"],
            ["CREATE TABLE t (a VARCHAR DEFAULT json_serialize_plan('FROM range(1)'))"],
            ["CREATE TABLE t (a VARCHAR, CHECK (json_serialize_plan(a) <> ''))"],
            ['CREATE VIEW "odd "" AS SELECT name" AS SELECT json_serialize_plan(\'FROM range(1)\') AS a'],
        ],
    )  # fmt: skip
    def test_one_that_may_do_more_than_read_the_catalog_is_refused_in_one_line(
        self, mastlake: Command, foreign: Database, statements: list[str]
    ) -> None:
        changed(foreign, *statements)
        outcome = mastlake("searches")
        assert (outcome.code, outcome.out, outcome.err.count("\n")) == (1, "", 1)
        with pytest.raises(NotACatalog):
            rows(foreign, "SELECT 1")
        with pytest.raises(NotACatalog), foreign.write():
            pass

    def test_those_of_mastlake_and_harmless_ones_of_the_users_are_none_of_these(self, foreign: Database) -> None:
        changed(
            foreign,
            "CREATE VIEW mine AS SELECT r.run FROM runs r, range(3)",
            "CREATE MACRO twice(a) AS 2 * a",
            "CREATE MACRO those(n) AS TABLE SELECT * FROM files_at(n)",
            "CREATE TABLE notes (noted TIMESTAMP DEFAULT now(), text VARCHAR, CHECK (length(text) < 1000))",
        )
        assert rows(foreign, "SELECT twice(3) AS six").to_pylist() == [{"six": 6}]
        assert rows(foreign, "FROM those(0)").num_rows == 0

    @pytest.mark.long
    @pytest.mark.parametrize(
        "statements",
        [
            ["CREATE TYPE mood AS ENUM ('a', 'b')", "CREATE TABLE t (m mood)"],
            ["CREATE TYPE kinds AS ENUM ('files', 'observations')",
             "ALTER TABLE searches ALTER kind SET DATA TYPE kinds"],
            ["CREATE TYPE files AS ENUM ('x')", "ALTER TABLE file_version ADD COLUMN u UNION(n INTEGER, s VARCHAR)"],
            ["CREATE SEQUENCE q", "ALTER TABLE runs ALTER run SET DEFAULT nextval('q')"],
            ["CREATE TABLE g (a INTEGER, b INTEGER GENERATED ALWAYS AS (a + 1))"],
            ["CREATE TABLE files_at (a INTEGER)", "CREATE TABLE separation (a INTEGER)"],
            ["CREATE SCHEMA other", "CREATE TABLE other.searches (a INTEGER)", "CREATE VIEW other.files AS SELECT 1"],
            ["CREATE TABLE gone (a INTEGER)", "CREATE VIEW broken AS SELECT a FROM gone", "DROP TABLE gone"],
            ["CREATE INDEX i ON runs(search)"],
        ],
    )  # fmt: skip
    def test_what_its_owner_added_is_no_matter(
        self, mastlake: Command, foreign: Database, statements: list[str], tmp_path: Path
    ) -> None:
        changed(foreign, *statements)
        (tmp_path / "a.fits").write_bytes(fits(1))
        for words in (["searches"], ["runs"], ["status"], ["index", "a.fits"], ["sql", "FROM files"], ["outdated"]):
            assert mastlake(*words).code == 0, words

    @pytest.mark.long
    @pytest.mark.parametrize(
        ("statements", "told"),
        [
            (["DROP VIEW files", "CREATE VIEW files AS SELECT 'a' AS filename"], "the view files has no column"),
            (["DROP VIEW products", "CREATE TABLE products (a INTEGER)"], "there is no view products"),
            (["ALTER TABLE card_value RENAME TO kept", "CREATE VIEW card_value AS FROM kept"], "no table card_value"),
            (["DROP TABLE card_value"], "no table card_value"),
            (["ALTER TABLE runs DROP COLUMN requests"], "the table runs has no column requests"),
        ],
    )
    def test_what_was_altered_of_its_own_is_one_line(
        self, mastlake: Command, foreign: Database, statements: list[str], told: str, tmp_path: Path
    ) -> None:
        changed(foreign, *statements)
        (tmp_path / "a.fits").write_bytes(fits(1))
        outcomes = [mastlake(*words) for words in (["runs"], ["products"], ["index", "a.fits"], ["sync", "--dry-run"])]
        assert any(told in outcome.err for outcome in outcomes)
        assert all(outcome.code in (0, 1) and "Traceback" not in outcome.err for outcome in outcomes)

    def test_a_catalog_without_the_tables_of_one_is_none(self, foreign: Database) -> None:
        changed(foreign, "DROP TABLE pending")
        with pytest.raises(NotACatalog, match="pending"):
            rows(foreign, "SELECT 1")

    @pytest.mark.long
    def test_a_file_is_proven_once_as_it_is(self, foreign: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        changed(foreign)
        looked: list[Path] = []
        monkeypatch.setattr(proven, "prove_definitions", lambda connection, path: looked.append(path))
        ask = "import sys; from catalog.store.database import Database\nwith Database(sys.argv[1]).read(): pass"
        for _ in range(2):
            subprocess.run([sys.executable, "-c", ask, foreign.path], check=True)
        assert proven.is_proof_noted(foreign.path)
        with foreign.write() as connection:
            connection.execute("INSERT INTO changes (run, kind, what, key) VALUES (1, 'new', 'file', 'a')")
        assert proven.is_proof_noted(foreign.path)  # what mastlake itself changed
        changed(foreign)
        assert not proven.is_proof_noted(foreign.path)

    def test_a_cache_that_cannot_be_written_costs_time_only(
        self, foreign: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
        changed(foreign)
        assert rows(foreign, "SELECT 1 AS a").num_rows == 1


class TestConnections:
    """Every one, also those over which mastlake's own statements run."""

    @pytest.mark.parametrize("opened", ["read", "write"])
    def test_no_connection_reaches_a_file_or_the_network(self, foreign: Database, tmp_path: Path, opened: str) -> None:
        (tmp_path / "secret.csv").write_text("a\n1\n")
        with getattr(foreign, opened)() as connection:
            for statement in (
                f"SELECT * FROM read_text('{tmp_path}/secret.csv')",
                f"ATTACH '{tmp_path}/other.duckdb' AS other",
                "INSTALL httpfs",
                "SET enable_external_access = true",
                "SET allowed_directories = ['/']",
            ):
                with pytest.raises(duckdb.Error):
                    connection.cursor().execute(statement)
        assert not (tmp_path / "other.duckdb").exists()

    @pytest.mark.parametrize(
        "text", ["FROM pandas_scan(NULL)", "FROM query(''FROM pandas_scan(NULL)'')", "DROP TABLE runs"]
    )
    @pytest.mark.parametrize(
        "way", ["SELECT json_serialize_plan('{}')", "SELECT 1 WHERE json_serialize_plan('{}') = ''"]
    )
    def test_no_question_plans_a_text(self, foreign: Database, text: str, way: str) -> None:
        with pytest.raises(UsageError, match="json_serialize_plan"):
            rows(foreign, way.format(text))

    def test_a_macro_that_is_named_as_a_function_of_duckdb_is_not_taken_for_it(self, foreign: Database) -> None:
        changed(foreign, "CREATE SCHEMA e", "CREATE MACRO e.pandas_scan(a) AS TABLE SELECT 1")
        with pytest.raises(UsageError, match="pandas_scan"):
            rows(foreign, "FROM pandas_scan(NULL)")


class TestPlaces:
    """What lies where a catalog should."""

    def test_a_pipe_is_never_opened(self, mastlake: Command, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        for words in (["runs"], ["harvest", "a", "--instrument", "niriss"]):
            outcome = mastlake("--catalog", tmp_path / "pipe", "--server", "http://127.0.0.1:9", *words)
            assert outcome.code == 1
            assert "is no file" in outcome.err

    @pytest.mark.parametrize(
        "name", ["a?b.duckdb", "a%20b.duckdb", "a#b;c=d&e.duckdb", "what?/a.duckdb", "what?/b?c.duckdb"]
    )
    def test_a_path_is_a_path_whatever_signs_it_has(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / "here" / name
        path.parent.mkdir(parents=True)
        for number in (1, 2):
            with Database(path).write() as connection:
                connection.execute("INSERT INTO changes (run, kind, what, key) VALUES (1, 'new', 'file', 'a')")
            assert rows(Database(path), "FROM changes").num_rows == number
        assert [one.relative_to(tmp_path / "here") for one in (tmp_path / "here").rglob("*") if one.is_file()] == [
            Path(name)
        ]
        assert {one.name for one in tmp_path.iterdir()} == {"here"}
        assert len(list((tmp_path / "here").iterdir())) == 1

    def test_a_damaged_block_that_a_question_meets_is_one_line(self, mastlake: Command, catalog: Database) -> None:
        damaged = bytearray(catalog.path.read_bytes())
        for at in range(12_288 + 4096, len(damaged), 65_536):
            damaged[at] ^= 0xFF
        catalog.path.write_bytes(damaged)
        for words in (["sql", "SELECT count(DISTINCT filename) FROM file_version"], ["status"], ["products", "soss"]):
            outcome = mastlake(*words)
            assert (outcome.code, outcome.out) == (1, "")
            assert outcome.err.count("\n") == 1

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_a_catalog_without_permission_is_one_line(self, mastlake: Command, foreign: Database) -> None:
        foreign.path.chmod(0)
        with pytest.raises(CatalogError):
            rows(foreign, "SELECT 1")
        assert mastlake("runs").err.count("\n") == 1
