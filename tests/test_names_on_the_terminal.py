"""Names from outside are shown as text: they break no line and steer no terminal."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pyarrow as pa
import pytest
from catalog.cli.printing import put, put_table, say
from catalog.cli.progress import sync_progress
from catalog.cli.table_layout import full_table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.answers.result import Result
from catalog.store.database import Database
from catalog.sync.events import Note, Planned, Started
from catalog.text import harmless

from .conftest import Command

ODD = (
    "two\nlines",
    "\x1b[31mred",
    "\x1b]0;title\x07",
    "\u202efits.exe",
    "\u2028",
    "a\x85b",
    "tab\t",
    "\r",
    "\udc80",
    "\ufeffx",
)
NAMES = st.text(st.characters(exclude_characters="…"), min_size=1, max_size=12) | st.sampled_from(ODD)


def steers(text: str) -> bool:
    """Say whether a line of text holds what a terminal would act on."""
    return any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or "\u202a" <= c <= "\u202e" for c in text)


@settings(max_examples=200)
@given(NAMES)
def test_a_harmless_name_is_one_line_and_steers_nothing(name: str) -> None:
    text = harmless(name)
    assert not steers(text)
    assert len(f"{text}.".splitlines()) == 1
    assert harmless(text) == text


@given(st.text(st.characters(categories=("L", "N", "P", "S", "M")), max_size=30))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text


@settings(max_examples=50)
@given(st.lists(NAMES, min_size=1, max_size=3), st.lists(NAMES, min_size=3, max_size=3))
def test_a_table_has_a_line_a_row_whatever_stands_in_it(columns: list[str], row: list[str]) -> None:
    lines = full_table(columns, [row[: len(columns)]]).removesuffix("\n").split("\n")
    assert len(lines) == 2
    assert not any(map(steers, lines))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NAMES)
def test_messages_are_one_line(capsys: pytest.CaptureFixture[str], name: str) -> None:
    say(f"cannot read {name}")
    put(name)
    out, err = capsys.readouterr()
    for text in (out, err):
        assert text.endswith("\n")
        assert not steers(text.removesuffix("\n"))


@pytest.mark.parametrize("odd", ODD)
def test_a_terminal_gets_no_other_escape_sequence_than_colours(
    odd: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    put_table((odd, "filename", "why"), [(odd, odd * 9, odd)], wrap=("why",))
    out, err = capsys.readouterr()
    plain = re.sub(r"\x1b\[(0|1|36)m", "", out + err)
    assert not any(map(steers, plain.split("\n")))


@pytest.mark.parametrize("name", [*ODD[:4], "[red]name[/red]", "[/]"])
def test_progress_shows_names_as_text(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with sync_progress(quiet=False) as show:
        show(Planned(1, 10))
        show(Started(f"data/{name}", name, 0, 10))
        show(Note(f"note of {name}"))
    err = capsys.readouterr().err
    assert harmless(name) in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", err)
    assert "\x1b[31mred" not in err


def test_a_notebook_shows_names_as_text() -> None:
    rows = pa.table({"targname": ["two\nlines\u202e", "<b>bold</b>"], "<script>": ["\x1b[31m", "x"]})
    html = Result(rows, "SELECT")._repr_html_()
    assert r"two\nlines\u202e" in html
    assert "<b>bold" not in html
    assert "<script>" not in html
    assert "\x1b" not in html + repr(Result(rows, "SELECT"))


@pytest.mark.parametrize(
    "words",
    [
        ["find", "--cone", "\x1b[31m\nTARGET,3s"],
        ["find", "-k", "exp_type=\x1b[31m\nX"],
        ["products", "\x1b[31m\nsearch"],
        ["sql", "SELECT \x1b[31m\nx"],
        ["\x1b[31m\ncommand"],
        ["find", "--\x1b[31m\noption"],
        ["plot", "\x1b[31m\nfile.fits"],
        ["find", "--limit", "\x1b[31m\n1"],
        ["--catalog", "\x1b[31m\nx.duckdb", "runs"],
    ],
)
def test_what_was_typed_is_told_in_one_line(mastlake: Command, catalog: Database, words: list[str]) -> None:
    outcome = mastlake(*words)
    assert outcome.code in (1, 2)
    assert "\x1b" not in outcome.err
    assert outcome.err.count("\n") == 1


def test_data_formats_carry_names_as_they_are(mastlake: Command, catalog: Database, tmp_path: Path) -> None:
    asked = "SELECT chr(27) || '[31m' || chr(10) || 'x' AS name"
    assert mastlake("sql", asked, "--json").json == [{"name": "\x1b[31m\nx"}]
    assert mastlake("sql", asked, "--format", "csv").out == '"name"\n"\x1b[31m\nx"\n'
    assert mastlake("sql", asked).out == "name\n\\x1b[31m\\nx\n"
