"""A lake with its rows in a bucket: what is written there, what a statement reaches, what a store refuses."""

from __future__ import annotations

import shutil
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from catalog.api.catalog import Catalog
from catalog.errors import CatalogError, NotACatalog, UsageError
from catalog.questions.query_errors import BadQuery
from catalog.questions.statement import rows
from catalog.store.database import Database
from catalog.store.lakes.lake import lake_of

from .bucket_server import KEY, SECRET, TOKEN, Objects, Odd, answering
from .conftest import Command
from .lakes import use_store
from .postgres_server import PostgresServer

NOTED = "INSERT INTO changes VALUES (?, 'new', 'file', 'a.fits', NULL)"
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def store(_store_of_session: str) -> str:
    """The address of an object store."""
    return _store_of_session


@pytest.fixture(autouse=True)
def _environment(bucket_store: str) -> None:
    """Name that store in the environment."""


@pytest.fixture(scope="module")
def made(store: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Objects]:
    """The metadata of an empty lake, and the bucket with its rows."""
    path = tmp_path_factory.mktemp("made") / "catalog.lake"
    with pytest.MonkeyPatch.context() as patch:
        use_store(store, patch)
        objects = Objects(store, f"b{uuid.uuid4().hex[:12]}")
        with lake_at(path, objects.address).write() as connection:
            connection.execute(NOTED, [0])
    return path, objects


@pytest.fixture
def lake(made: tuple[Path, Objects], tmp_path: Path) -> Database:
    """A lake of its own metadata, whose rows others read as well."""
    shutil.copyfile(made[0], tmp_path / "catalog.lake")
    return lake_at(tmp_path / "catalog.lake")


def lake_at(path: Path, data: str | None = None) -> Database:
    """Return a lake with its metadata in an SQLite file."""
    path, engine = lake_of(f"ducklake:sqlite:{path}{f',data={data}' if data else ''}")
    return Database(path, wait=5, engine=engine)


def test_rows_are_in_the_bucket_and_nowhere_else(lake: Database, made: tuple[Path, Objects]) -> None:
    assert rows(lake, "SELECT run FROM changes").to_pylist() == [{"run": 0}]
    assert any(name.endswith(".parquet") for name in made[1].names())
    assert [path.name for path in made[0].parent.iterdir() if path.suffix == ".files"] == []


def test_what_is_committed_is_kept_and_read_again(lake: Database) -> None:
    with lake.write() as connection:
        connection.execute(NOTED, [7])
    with lake.read() as connection:
        assert connection.execute("SELECT run FROM changes ORDER BY run").fetchall() == [(0,), (7,)]


@pytest.mark.postgres
def test_metadata_in_postgresql_do_for_rows_in_a_bucket(store: str, postgres: PostgresServer) -> None:
    objects = Objects(store, f"b{uuid.uuid4().hex[:12]}")
    schema = postgres.new_schema()
    path, engine = lake_of(f"ducklake:postgres:service=mastlake,schema={schema},data={objects.address}")
    lake = Database(path, wait=5, engine=engine)
    for run in (1, 2):
        with lake.write() as connection:
            connection.execute(NOTED, [run])
    with Catalog.open(f"ducklake:postgres:service=mastlake,schema={schema}") as catalog:
        assert [row["run"] for row in catalog.sql("SELECT run FROM changes ORDER BY run").to_arrow().to_pylist()] == [
            1,
            2,
        ]
        assert catalog.upkeep(reading_seconds=0).files_removed > 0
    postgres.run_as_admin(f"UPDATE {schema}.ducklake_data_file SET path = '../../other/a.parquet'")
    with pytest.raises(NotACatalog, match="out of its prefix"), lake.read():
        pass


