"""Following a folder as it fills."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from catalog.errors import DiskError
from catalog.headers import IndexReport, watch_folders
from catalog.store.database import Database
from tests.fits_samples import sample


@contextmanager
def watching(database: Database, *folders: Path) -> Iterator[Queue[IndexReport]]:
    """Watch in a thread of its own; what it reports comes out of a queue."""
    stop = threading.Event()
    reports: Queue[IndexReport] = Queue()

    def watch() -> None:
        for report in watch_folders(database, folders, quiet_seconds=0.1, stop=stop):
            reports.put(report)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield reports
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


def until(reports: Queue[IndexReport], condition: Any) -> None:
    """Wait for a report of which something is true; the events of one change may come in several."""
    deadline = time.monotonic() + 30
    while not condition(reports.get(timeout=deadline - time.monotonic())):
        pass


def names(database: Database) -> Any:
    with database.read() as connection:
        return sorted(name for (name,) in connection.execute("SELECT filename FROM local_files").fetchall())


@pytest.mark.long
def test_a_folder_is_indexed_at_once_and_again_as_it_changes(tmp_path: Path, database: Database) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    (disk / "a.fits").write_bytes(sample("a"))
    with watching(database, disk) as reports:
        until(reports, lambda report: report.read == 1)
        (disk / "b.fits").write_bytes(sample("b"))
        until(reports, lambda report: report.read == 1 and report.unchanged == 1)
        (disk / "new").mkdir()
        (disk / "new" / "c.fits").write_bytes(sample("c"))
        until(reports, lambda report: report.read == 1)
        (disk / "a.fits").unlink()
        until(reports, lambda report: report.removed == 1)
    assert names(database) == ["b.fits", "c.fits"]


@pytest.mark.long
def test_only_the_folders_that_changed_are_looked_at_again(tmp_path: Path, database: Database) -> None:
    for name in ("one", "two"):
        (tmp_path / "disk" / name).mkdir(parents=True)
        (tmp_path / "disk" / name / f"{name}.fits").write_bytes(sample(name))
    with watching(database, tmp_path / "disk") as reports:
        until(reports, lambda report: report.files == 2)
        (tmp_path / "disk" / "two" / "more.fits").write_bytes(sample("more"))
        until(reports, lambda report: report.files == 2 and report.read == 1)
    assert names(database) == ["more.fits", "one.fits", "two.fits"]


@pytest.mark.long
def test_a_download_under_way_is_left_alone(tmp_path: Path, database: Database) -> None:
    (tmp_path / "disk").mkdir()
    with watching(database, tmp_path / "disk") as reports:
        until(reports, lambda report: report.files == 0)
        (tmp_path / "disk" / ".a.fits.part").write_bytes(sample()[:4000])
        time.sleep(0.5)
        assert reports.empty()
        (tmp_path / "disk" / ".a.fits.part").rename(tmp_path / "disk" / "a.fits")
        until(reports, lambda report: report.read == 1)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path, database: Database) -> None:
    with pytest.raises(DiskError, match="no such folder"):
        next(watch_folders(database, [tmp_path / "nowhere"]))
