"""Syncs of what MAST really listed, from October 2022 to August 2023, and of its server's faults."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catalog.archive.client import MastArchive
from catalog.harvest import harvest
from catalog.questions.drift import outdated
from catalog.store.database import Database
from catalog.sync import Selection, SyncReport, Token, make_plan, sync
from catalog.sync.current_listing import ask_current
from catalog.sync.rate import SharedPace
from catalog.vocabulary.search import Search

from ..conftest import QUICK, Command

Connect = Callable[[str], MastArchive]
SNAPSHOTS = ("20221017T1802", "20230410T1529", "20230421T1302", "20230424T1713", "20230822T1428")
TOKEN = Token("replay-token")
SPECTRA = Selection(sql="SELECT filename FROM files WHERE filename LIKE '%x1dints.fits'")
"""The archive lists a checksum for each of them; for products that no file row lists it gives none."""
FAULTS = ("file_503", "file_cut", "file_corrupt", "file_html", "file_slow")


@pytest.fixture
def follow(database: Database, recorded: Any, connect: Connect, soss: Search) -> Callable[[str], None]:
    """Move the archive to a snapshot, and the catalog after it."""

    def move(snapshot: str) -> None:
        recorded.archive.move(snapshot)
        harvest(database, connect(recorded.url), soss, patience=QUICK)

    return move


@pytest.fixture
def go(database: Database, recorded: Any, connect: Connect, tmp_path: Path) -> Callable[..., SyncReport]:
    """Sync into ``dest``, without long pauses, asking the archive where bytes are not as listed."""

    def run(selection: Selection = SPECTRA, **more: Any) -> SyncReport:
        current = ask_current(database, connect(recorded.url), QUICK)
        return sync(
            database,
            selection,
            server=recorded.url,
            dest=tmp_path / "dest",
            current=current,
            pace=SharedPace(unit=0.01),
            **more,
        )

    return run


def on_disk(folder: Path) -> dict[str, str]:
    """The MD5 of everything under a final name."""
    return {
        path.name: hashlib.md5(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.is_file() and not path.name.startswith(".")
    }


def served(recorded: Any) -> dict[str, str]:
    """The MD5 of everything the archive has now."""
    return {uri.rsplit("/", 1)[1]: hashlib.md5(body).hexdigest() for uri, (body, _) in recorded.archive.files.items()}


def searched(recorded: Any) -> set[str]:
    """Every name that the search matches now."""
    return {row["filename"] for row in recorded.archive.tables["Mast.Jwst.Filtered.Niriss"][1]}


def listed(database: Database) -> set[str]:
    """Every name that the catalog lists now."""
    with database.read() as connection:
        found = connection.execute("SELECT filename FROM files UNION SELECT productFilename FROM products").fetchall()
    return {str(name) for (name,) in found}


def with_checksum(database: Database) -> set[str]:
    """Every name for which the catalog lists a checksum."""
    with database.read() as connection:
        found = connection.execute("SELECT filename FROM files WHERE checksum IS NOT NULL").fetchall()
    return {str(name) for (name,) in found}


@pytest.mark.long
def test_from_snapshot_to_snapshot_exactly_what_changed_is_replaced(
    follow: Callable[[str], None], go: Callable[..., SyncReport], database: Database, recorded: Any, tmp_path: Path
) -> None:
    replaced_of_one_size = 0
    for snapshot in SNAPSHOTS:
        before = on_disk(tmp_path / "dest") if (tmp_path / "dest").exists() else {}
        sizes = {name: (tmp_path / "dest" / name).stat().st_size for name in before}
        follow(snapshot)
        recorded.archive.stats.clear()
        stale, proven = states(database)["stale"], with_checksum(database)
        report = go(Selection("soss"), token=TOKEN)
        now, archive = on_disk(tmp_path / "dest"), served(recorded)
        changed = {name for name in before if now[name] != before[name]}
        assert (report.failed, report.replaced, report.fetched) == (0, len(stale), len(now) - len(before))
        assert changed <= stale
        # where there is no checksum, another version of the pipeline in the product's row is all that tells
        assert (stale - changed).isdisjoint(proven)
        assert recorded.archive.stats["file_get"] == report.replaced + report.fetched
        wanted = listed(database)
        assert {name: now[name] for name in wanted} == {name: archive[name] for name in wanted}
        replaced_of_one_size += sum(sizes[name] == (tmp_path / "dest" / name).stat().st_size for name in changed)
    again = go(Selection("soss"), token=TOKEN)
    assert (again.present, again.bytes) == (report.selected, 0)
    assert replaced_of_one_size > 20


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_of_the_recorded_server_is_overcome(
    follow: Callable[[str], None], go: Callable[..., SyncReport], recorded: Any, tmp_path: Path, fault: str
) -> None:
    follow("20230410T1529")
    recorded.archive.faults[fault] = 1 if fault in ("file_corrupt", "file_slow") else 4
    few = Selection(sql=f"{SPECTRA.sql} ORDER BY fileSize LIMIT 6")
    report = go(few, jobs=2)
    assert (report.failed, report.fetched) == (0, 6)
    assert on_disk(tmp_path / "dest").items() <= served(recorded).items()


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS[:-1])
def test_a_server_that_stays_broken_gives_no_file_and_one_line_each_and_the_next_sync_mends_it(
    follow: Callable[[str], None],
    go: Callable[..., SyncReport],
    recorded: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    monkeypatch.setattr("catalog.sync.rate.LONGEST_RETRY_AFTER", 0.01)
    monkeypatch.setattr("catalog.sync.rate.TRIALS_ONCE_UP", 2)
    follow("20230410T1529")
    recorded.archive.faults[fault] = 10_000
    report = go()
    assert report.failed == report.selected > 5
    assert all(failure.reason and "\n" not in failure.reason for failure in report.failures)
    assert on_disk(tmp_path / "dest") == {}
    recorded.archive.faults.clear()
    assert go().failed == 0
    assert len(on_disk(tmp_path / "dest")) == report.selected
    assert on_disk(tmp_path / "dest").items() <= served(recorded).items()


@pytest.mark.long
def test_files_reprocessed_between_harvest_and_transfer_are_taken_as_they_are_now(
    follow: Callable[[str], None], go: Callable[..., SyncReport], database: Database, recorded: Any, tmp_path: Path
) -> None:
    follow("20230410T1529")
    recorded.archive.move("20230822T1428")
    files = Selection(sql="SELECT filename FROM files")
    report = go(files)
    gone = {failure.filename for failure in report.failures}
    with database.read() as connection:
        left = connection.execute("SELECT filename FROM search_files").fetchall()
    assert gone == {name for (name,) in left} - searched(recorded)
    assert on_disk(tmp_path / "dest").items() <= served(recorded).items()
    assert report.fetched == report.selected - len(gone) > 50
    assert make_plan(database, files, dest=tmp_path / "dest").tallies["fetch"].items == len(gone)


@pytest.mark.long
def test_an_observation_that_turns_exclusive_needs_a_token_and_says_whose_it_is(
    follow: Callable[[str], None], go: Callable[..., SyncReport], recorded: Any, tmp_path: Path
) -> None:
    follow("20230424T1713")
    exclusive = [row["dataURI"] for row in recorded.archive.tables["Mast.Jwst.Filtered.Niriss"][1]
                 if row["filename"].startswith("jw02734001") and "x1dints" in row["filename"]]  # fmt: skip
    for uri in exclusive:
        recorded.archive.files[uri] = (recorded.archive.files[uri][0], "EXCLUSIVE_ACCESS")
    report = go()
    assert report.failed == len(exclusive) > 1
    assert {failure.reason for failure in report.failures} == {
        "exclusive to program 2734, though listed as public since 2022-07-13: HTTP 401, a token is needed"
    }
    assert report.fetched == report.selected - report.failed > 0
    assert go(token=TOKEN).fetched == len(exclusive)


@pytest.mark.long
def test_the_command_ends_with_1_and_a_line_each_where_files_are_not_to_be_had(
    mastlake: Command, follow: Callable[[str], None], recorded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow("20230410T1529")
    monkeypatch.setenv("MASTLAKE_SERVER", recorded.url)
    monkeypatch.delenv("MAST_API_TOKEN", raising=False)
    recorded.archive.faults["file_corrupt"] = 10_000
    failed = mastlake("sync", "--sql", SPECTRA.sql, "--json")
    assert failed.code == 1
    assert failed.json["failed"] == len(failed.json["failures"]) == len(failed.err.splitlines())
    recorded.archive.faults.clear()
    mended = mastlake("sync", "--sql", SPECTRA.sql, "--json")
    assert (mended.code, mended.json["failed"], mended.err) == (0, 0, "")


def states(database: Database) -> dict[str, set[str]]:
    """The names of outdated files by state."""
    found = outdated(database)
    return {state: {one.filename for one in getattr(found, state)} for state in vars(found)}


@pytest.mark.long
def test_after_each_snapshot_outdated_is_what_the_checksums_of_the_snapshots_say(
    database: Database, recorded: Any, follow: Callable[[str], None], go: Callable[..., SyncReport], tmp_path: Path
) -> None:
    follow(SNAPSHOTS[0])
    go(Selection(sql="SELECT filename FROM files"), token=TOKEN)
    for snapshot in SNAPSHOTS:
        follow(snapshot)
        here, there, found = on_disk(tmp_path / "dest"), served(recorded), states(database)
        names = searched(recorded)
        assert found["stale"] & names == {name for name in names & here.keys() if here[name] != there[name]}
        assert found["corrupt"] == found["modified"] == found["missing"] == set()
        assert found["unknown"] == here.keys() - listed(database)
        assert {name for name in found["stale"] if here[name] == there.get(name)} == set()


@pytest.mark.long
def test_files_proven_before_a_checksum_was_listed_are_stale_and_never_corrupt(
    database: Database, recorded: Any, follow: Callable[[str], None], go: Callable[..., SyncReport], tmp_path: Path
) -> None:
    follow(SNAPSHOTS[0])
    report = go(Selection(subgroups=("RATE",)), token=TOKEN)
    assert report.fetched == report.selected > 10
    for snapshot in SNAPSHOTS[1:]:
        follow(snapshot)
        here, there, found = on_disk(tmp_path / "dest"), served(recorded), states(database)
        assert found["corrupt"] == found["modified"] == set()
        moved = {name for name in here.keys() & searched(recorded) if here[name] != there[name]}
        assert moved <= found["stale"]
