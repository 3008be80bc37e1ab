"""A catalog that is published to a bucket: what is written, what is read, and what an object store can do wrong."""

from __future__ import annotations

import json
import random
import socket
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.api.catalog import Catalog
from catalog.errors import CatalogLocked, Garbled, UsageError
from catalog.publish import bucket_place, lease, publishing, pull, uploads
from catalog.publish.bucket_place import PublishingBucket
from catalog.publish.manifest import LATEST, Manifest
from catalog.publish.publishing import publish
from catalog.store.database import Database
from tests import kills_publish
from tests.bucket_server import KEY, SECRET, TOKEN, Answer, Objects, Odd, answering, s3, without_conditions
from tests.conftest import Command, copy_of
from tests.kills_publish import add_run
from tests.published_server import Site, showing

pytest.importorskip("obstore.store", reason="the object-store client is an extra")

AWS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3",
       "AWS_REGION", "AWS_DEFAULT_REGION")  # fmt: skip


@pytest.fixture(scope="session")
def _s3() -> Iterator[str]:
    with s3() as address:
        yield address


@pytest.fixture(scope="module")
def _working(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kills_publish.working(tmp_path_factory.mktemp("working")).path


@pytest.fixture
def working(_working: Path, tmp_path: Path) -> Database:
    """A catalog of one run."""
    return copy_of(_working, tmp_path / "working.duckdb")


@pytest.fixture(autouse=True)
def _own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in AWS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)


