"""Where a group may write, it may write into what a lake makes there, whatever the umask says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from catalog.store.database import Database
from catalog.store.lakes.group_rights import give_group_rights
from catalog.store.lakes.lake import lake_of

from .lakes import EMBEDDED


def made(above: Path, mode: int, prefix: str, umask: int = 0o022) -> dict[str, int]:
    above.mkdir()
    above.chmod(mode)
    old = os.umask(umask)
    try:
        path, engine = lake_of(f"{prefix}{above / 'catalog.lake'}")
        with Database(path, engine=engine).write() as connection:
            connection.execute("INSERT INTO changes (run, kind, what, key) VALUES (1, 'new', 'file', 'a')")
    finally:
        os.umask(old)
    made = {path.relative_to(above).as_posix(): path.stat().st_mode & 0o7777 for path in above.rglob("*")}
    return {name: mode for name, mode in made.items() if not name.endswith(".parquet")}


@pytest.mark.parametrize("prefix", EMBEDDED)
def test_the_group_of_the_folder_above_can_write_into_all_folders_and_the_metadata(tmp_path: Path, prefix: str) -> None:
    found = made(tmp_path / "group", 0o2775, prefix)
    assert found.pop("catalog.lake") == 0o664
    assert "catalog.lake.files/main/changes" in found
    assert set(found.values()) == {0o2775}


@pytest.mark.long
@pytest.mark.parametrize("prefix", EMBEDDED)
def test_elsewhere_only_the_owner_can_write(tmp_path: Path, prefix: str) -> None:
    found = made(tmp_path / "own", 0o755, prefix)
    assert not any(mode & 0o022 for mode in found.values())


@pytest.mark.long
def test_what_belongs_to_another_group_stays_as_it_is(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files to another group")
    tmp_path.chmod(0o2775)
    other = tmp_path / "other"
    other.mkdir()
    os.chown(other, -1, 12345)
    other.chmod(0o755)
    give_group_rights(other)
    assert other.stat().st_mode & 0o7777 == 0o755
