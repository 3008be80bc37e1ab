"""The disk moves: files and folders are deleted, moved and renamed, and the catalog follows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.errors import DiskError
from catalog.headers import index_folders
from catalog.questions.drift import outdated
from catalog.store.database import Database
from catalog.store.history.local_files import close_local_files
from catalog.store.history.runs import utc_now
from catalog.sync import Selection, sync
from tests.files_server import Files, fits, serving
from tests.sync_catalog import URI, add_files, add_products, add_run, catalog

NAMES = [f"jw0{n}_nis_x1d.fits" for n in range(4)] + ["jw05_nis_preview.jpg"]


@pytest.fixture
def files() -> Iterator[Files]:
    served = Files({URI + name: fits(3, name) for name in NAMES})
    with serving(served):
        yield served


@pytest.fixture
def database(tmp_path: Path, files: Files) -> Database:
    database = catalog(tmp_path / "catalog.duckdb")
    add_files(database, {uri: body for uri, body in files.content.items() if uri.endswith(".fits")})
    add_products(database, files.content)
    add_run(database, 1, "2026-01-01")
    sync(database, Selection(), server=files.address, dest=tmp_path / "data")
    return database


def states(database: Database) -> dict[str, str]:
    found = outdated(database)
    return {one.filename: state for state in vars(found) for one in getattr(found, state)}


@pytest.mark.long
@pytest.mark.parametrize("indexed", [False, True])
def test_a_deleted_file_is_missing_without_another_index(database: Database, tmp_path: Path, indexed: bool) -> None:
    if indexed:
        index_folders(database, [tmp_path / "data"])
    assert states(database) == {}
    for name in (NAMES[0], NAMES[4]):
        (tmp_path / "data" / name).unlink()
    assert states(database) == {NAMES[0]: "missing", NAMES[4]: "missing"}
    index_folders(database, [tmp_path / "data"])
    assert states(database) == {NAMES[0]: "missing", NAMES[4]: "missing"}


@pytest.mark.long
def test_a_changed_file_is_modified_without_another_index(database: Database, tmp_path: Path) -> None:
    for name in (NAMES[1], NAMES[4]):
        (tmp_path / "data" / name).write_bytes(fits(3, "my own"))
    assert states(database) == {NAMES[1]: "modified", NAMES[4]: "modified"}
    index_folders(database, [tmp_path / "data"])
    assert states(database) == {NAMES[1]: "modified", NAMES[4]: "modified"}


@pytest.mark.long
@pytest.mark.parametrize("indexed", [False, True])
def test_a_renamed_folder_takes_its_files_along(database: Database, tmp_path: Path, indexed: bool) -> None:
    if indexed:
        index_folders(database, [tmp_path / "data"])
    (tmp_path / "data").rename(tmp_path / "renamed")
    if indexed:
        assert states(database) == {}
    index_folders(database, [tmp_path / "renamed"])
    assert states(database) == {}
    with database.read() as connection:
        rows = connection.execute("SELECT path, fetched_checksum IS NOT NULL FROM local_files ORDER BY path").fetchall()
    assert rows == [(str(tmp_path / "renamed" / name), True) for name in sorted(NAMES)]


@pytest.mark.long
def test_files_moved_to_another_disk_keep_their_history(database: Database, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    for name in NAMES:
        shutil.copyfile(tmp_path / "data" / name, tmp_path / "elsewhere" / name)
        if name.endswith(".jpg"):
            shutil.copystat(tmp_path / "data" / name, tmp_path / "elsewhere" / name)
    shutil.rmtree(tmp_path / "data")
    index_folders(database, [tmp_path / "elsewhere"])
    assert states(database) == {}


def test_a_folder_that_is_gone_says_what_to_do_and_can_be_forgotten(database: Database, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "data")
    assert set(states(database).values()) == {"missing"}
    with pytest.raises(DiskError, match=r"the catalog knows 5 files in it.*mastlake forget"):
        index_folders(database, [tmp_path / "data"])
    with database.write() as connection:
        assert close_local_files(connection, str(tmp_path / "data"), utc_now()) == 5
    assert states(database) == {}


@pytest.mark.long
def test_a_forgotten_file_that_is_fetched_again_counts_again(database: Database, tmp_path: Path, files: Files) -> None:
    with database.write() as connection:
        close_local_files(connection, str(tmp_path / "data" / NAMES[0]), utc_now())
    (tmp_path / "data" / NAMES[0]).unlink()
    assert states(database) == {}
    sync(database, Selection(), server=files.address, dest=tmp_path / "data")
    (tmp_path / "data" / NAMES[0]).unlink()
    assert states(database) == {NAMES[0]: "missing"}


def test_only_files_below_a_path_are_told(database: Database, tmp_path: Path) -> None:
    for name in NAMES[:2]:
        (tmp_path / "data" / name).unlink()
    found = outdated(database, [str(tmp_path / "data" / NAMES[0])])
    assert [one.filename for one in found.missing] == [NAMES[0]]
    assert outdated(database, [str(tmp_path / "dat")]).missing == []