@pytest.fixture
def objects(_s3: str, keys: None, monkeypatch: pytest.MonkeyPatch) -> Objects:
    """A new bucket."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", _s3)
    return Objects(_s3, f"test-{uuid.uuid4().hex}")


def secrets_in(text: str) -> list[str]:
    return [one for one in (KEY, SECRET, TOKEN) if one in text]


class TestPublishing:
    """What is written into the bucket."""

    @pytest.mark.long
    def test_others_ask_and_clone_the_same_catalog(
        self, mastlake: Command, working: Database, objects: Objects, tmp_path: Path
    ) -> None:
        done = mastlake("--catalog", working.path, "publish", f"{objects.address}/")
        assert (done.code, done.err.count("\n")) == (0, 2), done.err
        assert f"published run 1 as {objects.address}/run-000001.duckdb" in done.err
        assert objects.names() == [LATEST, "run-000001.duckdb", "run-000001.json"]
        assert len(mastlake("--catalog", objects.address, "runs", "--json").json) == 1
        assert mastlake("clone", objects.address, "--catalog", "mine.duckdb").code == 0
        assert len(Catalog.open(tmp_path / "mine.duckdb").runs()) == 1
        assert mastlake("--catalog", working.path, "publish", objects.address, "--json").json["published"] is False

    @pytest.mark.long
    def test_a_newer_run_gets_its_own_names_and_old_ones_go_by_age(self, working: Database, objects: Objects) -> None:
        publish(working, objects.address)
        first = objects.get("run-000001.duckdb")
        add_run(working, 2)
        assert publish(working, objects.address, keep=1).removed == ()
        assert objects.get("run-000001.duckdb") == first
        assert objects.get(LATEST) == b"run-000002.json\n"
        add_run(working, 3)
        assert publish(working, objects.address, keep=2, reading_seconds=-60).removed == ("run-000001.duckdb",)
        assert objects.names() == [
            LATEST, "run-000002.duckdb", "run-000002.json", "run-000003.duckdb", "run-000003.json",
        ]  # fmt: skip

    @pytest.mark.long
    def test_an_older_catalog_and_another_are_refused(
        self, working: Database, objects: Objects, tmp_path: Path
    ) -> None:
        older = copy_of(working.path, tmp_path / "older.duckdb")
        add_run(working, 2)
        publish(working, objects.address)
        with pytest.raises(UsageError, match="has run 2 already"):
            publish(older, objects.address)
        add_run(older, 9)
        with pytest.raises(UsageError, match="another catalog"):
            publish(older, objects.address)
        assert objects.get(LATEST) == b"run-000002.json\n"

    def test_objects_of_others_stay(self, working: Database, objects: Objects) -> None:
        objects.put("run-000001.duckdb", b"mine")
        with pytest.raises(UsageError, match="was not published by mastlake"):
            publish(working, objects.address)
        assert objects.get("run-000001.duckdb") == b"mine"
        assert LATEST not in objects.names()

    @pytest.mark.long
    @pytest.mark.parametrize("step", ["copy_shared", "put", "write", "point", "_remove_old"])
    def test_a_publish_that_ends_anywhere_leaves_the_old_one_and_the_next_sweeps(
        self, working: Database, objects: Objects, monkeypatch: pytest.MonkeyPatch, step: str, tmp_path: Path
    ) -> None:
        def ended(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        publish(working, objects.address)
        add_run(working, 2)
        with monkeypatch.context() as patch:
            patch.setattr(publishing if hasattr(publishing, step) else PublishingBucket, step, ended)
            patch.setattr(lease.Lease, "__exit__", lambda self, *_: self._over.set())  # as if it was killed
            with pytest.raises(KeyboardInterrupt):
                publish(working, objects.address)
        objects.put(".partial-1.duckdb", b"x")
        with Catalog.open(objects.address) as shared:
            assert len(shared.runs()) == (2 if step == "_remove_old" else 1)
        assert publish(working, objects.address).run == 2
        assert objects.names() == [
            LATEST, "run-000001.duckdb", "run-000001.json", "run-000002.duckdb", "run-000002.json",
        ]  # fmt: skip
        assert not list((tmp_path / "cache" / "mastlake" / "publishing").rglob(".partial-*"))

    @pytest.mark.long
    def test_parquet_can_be_added_and_goes_with_its_run(self, working: Database, objects: Objects) -> None:
        publish(working, objects.address)
        done = publish(working, objects.address, parquet=True)
        assert (done.published, done.parquet) == (False, "run-000001.parquet")
        assert "run-000001.parquet/README.md" in objects.names()
        add_run(working, 2)
        publish(working, objects.address, keep=1, reading_seconds=-60)
        assert objects.names() == [LATEST, "run-000002.duckdb", "run-000002.json"]

    def test_the_parts_that_a_killed_publisher_sent_are_removed_when_they_are_old(
        self, working: Database, objects: Objects, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for key in ("lake/run-000001.duckdb", "lake/mine.bin", "lake/run-000001.parquet/files/a-0.parquet", "other/x"):
            objects.begin_upload(key)
        monkeypatch.setattr(uploads, "OLD_SECONDS", 1e9)
        publish(working, objects.address)
        assert len(objects.uploads()) == 4
        monkeypatch.setattr(uploads, "OLD_SECONDS", 0.0)
        add_run(working, 2)
        publish(working, objects.address)
        assert sorted(objects.uploads()) == ["lake/mine.bin", "other/x"]

    @pytest.mark.long
    def test_parquet_files_of_an_older_run_are_copied_by_the_store(
        self, working: Database, objects: Objects, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent: list[str] = []
        put = PublishingBucket._put_file

        def noted(self: PublishingBucket, path: Path, name: str) -> None:
            sent.append(name.rpartition("/")[2])
            put(self, path, name)

        publish(working, objects.address, parquet=True)
        add_run(working, 2)
        monkeypatch.setattr(PublishingBucket, "_put_file", noted)
        publish(working, objects.address, parquet=True)
        assert [name.partition("-")[0] for name in sent] == ["PARTS.json", "SHA256SUMS", "keywords", "README.md", "run"]
        names = objects.names()
        for name in (name for name in names if name.startswith("run-000001.parquet/files")):
            assert objects.get(name) == objects.get(name.replace("run-000001", "run-000002"))

    @pytest.mark.long
    def test_parquet_files_that_were_sent_in_part_are_sent_again(
        self, working: Database, objects: Objects, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent = PublishingBucket._put_file

        def ended(self: PublishingBucket, path: Path, name: str) -> None:
            sent(self, path, name)
            if "keywords" in name:
                raise KeyboardInterrupt

        publish(working, objects.address)
        with monkeypatch.context() as patch:
            patch.setattr(PublishingBucket, "_put_file", ended)
            with pytest.raises(KeyboardInterrupt):
                publish(working, objects.address, parquet=True)
        assert any("keywords" in name for name in objects.names())
        assert publish(working, objects.address).parquet is None
        assert not any("parquet" in name for name in objects.names())

    def test_a_large_file_is_sent_in_parts(
        self, working: Database, objects: Objects, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bucket_place, "SINGLE_BYTES", 1000)
        assert publish(working, objects.address).published
        assert len(Catalog.open(objects.address).runs()) == 1
        assert objects.uploads() == []

    def test_other_bytes_than_were_sent_are_noticed_before_the_pointer_moves(
        self, working: Database, objects: Objects, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent = PublishingBucket.send

        def spoilt(self: PublishingBucket, name: str, body: object, *more: object, **named: object) -> str | None:
            return sent(self, name, b"spoilt" if name.endswith(".duckdb") else body, *more, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(PublishingBucket, "send", spoilt)
        with pytest.raises(Garbled, match="other bytes than were sent"):
            publish(working, objects.address)
        assert LATEST not in objects.names()
        monkeypatch.undo()


class TestOneAtATime:
    """Two publishers, on one machine and on two."""

    def test_the_pointer_does_not_move_if_another_publisher_moved_it(
        self, working: Database, objects: Objects, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        moved = PublishingBucket.point

        def late(self: PublishingBucket, manifest: object) -> None:
            objects.put(LATEST, b"run-000007.json\n")
            moved(self, manifest)  # type: ignore[arg-type]

        monkeypatch.setattr(PublishingBucket, "point", late)
        with pytest.raises(CatalogLocked, match="meanwhile"):
            publish(working, objects.address)
        assert objects.get(LATEST) == b"run-000007.json\n"

    def test_a_publisher_elsewhere_is_named_and_loses_its_lease_when_it_is_too_old(
        self, mastlake: Command, working: Database, objects: Objects, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        objects.put(lease.NAME, json.dumps({"host": "other\x1b[31m", "here": "x"}).encode())
        done = mastlake("--catalog", working.path, "publish", objects.address)
        assert (done.code, done.err.count("\n")) == (1, 1)
        assert "on other" in done.err
        assert "\x1b" not in done.err
        assert objects.names() == [lease.NAME]
        monkeypatch.setattr(lease, "LEASE_SECONDS", 0.0)
        assert publish(working, objects.address).published
        assert lease.NAME not in objects.names()

    @pytest.mark.parametrize("content", [b"", b"null", b"[1]", b"\xff", b"{"])
    def test_a_lease_that_nobody_understands_is_one_of_another(
        self, working: Database, objects: Objects, content: bytes
    ) -> None:
        objects.put(lease.NAME, content or b" ")
        with pytest.raises(CatalogLocked, match="another machine"):
            publish(working, objects.address)

    def test_a_manifest_that_another_removed_is_not_pointed_to(
        self, working: Database, objects: Objects, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        moved = PublishingBucket.point

        def swept(self: PublishingBucket, manifest: Manifest) -> None:
            self.remove(manifest.name)
            moved(self, manifest)

        monkeypatch.setattr(PublishingBucket, "point", swept)
        with pytest.raises(CatalogLocked, match="has removed"):
            publish(working, objects.address)
        assert LATEST not in objects.names()

    def test_who_lost_the_lease_moves_nothing(
        self, working: Database, objects: Objects, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lease, "_RENEW_SECONDS", 0.01)
        put = PublishingBucket.put

        def slow(self: PublishingBucket, draft: Path, name: str) -> None:
            put(self, draft, name)
            objects.put(lease.NAME, b"of another")
            assert self._lease is not None
            self._lease._renewing.join(5)

        monkeypatch.setattr(PublishingBucket, "put", slow)
        with pytest.raises(CatalogLocked, match="took too long"):
            publish(working, objects.address)
        assert LATEST not in objects.names()
        assert objects.get(lease.NAME) == b"of another"

    def test_two_on_one_machine(self, working: Database, objects: Objects) -> None:
        with PublishingBucket(objects.address).alone(), pytest.raises(CatalogLocked, match="is publishing to"):
            publish(working, objects.address)

    @pytest.mark.long
    @pytest.mark.usefixtures("keys")
    def test_a_store_that_knows_no_conditions_is_published_to(
        self, working: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stored: dict[str, bytes] = {}
        with answering(without_conditions(stored)) as (address, _):
            monkeypatch.setenv("AWS_ENDPOINT_URL", address)
            assert publish(working, "s3://jwst").published
            add_run(working, 2)
            assert publish(working, "s3://jwst").published
            assert len(Catalog.open("s3://jwst").runs()) == 2
        assert stored["/jwst/LATEST"] == b"run-000002.json\n"


@pytest.fixture
def site(working: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A public bucket: what a web server shows at /jwst/lake/."""
    publish(working, tmp_path / "store" / "jwst" / "lake")
    with showing(tmp_path / "store") as shown:
        monkeypatch.setenv("AWS_ENDPOINT_URL", shown.address)
        yield shown


