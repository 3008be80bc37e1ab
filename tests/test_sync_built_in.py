"""Harvest and sync against the built-in archive: its faults, its reprocessing, and two processes at once."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.archive.client import MastArchive
from catalog.harvest import harvest
from catalog.simulator import Simulator
from catalog.store.database import Database
from catalog.sync import Selection, SyncReport, Token, sync
from catalog.sync.current_listing import listing_asker
from catalog.sync.rate import SharedPace
from catalog.vocabulary.search import Search

from .conftest import QUICK

Connect = Callable[[str], MastArchive]
FAULTS = ("file_503", "file_429", "file_cut", "file_corrupt", "file_html", "file_empty", "file_slow", "file_redirect")
QUICK_FAULTS = ("file_cut", "file_corrupt", "file_html", "file_empty", "file_redirect", "file_wrong_range")
SPECTRA = Selection(
    sql="SELECT filename FROM files WHERE filename LIKE '%x1dints.fits' ORDER BY file_size, filename LIMIT 8"
)


@pytest.fixture
def tended(own_sky: Simulator, database: Database, connect: Connect) -> Callable[[], None]:
    """Bring the catalog up to date with the archive."""

    def follow() -> None:
        harvest(database, connect(own_sky.url), Search.parse("soss", "niriss", ["exp_type=NIS_SOSS"]), patience=QUICK)

    follow()
    return follow


def go(database: Database, sky: Simulator, dest: Path, selection: Selection = SPECTRA) -> SyncReport:
    with listing_asker(database, sky.url, QUICK) as current:
        return sync(
            database,
            selection,
            server=sky.url,
            dest=dest,
            current=current,
            token=Token(sky.token),
            pace=SharedPace(unit=0.01),
        )


def wrong(database: Database, dest: Path) -> list[str]:
    """Every file under a final name whose MD5 is not what the catalog lists now."""
    with database.read() as connection:
        listed = dict(connection.execute("SELECT filename, checksum FROM files").fetchall())
    found = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in dest.glob("*.fits")}
    return [name for name, md5 in found.items() if listed[name].lower() != md5]


@pytest.mark.long
@pytest.mark.usefixtures("tended")
def test_every_fault_of_the_built_in_archive_is_overcome(
    own_sky: Simulator, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.sync.rate.LONGEST_RETRY_AFTER", 0.05)
    for fault in FAULTS:
        own_sky.faults(**{fault: 1 if fault in ("file_corrupt", "file_slow") else 3})
        report = go(database, own_sky, tmp_path / fault)
        assert (report.selected, report.fetched, report.failures) == (8, 8, ()), fault
        assert wrong(database, tmp_path / fault) == []


@pytest.mark.long
@pytest.mark.usefixtures("tended")
def test_whatever_faults_meet_a_sync_no_final_name_has_wrong_bytes_and_the_next_one_has_every_file(
    own_sky: Simulator, database: Database, tmp_path: Path
) -> None:
    places = itertools.count()

    @settings(max_examples=4)
    @given(st.dictionaries(st.sampled_from(QUICK_FAULTS), st.integers(1, 12), min_size=1))
    def meets(faults: dict[str, int]) -> None:
        dest = tmp_path / f"dest{next(places)}"
        own_sky.faults(**dict.fromkeys(QUICK_FAULTS, 0) | faults)
        report = go(database, own_sky, dest)
        assert report.fetched + report.failed == 8
        assert wrong(database, dest) == []
        own_sky.faults(**dict.fromkeys(QUICK_FAULTS, 0))
        assert go(database, own_sky, dest).failed == 0
        assert (wrong(database, dest), len(list(dest.glob("*.fits")))) == ([], 8)

    meets()


@pytest.mark.long
@pytest.mark.usefixtures("tended")
def test_half_of_one_version_and_half_of_another_never_become_a_file(
    own_sky: Simulator, database: Database, tmp_path: Path
) -> None:
    own_sky.faults(file_cut=4, file_wrong_range=4)
    report = go(database, own_sky, tmp_path / "dest")
    assert wrong(database, tmp_path / "dest") == []
    own_sky.faults(file_cut=0, file_wrong_range=0)
    assert go(database, own_sky, tmp_path / "dest").failed == 0
    assert report.fetched + report.failed == 8


@pytest.mark.long
def test_what_was_reprocessed_at_an_unchanged_size_is_replaced(
    tended: Callable[[], None], own_sky: Simulator, database: Database, tmp_path: Path
) -> None:
    go(database, own_sky, tmp_path / "dest")
    changed = sorted(path.name for path in (tmp_path / "dest").glob("*.fits"))[:3]
    own_sky.reprocess(changed, keep_size=True)
    assert go(database, own_sky, tmp_path / "dest").present == 8
    tended()
    report = go(database, own_sky, tmp_path / "dest")
    assert (report.replaced, report.present) == (3, 5)
    assert wrong(database, tmp_path / "dest") == []


@pytest.mark.long
@pytest.mark.usefixtures("tended")
def test_two_syncs_of_one_destination_at_once_leave_every_file_right(
    own_sky: Simulator, database: Database, tmp_path: Path
) -> None:
    reports: list[SyncReport] = []
    both = [threading.Thread(target=lambda: reports.append(go(database, own_sky, tmp_path / "dest"))) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert wrong(database, tmp_path / "dest") == []
    assert len(list((tmp_path / "dest").glob("*.fits"))) == 8
    assert go(database, own_sky, tmp_path / "dest").present == 8
