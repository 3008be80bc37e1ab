"""A catalog that is published for a group: what is written, what is read, and what is refused."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catalog.api.catalog import Catalog
from catalog.errors import (
    CatalogError,
    CatalogLocked,
    CatalogTooNew,
    CatalogUnwritable,
    DiskError,
    Garbled,
    MastlakeError,
    NotACatalog,
    Refused,
    Unreachable,
    UsageError,
)
from catalog.publish import publishing, pull
from catalog.publish.folder import PublishingFolder
from catalog.publish.manifest import LATEST, sha256_of
from catalog.publish.publishing import publish
from catalog.simulator import Simulator
from catalog.store.copies.shared_copy import LOCAL, SHARED
from catalog.store.database import Database
from catalog.store.proven import note_proof
from catalog.store.schema.models import metadata
from catalog.store.turns import LockWait, held
from tests import kills_publish, sync_catalog
from tests.conftest import Command
from tests.published_server import Shown, Site, showing

FILES = "SELECT filename, targname FROM files ORDER BY filename"


@pytest.fixture(scope="module")
def _group(_harvested: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published") / "group"
    publish(Database(_harvested), folder)
    return folder


@pytest.fixture
def group(_group: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the searches soss and nircam are published, for one test alone; and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copytree(_group, tmp_path / "group")
    note_proof(tmp_path / "group" / "run-000002.duckdb")  # to prove that it is harmless takes a fifth of a second
    return tmp_path / "group"


@pytest.fixture
def small(group: Path, tmp_path: Path) -> Database:
    """A catalog of two runs with almost no rows, which is published instead of the other: copying it is quick."""
    database = sync_catalog.catalog(tmp_path / "small.duckdb")
    for run in (1, 2):
        sync_catalog.add_run(database, run, f"2026-01-0{run}")
    shutil.rmtree(group)
    publish(database, group)
    return database


@pytest.fixture
def site(group: Path) -> Iterator[Site]:
    with showing(group) as shown:
        yield shown


def add_run(database: Database, run: int) -> None:
    """Add a run by hand, as a harvest would leave it, and a file that only this run brought."""
    with database.write() as connection:
        connection.execute(
            "INSERT INTO runs SELECT * REPLACE (? AS run, started_at + INTERVAL 1 DAY * ? AS started_at) FROM runs "
            "ORDER BY run LIMIT 1",
            [run, run],
        )
        connection.execute("INSERT INTO keywords (name, kind) VALUES (?, 'text')", [f"of_run_{run}"])


def _unchanged(path: Path) -> tuple[int, int, int, str]:
    status = path.stat()  # when it was read may change: the next file is made from it
    return status.st_ino, status.st_mtime_ns, status.st_mode, sha256_of(path)


class TestPublishing:
    """What is written into the folder."""

    def test_others_ask_the_same_catalog(self, catalog: Database, group: Path) -> None:
        with Catalog(catalog, "https://mast.stsci.edu") as own, Catalog.open(f"{group}/") as shared:
            assert shared.sql(FILES).to_arrow() == own.sql(FILES).to_arrow()
            assert shared.runs() == own.runs()
            assert shared.path == group / "run-000002.duckdb"

    def test_the_manifest_proves_the_file(self, group: Path) -> None:
        assert sorted(path.name for path in group.iterdir()) == [LATEST, "run-000002.duckdb", "run-000002.json"]
        said = json.loads((group / "run-000002.json").read_bytes())
        file = group / said["file"]
        assert (said["run"], said["size"], said["sha256"]) == (2, file.stat().st_size, sha256_of(file))
        assert said["rows"]["runs"] == 2
        assert said["licence"]
        assert said["left_out"]

    def test_the_same_run_is_published_once(self, small: Database, group: Path) -> None:
        before = {path.name: path.stat().st_mtime_ns for path in group.iterdir()}
        assert not publish(small, group).published
        assert {path.name: path.stat().st_mtime_ns for path in group.iterdir()} == before

    def test_every_table_is_shared_or_local(self) -> None:
        assert set(metadata.tables) | {"alembic_version"} == SHARED | LOCAL
        assert not SHARED & LOCAL

    def test_nothing_of_the_publishers_disk_is_in_it(self, catalog: Database, tmp_path: Path) -> None:
        secret = "/home/ada/secret-folder"
        with catalog.write() as connection:
            connection.execute("INSERT INTO local_folder VALUES (?, 1, 1)", [secret])
        with catalog.write() as connection:
            connection.execute("DELETE FROM local_folder WHERE path LIKE '%nothing%'")
        assert secret.encode() in catalog.path.read_bytes()
        done = publish(catalog, tmp_path / "group")
        assert secret.encode() not in (tmp_path / "group" / done.file).read_bytes()
        with Catalog.open(tmp_path / "group") as shared:
            assert len(shared.sql("FROM local_files")) == 0

    def test_a_newer_run_gets_its_own_file_and_the_pointer(self, small: Database, group: Path) -> None:
        older = _unchanged(group / "run-000002.duckdb")
        add_run(small, 3)
        done = publish(small, group)
        assert (done.run, done.removed) == (3, ())
        assert _unchanged(group / "run-000002.duckdb") == older
        assert (group / LATEST).read_text() == "run-000003.json\n"

    @pytest.mark.long
    def test_old_ones_go_only_beyond_keep_and_when_nobody_can_be_reading(self, small: Database, group: Path) -> None:
        add_run(small, 3)
        assert publish(small, group, keep=1).removed == ()
        add_run(small, 4)
        assert publish(small, group, keep=2, reading_seconds=0).removed == ("run-000002.duckdb",)
        assert not list(group.glob("run-000002*"))
        assert (group / "run-000003.duckdb").exists()

    @pytest.mark.long
    def test_an_older_catalog_and_another_are_refused(self, small: Database, group: Path, tmp_path: Path) -> None:
        add_run(small, 3)
        publish(small, group)
        shutil.copy(group / "run-000002.duckdb", tmp_path / "older.duckdb")
        with pytest.raises(UsageError, match=r"has run 3 already"):
            publish(Database(tmp_path / "older.duckdb"), group)
        add_run(Database(tmp_path / "older.duckdb"), 9)
        with pytest.raises(UsageError, match=r"another catalog"):
            publish(Database(tmp_path / "older.duckdb"), group)
        assert (group / LATEST).read_text() == "run-000003.json\n"

    def test_a_catalog_without_a_run_is_refused(self, tmp_path: Path) -> None:
        with Database(tmp_path / "c.duckdb").write():
            pass
        with pytest.raises(UsageError, match="harvest first"):
            publish(Database(tmp_path / "c.duckdb"), tmp_path / "group")
        with pytest.raises(UsageError, match="--keep"):
            publish(Database(tmp_path / "c.duckdb"), tmp_path / "group", keep=0)

    def test_one_publishes_at_a_time(self, small: Database, group: Path) -> None:
        with held(group / ".publishing", LockWait(0), "me"), pytest.raises(CatalogLocked, match="publishing into"):
            publish(small, group)

    def test_a_place_that_cannot_be_written_is_one_line(self, catalog: Database, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(DiskError, match="cannot publish into"):
            publish(catalog, tmp_path / "file")
        with pytest.raises(DiskError, match="cannot publish into"):
            publish(catalog, Path("/proc/nowhere"))

    @pytest.mark.long
    @pytest.mark.parametrize("step", ["copy_shared", "sha256_of", "put", "write", "point", "_remove_old"])
    def test_a_publish_that_ends_anywhere_leaves_the_old_one_and_the_next_sweeps(
        self, small: Database, group: Path, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        def ended(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        add_run(small, 3)
        with monkeypatch.context() as patch:
            patch.setattr(publishing if hasattr(publishing, step) else PublishingFolder, step, ended)
            with pytest.raises(KeyboardInterrupt):
                publish(small, group)
        (group / ".partial-1.duckdb.tmp").mkdir()
        (group / ".partial-1.duckdb.tmp" / "block").write_text("x")
        with Catalog.open(group) as shared:
            assert len(shared.runs()) == (3 if step == "_remove_old" else 2)
        assert publish(small, group).run == 3
        assert sorted(path.name for path in group.iterdir()) == [
            LATEST, "run-000002.duckdb", "run-000002.json", "run-000003.duckdb", "run-000003.json",
        ]  # fmt: skip


@pytest.mark.parametrize("name", ["run-000002.duckdb", "run-000002.json", "run-000002.parquet", "run-000009.json"])
def test_a_file_that_no_publisher_put_there_stays(small: Database, tmp_path: Path, name: str) -> None:
    theirs = tmp_path / "shared" / name
    theirs.parent.mkdir()
    theirs.write_text("mine")
    if "000002" in name:
        with pytest.raises(UsageError, match="was not published by mastlake"):
            publish(small, theirs.parent)
        assert not (theirs.parent / LATEST).exists()
    else:
        publish(small, theirs.parent)
    assert theirs.read_text() == "mine"


class TestFollowing:
    """A published catalog as the catalog of commands and of Python."""

    @pytest.mark.long
    def test_python_follows_and_a_block_sees_one_snapshot(self, small: Database, group: Path) -> None:
        with Catalog.open(group) as shared:
            with shared._database.read(sealed=True) as first:
                add_run(small, 3)
                publish(small, group)
                assert len(shared.runs()) == 2
                assert first.execute("SELECT count(*) FROM runs").fetchone() == (2,)
            assert len(shared.runs()) == 3

    @pytest.mark.parametrize(
        "words",
        [
            ["find", "--limit", "2"], ["sql", "SELECT 1"], ["keywords", "exp_type"], ["sky", "--json"],
            ["products", "soss", "--limit", "2"], ["timeline", "--json"], ["runs"], ["changes"], ["status"],
            ["searches"],
        ],
    )  # fmt: skip
    def test_commands_that_ask_have_an_answer_and_write_nothing_there(
        self, mastlake: Command, group: Path, words: list[str]
    ) -> None:
        before = sorted(group.iterdir())
        group.chmod(0o555)
        done = mastlake("--catalog", f"{group}/", *words)
        group.chmod(0o755)
        assert done.code == 0, done.err
        assert done.out
        assert sorted(group.iterdir()) == before

    @pytest.mark.parametrize(
        "words",
        [
            ["harvest", "soss"], ["harvest", "x", "--instrument", "niriss", "-k", "exp_type=NIS_SOSS"],
            ["searches", "remove", "soss"], ["searches", "rename", "soss", "s"],
            ["publish", "elsewhere"],
        ],
    )  # fmt: skip
    def test_commands_that_write_say_in_one_line_what_to_do(
        self, mastlake: Command, group: Path, words: list[str], sky: Simulator
    ) -> None:
        before = sky.requests if hasattr(sky, "requests") else None
        done = mastlake("--server", sky.url, "--catalog", f"{group}/", *words)
        assert (done.code, done.err.count("\n")) == (1, 1), done.err
        assert "mastlake clone" in done.err
        assert before == (sky.requests if hasattr(sky, "requests") else None)

    def test_a_harvest_of_it_is_refused_before_its_archive_is_looked_at(self, mastlake: Command, group: Path) -> None:
        done = mastlake("--server", "http://127.0.0.1:9", "--catalog", f"{group}/", "harvest", "soss")
        assert (done.code, done.err.count("\n")) == (1, 1), done.err
        assert "mastlake clone" in done.err

    def test_the_environment_can_name_it(self, mastlake: Command, group: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MASTLAKE_CATALOG", f"{group}/")
        assert len(mastlake("runs", "--json").json) == 2

    @pytest.mark.long
    def test_changes_remembers_the_look_over_publishes(self, mastlake: Command, small: Database, group: Path) -> None:
        assert mastlake("--catalog", group, "changes").code == 0
        add_run(small, 3)
        publish(small, group)
        assert mastlake("--catalog", group, "changes", "--json").json["since"] == 2

    @pytest.mark.parametrize(
        "content",
        [
            "",
            "../run-000002.json",
            "/etc/passwd",
            "run-2.json",
            "run-000002.json\nrun-000003.json",
            "run-000009.json\n",
            "x" * 300,
            "\0\xff",
        ],
    )
    def test_a_pointer_to_anything_else_is_refused(self, group: Path, content: str) -> None:
        (group / LATEST).write_text(content)
        with pytest.raises(NotACatalog, match=rf"{LATEST}.* whoever publishes there"):
            Catalog.open(group)

    def test_a_folder_without_a_catalog_is_one_line(self, mastlake: Command, tmp_path: Path) -> None:
        for name in (tmp_path, f"{tmp_path}/nowhere/"):
            done = mastlake("--catalog", name, "status")
            assert (done.code, done.err.count("\n")) == (1, 1)
            assert "no catalog is published" in done.err

    def test_a_cut_file_is_refused(self, group: Path) -> None:
        with (group / "run-000002.duckdb").open("r+b") as file:
            file.truncate(1000)
        with pytest.raises(NotACatalog, match="as long as"):
            Catalog.open(group)


def _manifest(group: Path, **changed: Any) -> bytes:
    said = json.loads((group / "run-000002.json").read_bytes())
    return json.dumps({**said, **changed}).encode()


def _endless(shown: Shown) -> None:
    shown.send_response(200)
    shown.end_headers()
    for _ in range(1 << 12):
        try:
            shown.wfile.write(b"x" * (1 << 16))
        except OSError:
            break
    shown.close_connection = True


class TestPulling:
    """A catalog at an address: pulled once, proven, and again only when it moves."""

    def test_it_is_pulled_once_and_again_when_the_pointer_moves(
        self, site: Site, group: Path, small: Database, mastlake: Command
    ) -> None:
        ask = ["--catalog", site.address, "runs", "--json"]
        assert len(mastlake(*ask).json) == 2
        assert site.asked == [LATEST, "run-000002.json", "run-000002.duckdb"]
        assert len(mastlake(*ask).json) == 2
        assert site.asked[3:] == [LATEST]
        add_run(small, 3)
        publish(small, group)
        assert len(mastlake(*ask).json) == 3
        assert site.asked[4:6] == [LATEST, "run-000003.json"]
        assert set(site.asked[6:]) == {"run-000003.duckdb"}  # a part, which this host does not give, and then the whole

    def test_python_and_the_page_do_not_ask_at_every_question(self, site: Site) -> None:
        with Catalog.open(site.address) as shared:
            assert len(shared.runs()) == len(shared.sql("FROM runs")) == 2
        assert site.asked.count(LATEST) == 1

    def test_no_token_is_sent(self, site: Site, monkeypatch: pytest.MonkeyPatch, mastlake: Command) -> None:
        monkeypatch.setenv("MAST_API_TOKEN", "0123456789abcdef0123456789abcdef")
        assert mastlake("--catalog", site.address, "status").code == 0
        assert not any("0123456789abcdef" in value for one in site.headers for value in one.values())

    def test_without_a_network_the_copy_answers_and_says_so(self, group: Path, mastlake: Command) -> None:
        with showing(group) as site:
            ask = ["--catalog", site.address, "runs", "--json"]
            assert mastlake(*ask).err == ""
        done = mastlake(*ask)
        assert len(done.json) == 2
        assert done.err.count("\n") == 1
        assert "the answer is from the copy" in done.err
        assert "run 2" in done.err

    def test_without_a_network_and_a_copy_it_is_one_line(self, mastlake: Command, group: Path) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            done = mastlake("--catalog", f"http://127.0.0.1:{closed.getsockname()[1]}/", "status")
        assert (done.code, done.err.count("\n")) == (1, 1)

    @pytest.mark.parametrize(
        "changed",
        [
            {"file": "/etc/passwd"}, {"file": "../run-000002.duckdb"}, {"file": "https://elsewhere.example/x.duckdb"},
            {"file": "run-000003.duckdb"}, {"run": 3}, {"run": -1}, {"run": True}, {"run": "2"}, {"size": 1 << 50},
            {"size": -1}, {"size": 0}, {"size": 1.5}, {"sha256": "x"}, {"sha256": None}, {"rows": []},
            {"rows": {"a": "b"}}, {"licence": 3}, {"licence": "x" * 2000}, {"form": 0}, {"form": "1"},
        ],
        ids=str,
    )  # fmt: skip
    def test_a_manifest_that_cannot_be_right_is_refused(self, site: Site, group: Path, changed: dict[str, Any]) -> None:
        site.instead["run-000002.json"] = lambda shown: shown.send(_manifest(group, **changed))
        with pytest.raises(NotACatalog, match="cannot be right"):
            Catalog.open(site.address)
        assert "run-000002.duckdb" not in site.asked

    @pytest.mark.parametrize("text", [b"", b"[]", b"null", b"{}", b"[" * 100_000, b"\xff\xfe"])
    def test_what_is_no_manifest_is_refused(self, site: Site, text: bytes) -> None:
        site.instead["run-000002.json"] = lambda shown: shown.send(text)
        with pytest.raises(NotACatalog, match="cannot be right"):
            Catalog.open(site.address)

    def test_a_newer_form_says_to_upgrade(self, site: Site, group: Path) -> None:
        site.instead["run-000002.json"] = lambda shown: shown.send(_manifest(group, form=2))
        with pytest.raises(CatalogTooNew, match="upgrade"):
            Catalog.open(site.address)

    def test_a_catalog_larger_than_the_disk_is_not_begun(self, site: Site, group: Path) -> None:
        site.instead["run-000002.json"] = lambda shown: shown.send(_manifest(group, size=1 << 40))
        with pytest.raises(DiskError, match="free"):
            Catalog.open(site.address)
        assert "run-000002.duckdb" not in site.asked

    @pytest.mark.parametrize("name", [LATEST, "run-000002.json", "run-000002.duckdb"])
    def test_a_body_without_end_is_given_up(self, site: Site, name: str, tmp_path: Path) -> None:
        site.instead[name] = _endless
        with pytest.raises(Garbled, match="more bytes"):
            Catalog.open(site.address)
        assert not list((tmp_path / "cache").rglob("*.part"))

    def test_other_bytes_are_not_used(self, site: Site, group: Path) -> None:
        content = bytearray((group / "run-000002.duckdb").read_bytes())
        content[-1] ^= 1
        site.instead["run-000002.duckdb"] = lambda shown: shown.send(bytes(content))
        with pytest.raises(Garbled, match="SHA-256"):
            Catalog.open(site.address)
        del site.instead["run-000002.duckdb"]
        assert len(Catalog.open(site.address).runs()) == 2

    def test_a_cut_body_is_not_used(self, site: Site, group: Path) -> None:
        content = (group / "run-000002.duckdb").read_bytes()
        site.instead["run-000002.duckdb"] = lambda shown: shown.send(content[:5000])
        with pytest.raises(Unreachable, match="5,000 of"):
            Catalog.open(site.address)

    @pytest.mark.parametrize(
        ("status", "headers", "error"),
        [(301, {"Location": "http://127.0.0.1:9/"}, Refused), (404, {}, Refused), (403, {}, Refused),
         (200, {"Content_Encoding": "gzip"}, Garbled)],
    )  # fmt: skip
    def test_a_redirect_a_refusal_and_packed_bytes_are_one_line(
        self, site: Site, status: int, headers: dict[str, str], error: type[MastlakeError]
    ) -> None:
        site.instead[LATEST] = lambda shown: shown.send(b"run-000002.json\n", status, None, **headers)
        with pytest.raises(error):
            Catalog.open(site.address)

    def test_an_overloaded_host_lets_the_copy_answer(self, site: Site) -> None:
        Catalog.open(site.address).close()
        site.instead[LATEST] = lambda shown: shown.send(b"", 503)
        assert len(Catalog.open(site.address).runs()) == 2

    def test_http_is_for_this_machine_only(self) -> None:
        with pytest.raises(UsageError, match="must begin with https"):
            pull.PublishedAddress("http://mast.example.org/group/")

    @pytest.mark.long
    def test_only_the_newest_two_stay_in_the_cache(
        self, site: Site, group: Path, small: Database, tmp_path: Path
    ) -> None:
        for run in (3, 4):
            Catalog.open(site.address).close()
            add_run(small, run)
            publish(small, group)
        Catalog.open(site.address).close()
        assert len(list((tmp_path / "cache").rglob("run-*.duckdb"))) == 2

    def test_a_settings_file_of_a_folder_cannot_name_a_catalog(
        self, mastlake: Command, site: Site, tmp_path: Path
    ) -> None:
        (tmp_path / "mastlake.toml").write_text(f'catalog = "{site.address}"\n')
        assert mastlake("status").code != 0
        assert site.asked == []


class TestCloning:
    """A catalog of one's own from a published one."""

    @pytest.mark.long
    def test_a_clone_goes_on_where_the_original_is(self, own_sky: Simulator, tmp_path: Path, mastlake: Command) -> None:
        ask = ["--server", own_sky.url]
        first = mastlake(*ask, "harvest", "soss", "--instrument", "niriss", "-k", "exp_type=NIS_SOSS", "--json").json
        assert mastlake("publish", "group").code == 0
        done = mastlake("clone", "group", "--catalog", "mine.duckdb", "--json")
        assert done.json == {"catalog": str(tmp_path / "mine.duckdb"), "source": "group", "run": 1}
        again = mastlake(*ask, "--catalog", "mine.duckdb", "harvest", "soss", "--json").json
        assert again["unchanged"] == first["files"]
        assert 0 < again["requests"] < first["requests"]
        rows = [mastlake("--catalog", name, "sql", FILES, "--json").json for name in ("mine.duckdb", "catalog.duckdb")]
        assert rows[0] == rows[1]
        assert os.access(tmp_path / "mine.duckdb", os.W_OK)

    @pytest.mark.long
    def test_an_address_can_be_cloned(self, site: Site, tmp_path: Path) -> None:
        assert Catalog.clone(site.address, tmp_path / "mine.duckdb") == 2
        assert len(Catalog.open(tmp_path / "mine.duckdb").runs()) == 2

    def test_nothing_is_overwritten(self, mastlake: Command, group: Path, tmp_path: Path) -> None:
        (tmp_path / "mine.duckdb").write_text("precious")
        done = mastlake("clone", group, "--catalog", "mine.duckdb")
        assert (done.code, done.err.count("\n")) == (2, 1)
        assert (tmp_path / "mine.duckdb").read_text() == "precious"

    @pytest.mark.parametrize(("source", "to"), [("mine.duckdb", "new.duckdb"), ("group", "group"), ("group", "new/")])
    def test_wrong_places_are_one_line(self, mastlake: Command, group: Path, source: str, to: str) -> None:
        done = mastlake("clone", source, "--catalog", to)
        assert (done.code, done.err.count("\n")) == (2, 1), done.err

    def test_other_bytes_are_refused_and_leave_nothing(self, group: Path, tmp_path: Path) -> None:
        with (group / "run-000002.duckdb").open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"x")
        with pytest.raises(CatalogError, match="SHA-256"):
            Catalog.clone(group, tmp_path / "mine.duckdb")
        assert not list(tmp_path.glob("*mine*"))

    def test_a_folder_that_is_not_there_is_one_line(self, group: Path, tmp_path: Path) -> None:
        with pytest.raises(DiskError, match="cannot write"):
            Catalog.clone(group, tmp_path / "nowhere" / "mine.duckdb")


def test_a_published_catalog_refuses_to_be_written(group: Path) -> None:
    with Catalog.open(group) as shared, pytest.raises(CatalogUnwritable, match="clone"), shared._database.write():
        pass


@pytest.mark.long
def test_readers_over_publishes_see_the_state_after_one_run(tmp_path: Path) -> None:
    assert kills_publish.read_over(tmp_path, readers=3, publishes=3) >= 3


@pytest.mark.long
def test_a_killed_publisher_leaves_a_whole_catalog(tmp_path: Path) -> None:
    kills_publish.killed(tmp_path, 3, 1.5, random.Random(1))
