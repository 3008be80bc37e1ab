"""What is said while a person waits."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from catalog.cli import progress as bars

from catalog.harvest import Progress


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Timers that go off when a test says so."""
    made: list[Any] = []

    class Timer:
        def __init__(self, seconds: float, act: Any, words: list[str]) -> None:
            self.seconds, self.act, self.words, self.cancelled = seconds, act, words, False
            made.append(self)

        def start(self) -> None:
            assert self.seconds <= 1

        def cancel(self) -> None:
            self.cancelled = True

    monkeypatch.setattr(threading, "Timer", Timer)
    return made


def test_a_slow_archive_is_told_after_a_second_without_a_terminal(
    timers: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with bars.harvest_progress(quiet=False, asked="soss: asked http://archive"):
        (timer,) = timers
        timer.act(*timer.words)
    assert capsys.readouterr().err == "soss: asked http://archive, waiting since 1 s\n"
    assert timer.cancelled


def test_an_archive_that_answers_is_not_told(timers: list[Any]) -> None:
    with bars.harvest_progress(quiet=False, asked="soss: asked http://archive") as show:
        show(Progress("soss", "files", 1, 2))
        assert timers[0].cancelled
    with bars.harvest_progress(quiet=True, asked="x"):
        assert len(timers) == 1


def test_a_terminal_shows_from_the_start_what_was_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    with bars.harvest_progress(quiet=False, asked="soss: asked http://archive"):
        pass
    assert "soss: asked http://archive, waiting" in capsys.readouterr().err
