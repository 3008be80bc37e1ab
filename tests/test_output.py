"""Tables for people, in terminals of any width."""

from __future__ import annotations

import re

import pytest
from catalog.cli.output import put_table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NAME = "jw01366-o001_t001_niriss_clear-gr700xd-substrip256_x1dints.fits"
COLUMNS = ("run", "filename", "title", "file_size", "requests")
ROWS = [(1, NAME, "The Transiting Exoplanet Community Early Release Science Program", 1234567890, 7)]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A terminal whose width a test sets."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    return monkeypatch


def test_a_wide_terminal_shows_everything(terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.setenv("COLUMNS", "200")
    put_table(COLUMNS, ROWS)
    out, err = capsys.readouterr()
    assert all(str(value) in out for value in ROWS[0])
    assert err == ""


def test_texts_give_way_before_numbers_and_names(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal.setenv("COLUMNS", "120")
    put_table(COLUMNS, ROWS)
    out, err = capsys.readouterr()
    assert NAME in out
    assert "1234567890" in out
    assert "…" in out
    assert err == ""


def test_columns_without_room_are_named(terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.setenv("COLUMNS", "90")
    put_table(COLUMNS, ROWS)
    out, err = capsys.readouterr()
    assert NAME in out
    assert "requests" not in out
    assert err.startswith("no room for file_size, requests;")


def test_a_pipe_gets_the_whole_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    put_table(COLUMNS, ROWS)
    out, err = capsys.readouterr()
    assert all(str(value) in out for value in ROWS[0])
    assert err == ""


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    width=st.integers(25, 200),
    rows=st.lists(st.tuples(st.integers(), st.text("ab é", max_size=90), st.text("xy", max_size=90)), max_size=4),
)
def test_no_line_is_longer_than_the_terminal(
    terminal: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    width: int,
    rows: list[tuple[int, str, str]],
) -> None:
    terminal.setenv("COLUMNS", str(width))
    put_table(("n", "why", "title"), rows, wrap=("why",))
    out, _ = capsys.readouterr()
    assert all(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) <= width for line in out.splitlines())
