"""Syncs against a server that misbehaves: no wrong byte gets a final name, and the next sync mends the rest."""

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import json
import os
import pickle
import random
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.archive.retry import retry_after
from catalog.errors import DiskError, UsageError
from catalog.store.database import Database
from catalog.sync import Current, Selection, SyncReport, Token, find_token, make_plan, sync
from catalog.sync.events import Event, Finished, Note, Paused, Planned, Received
from catalog.sync.names import identity_path, part_path
from catalog.sync.partial import QUARANTINE, Identity, PartialFile
from catalog.sync.rate import Rate, SharedPace
from catalog.sync.source import Ask, Mast
from tests.files_server import TOKEN, Files, Handler, fits, md5, serving
from tests.kills_sync import killed
from tests.sync_catalog import URI, add_files, add_products, add_run, add_search, catalog, change_file

EVERYTHING = Selection()


def some(count: int = 12) -> dict[str, bytes]:
    return {f"{URI}jw{i:05d}_nis_x1d.fits": fits(i % 5 + 1, f"first {i}") for i in range(count)}


@pytest.fixture
def files() -> Iterator[Files]:
    """A server of a dozen files."""
    served = Files(some())
    with serving(served):
        yield served


@pytest.fixture
def database(tmp_path: Path, files: Files) -> Database:
    """A catalog that lists them, with checksums."""
    made = catalog(tmp_path / "c.duckdb")
    add_files(made, files.content)
    return made


@pytest.fixture
def go(database: Database, files: Files, tmp_path: Path) -> Callable[..., SyncReport]:
    """Sync everything into ``dest``, without long pauses."""

    def run(selection: Selection = EVERYTHING, **more: Any) -> SyncReport:
        more.setdefault("pace", SharedPace(unit=0.01))
        return sync(database, selection, server=files.address, dest=tmp_path / "dest", **more)

    return run


