"""Tables for people, in terminals of any width."""

from __future__ import annotations

import re

import pytest
from catalog.cli.printing import put_table
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
    terminal.setenv("COLUMNS", "50")
    put_table(COLUMNS, ROWS)
    out, err = capsys.readouterr()
    assert "requests" not in out
    assert err.startswith("no room for file_size, requests;")


def test_long_names_give_way_in_the_middle_so_that_eighty_columns_show_more_than_two(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal.setenv("COLUMNS", "80")
    put_table(COLUMNS, ROWS)
    out, err = capsys.readouterr()
    assert re.search(r"jw01366-o001_\S*…\S*_x1dints\.fits", out)
    assert "requests" in out
    assert "1234567890" in out
    assert err == ""


def test_prose_is_whole_at_eighty_columns(terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.setenv("COLUMNS", "80")
    why = "the archive's version is of 2023-04-01T10:00:00, this file's of 2022-07-14T08:00:00; its checksum differs"
    put_table(("state", "filename", "why"), [("stale", NAME, why)], wrap=("why",))
    out, err = capsys.readouterr()
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out)
    assert set(why.split()) <= set(plain.replace(";", "; ").split()) | set(plain.split())
    assert err == ""


def test_states_and_numbers_are_in_colour_where_the_terminal_has_it(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [("stale", "a.fits", 17)]
    terminal.setenv("COLUMNS", "80")
    put_table(("state", "filename", "size"), rows)
    assert re.search(r"\x1b\[33mstale", capsys.readouterr().out)
    terminal.setenv("NO_COLOR", "1")
    put_table(("state", "filename", "size"), rows)
    assert "[33m" not in capsys.readouterr().out


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
