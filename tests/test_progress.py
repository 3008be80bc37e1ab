"""What is said while a person waits."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from catalog.cli import progress as bars
from catalog.cli.index_progress import index_progress

from catalog.harvest import Progress
from catalog.headers import FilesFound, FilesRead, index_folders
from catalog.store.database import Database

from .fits_samples import padded, primary


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Timers that go off when a test says so."""
    made: list[Any] = []

    class Timer:
        def __init__(self, seconds: float, act: Any) -> None:
            self.seconds, self.act, self.cancelled = seconds, act, False
            made.append(self)

        def start(self) -> None:
            assert self.seconds <= (1 if self is made[0] else 60)

        def cancel(self) -> None:
            self.cancelled = True

    monkeypatch.setattr(threading, "Timer", Timer)
    return made


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that a test sets."""
    clock = [0.0]
    monkeypatch.setattr(bars.time, "monotonic", lambda: clock[0])
    return clock


def test_a_slow_archive_is_told_after_a_second_and_each_minute_without_a_terminal(
    timers: list[Any], now: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    asked = "soss: asked http://archive"
    with bars.harvest_progress(quiet=False, asked=asked):
        for now[0] in (1.0, 61.0):
            timers[-1].act()
        assert not timers[-1].cancelled
    assert timers[-1].cancelled
    timers[-1].act()
    assert capsys.readouterr().err == f"{asked}, waiting since 1 s\n{asked}, waiting since 61 s\n"


def test_an_archive_that_falls_silent_is_told_after_a_minute(
    timers: list[Any], now: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with bars.harvest_progress(quiet=False, asked="soss: asked http://archive") as show:
        show(Progress("soss", "products", 20, 1200))
        for now[0] in (1.0, 61.0):
            timers[-1].act()
    assert capsys.readouterr().err == "soss: products, 20 of about 1,200; nothing more for 61 s\n"


def test_an_archive_that_answers_is_not_told(
    timers: list[Any], now: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with bars.harvest_progress(quiet=False, asked="soss: asked http://archive") as show:
        show(Progress("soss", "files", 1, 2))
        now[0] = 1.0
        timers[0].act()
    with bars.harvest_progress(quiet=True, asked="x"):
        assert len(timers) == 2
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_from_the_start_what_was_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    with bars.harvest_progress(quiet=False, asked="soss: asked http://archive"):
        pass
    assert "soss: asked http://archive, waiting" in capsys.readouterr().err


def test_a_long_harvest_without_a_terminal_says_how_far_it_is(
    timers: list[Any], now: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with bars.harvest_progress(quiet=False, asked="x") as show:
        for now[0], done in ((0.5, 1), (1.5, 20), (2.0, 30), (12.0, 400)):
            show(Progress("soss", "products", done, 1200))
    assert capsys.readouterr().err == "soss: products, 20 of about 1,200\nsoss: products, 400 of about 1,200\n"


def test_a_long_index_without_a_terminal_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(bars.time, "monotonic", lambda: now[0])
    with index_progress(quiet=False) as show:
        now[0] = 2.0
        show(FilesFound(2000, 5000))
        show(FilesFound(2500, 5000))
        now[0] = 13.0
        show(FilesRead(128, 5100))
        now[0] = 30.0
        show(FilesRead(5100, 5100))  # the report follows at once
    assert capsys.readouterr().err == "looking for files: 2,000 of about 5,000\nreading headers: 128 of 5,100\n"


def test_the_time_until_an_index_begins_to_look_does_not_count(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(bars.time, "monotonic", lambda: now[0])
    with index_progress(quiet=False) as show:
        now[0] = 5.0  # the catalog was opened meanwhile
        show(FilesFound(0, 0))
        now[0] = 5.5
        show(FilesFound(10, 0))
        assert capsys.readouterr().err == ""
        now[0] = 6.5
        show(FilesFound(20, 0))
    assert capsys.readouterr().err == "looking for files: 20\n"


@pytest.mark.long
def test_an_index_knows_from_the_start_about_how_many_files_there_are(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.fits").write_bytes(padded(primary()))
    told: list[Any] = []
    index_folders(database, [folder], on_event=told.append)
    assert told[0] == FilesFound(0, 0)
    told.clear()
    index_folders(database, [folder], on_event=told.append)
    assert told[0] == FilesFound(0, 3)
