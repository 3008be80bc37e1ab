"""Lists of files that a group shares: who has this file."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from catalog.errors import UsageError
from catalog.publish import shared_folder
from catalog.publish.following import FollowedOnce
from catalog.publish.publishing import publish
from catalog.publish.shared_lists import FOLDER
from catalog.publish.sharing import SharedFile, require_sharing, share, shared_files, shared_folders
from catalog.store.database import Database
from catalog.sync import Selection, sync
from catalog.sync.rate import SharedPace
from tests import sync_catalog
from tests.conftest import Command
from tests.files_server import Files, fits, serving

NAMES = ["jw00000_nis_x1d.fits", "jw00001_nis_x1d.fits"]
CONTENT = {f"{sync_catalog.URI}{name}": fits(1, name) for name in NAMES}


@pytest.fixture(scope="module")
def _fetched(open_folder: Path) -> Path:
    """A folder with a catalog, the folder ``group`` where it is published, and a reader's files in ``data``."""
    folder = open_folder
    working = sync_catalog.catalog(folder / "working.duckdb")
    sync_catalog.add_files(working, CONTENT)
    sync_catalog.add_run(working, 1, "2026-01-01")
    publish(working, folder / "group")
    (folder / "data").mkdir(mode=0o755)
    files = Files(dict(CONTENT))
    ada = FollowedOnce(folder / "group", local=folder / "ada.duckdb")
    with serving(files):
        report = sync(ada, Selection(), server=files.address, dest=folder / "data", pace=SharedPace(unit=0.01))
    assert report.fetched == 2
    return folder