def on_disk(folder: Path) -> dict[str, bytes]:
    """Every file under final names."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name[0] != "."}


def names(content: Mapping[str, bytes]) -> dict[str, bytes]:
    return {uri.rsplit("/", 1)[1]: body for uri, body in content.items()}


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.endswith((".part", ".json")))


# --- the usual case ------------------------------------------------------------------------------


def test_a_sync_fetches_everything_and_the_next_one_asks_nothing(
    go: Callable[..., SyncReport], files: Files, tmp_path: Path, database: Database
) -> None:
    report = go()
    size = sum(map(len, files.content.values()))
    assert (report.selected, report.fetched, report.failed, report.bytes) == (12, 12, 0, size)
    assert on_disk(tmp_path / "dest") == names(files.content)
    assert leftovers(tmp_path / "dest") == []
    with database.read() as connection:
        rows = connection.execute("SELECT filename, checksum, size, indexed FROM local_files ORDER BY 1").fetchall()
    assert rows == [(name, md5(body), len(body), False) for name, body in sorted(names(files.content).items())]
    again = go()
    assert (again.present, again.bytes, files.stats["get"]) == (12, 0, 12)


def test_a_report_is_json_with_the_words_of_the_command_line(go: Callable[..., SyncReport]) -> None:
    words = json.loads(json.dumps(go().as_dict()))
    assert set(words) == {
        *("selected", "present", "fetched", "resumed", "replaced", "failed", "bytes", "seconds"),
        *("failures", "interrupted", "sources", "notes"),
    }


def test_a_plan_does_not_ask_the_server(database: Database, files: Files, tmp_path: Path) -> None:
    plan = make_plan(database, EVERYTHING, dest=tmp_path / "dest")
    assert plan.tallies["fetch"].items == 12
    assert plan.free_bytes
    assert files.stats["get"] == 0
    assert not (tmp_path / "dest").exists()


def test_exactly_what_moved_on_is_replaced_though_sizes_are_unchanged(
    go: Callable[..., SyncReport], files: Files, database: Database, tmp_path: Path
) -> None:
    go()
    changed = list(files.content)[2:5]
    for n, uri in enumerate(changed):
        body = fits(len(files.content[uri]) // 2880 - 1 + n, f"second {n}")
        files.content[uri] = body
        change_file(database, uri.rsplit("/", 1)[1], body)
    files.asked.clear()
    report = go()
    assert (report.replaced, report.present, report.fetched) == (3, 9, 0)
    assert sorted(ask["uri"] for ask in files.asked) == sorted(changed)
    assert on_disk(tmp_path / "dest") == names(files.content)


def test_the_old_file_stays_until_the_new_one_is_proven(
    go: Callable[..., SyncReport], files: Files, database: Database, tmp_path: Path
) -> None:
    go()
    uri = next(iter(files.content))
    name, old = uri.rsplit("/", 1)[1], files.content[uri]
    change_file(database, name, fits(1, "second"))
    files.content[uri] = fits(1, "third")
    assert go().failed == 1
    assert (tmp_path / "dest" / name).read_bytes() == old
    files.content[uri] = fits(1, "second")
    assert go().replaced == 1
    assert (tmp_path / "dest" / name).read_bytes() == fits(1, "second")


def test_bytes_changed_on_disk_are_found_and_mended(
    go: Callable[..., SyncReport], files: Files, tmp_path: Path
) -> None:
    go()
    paths = sorted((tmp_path / "dest").glob("*.fits"))
    paths[0].write_bytes(paths[0].read_bytes()[:-2880])
    paths[1].write_bytes(b"x" * paths[1].stat().st_size)
    paths[2].touch()
    paths[3].unlink()
    files.stats.clear()
    report = go()
    assert (report.replaced, report.fetched, report.present, files.stats["get"]) == (2, 1, 9, 3)
    assert on_disk(tmp_path / "dest") == names(files.content)
    assert go().present == 12


def test_files_that_are_there_already_are_read_and_not_fetched(
    go: Callable[..., SyncReport], files: Files, tmp_path: Path
) -> None:
    (tmp_path / "dest").mkdir()
    for name, body in names(files.content).items():
        (tmp_path / "dest" / name).write_bytes(body)
    assert (go().present, files.stats["get"]) == (12, 0)
    plan_again = go()
    assert plan_again.present == 12


@pytest.mark.long
def test_folders_follow_the_template(go: Callable[..., SyncReport], files: Files, tmp_path: Path) -> None:
    assert go(template="{program}/{filename}").fetched == 12
    assert on_disk(tmp_path / "dest" / "1366") == names(files.content)
    assert go(template="{program}/{filename}").present == 12


def test_events_tell_what_happens_one_at_a_time(go: Callable[..., SyncReport], files: Files) -> None:
    seen: list[Event] = []
    threads: set[int] = set()
    busy = threading.Lock()

    def on_event(event: Event) -> None:
        assert busy.acquire(blocking=False)
        seen.append(event)
        threads.add(threading.get_ident())
        busy.release()

    go(on_event=on_event)
    assert seen[0] == Planned(12, sum(map(len, files.content.values())))
    assert sorted(e.filename for e in seen if isinstance(e, Finished)) == sorted(names(files.content))


def test_the_rate_is_limited_over_all_jobs(go: Callable[..., SyncReport]) -> None:
    began = time.monotonic()
    report = go(pace=SharedPace(limit_rate=200_000))
    assert report.bytes / (time.monotonic() - began) < 230_000


def test_a_rate_gives_each_byte_its_time() -> None:
    now = [0.0]
    rate = Rate(1000, lambda: now[0])
    assert [round(rate.take(500), 3) for _ in range(3)] == [0.5, 1.0, 1.5]
    now[0] = 60.0
    assert rate.take(500) == pytest.approx(0.4)
    assert Rate(None).take(10**9) == 0


# --- faults --------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["503", "html", "empty", "cut", "corrupt"])
def test_a_fault_now_and_then_is_overcome(
    go: Callable[..., SyncReport], files: Files, tmp_path: Path, fault: str
) -> None:
    files.faults[fault] = 1 if fault == "corrupt" else 5  # the same file twice corrupt is a failure
    report = go()
    assert report.failures == ()
    assert on_disk(tmp_path / "dest") == names(files.content)
    assert leftovers(tmp_path / "dest") == []


@pytest.mark.long
@pytest.mark.parametrize("fault", ["503", "html", "empty", "cut", "corrupt"])
def test_a_fault_that_stays_is_one_line_each_and_the_next_sync_mends_it(
    go: Callable[..., SyncReport], files: Files, database: Database, tmp_path: Path, fault: str
) -> None:
    (tmp_path / "dest").mkdir()
    selection = Selection(sql="SELECT filename FROM files ORDER BY filename LIMIT 3")
    files.faults[fault] = 10_000
    report = go(selection)
    assert report.failed == 3
    assert all("\n" not in failure.reason for failure in report.failures)
    assert on_disk(tmp_path / "dest") == {}
    files.faults.clear()
    assert go().failed == 0
    assert on_disk(tmp_path / "dest") == names(files.content)


def test_a_cut_transfer_continues_where_it_was(go: Callable[..., SyncReport], files: Files) -> None:
    uri = next(iter(files.content))
    files.content = {uri: files.content[uri]}
    files.faults["cut"] = 1
    report = go(Selection(sql=f"SELECT '{uri}' AS data_uri"))
    assert report.bytes == len(files.content[uri])
    assert files.asked[1]["Range"] == f"bytes={len(files.content[uri]) // 2}-"
    assert files.asked[1]["If-Range"] == f'"{md5(files.content[uri])[:12]}"'


def leave_a_part(dest: Path, uri: str, body: bytes, listed: bytes, etag: str | None) -> None:
    """What a killed sync leaves: half the bytes of some version, and its identity."""
    dest.mkdir(exist_ok=True)
    identity = Identity(uri, md5(listed), len(listed), etag)
    part = PartialFile(dest / uri.rsplit("/", 1)[1], identity)
    part.start(identity)
    part.write(body[: len(body) // 2])
    part.close()


@pytest.mark.parametrize("etag", [True, False])
def test_a_killed_sync_continues_in_the_next_one(
    go: Callable[..., SyncReport], files: Files, tmp_path: Path, etag: bool
) -> None:
    uri, body = next(iter(files.content.items()))
    files.etag = etag
    leave_a_part(tmp_path / "dest", uri, body, body, f'"{md5(body)[:12]}"' if etag else None)
    report = go(Selection(sql=f"SELECT '{uri}' AS data_uri"))
    assert (report.resumed, report.bytes) == (1, len(body) - len(body) // 2)
    assert on_disk(tmp_path / "dest") == names({uri: body})


@pytest.mark.parametrize("etag", [True, False])
def test_bytes_of_another_version_are_never_continued(
    go: Callable[..., SyncReport], files: Files, tmp_path: Path, etag: bool
) -> None:
    uri, body = next(iter(files.content.items()))
    old = fits(len(body) // 2880 - 1, "an older version")
    files.etag = etag
    leave_a_part(tmp_path / "dest", uri, old, body, f'"{md5(old)[:12]}"' if etag else None)
    assert go(Selection(sql=f"SELECT '{uri}' AS data_uri")).failed == 0
    assert on_disk(tmp_path / "dest") == names({uri: body})


def test_a_206_of_another_version_or_place_never_becomes_a_file(
    go: Callable[..., SyncReport], files: Files, tmp_path: Path
) -> None:
    uri, body = next(iter(files.content.items()))
    lies = iter([f"bytes 5-{len(body) - 1}/{len(body)}", f"bytes 0-9/{len(body)}", "nonsense", ""])

    def lie(handler: BaseHTTPRequestHandler, asked: str, content: bytes) -> bool:
        if "Range" not in handler.headers or (told := next(lies, None)) is None:
            return False
        handler.answer(206, content[10:], Content_Range=told)  # type: ignore[attr-defined]
        return True

    leave_a_part(tmp_path / "dest", uri, body, body, None)
    files.act = lie
    assert go(Selection(sql=f"SELECT '{uri}' AS data_uri")).failed == 0
    assert on_disk(tmp_path / "dest") == names({uri: body})


def test_a_file_reprocessed_between_plan_and_transfer_is_taken_as_it_is_now(
    go: Callable[..., SyncReport], files: Files, tmp_path: Path
) -> None:
    uris = list(files.content)
    files.content[uris[0]] = fits(7, "same moment, other size")
    files.content[uris[1]] = fits(len(files.content[uris[1]]) // 2880 - 1, "same moment, same size")
    now = {uri.rsplit("/", 1)[1]: body for uri, body in files.content.items()}
    asked: list[str] = []

    def current(filename: str) -> Current:
        asked.append(filename)
        return Current(filename, len(now[filename]), md5(now[filename]).upper())

    report = go(current=current)
    assert (report.fetched, report.failed) == (12, 0)
    assert sorted(asked) == sorted(uri.rsplit("/", 1)[1] for uri in uris[:2])
    assert on_disk(tmp_path / "dest") == names(files.content)


def test_bytes_that_stay_wrong_are_put_aside_with_a_note(
    go: Callable[..., SyncReport], files: Files, tmp_path: Path
) -> None:
    uri, body = next(iter(files.content.items()))
    files.content[uri] = fits(len(body) // 2880 - 1, "nobody knows")
    report = go(Selection(sql=f"SELECT '{uri}' AS data_uri"), current=lambda name: None)
    assert "MD5" in report.failures[0].reason
    assert files.stats["get"] == 2
    kept = sorted((tmp_path / "dest" / QUARANTINE).iterdir())
    assert [path.suffix for path in kept][1:] == [".json"]
    assert json.loads(kept[1].read_text())["md5"] == md5(files.content[uri])
    assert on_disk(tmp_path / "dest") == {}


def test_a_fits_file_without_checksum_must_be_whole(files: Files, tmp_path: Path) -> None:
    database = catalog(tmp_path / "c2.duckdb")
    good = {f"{URI}good.fits": fits(3), f"{URI}notes.txt": b"text"}
    bad = {f"{URI}bad.fits": fits(3)[:2880] + b"", f"{URI}page.txt": b"<!DOCTYPE HTML><p>Login"}
    add_products(database, {**good, **bad})
    files.content = {**good, **bad}
    report = sync(database, EVERYTHING, server=files.address, dest=tmp_path / "d", pace=SharedPace(unit=0.01))
    reasons = {failure.filename: failure.reason for failure in report.failures}
    assert "not a whole file" in reasons["bad.fits"]
    assert "web page" in reasons["page.txt"]
    assert on_disk(tmp_path / "d") == names(good)


def test_without_any_checksum_unfinished_bytes_need_the_servers_validator(files: Files, tmp_path: Path) -> None:
    wanted = Identity("mast:a", None, 10)
    assert not Identity("mast:a", None, 10).continues(wanted)
    assert Identity("mast:a", None, 10, '"tag"').continues(wanted)
    assert not Identity("mast:a", None, 11, '"tag"').continues(wanted)


def test_a_server_that_is_down_halts_the_sync_soon(database: Database, tmp_path: Path, files: Files) -> None:
    report = sync(database, EVERYTHING, server="http://127.0.0.1:9", dest=tmp_path / "d", pace=SharedPace(unit=0.01))
    assert report.failed == 12
    assert any("connection refused" in failure.reason for failure in report.failures)


@pytest.mark.long
@pytest.mark.parametrize(("answers_before", "refusals"), [(0, 5), (5, 9)])
def test_the_breaker_closes_when_the_archive_is_back(
    go: Callable[..., SyncReport], files: Files, answers_before: int, refusals: int
) -> None:
    down = iter([False] * answers_before + [True] * refusals)

    def busy(handler: BaseHTTPRequestHandler, uri: str, body: bytes) -> bool:
        if refuses := next(down, False):
            handler.answer(503, b"", Retry_After="0")  # type: ignore[attr-defined]
        return refuses

    files.act = busy
    seen: list[Event] = []
    assert go(jobs=3, pace=SharedPace(unit=0.002, patience=3), on_event=seen.append).failed == 0
    told = [event for event in seen if isinstance(event, Paused) and not event.filename]
    assert {event.reason for event in told} == {"the archive is down (HTTP 503)"}


@pytest.mark.parametrize(("refusals", "failed"), [(6, 0), (7, 0), (1000, 1)])
def test_a_file_that_gave_up_while_the_archive_was_down_is_tried_again_at_the_end(
    go: Callable[..., SyncReport], files: Files, refusals: int, failed: int
) -> None:
    down = iter([True] * refusals)

    def refuse(handler: BaseHTTPRequestHandler, uri: str, body: bytes) -> bool:
        if refuses := next(down, False):
            handler.answer(503, b"", Retry_After="0")  # type: ignore[attr-defined]
        return refuses

    files.act = refuse
    pace = SharedPace(unit=0.001, patience=1)
    pace.succeeded()
    report = go(Selection(sql=f"SELECT '{next(iter(files.content))}' AS data_uri"), jobs=1, pace=pace)
    assert (report.failed, report.fetched) == (failed, 1 - failed)
    assert len(list(down)) in (0, refusals - 8)


def test_while_the_breaker_is_open_one_request_at_a_time_asks() -> None:
    pace = SharedPace(unit=0.001, patience=2)
    assert pace.failed("x") == 0.0
    assert pace.failed("x") == 0.008
    assert pace.failed("x") == 0.0
    pace.admit()
    others = [threading.Thread(target=pace.admit) for _ in range(3)]
    for other in others:
        other.start()
    assert [other.is_alive() for other in others] == [True] * 3
    assert pace.failed("x") == 0.016
    pace.succeeded()
    for other in others:
        other.join(5)


def test_an_archive_that_answered_before_is_waited_for_much_longer() -> None:
    for answered, trials in ((False, 3), (True, 7)):
        pace = SharedPace(unit=0.0, patience=1)
        if answered:
            pace.succeeded()
        for _ in range(trials):
            pace.failed("HTTP 503")
            pace.admit()
        assert pace.halted == ""
        pace.failed("HTTP 503")
        assert str(pace.halted) == "the archive is down (HTTP 503)"


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("7", None, 7.0),
        ("Sun, 06 Nov 1994 08:50:00 GMT", "Sun, 06 Nov 1994 08:49:37 GMT", 23.0),
        ("Sun, 06 Nov 1994 08:49:00 GMT", "Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
        ("Sun, 06 Nov 1994 08:50:00 GMT", None, None),
        ("-5", None, None),
        ("soon", None, None),
        ("9" * 40, None, None),
        (None, None, None),
    ],
)
def test_retry_after_is_read_without_the_local_clock(
    value: str | None, date: str | None, seconds: float | None
) -> None:
    assert retry_after(value, date) == seconds


def test_retry_after_is_waited_for(go: Callable[..., SyncReport], files: Files) -> None:
    came: list[float] = []

    def busy(handler: BaseHTTPRequestHandler, uri: str, body: bytes) -> bool:
        came.append(time.monotonic())
        if len(came) == 1:
            handler.answer(429, b"", Retry_After="1")  # type: ignore[attr-defined]
        return len(came) == 1

    files.act = busy
    assert go(Selection(sql="SELECT filename FROM files LIMIT 1")).failed == 0
    assert came[1] - came[0] >= 1.0


@pytest.mark.long
def test_a_clock_that_jumps_changes_nothing(
    go: Callable[..., SyncReport], files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(Selection(sql="SELECT filename FROM files LIMIT 6"))
    real = time.time
    jumps = iter(range(10**6))
    monkeypatch.setattr(time, "time", lambda: real() + (-1) ** next(jumps) * 10**8)
    monkeypatch.setattr("catalog.sync.record.utc_now", lambda: dt.datetime(1999, 1, 1))
    files.faults["503"] = 2
    assert (go().present, go().present) == (6, 12)
    assert on_disk(tmp_path / "dest") == names(files.content)


# --- the disk --------------------------------------------------------------------------------------


def test_a_full_disk_ends_the_sync_and_the_next_one_goes_on(
    go: Callable[..., SyncReport], files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = [60_000]
    write = os.write

    def small(file: int, chunk: bytes) -> int:
        if b"mast:" not in bytes(chunk[:40]) and room[0] < len(chunk):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        room[0] -= len(chunk)
        return write(file, chunk)

    monkeypatch.setattr("catalog.sync.partial.os.write", small)
    report = go()
    assert report.failed == 12 - report.fetched
    assert any("full" in failure.reason or "No space" in failure.reason for failure in report.failures)
    there = on_disk(tmp_path / "dest")
    assert len(there) == report.fetched
    assert there.items() <= names(files.content).items()
    monkeypatch.setattr("catalog.sync.partial.os.write", write)
    assert go().failed == 0
    assert on_disk(tmp_path / "dest") == names(files.content)


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB, where this user may mount one."""
    folder = tmp_path / "dest"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user cannot mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.long