def test_no_key_is_shown(lake: Database, made: tuple[Path, Objects]) -> None:
    with lake.read() as connection:
        for asked in ("duckdb_settings()", "duckdb_secrets()", "duckdb_databases()", "duckdb_variables()"):
            shown = repr(connection.execute(f"FROM {asked}").fetchall())
            assert SECRET not in shown
            assert TOKEN not in shown
        with pytest.raises(BadQuery, match="duckdb_secrets"):
            rows(lake, "FROM duckdb_secrets()")
        for asked in ("duckdb_settings()", "duckdb_databases()"):
            assert KEY not in repr(rows(lake, f"FROM {asked}").to_pylist())
    assert SECRET.encode() not in made[0].read_bytes()
    assert KEY.encode() not in made[0].read_bytes()


def test_a_statement_reaches_no_address(lake: Database, made: tuple[Path, Objects], store: str) -> None:
    inside, other = f"{made[1].address}/", f"b{uuid.uuid4().hex[:12]}"
    Objects(store, other)
    with lake.read(sealed=True):
        for asked in (
            f"FROM '{inside}x.parquet'",
            f"FROM '{inside}../../{other}/x.parquet'",
            f"SELECT * FROM files JOIN '{inside}../x.parquet' USING (filename)",
            f"FROM 's3://{other}/x.parquet'",
            f"FROM '{inside}x.parquet?s3_endpoint=127.0.0.1:9'",
            f'FROM "{inside}x.parquet"',
            f"FROM query_table('{inside}x.parquet')",
            f"FROM query_table(['changes', '{inside}x.parquet'])",
            f"FROM read_parquet('{inside}../../{other}/x.parquet')",
            f"FROM read_text('s3://{other}/x.txt')",
            f"FROM glob('{inside}*')",
            f"FROM which_secret('{inside}x', 's3')",
            f"SELECT (SELECT count(*) FROM '{inside}../../{other}/x.parquet')",
            f"WITH a AS (FROM '{inside}x.parquet') FROM a",
            f"DESCRIBE '{inside}x.parquet'",
            f"SUMMARIZE '{inside}x.parquet'",
        ):
            with pytest.raises(BadQuery, match=r"nothing else|not answered|an address"):
                rows(lake, asked)
        assert rows(lake, f"SELECT count(*) AS n FROM changes WHERE key = '{inside}'").to_pylist() == [{"n": 0}]


def test_the_connection_reaches_no_other_bucket(lake: Database, store: str) -> None:
    others = Objects(store, f"b{uuid.uuid4().hex[:12]}")
    others.put("x.txt", b"secret")
    with lake.read(sealed=True) as connection:
        for path in (f"{others.address}/x.txt", f"{store}/{others.address[5:]}/x.txt"):
            with pytest.raises(duckdb.PermissionException):
                connection.execute("FROM read_text(?)", [path])


@pytest.mark.parametrize("path", ["../../another/lake/x.parquet", "main/x.parquet?s3_endpoint=evil.example"])
def test_metadata_that_name_a_file_elsewhere_are_refused(lake: Database, path: str) -> None:
    with closing(sqlite3.connect(lake.path)) as metadata:
        metadata.execute("UPDATE ducklake_data_file SET path = ?", [path])
        metadata.commit()
    with pytest.raises(NotACatalog, match="out of its prefix"), lake.read():
        pass


@pytest.mark.parametrize("place", ["s3://b..x/../y/", "s3://bucket/a/../../other/", "s3://bucket/a/?s3_endpoint=x/"])
def test_metadata_that_name_no_prefix_are_refused(lake: Database, place: str) -> None:
    with closing(sqlite3.connect(lake.path)) as metadata:
        metadata.execute("UPDATE ducklake_metadata SET value = ? WHERE key = 'data_path'", [place])
        metadata.commit()
    with pytest.raises(NotACatalog, match="no prefix in a bucket"), lake.read():
        pass


