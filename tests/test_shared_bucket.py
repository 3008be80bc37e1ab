"""Lists of files that a group shares in a bucket: who has this file."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.errors import Refused
from catalog.publish import shared_bucket
from catalog.publish.following import FollowedOnce
from catalog.publish.publishing import publish
from catalog.publish.shared_bucket import INDEX
from catalog.publish.sharing import SharedFile, share, shared_files, shared_folders
from catalog.store.database import Database
from catalog.sync import Selection, sync
from catalog.sync.rate import SharedPace
from tests import sync_catalog
from tests.bucket_server import KEY, SECRET, Objects, Odd, answering, s3
from tests.conftest import Command
from tests.files_server import Files, fits, serving
from tests.published_server import showing
from tests.test_shared import HEAD, ODD_LISTS

pytest.importorskip("obstore.store", reason="the object-store client is an extra")

NAMES = ["jw00000_nis_x1d.fits", "jw00001_nis_x1d.fits"]
CONTENT = {f"{sync_catalog.URI}{name}": fits(1, name) for name in NAMES}


@pytest.fixture(scope="module")
def _module(open_folder: Path) -> Iterator[tuple[Path, Objects]]:
    """A folder with a catalog, and with a reader's files in ``data``; and a bucket where the catalog is published."""
    folder = open_folder
    working = sync_catalog.catalog(folder / "working.duckdb")
    sync_catalog.add_files(working, CONTENT)
    sync_catalog.add_run(working, 1, "2026-01-01")
    (folder / "data").mkdir(mode=0o755)
    with s3() as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setenv("AWS_ENDPOINT_URL", address)
        patch.setenv("AWS_ACCESS_KEY_ID", KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        objects = Objects(address, "lists")
        publish(working, objects.address)
        files = Files(dict(CONTENT))
        ada = FollowedOnce(objects.address, local=folder / "ada.duckdb")
        with serving(files):
            assert sync(
                ada, Selection(), server=files.address, dest=folder / "data", pace=SharedPace(unit=0.01)
            ).fetched
        yield folder, objects


@pytest.fixture
def tmp(_module: tuple[Path, Objects], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, in which all can read the files."""
    folder = _module[0]
    monkeypatch.chdir(folder)
    for path in (folder / "data").iterdir():
        path.chmod(0o644)
    return folder


@pytest.fixture
def bucket(_module: tuple[Path, Objects], tmp: Path) -> Objects:
    """The bucket, in which nobody shares anything yet."""
    objects = _module[1]
    for name in objects.names():
        if name.startswith("shared/"):
            objects.remove(name)
    return objects


@pytest.fixture
def ada(bucket: Objects, tmp: Path) -> FollowedOnce:
    """A reader with two files in the folder ``data``."""
    return FollowedOnce(bucket.address, local=tmp / "ada.duckdb")


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine has another name from now on."""
    monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")


def lists(bucket: Objects) -> list[str]:
    return [name for name in bucket.names() if name.startswith("shared/") and name != INDEX]


def found(database: Database, place: str, *names: str) -> list[SharedFile]:
    files, odd = shared_files(database, place, names)
    assert odd == []
    return files


def test_others_find_a_file_that_one_shares(ada: FollowedOnce, bucket: Objects, tmp: Path) -> None:
    done = share(ada, bucket.address, tmp / "data")
    assert (done.files, done.left_out) == (2, 0)
    bob = FollowedOnce(bucket.address, local=tmp / "bob.duckdb")
    (file,) = found(bob, f"{bucket.address}/", NAMES[0])
    assert (file.path, file.state, file.by) == (str(tmp / "data" / NAMES[0]), "current", done.by)
    ((folder,), _) = shared_folders(bucket.address)
    assert (folder.folder, folder.files, folder.bytes) == (str(tmp / "data"), 2, done.bytes)
    assert lists(bucket) == bucket.get(INDEX).decode().split()


def test_sharing_again_replaces_the_own_list_alone(
    ada: FollowedOnce, bucket: Objects, tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share(ada, bucket.address, tmp / "data")
    (mine,) = lists(bucket)
    before = bucket.get(mine)
    with monkeypatch.context() as patch:
        patch.setattr(socket, "gethostname", lambda: "elsewhere")
        share(ada, bucket.address, tmp / "data")
    assert bucket.get(mine) == before
    assert len(lists(bucket)) == 2
    (tmp / "data" / NAMES[0]).chmod(0o600)
    assert share(ada, bucket.address, tmp / "data").left_out == 1
    assert sorted(folder.files for folder in shared_folders(bucket.address)[0]) == [1, 2]
    (tmp / "data" / NAMES[1]).chmod(0o600)
    share(ada, bucket.address, tmp / "data")
    assert [folder.host for folder in shared_folders(bucket.address)[0]] == ["elsewhere"]
    assert lists(bucket) == bucket.get(INDEX).decode().split() != [mine]


def test_a_file_of_another_machine_is_elsewhere_and_an_old_one_stale(
    ada: FollowedOnce, bucket: Objects, tmp: Path, elsewhere: None
) -> None:
    rows = [{"path": NAMES[0], "size": 1}, {"path": NAMES[1], "size": 1, "md5": "0" * 32}]
    bucket.put(f"shared/{'0' * 16}.jsonl", "\n".join(map(json.dumps, [{**HEAD, "folder": "/no/such"}, *rows])).encode())
    files = found(ada, bucket.address, "*")
    assert [file.state for file in files] == ["elsewhere", "stale"]
    assert files[0].at > str(HEAD["at"])  # by the clock of the store


def test_lists_stay_when_a_newer_run_is_published_and_those_who_cannot_list_find_them(
    ada: FollowedOnce, bucket: Objects, tmp: Path, tmp_path: Path
) -> None:
    share(ada, bucket.address, tmp / "data")
    bucket.remove(INDEX)
    before = {name: bucket.get(name) for name in lists(bucket)}
    publish(Database(tmp / "working.duckdb"), bucket.address)
    assert {name: bucket.get(name) for name in lists(bucket)} == before
    shown = tmp_path / "shown"
    for name in bucket.names():
        (shown / name).parent.mkdir(parents=True, exist_ok=True)
        (shown / name).write_bytes(bucket.get(name))
    with showing(shown) as site:
        bob = FollowedOnce(site.address, local=tmp / "bob.duckdb")
        assert len(found(bob, site.address, "*")) == 2
        (shown / next(iter(before))).unlink()
        assert found(bob, site.address, "*") == []
        (shown / INDEX).write_bytes(b"../LATEST\n\x1b[31m\nshared/../../x\n\xff" + b"\n" * 100)
        assert found(bob, site.address, "*") == []
        (shown / INDEX).write_bytes(b"x" * 1_000_000)
        assert "has more bytes than it may have" in shared_files(bob, site.address, ["*"])[1][0]


def test_a_list_that_an_outsider_put_there_is_left_out_and_told(
    ada: FollowedOnce, bucket: Objects, tmp: Path, monkeypatch: pytest.MonkeyPatch, mastlake: Command
) -> None:
    share(ada, bucket.address, tmp / "data")
    for number, lines in enumerate(ODD_LISTS):
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        bucket.put(f"shared/{number:016x}.jsonl", "\n".join(texts).encode())
    bucket.put(f"shared/{'e' * 16}.jsonl", b"x" * 100_000)
    hostile = {"path": "a\x1b]0;x\x07[b]'; DROP TABLE runs; --.fits", "size": 1}
    bucket.put(f"shared/{'f' * 16}.jsonl", b"\n".join(json.dumps(each).encode() for each in (HEAD, hostile)))
    bucket.put("shared/notes.txt", b"hello")
    monkeypatch.setattr(shared_bucket, "MOST_BYTES", 50_000)
    files, odd = shared_files(ada, bucket.address, ["*"])
    assert len(files) == 3
    assert len(odd) == len(ODD_LISTS) + 1
    done = mastlake("--catalog", bucket.address, "shared", "*")
    assert (done.code, "DROP TABLE" in done.out) == (0, True)
    assert "\x1b" not in done.out + done.err


def test_a_question_reads_no_more_than_a_limit_of_lists(
    ada: FollowedOnce, bucket: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        bucket.put(f"shared/{number:016x}.jsonl", json.dumps(HEAD).encode())
    monkeypatch.setattr(shared_bucket, "MOST_LISTS", 2)
    folders, odd = shared_folders(bucket.address)
    assert (len(folders), len(odd)) == (2, 1)
    monkeypatch.setattr(shared_bucket, "MOST_TOGETHER", 100)
    assert "together" in shared_folders(bucket.address)[1][-1]


@pytest.mark.long
def test_an_object_whose_name_the_client_does_not_accept_hides_no_list(
    ada: FollowedOnce, bucket: Objects, tmp: Path
) -> None:
    other = Objects(os.environ["AWS_ENDPOINT_URL"], "odd")
    publish(Database(tmp / "working.duckdb"), other.address)
    other.put_raw("shared//evil")
    share(ada, other.address, tmp / "data")
    assert len(found(ada, other.address, "*")) == 2
    assert publish(Database(tmp / "working.duckdb"), other.address).run == 1


@pytest.mark.long
def test_a_reader_without_permission_gets_one_line_and_keeps_the_local_files(
    ada: FollowedOnce, bucket: Objects, tmp: Path, mastlake: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(odd: Odd) -> None:
        name = odd.path.partition("?")[0].removeprefix("/lists/lake/")
        if odd.command == "GET" and name in bucket.names():
            odd.send(bucket.get(name))
        else:
            odd.say(403, "AccessDenied")

    shutil.copy(tmp / "ada.duckdb", tmp / "eve.duckdb")
    with answering(answer) as (address, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        words = ["--catalog", bucket.address, "--local-catalog", tmp / "eve.duckdb"]
        done = mastlake(*words, "index", tmp / "data", "--share")
        assert done.code == 1
        (line,) = [line for line in done.err.splitlines() if "AccessDenied" in line]
        assert "was not shared" in line
        assert "has no permission" in line
        eve = FollowedOnce(bucket.address, local=tmp / "eve.duckdb")
        with eve.read() as connection:
            assert connection.execute("SELECT count(*) FROM local_files").fetchall() == [(2,)]
        assert "LISTS" in shared_files(eve, bucket.address, ["*"])[1][0]


def test_what_was_shared_and_cannot_be_indexed_is_told(
    ada: FollowedOnce, bucket: Objects, tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_index(*_: object, **__: object) -> None:
        raise Refused("no")

    monkeypatch.setattr(shared_bucket, "write_index", write_index)
    with pytest.raises(Refused, match="is shared, but readers who cannot list"):
        share(ada, bucket.address, tmp / "data")
    assert len(found(ada, bucket.address, "*")) == 2


@pytest.mark.long
def test_the_commands_share_and_find(ada: FollowedOnce, bucket: Objects, mastlake: Command, tmp: Path) -> None:
    shared = ["--catalog", f"{bucket.address}/", "--local-catalog", tmp / "ada.duckdb"]
    assert mastlake(*shared, "index", tmp / "data", "--share", "--json").code == 0
    (file,) = mastlake("--catalog", bucket.address, "shared", NAMES[0], "--json").json
    assert file["state"] == "current"
    (folder,) = mastlake("--catalog", bucket.address, "shared", "--json").json
    assert folder["files"] == 2