def test_a_file_system_that_fills_up_meanwhile_holds_only_right_files(
    go: Callable[..., SyncReport], files: Files, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.sync.run.free_bytes", lambda dest: None)
    report = go(jobs=1)  # side by side, parts could fill it before any file is whole
    assert 0 < report.fetched < 12
    assert report.failed == 12 - report.fetched
    assert any("No space left" in failure.reason for failure in report.failures)
    assert on_disk(tiny).items() <= names(files.content).items()
    assert len(on_disk(tiny)) == report.fetched
    subprocess.run(["mount", "-o", "remount,size=1m", str(tiny)], check=True)
    assert go().failed == 0
    assert on_disk(tiny) == names(files.content)


def test_too_little_space_is_said_before_anything_is_fetched(
    go: Callable[..., SyncReport], files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.sync.run.free_bytes", lambda dest: 1000)
    with pytest.raises(DiskError, match="1,000 bytes free"):
        go()
    assert files.stats["get"] == 0


def test_a_destination_that_cannot_be_made_is_said_so(database: Database, files: Files, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DiskError, match="is no folder; name another destination"):
        sync(database, EVERYTHING, server=files.address, dest=tmp_path / "file" / "dest")


def test_links_lead_nowhere(go: Callable[..., SyncReport], files: Files, tmp_path: Path) -> None:
    outside, dest = tmp_path / "outside", tmp_path / "dest"
    outside.mkdir()
    dest.mkdir()
    (dest / "1366").symlink_to(outside)
    report = go(template="{program}/{filename}")
    assert report.failed == 12
    assert list(outside.iterdir()) == []
    first = sorted(names(files.content))[0]
    (outside / "victim").write_text("precious")
    (dest / first).symlink_to(outside / "victim")
    part_path(dest / sorted(names(files.content))[1]).symlink_to(outside / "victim")
    identity_path(dest / sorted(names(files.content))[2]).symlink_to(outside / "victim")
    report = go()
    assert (outside / "victim").read_text() == "precious"
    assert not (dest / first).is_symlink()
    assert report.failed <= 2


def test_two_syncs_do_not_write_into_one_unfinished_file(tmp_path: Path) -> None:
    wanted = Identity("mast:a", "00", 10)
    first = PartialFile(tmp_path / "a.fits", wanted)
    with pytest.raises(DiskError, match="another sync"):
        PartialFile(tmp_path / "a.fits", wanted)
    first.close()
    PartialFile(tmp_path / "a.fits", wanted).close()


# --- malice ----------------------------------------------------------------------------------------


def test_hostile_names_in_the_catalog_are_failures_not_paths(files: Files, tmp_path: Path) -> None:
    database = catalog(tmp_path / "c3.duckdb")
    hostile = ["../up.fits", "/abs.fits", ".hidden", "a/../../b", "x\ny", "NUL", "..", "~/x;rm -rf"]
    rows = {f"{URI}{n}": fits(1) for n in range(len(hostile))}
    add_products(database, rows)
    with database.write() as connection:
        for n, name in enumerate(hostile):
            connection.execute(
                "UPDATE product_version SET productFilename = ?, obs_id = ? WHERE data_uri = ?",
                [name, name, f"{URI}{n}"],
            )
    for template in ("{filename}", "{obs_id}/{filename}"):
        report = sync(database, EVERYTHING, server=files.address, dest=tmp_path / "in" / "dest", template=template)
        assert report.failed == len(hostile)
    assert files.stats["get"] == 0
    assert not (tmp_path / "in").exists() or list((tmp_path / "in").rglob("*.fits")) == []


HEADER_NAMES = ["Content-Length", "Content-Range", "Content-Type", "ETag", "Retry-After", "Content-Disposition",
                "Location", "Content-Encoding", "Transfer-Encoding", "Date", "Set-Cookie"]  # fmt: skip
HEADER_VALUES = st.one_of(
    st.sampled_from(["-1", "0", "99999999999999999999", "bytes 0-1/2", "text/html", '"../../x"', "gzip", "chunked",
                     "attachment; filename=../../evil", "file:///etc/passwd", "../x", "http://127.0.0.1:9/x", "1"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60),
)  # fmt: skip


@pytest.mark.long
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    status=st.sampled_from([200, 206, 301, 302, 304, 307, 400, 401, 403, 404, 416, 429, 500, 503, 999]),
    headers=st.lists(st.tuples(st.sampled_from(HEADER_NAMES), HEADER_VALUES), max_size=6),
    body=st.binary(max_size=4000),
)
def test_no_answer_of_a_server_writes_outside_or_makes_a_wrong_file(
    files: Files, tmp_path_factory: pytest.TempPathFactory, status: int, headers: list[tuple[str, str]], body: bytes
) -> None:
    root = tmp_path_factory.mktemp("malice")
    uri, right = next(iter(files.content.items()))

    def hostile(handler: BaseHTTPRequestHandler, asked: str, content: bytes) -> bool:
        lines = [f"HTTP/1.1 {status} Whatever"] + [f"{k}: {v}" for k, v in headers] + ["Connection: close", "", ""]
        handler.wfile.write("\r\n".join(lines).encode("latin-1") + body)
        handler.close_connection = True
        return True

    database = one_file_catalog(root / "c.duckdb", uri, right)
    before = set(root.rglob("*"))
    with quickly():
        files.act = hostile
        report = sync(database, EVERYTHING, server=files.address, dest=root / "dest", pace=SharedPace(unit=0.0001))
        files.act = None
    made = set(root.rglob("*")) - before
    assert all((root / "dest") in path.parents or path == root / "dest" for path in made if "duckdb" not in path.name)
    assert on_disk(root / "dest") == ({} if report.failed else names({uri: right}))


@contextmanager
def quickly() -> Iterator[None]:
    """Fewer attempts, and no Retry-After, so that many examples fit into seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("catalog.sync.receive.ATTEMPTS", 2)
        patch.setattr("catalog.sync.rate.LONGEST_RETRY_AFTER", 0.001)
        yield


def one_file_catalog(path: Path, uri: str, body: bytes) -> Database:
    """A catalog of one file; made once, then copied."""
    if not ONE_FILE:
        add_files(catalog(path), {uri: body})
        ONE_FILE.append(path.read_bytes())
    path.write_bytes(ONE_FILE[0])
    return Database(path)


ONE_FILE: list[bytes] = []


# --- tokens ----------------------------------------------------------------------------------------


def exclusive(database: Database, files: Files) -> str:
    """Make the first file exclusive on the server, unknown to the catalog."""
    uri = next(iter(files.content))
    files.exclusive.add(uri)
    return uri


def test_a_denied_file_is_told_and_does_not_stop_the_rest(
    go: Callable[..., SyncReport], files: Files, database: Database
) -> None:
    exclusive(database, files)
    report = go()
    assert (report.fetched, report.failed) == (11, 1)
    assert report.failures[0].reason == "exclusive to program 1366: HTTP 401, a token is needed"


@pytest.mark.long
def test_what_the_catalog_knows_to_be_exclusive_is_not_asked_for(
    go: Callable[..., SyncReport], files: Files, database: Database
) -> None:
    uri = exclusive(database, files)
    with database.write() as connection:
        connection.execute("UPDATE file_version SET isRestricted = true WHERE dataURI = ?", [uri])
    assert go().failures[0].reason == "exclusive to program 1366; needs a token"
    assert uri not in [ask["uri"] for ask in files.asked]


def test_what_was_still_exclusive_after_its_public_date_is_out_of_reach(
    database: Database, files: Files, tmp_path: Path
) -> None:
    uri = exclusive(database, files)
    with database.write() as connection:
        connection.execute(
            """UPDATE file_version SET isRestricted = true, publicReleaseDate = '2020-01-02' WHERE dataURI = ?""", [uri]
        )
    assert make_plan(database, EVERYTHING, dest=tmp_path / "d").tallies["fetch"].items == 12
    add_run(database, 1, "2021-01-01")
    (item,) = make_plan(database, EVERYTHING, dest=tmp_path / "d").items("out of reach")
    assert (item.data_uri, item.reason) == (uri, "exclusive to program 1366; needs a token")


def test_a_token_is_sent_and_written_nowhere(
    go: Callable[..., SyncReport], files: Files, database: Database, tmp_path: Path
) -> None:
    exclusive(database, files)
    seen: list[Event] = []
    files.faults["cut"] = 2
    files.content[f"{URI}gone.fits"] = b""
    report = go(token=Token(TOKEN), on_event=seen.append)
    assert report.fetched == 12
    asked = [ask.get("Authorization") for ask in files.asked if ask["uri"] in files.exclusive]
    assert set(asked) == {None, f"token {TOKEN}"}  # the catalog took it for public
    assert not any("Authorization" in ask for ask in files.asked if ask["uri"] not in files.exclusive)
    assert TOKEN not in repr(seen) + repr(report)
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or TOKEN.encode() not in path.read_bytes()


def test_a_token_that_does_not_hold_is_said_without_showing_it(
    go: Callable[..., SyncReport], files: Files, database: Database
) -> None:
    exclusive(database, files)
    (failure,) = go(token=Token("wrong-secret")).failures
    assert "the token does not give access" in failure.reason
    assert "wrong-secret" not in failure.reason


def test_a_token_does_not_follow_to_another_host(files: Files) -> None:
    other = Files(dict(files.content))
    with serving(other):
        files.act = lambda handler, uri, body: redirect(handler, f"{other.address}{handler.path}")
        with Mast(files.address, Token(TOKEN)).open(Ask(next(iter(files.content)), exclusive=True)) as answer:
            b"".join(answer.chunks(1000))
    assert "Authorization" in files.asked[0]
    assert "Authorization" not in other.asked[0]


def redirect(handler: BaseHTTPRequestHandler, where: str) -> bool:
    assert isinstance(handler, Handler)
    handler.answer(302, b"", Location=where)
    return True


def test_a_token_prints_as_stars_and_cannot_be_pickled() -> None:
    token = Token(" secret ")
    assert "secret" not in f"{token!r} {token}"
    assert token.header == "token secret"
    with pytest.raises(TypeError):
        pickle.dumps(token)


def test_a_token_comes_from_the_environment_or_the_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    import keyring

    monkeypatch.setenv("MAST_API_TOKEN", "from-environment")
    assert getattr(find_token(), "header", "") == "token from-environment"
    monkeypatch.delenv("MAST_API_TOKEN")
    monkeypatch.setattr(keyring, "get_password", lambda service, user: f"{service}-{user}".replace(":", "."))
    assert getattr(find_token(), "header", "") == "token astroquery.mast.stsci.edu.token-masttoken"
    monkeypatch.setattr(keyring, "get_password", lambda service, user: "line\nbreak")
    with pytest.raises(UsageError, match="cannot be sent"):
        find_token()


# --- checksums in doubt ------------------------------------------------------------------------------


def odd(body: bytes) -> str:
    """A checksum that is no MD5 of the file."""
    return hashlib.md5(b"salt" + body).hexdigest()


@pytest.mark.long
def test_where_no_checksum_ever_agrees_a_person_may_trust_lengths_and_is_asked_again(
    files: Files, tmp_path: Path
) -> None:
    database = catalog(tmp_path / "c4.duckdb")
    add_files(database, files.content, checksum=odd)
    seen: list[Event] = []

    def go(trust_length: bool = False) -> SyncReport:
        seen.clear()
        return sync(database, EVERYTHING, server=files.address, dest=tmp_path / "d", on_event=seen.append,
                    trust_length=trust_length)  # fmt: skip

    for _ in range(2):  # the same wrong bytes twice prove nothing: they may be spoiled alike
        assert go().failed == 12
        assert on_disk(tmp_path / "d") == {}
        assert ["--trust-length" in event.text for event in seen if isinstance(event, Note)] == [True]
    assert go(trust_length=True).fetched == 12
    assert ["--trust-length" in event.text for event in seen if isinstance(event, Note)] == [True]
    assert on_disk(tmp_path / "d") == names(files.content)
    assert go().present == 0
    with database.read() as connection:
        ((told,),) = connection.execute("SELECT count(*) FROM findings WHERE contains(reason, 'accepted')").fetchall()
    assert told == 12


@pytest.mark.long
def test_one_checksum_that_agrees_proves_the_others_wrong(files: Files, tmp_path: Path) -> None:
    database = catalog(tmp_path / "c5.duckdb")
    right, wrong = dict(list(files.content.items())[:1]), dict(list(files.content.items())[1:])
    add_files(database, right)
    add_files(database, wrong, checksum=odd)
    for fetched, present in ((1, 0), (0, 1)):
        report = sync(database, EVERYTHING, server=files.address, dest=tmp_path / "d")
        assert (report.fetched, report.present, report.failed) == (fetched, present, 11)
        assert on_disk(tmp_path / "d") == names(right)


@pytest.mark.long
def test_a_server_that_spoils_every_file_for_a_night_leaves_no_file(
    go: Callable[..., SyncReport], files: Files, tmp_path: Path
) -> None:
    files.faults["corrupt"] = 10_000
    report = go()
    assert (report.fetched, report.failed) == (0, 12)
    assert on_disk(tmp_path / "dest") == {}
    files.faults.clear()
    assert go().fetched == 12
    assert on_disk(tmp_path / "dest") == names(files.content)


def test_a_few_wrong_files_do_not_make_a_doubt(files: Files, tmp_path: Path) -> None:
    database = catalog(tmp_path / "c6.duckdb")
    add_files(database, dict(list(files.content.items())[:4]), checksum=odd)
    report = sync(database, EVERYTHING, server=files.address, dest=tmp_path / "d")
    assert (report.fetched, report.failed) == (0, 4)


# --- interruption ------------------------------------------------------------------------------------


def test_ctrl_c_once_stops_cleanly_and_the_next_sync_goes_on(
    go: Callable[..., SyncReport], files: Files, tmp_path: Path, database: Database
) -> None:
    files.delay = 0.05
    done: list[str] = []

    def press(event: Event) -> None:
        if isinstance(event, Finished):
            done.append(event.filename)
            if len(done) == 3:
                signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    report = go(jobs=2, on_event=press)
    assert report.interrupted
    assert 3 <= report.fetched < 12
    assert signal.getsignal(signal.SIGINT) is before
    with database.read() as connection:
        assert connection.execute("SELECT count(*) FROM local_files").fetchone() == (report.fetched,)
    again = go()
    assert again.present == report.fetched
    assert on_disk(tmp_path / "dest") == names(files.content)


@pytest.mark.long
def test_syncs_that_are_killed_go_on_with_hardly_a_byte_twice(tmp_path: Path) -> None:
    outcome = killed(tmp_path, 120, 3, random.Random(5))
    assert outcome.kills
    assert (outcome.wrong, outcome.absent) == (0, 0)
    assert outcome.bytes <= 1.3 * outcome.size  # few files, and eight of them in flight at each kill


def test_the_catalog_can_be_read_while_a_sync_runs(
    go: Callable[..., SyncReport], files: Files, database: Database
) -> None:
    files.delay = 0.1
    counts: list[int] = []

    def look() -> None:
        while not finished.is_set():
            with database.read() as connection:
                row = connection.execute("SELECT count(*) FROM files").fetchone()
                counts.append(row[0] if row else 0)
            time.sleep(0.02)

    finished = threading.Event()
    reader = threading.Thread(target=look)
    reader.start()
    report = go(jobs=2)
    finished.set()
    reader.join()
    assert report.fetched == 12
    assert set(counts) == {12}


# --- inputs, and the public bucket ---------------------------------------------------------------------


@pytest.mark.long
def test_level_3_products_come_with_the_inputs_their_association_names(files: Files, tmp_path: Path) -> None:
    database = catalog(tmp_path / "c7.duckdb")
    members = [f"jw{i:05d}_nis_x1d.fits" for i in range(3)]
    association = json.dumps({"products": [{"members": [{"expname": m} for m in [*members, "../evil.fits"]]}]}).encode()
    asn, top = f"{URI}jw01366-o001_20230215t151758_tso3_00001_asn.json", f"{URI}jw01366-o001_x1dints.fits"
    files.content = {**some(3), asn: association, top: fits(2, "top")}
    add_products(database, {asn: association}, obs_id="o3", productType="INFO", calib_level=3)
    add_products(database, {top: fits(2, "top")}, obs_id="o3", calib_level=3)
    add_files(database, some(2))
    selection = Selection(types=("SCIENCE",), levels=(3,), with_inputs=True)
    plan = make_plan(database, selection, dest=tmp_path / "d")
    assert plan.selected == 2
    assert "1 association files are not here yet" in plan.notes[0]
    report = sync(database, selection, server=files.address, dest=tmp_path / "d")
    assert (report.selected, report.fetched, report.failed) == (5, 5, 0)
    assert on_disk(tmp_path / "d") == names(files.content)
    again = sync(database, selection, server=files.address, dest=tmp_path / "d")
    assert (again.present, again.fetched) == (5, 0)


@pytest.fixture
def bucket(files: Files) -> object:
    """The public bucket on loopback: eight of the files, one of them spoiled; a ninth that is said to be there."""
    obstore = pytest.importorskip("obstore.store", reason="the object-store client is an extra")
    keys = {uri: f"jwst/public/{uri.rsplit('/', 1)[1]}" for uri in list(files.content)[:9]}
    files.json["/api/v0.1/path_lookup/"] = {uri: {"path": f"/{key}"} for uri, key in keys.items()}
    files.bucket = {key: files.content[uri] for uri, key in list(keys.items())[:8]}
    first = next(iter(files.bucket))
    files.bucket[first] = files.bucket[first][:-1] + b"x"
    options = {"allow_http": True}
    return obstore.S3Store("stpubdata", endpoint=files.address, skip_signature=True, client_options=options)


def test_public_products_come_from_the_bucket_and_the_rest_from_the_archive(
    go: Callable[..., SyncReport], files: Files, tmp_path: Path, bucket: object
) -> None:
    report = go(source="cloud", store=bucket, token=Token(TOKEN))
    assert (report.fetched, report.failed) == (12, 0)
    assert on_disk(tmp_path / "dest") == names(files.content)
    assert (files.stats["object"], files.stats["get"]) == (
        9,
        5,
    )  # from MAST: what is not there, and what is wrong there
    assert not any("Authorization" in ask for ask in files.asked if "key" in ask)
    with pytest.raises(UsageError):
        go(source="tape")


@pytest.mark.long
def test_a_transfer_from_the_bucket_that_breaks_off_goes_on_at_the_archive(
    go: Callable[..., SyncReport], files: Files, tmp_path: Path, bucket: object
) -> None:
    files.faults["object cut"] = 3
    files.stats.clear()
    report = go(source="cloud", store=bucket)
    assert report.failed == 0
    assert on_disk(tmp_path / "dest") == names(files.content)


def test_a_killed_sync_from_the_bucket_continues_there_and_a_changed_object_starts_over(
    go: Callable[..., SyncReport], files: Files, tmp_path: Path, bucket: object
) -> None:
    same, changed = list(files.content)[1:3]
    for uri in (same, changed):
        body = files.content[uri]
        leave_a_part(tmp_path / "dest", uri, body, body, f'"{md5(body if uri == same else b"")}"')
    report = go(Selection(sql=f"SELECT unnest(['{same}', '{changed}']) AS data_uri"), source="cloud", store=bucket)
    sent = len(files.content[same]) - len(files.content[same]) // 2 + len(files.content[changed])
    assert (report.failed, report.bytes, files.stats["get"]) == (0, sent, 0)
    assert on_disk(tmp_path / "dest") == names({uri: files.content[uri] for uri in (same, changed)})


def test_received_bytes_are_told_while_a_file_is_slow(files: Files, database: Database, tmp_path: Path) -> None:
    def slow(handler: BaseHTTPRequestHandler, uri: str, body: bytes) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        for n in range(0, len(body), 1000):
            handler.wfile.write(body[n : n + 1000])
            handler.wfile.flush()
            time.sleep(0.1)
        return True

    files.act = slow
    seen: list[Event] = []
    sync(database, Selection(sql="SELECT filename FROM files LIMIT 1"), server=files.address, dest=tmp_path / "d",
         on_event=seen.append)  # fmt: skip
    assert [event for event in seen if isinstance(event, Received)]


def test_a_report_of_a_fault_never_shows_an_address_or_python(go: Callable[..., SyncReport], files: Files) -> None:
    files.faults["503"] = 10_000
    for failure in go(Selection(sql="SELECT filename FROM files LIMIT 1")).failures:
        assert not re.search(r"0x|object at|Traceback|http://", failure.reason)


def test_a_search_with_a_file_no_product_row_lists_fetches_it_by_its_own_uri(
    go: Callable[..., SyncReport], database: Database, files: Files
) -> None:
    add_search(database, "s", names(files.content))
    assert go(Selection("s")).fetched == 12