class TestFollowing:
    """A bucket as the catalog of commands and of Python."""

    @pytest.mark.long
    def test_a_public_bucket_is_pulled_once_without_a_key(
        self, site: Site, mastlake: Command, working: Database, tmp_path: Path
    ) -> None:
        ask = ["--catalog", "s3://jwst/lake/", "runs", "--json"]
        assert len(mastlake(*ask).json) == len(mastlake(*ask).json) == 1
        assert site.asked == [LATEST, "run-000001.json", "run-000001.duckdb", LATEST]
        add_run(working, 2)
        publish(working, tmp_path / "store" / "jwst" / "lake")
        assert len(mastlake(*ask).json) == 2
        assert site.asked[4:6] == [LATEST, "run-000002.json"]
        assert set(site.asked[6:]) == {"run-000002.duckdb"}
        assert not any("authorization" in name.lower() for one in site.headers for name in one)

    @pytest.mark.long
    def test_two_stores_with_a_bucket_of_the_same_name_are_two_catalogs(
        self, site: Site, mastlake: Command, working: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert len(mastlake("--catalog", "s3://jwst/lake/", "runs", "--json").json) == 1
        add_run(working, 2)
        publish(working, tmp_path / "other" / "jwst" / "lake")
        with showing(tmp_path / "other") as other:
            monkeypatch.setenv("AWS_ENDPOINT_URL", other.address)
            assert len(mastlake("--catalog", "s3://jwst/lake/", "runs", "--json").json) == 2

    def test_without_a_network_the_copy_answers(self, site: Site, mastlake: Command) -> None:
        ask = ["--catalog", "s3://jwst/lake", "runs", "--json"]
        mastlake(*ask)
        site.instead[LATEST] = lambda shown: shown.send(b"", 503)
        done = mastlake(*ask)
        assert len(done.json) == 1
        assert "the answer is from the copy of s3://jwst/lake/" in done.err

    def test_no_key_is_in_the_cache_or_in_a_message(
        self, mastlake: Command, working: Database, objects: Objects, tmp_path: Path
    ) -> None:
        told = [
            mastlake("--catalog", working.path, "publish", objects.address).err,
            mastlake("--catalog", objects.address, "status", "--json").out,
            mastlake("--catalog", objects.address, "harvest", "x").err,
            mastlake("--catalog", objects.address + "/none", "runs").err,
        ]
        assert [secrets_in(text) for text in told] == [[]] * 4
        kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
        assert kept
        for path in kept:
            assert secrets_in(path.read_bytes().decode("latin-1") + str(path)) == []
        for name in objects.names():
            assert secrets_in(objects.get(name).decode("latin-1")) == []


def asking(command: str, working: Database) -> list[str]:
    if command == "follow":
        return ["--catalog", "s3://jwst/lake/", "runs"]
    return ["--catalog", str(working.path), "publish", "s3://jwst/lake"]


def refuses(status: int, code: str) -> Answer:
    return lambda odd: odd.say(status, code)


FAULTS = {
    "AccessDenied": (refuses(403, "AccessDenied"), "has no permission"),
    "InvalidAccessKeyId": (refuses(403, "InvalidAccessKeyId"), "does not know the key"),
    "SignatureDoesNotMatch": (refuses(403, "SignatureDoesNotMatch"), "does not belong to"),
    "ExpiredToken": (refuses(400, "ExpiredToken"), "no longer valid"),
    "RequestTimeTooSkewed": (refuses(403, "RequestTimeTooSkewed"), "clock"),
    "NoSuchBucket": (refuses(404, "NoSuchBucket"), "no bucket jwst"),
    "PermanentRedirect": (refuses(301, "PermanentRedirect"), "AWS_REGION"),
    "AuthorizationHeaderMalformed": (refuses(400, "AuthorizationHeaderMalformed"), "another region"),
    "SlowDown": (refuses(503, "SlowDown"), "cannot answer now"),
    "teapot": (refuses(418, ""), "HTTP 418"),
    "cut": (lambda odd: odd.connection.shutdown(socket.SHUT_RDWR), "no answer"),
    "page": (lambda odd: odd.say(200, "Hello"), "LATEST"),
}


class TestFaults:
    """What an object store and a network can do wrong: one line, and nothing half done."""

    @pytest.mark.usefixtures("keys")
    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize("command", ["publish", "follow"])
    def test_each_is_one_line_without_a_secret(
        self,
        mastlake: Command,
        working: Database,
        monkeypatch: pytest.MonkeyPatch,
        fault: str,
        command: str,
    ) -> None:
        answer, told = FAULTS[fault]
        words = asking(command, working)
        with answering(answer) as (address, asked):
            monkeypatch.setenv("AWS_ENDPOINT_URL", address)
            done = mastlake(*words)
        assert (done.code, done.err.count("\n"), done.out) == (1, 1, ""), done.err
        assert told in done.err
        assert secrets_in(done.err) == []
        assert {method for method, _, _ in asked} == {"GET"}

    @pytest.mark.usefixtures("keys")
    def test_a_store_that_answers_nothing_at_all(
        self, mastlake: Command, working: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")
            done = mastlake("--catalog", working.path, "publish", "s3://jwst/lake")
        assert (done.code, done.err.count("\n")) == (1, 1)

    @pytest.mark.usefixtures("keys")
    @pytest.mark.parametrize("command", ["publish", "follow"])
    def test_a_redirect_takes_no_token_to_another_host(
        self, mastlake: Command, working: Database, monkeypatch: pytest.MonkeyPatch, command: str
    ) -> None:
        words = asking(command, working)
        with answering(refuses(404, "NoSuchKey")) as (other, got):

            def elsewhere(odd: Odd) -> None:
                odd.say(307, Location=f"{other.replace('127.0.0.1', 'localhost')}{odd.path}")

            with answering(elsewhere) as (address, _):
                monkeypatch.setenv("AWS_ENDPOINT_URL", address)
                done = mastlake(*words)
        assert (done.code, done.err.count("\n")) == (1, 1)
        assert got == []

    def test_no_permission_to_write_is_one_line_and_leaves_the_old_one(
        self, mastlake: Command, working: Database, objects: Objects, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refused(odd: Odd) -> None:
            odd.say(404, "NoSuchKey") if odd.command == "GET" else odd.say(403, "AccessDenied")

        with answering(refused) as (address, asked):
            monkeypatch.setenv("AWS_ENDPOINT_URL", address)
            done = mastlake("--catalog", working.path, "publish", "s3://jwst/lake")
        assert (done.code, done.err.count("\n")) == (1, 1), done.err
        assert "has no permission" in done.err
        assert [method for method, _, _ in asked] == ["GET", "PUT"]

    def test_a_bucket_that_is_not_open_says_which_variables_to_set(
        self, mastlake: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with answering(refuses(403, "AccessDenied")) as (address, asked):
            monkeypatch.setenv("AWS_ENDPOINT_URL", address)
            done = mastlake("--catalog", "s3://jwst/lake/", "runs")
        assert "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in done.err
        assert "?" not in asked[0][1]

    @pytest.mark.parametrize(
        ("variables", "told"),
        [
            ({"AWS_ENDPOINT_URL": "http://store.example.org"}, "must begin with https"),
            ({"AWS_ENDPOINT_URL": f"https://{KEY}:{SECRET}@store.example.org"}, "no name and password"),
            ({"AWS_ENDPOINT_URL": "ftp://store.example.org"}, "no https address"),
            ({"AWS_ACCESS_KEY_ID": KEY}, "set both"),
            ({"AWS_SECRET_ACCESS_KEY": SECRET}, "set both"),
            ({"AWS_REGION": "a b"}, "AWS_REGION"),
            ({"AWS_ACCESS_KEY_ID": f"{KEY}\n", "AWS_SECRET_ACCESS_KEY": f"{SECRET}\x07x"}, "characters"),
        ],
    )
    def test_a_wrong_environment_is_refused_before_anything_is_asked(
        self, mastlake: Command, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], told: str
    ) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        done = mastlake("--catalog", "s3://jwst/lake/", "runs")
        assert (done.code, done.err.count("\n")) == (2, 1), done.err
        assert told in done.err
        assert secrets_in(done.err) == []

    @pytest.mark.parametrize(
        "address",
        ["s3://", "s3://J/x", "s3://jwst/../x", "s3://jwst//x", "s3://jwst/a?b", "s3://jwst/a\x1b", "s3://a:b@jwst/x"],
    )
    def test_a_wrong_address_is_one_line(self, mastlake: Command, address: str) -> None:
        done = mastlake("--catalog", address, "runs")
        assert (done.code, done.err.count("\n")) == (2, 1), done.err
        assert "a:b" not in done.err

    @pytest.mark.usefixtures("keys")
    def test_without_the_client_one_line_says_what_to_install(
        self, mastlake: Command, working: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "obstore.store", None)
        done = mastlake("--catalog", working.path, "publish", "s3://jwst/lake")
        assert (done.code, done.err.count("\n")) == (2, 1)
        assert "pip install 'mastlake[cloud]'" in done.err

    def test_other_places_are_refused(self, mastlake: Command, working: Database, tmp_path: Path) -> None:
        for place in ("gs://jwst/x", "https://example.org/x", "s3:/jwst/x", "ducklake:x"):
            done = mastlake("--catalog", working.path, "publish", place)
            assert (done.code, done.err.count("\n")) == (2, 1)
        assert not [path.name for path in tmp_path.iterdir() if path.name.endswith(":")]

    def test_a_folder_whose_name_looks_like_an_address_is_a_folder(self, working: Database, tmp_path: Path) -> None:
        publish(working, tmp_path / "s3:" / "jwst")
        assert (tmp_path / "s3:" / "jwst" / LATEST).exists()


@pytest.mark.long
def test_a_killed_publisher_leaves_a_whole_catalog(tmp_path: Path, objects: Objects) -> None:
    kills_publish.killed(tmp_path, 4, 2.0, random.Random(1), objects)


@pytest.mark.long
def test_readers_over_publishes_see_the_state_after_one_run(
    tmp_path: Path, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull, "_ASK_AGAIN", 0.05)
    assert kills_publish.read_over(tmp_path, 3, 3, objects) >= 3


@pytest.mark.long
def test_readers_of_the_catalog_where_it_is_see_the_state_after_one_run(
    tmp_path: Path, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull, "_ASK_AGAIN", 0.05)
    monkeypatch.setattr(pull, "IN_PLACE_BYTES", 1)
    assert kills_publish.read_over(tmp_path, 3, 3, objects) >= 3