@pytest.fixture
def tmp(_fetched: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, in which nobody shares anything yet."""
    monkeypatch.chdir(_fetched)
    shutil.rmtree(_fetched / "group" / FOLDER, ignore_errors=True)
    (_fetched / "data").chmod(0o755)
    for uri, body in CONTENT.items():
        path = _fetched / "data" / uri.rpartition("/")[2]
        path.write_bytes(body)
        path.chmod(0o644)
    return _fetched


@pytest.fixture
def group(tmp: Path) -> Path:
    """The published folder."""
    return tmp / "group"


@pytest.fixture
def ada(tmp: Path) -> FollowedOnce:
    """A reader with two files in the folder ``data``."""
    return FollowedOnce(tmp / "group", local=tmp / "ada.duckdb")


def found(database: Database, group: Path, *names: str) -> list[SharedFile]:
    files, odd = shared_files(database, str(group), names)
    assert odd == []
    return files


def test_others_find_a_file_that_one_shares(ada: FollowedOnce, group: Path, tmp: Path) -> None:
    done = share(ada, str(group), tmp / "data")
    assert (done.files, done.left_out) == (2, 0)
    bob = FollowedOnce(group, local=tmp / "bob.duckdb")
    (file,) = found(bob, group, NAMES[0])
    assert (file.filename, file.path, file.state) == (NAMES[0], str(tmp / "data" / NAMES[0]), "current")
    assert len(found(bob, group, "*_x1d.fits")) == 2
    assert found(bob, group, "other.fits") == []
    ((folder,), _) = shared_folders(str(group))
    assert (folder.folder, folder.files, folder.bytes) == (str(tmp / "data"), 2, done.bytes)
    assert bob.local_path is None


def test_the_newest_list_of_a_person_counts_and_no_name_is_replaced(ada: FollowedOnce, group: Path, tmp: Path) -> None:
    share(ada, str(group), tmp / "data")
    (first,) = (group / FOLDER).iterdir()
    before = first.stat()
    (tmp / "data" / NAMES[0]).chmod(0o600)
    assert share(ada, str(group), tmp / "data").left_out == 1
    assert first.stat() == before
    assert [file.filename for file in found(ada, group, "*")] == [NAMES[1]]
    share(ada, str(group), tmp / "data")
    assert not first.exists()
    assert len(list((group / FOLDER).iterdir())) == 2


def test_sharing_an_emptied_folder_takes_the_list_back(ada: FollowedOnce, group: Path, tmp: Path) -> None:
    share(ada, str(group), tmp / "data")
    share(ada, str(group), tmp / "data")
    for path in (tmp / "data").iterdir():
        path.chmod(0o600)
    assert share(ada, str(group), tmp / "data").files == 0
    assert shared_folders(str(group)) == ([], [])
    assert share(ada, str(group), tmp / "data").files == 0


def test_what_is_not_there_any_more_or_not_the_archives_is_told(ada: FollowedOnce, group: Path, tmp: Path) -> None:
    share(ada, str(group), tmp / "data")
    (tmp / "data" / NAMES[0]).unlink()
    (listed,) = (group / FOLDER).iterdir()
    lines = listed.read_text().splitlines()
    row = json.loads(lines[2])
    listed.write_text("\n".join([*lines[:2], json.dumps({**row, "md5": "0" * 32})]))
    assert [file.state for file in found(ada, group, *NAMES)] == ["absent", "stale"]


HEAD = {"form": 1, "folder": "/data", "by": "eve", "host": "h", "at": "2026-01-01T00:00:00"}


ODD_LISTS: list[list[object]] = [
    [], ["{}"], ["[]"], [{**HEAD, "folder": "data"}], [{**HEAD, "form": 2}], [{**HEAD, "extra": 1}],
    [HEAD, {"path": "../etc/passwd", "size": 1}], [HEAD, {"path": "/etc/passwd", "size": 1}],
    [HEAD, {"path": "a\0b", "size": 1}], [HEAD, {"path": "a", "size": -1}], [HEAD, {"path": "", "size": 1}],
    [HEAD, {"path": "a"}], [HEAD, "\x1b[31m"], [HEAD, "[" * 5000], [HEAD, {"path": "a", "size": 1 << 70}],
]  # fmt: skip


def test_a_list_that_an_outsider_put_there_is_left_out_and_told(ada: FollowedOnce, group: Path, tmp: Path) -> None:
    share(ada, str(group), tmp / "data")
    for number, lines in enumerate(ODD_LISTS):
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        (group / FOLDER / f"{number:016x}-000001.jsonl").write_text("\n".join(texts))
    files, odd = shared_files(ada, str(group), ["*"])
    assert len(files) == 2
    assert len(odd) == len(ODD_LISTS)


def test_other_things_in_the_folder_are_not_looked_at(ada: FollowedOnce, group: Path, tmp: Path) -> None:
    share(ada, str(group), tmp / "data")
    folder = group / FOLDER
    os.mkfifo(folder / f"{'1' * 16}-000001.jsonl")
    (folder / f"{'2' * 16}-000001.jsonl").symlink_to("/etc/passwd")
    (folder / "notes.txt").write_text("hello")
    (folder / f"{'3' * 16}-000001.jsonl").mkdir()
    files, odd = shared_files(ada, str(group), ["*"])
    assert len(files) == 2
    assert len(odd) == 3


def test_no_list_takes_the_place_of_another_owners(
    ada: FollowedOnce, group: Path, tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share(ada, str(group), tmp / "data")
    (mine,) = (group / FOLDER).iterdir()
    others = mine.with_name(mine.name.replace("000001", "999999"))
    others.write_text(json.dumps({**HEAD, "by": "ada", "folder": str(tmp / "data")}))
    owner = shared_folder._owner
    monkeypatch.setattr(shared_folder, "_owner", lambda path: 4711 if path == others else owner(path))
    assert len(found(ada, group, "*")) == 2
    share(ada, str(group), tmp / "data")
    assert {path.name[-12:-6] for path in (group / FOLDER).iterdir()} == {"000001", "000002", "999999"}
    assert len(found(ada, group, "*")) == 2


def test_lists_beyond_the_most_are_told(ada: FollowedOnce, group: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (group / FOLDER).mkdir()
    for number in range(3):
        (group / FOLDER / f"{number:016x}-000001.jsonl").write_text(json.dumps(HEAD))
    monkeypatch.setattr(shared_folder, "MOST_LISTS", 2)
    folders, odd = shared_folders(str(group))
    assert len(folders) == 2
    assert "more than 2 lists" in odd[0]


def test_names_of_others_are_shown_harmlessly(ada: FollowedOnce, group: Path, mastlake: Command) -> None:
    (group / FOLDER).mkdir()
    lines = [{**HEAD, "by": "\x1b[31m[red]root"}, {"path": "a\x1b]0;x\x07[b].fits", "size": 1}]
    (group / FOLDER / f"{'0' * 16}-000001.jsonl").write_text("\n".join(map(json.dumps, lines)))
    for words in (["shared"], ["shared", "*"]):
        done = mastlake("--catalog", f"{group}/", *words)
        assert done.code == 0
        assert "\x1b" not in done.out + done.err
        assert "[red]root" in done.out


def test_a_folder_that_only_its_owner_can_enter_is_refused_before_any_work(
    ada: FollowedOnce, group: Path, mastlake: Command, tmp: Path
) -> None:
    (tmp / "data").chmod(0o700)
    done = mastlake("--catalog", f"{group}/", "index", tmp / "data", "--share")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "chmod g+rx" in done.err
    assert not (group / FOLDER).exists()


def test_only_a_published_folder_has_lists(mastlake: Command, tmp: Path) -> None:
    for words in (["shared"], ["shared", "x.fits"], ["index", ".", "--share"], ["sync", "soss", "--share"]):
        done = mastlake("--catalog", tmp / "working.duckdb", *words)
        assert (done.code, done.err.count("\n")) == (2, 1)
        assert "--catalog DIR/" in done.err
    with pytest.raises(UsageError, match=r"only read; name the bucket.* --catalog s3://BUCKET/PREFIX"):
        require_sharing("https://www.example.org/jwst/", [])


def test_a_lake_needs_no_lists(mastlake: Command, tmp: Path) -> None:
    done = mastlake("--catalog", f"ducklake:sqlite:{tmp}/new.sqlite", "index", tmp / "data", "--share")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "FROM local_files" in done.err


@pytest.mark.long
def test_the_commands_share_and_find(ada: FollowedOnce, group: Path, mastlake: Command, tmp: Path) -> None:
    shared = ["--catalog", f"{group}/", "--local-catalog", tmp / "ada.duckdb"]
    assert mastlake(*shared, "index", tmp / "data", "--share", "--json").code == 0
    (file,) = mastlake("--catalog", f"{group}/", "shared", NAMES[0], "--json").json
    assert file["state"] == "current"
    (folder,) = mastlake("--catalog", f"{group}/", "shared", "--json").json
    assert folder["files"] == 2
    assert "nobody" in mastlake("--catalog", f"{group}/", "shared", "none.fits").err