class TestFaults:
    """Each fault is one line, with exit code 1, and leaves nothing half done."""

    def ask(self, mastlake: Command, lake: Database) -> str:
        outcome = mastlake("--catalog", lake.named, "sql", "FROM changes")
        assert (outcome.code, outcome.out, outcome.err.count("\n")) == (1, "", 1), outcome.err
        assert not any(secret in outcome.err for secret in (KEY, SECRET, TOKEN))
        return outcome.err

    def test_nothing_listens(self, lake: Database, mastlake: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        assert "127.0.0.1:9 gave no answer: connection refused" in self.ask(mastlake, lake)

    @pytest.mark.parametrize(
        ("status", "code", "told"),
        [
            (403, "InvalidAccessKeyId", "does not know the key in AWS_ACCESS_KEY_ID"),
            (403, "SignatureDoesNotMatch", "does not belong to AWS_ACCESS_KEY_ID"),
            (400, "ExpiredToken", "AWS_SESSION_TOKEN is no longer valid"),
            (403, "AccessDenied", "check AWS_ACCESS_KEY_ID and its permissions"),
            (404, "NoSuchBucket", "bucket"),
        ],
    )
    def test_the_store_refuses(
        self, status: int, code: str, told: str, lake: Database, mastlake: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(odd: Odd) -> None:
            odd.say(status, code)

        with answering(refuse) as (address, _):
            monkeypatch.setenv("AWS_ENDPOINT_URL", address)
            assert told in self.ask(mastlake, lake)

    @pytest.mark.parametrize("status", [301, 302, 307])
    def test_a_store_that_sends_requests_on_is_not_followed_with_the_session_token(
        self, status: int, lake: Database, mastlake: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with answering(lambda odd: odd.say(404)) as (elsewhere, asked_there):

            def send_on(odd: Odd) -> None:
                odd.say(status, Location=f"{elsewhere}{odd.path}")

            with answering(send_on) as (address, asked):
                monkeypatch.setenv("AWS_ENDPOINT_URL", address)
                assert "another address; name the one that answers in AWS_ENDPOINT_URL" in self.ask(mastlake, lake)
        assert asked_there == []
        assert not any(TOKEN in str(request) for request in asked)

    def test_half_of_the_credentials_are_told_before_anything_is_asked(
        self, lake: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(UsageError, match="set both"), lake.read():
            pass

    def test_an_endpoint_without_tls_elsewhere_is_refused(
        self, lake: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://store.example.org")
        with pytest.raises(UsageError, match="https"), lake.read():
            pass

    def test_a_bucket_that_does_not_exist_leaves_no_lake(self, tmp_path: Path) -> None:
        lake = lake_at(tmp_path / "new.lake", "s3://no-such-bucket-here/lake")
        with pytest.raises(CatalogError, match="there is no bucket no-such-bucket-here"), lake.write() as connection:
            connection.execute(NOTED, [1])
        assert [path.name for path in tmp_path.iterdir() if "lake" in path.name and path.suffix != ".queue"] == []

    def test_a_commit_that_the_store_refuses_changes_nothing(
        self, lake: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(odd: Odd) -> None:
            odd.say(403, "AccessDenied")

        with answering(refuse) as (address, _), monkeypatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", address)
            with pytest.raises(CatalogError, match="AWS_ACCESS_KEY_ID"), lake.write() as connection:
                connection.execute(NOTED, [1])
        assert rows(lake, "SELECT run FROM changes").to_pylist() == [{"run": 0}]

    def test_a_lake_needs_a_prefix(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="prefix"), lake_at(tmp_path / "new.lake", "s3://bucket").write():
            pass


def test_upkeep_leaves_what_is_no_file_of_the_lake(store: str, tmp_path: Path) -> None:
    objects = Objects(store, f"b{uuid.uuid4().hex[:12]}")
    lake = lake_at(tmp_path / "catalog.lake", objects.address)
    for run in range(3):
        with lake.write() as connection:
            connection.execute(NOTED, [run])
    objects.put("notes.parquet", b"mine")
    with Catalog.open(lake.named) as catalog:
        with pytest.raises(CatalogError, match=r"notes\.parquet is no file of the lake"):
            catalog.upkeep(reading_seconds=0)
        assert objects.get("notes.parquet") == b"mine"
        objects._store.delete("notes.parquet")
        before = len(objects.names())
        assert catalog.upkeep(reading_seconds=0).files_removed > 0
        assert len(objects.names()) < before
        assert len(catalog.sql("FROM changes")) == 3
