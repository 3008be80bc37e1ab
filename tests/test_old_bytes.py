"""A person's own bytes survive every sync, unless the person says otherwise."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from catalog.errors import DiskError
from catalog.headers import index_folders
from catalog.questions.drift import outdated
from catalog.store.database import Database
from catalog.sync import OldBytes, Selection, SyncReport, make_plan, sync
from tests.files_server import Files, fits, serving
from tests.kills_own import killed
from tests.sync_catalog import URI, add_files, add_products, add_run, catalog, insert

NAME = "jw01_nis_x1d.fits"
ARCHIVES, RENEWED, OWN = fits(3, "the archive's"), fits(3, "reprocessed"), fits(3, "my own")


@pytest.fixture
def files() -> Iterator[Files]:
    served = Files({URI + NAME: ARCHIVES})
    with serving(served):
        yield served


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "dest"


@pytest.fixture
def database(tmp_path: Path, files: Files) -> Database:
    database = catalog(tmp_path / "catalog.duckdb")
    add_files(database, files.content)
    add_products(database, files.content)
    return database


@pytest.fixture
def go(database: Database, files: Files, dest: Path) -> Callable[..., SyncReport]:
    def run(**policy: object) -> SyncReport:
        old_bytes = OldBytes(**policy)  # type: ignore[arg-type]
        return sync(database, Selection(), server=files.address, dest=dest, old_bytes=old_bytes)

    return run


def states(database: Database) -> dict[str, str]:
    found = outdated(database)
    return {one.filename: state for state in vars(found) for one in getattr(found, state)}


def reprocess(database: Database, files: Files, body: bytes = RENEWED, run: int = 2) -> None:
    """Let the archive list another version, as a harvest writes it down."""
    from catalog.store.history.verdicts import keep_verdicts_of_run

    with database.write() as connection:
        connection.execute(f"UPDATE file_version SET until_run = {run} WHERE until_run IS NULL")
    files.content[URI + NAME] = body
    add_files(database, files.content, since_run=run)
    with database.write() as connection:
        keep_verdicts_of_run(connection, run)


def kept(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".json"]


def edit(path: Path, body: bytes = OWN) -> None:
    path.write_bytes(body)
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 10**9))


@pytest.mark.long
def test_a_file_that_was_changed_after_it_was_fetched_stays_and_is_named(
    database: Database, go: Callable[..., SyncReport], dest: Path, files: Files
) -> None:
    go()
    edit(dest / NAME)
    for _ in range(2):
        report = go()
        assert (report.failed, report.replaced, report.failures[0].filename) == (1, 0, NAME)
        assert "--overwrite-modified" in report.failures[0].reason
        assert (dest / NAME).read_bytes() == OWN
        assert states(database) == {NAME: "modified"}
    assert make_plan(database, Selection(), dest=dest).tallies["modified"].items == 1


@pytest.mark.long
def test_a_changed_file_stays_changed_when_the_archive_moves_on(
    database: Database, go: Callable[..., SyncReport], dest: Path, files: Files
) -> None:
    go()
    edit(dest / NAME)
    index_folders(database, [dest])
    reprocess(database, files)
    assert states(database) == {NAME: "modified"}
    assert go().failed == 1
    assert (dest / NAME).read_bytes() == OWN


def test_a_sound_file_that_no_sync_fetched_is_a_persons_own(
    database: Database, go: Callable[..., SyncReport], dest: Path
) -> None:
    dest.mkdir()
    (dest / NAME).write_bytes(OWN)
    assert go().failed == 1
    assert (dest / NAME).read_bytes() == OWN
    assert states(database) == {NAME: "modified"}


@pytest.mark.long
def test_a_persons_own_file_is_replaced_when_the_person_says_so(
    database: Database, go: Callable[..., SyncReport], dest: Path
) -> None:
    dest.mkdir()
    (dest / NAME).write_bytes(OWN)
    index_folders(database, [dest], verify=True)
    assert go(overwrite_modified=True).replaced == 1
    assert kept(dest) == [ARCHIVES]
    assert states(database) == {}


@pytest.mark.long
def test_what_is_replaced_is_kept_in_a_folder_of_its_version(
    database: Database, go: Callable[..., SyncReport], dest: Path, files: Files, tmp_path: Path
) -> None:
    go()
    reprocess(database, files)
    assert states(database) == {NAME: "stale"}
    assert go(keep=tmp_path / "old").replaced == 1
    edit(dest / NAME)
    assert go(keep=tmp_path / "old").replaced == 1
    assert sorted(kept(tmp_path / "old")) == sorted([ARCHIVES, OWN])
    assert kept(dest) == [RENEWED]
    assert {path.name for path in (tmp_path / "old").rglob("*.fits")} == {NAME}


@pytest.mark.long
def test_the_archives_own_former_bytes_are_replaced_without_a_copy(
    database: Database, go: Callable[..., SyncReport], dest: Path, files: Files
) -> None:
    go()
    reprocess(database, files)
    assert go().replaced == 1
    assert kept(dest) == [RENEWED]


def test_a_file_that_is_cut_short_is_renewed_and_its_bytes_put_aside(
    database: Database, go: Callable[..., SyncReport], dest: Path
) -> None:
    dest.mkdir()
    (dest / NAME).write_bytes(ARCHIVES[:5000])
    assert go().replaced == 1
    assert sorted(kept(dest)) == sorted([ARCHIVES, ARCHIVES[:5000]])


def test_old_bytes_are_put_aside_through_no_planted_link(
    go: Callable[..., SyncReport], dest: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    dest.mkdir()
    (dest / NAME).write_bytes(ARCHIVES[:5000])
    (dest / ".mastlake-quarantine").symlink_to(tmp_path / "elsewhere")
    report = go()
    assert "is a link" in report.failures[0].reason
    assert (dest / NAME).read_bytes() == ARCHIVES[:5000]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_note_on_old_bytes_is_written_through_no_planted_link(
    go: Callable[..., SyncReport], dest: Path, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (dest / ".mastlake-quarantine").mkdir(parents=True)
    (dest / NAME).write_bytes(ARCHIVES[:5000])
    os.utime(dest / NAME, (0, 0))
    (dest / ".mastlake-quarantine" / f"{NAME}.19700101T000000.json").symlink_to(precious)
    assert go().replaced == 1
    assert precious.read_text() == "mine"
    assert ARCHIVES[:5000] in kept(dest)


@pytest.mark.parametrize("obstacle", ["a file", "a link on the way"])
def test_bytes_that_cannot_be_kept_are_not_replaced(
    go: Callable[..., SyncReport], dest: Path, tmp_path: Path, obstacle: str
) -> None:
    dest.mkdir()
    (dest / NAME).write_bytes(OWN)
    os.utime(dest / NAME, (0, 0))
    if obstacle == "a file":
        (tmp_path / "old").write_text("mine")
        with pytest.raises(DiskError, match="is no folder; name another --keep-old"):
            go(keep=tmp_path / "old")
        assert (dest / NAME).read_bytes() == OWN
        return
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "19700101T000000").symlink_to(tmp_path)
    report = go(keep=tmp_path / "old")
    assert (report.failed, (dest / NAME).read_bytes()) == (1, OWN)
    assert str(tmp_path / "old") in report.failures[0].reason


def test_a_file_that_is_written_while_it_is_copied_is_not_replaced(
    go: Callable[..., SyncReport], dest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dest.mkdir()
    (dest / NAME).write_bytes(ARCHIVES[:5000])
    copy = shutil.copy2

    def copies_and_is_overtaken(source: Path, target: Path, **more: bool) -> object:
        copied = copy(source, target, **more)
        edit(source)
        return copied

    monkeypatch.setattr("os.link", lambda *args, **more: (_ for _ in ()).throw(OSError("no links here")))
    monkeypatch.setattr("shutil.copy2", copies_and_is_overtaken)
    assert "was written while" in go(keep=tmp_path / "old").failures[0].reason
    assert OWN in kept(dest)


@pytest.mark.long
def test_a_file_changed_between_plan_and_transfer_is_never_lost(
    database: Database, files: Files, dest: Path, go: Callable[..., SyncReport]
) -> None:
    go()
    reprocess(database, files)

    def meddle(event: object) -> None:
        if type(event).__name__ == "Started":
            edit(dest / NAME)

    sync(database, Selection(), server=files.address, dest=dest, on_event=meddle)
    assert OWN in kept(dest)


@pytest.mark.long
def test_a_fetched_file_without_a_listed_checksum_is_stale_when_one_is_listed_for_newer_bytes(
    tmp_path: Path, files: Files, dest: Path
) -> None:
    database = catalog(tmp_path / "products.duckdb")
    add_products(database, files.content)
    assert sync(database, Selection(), server=files.address, dest=dest).fetched == 1
    assert states(database) == {}
    reprocess(database, files)
    index_folders(database, [dest])
    assert states(database) == {NAME: "stale"}
    assert sync(database, Selection(), server=files.address, dest=dest).replaced == 1
    assert states(database) == {}


@pytest.mark.long
def test_what_changed_in_a_products_row_since_it_was_fetched_makes_it_stale(
    tmp_path: Path, files: Files, dest: Path
) -> None:
    from catalog.store.history.verdicts import keep_verdicts_of_run

    database = catalog(tmp_path / "products.duckdb")
    add_products(database, files.content)
    add_run(database, 1, "2026-01-01")
    sync(database, Selection(), server=files.address, dest=dest)
    longer = fits(4, "reprocessed")
    files.content[URI + NAME] = longer
    with database.write() as connection:
        connection.execute("UPDATE product_version SET until_run = 2")
    row = {"data_uri": URI + NAME, "row_hash": 0, "since_run": 2, "productFilename": NAME, "size": len(longer)}
    insert(database, {"product_version": [row]})
    with database.write() as connection:
        keep_verdicts_of_run(connection, 2)
    assert outdated(database).stale[0].reason == f"size {len(ARCHIVES)} -> {len(longer)}"
    assert sync(database, Selection(), server=files.address, dest=dest).replaced == 1
    assert states(database) == {}


@pytest.mark.long
def test_touching_a_file_changes_no_verdict(
    database: Database, go: Callable[..., SyncReport], dest: Path, files: Files
) -> None:
    go()
    edit(dest / NAME, ARCHIVES)
    index_folders(database, [dest])
    assert states(database) == {}
    reprocess(database, files)
    assert states(database) == {NAME: "stale"}
    edit(dest / NAME, ARCHIVES)
    assert go().replaced == 1
    assert kept(dest) == [RENEWED]


@pytest.mark.long
def test_bytes_that_rot_without_a_new_time_are_corrupt_and_renewed(
    database: Database, go: Callable[..., SyncReport], dest: Path
) -> None:
    go()
    status = (dest / NAME).stat()
    rotten = bytearray(ARCHIVES)
    rotten[-1] ^= 1
    (dest / NAME).write_bytes(rotten)
    os.utime(dest / NAME, ns=(status.st_atime_ns, status.st_mtime_ns))
    report = index_folders(database, [dest], verify=True)
    assert [failure.path for failure in report.failures] == [str(dest / NAME)]
    assert states(database) == {NAME: "corrupt"}
    assert go().replaced == 1
    assert states(database) == {}


@pytest.mark.long
def test_an_index_never_weakens_what_a_sync_recorded(
    database: Database, go: Callable[..., SyncReport], dest: Path
) -> None:
    go()
    edit(dest / NAME)
    index_folders(database, [dest])
    assert states(database) == {NAME: "modified"}
    with database.read() as connection:
        row = connection.execute(
            "SELECT fetched_checksum, fetched_size, data_uri, fetched_run IS NOT NULL, checksum FROM local_files"
        ).fetchone()
    assert row is not None
    assert row[0] != row[4]
    assert row[1:4] == (len(ARCHIVES), URI + NAME, True)


@pytest.mark.long
@pytest.mark.parametrize("keep", [False, True])
def test_a_kill_at_any_moment_loses_nothing_of_a_persons(tmp_path: Path, keep: bool) -> None:
    assert killed(tmp_path, 24, 2, random.Random(1), keep=keep)[1] == 0
