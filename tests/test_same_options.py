"""Options that mean the same in every command that has them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from catalog.cli.main import COMMANDS, application
from typer.main import get_command

from catalog.store.database import Database

from .conftest import Command

LISTINGS: dict[str, tuple[str, ...]] = {
    "find": ("find", "-k", "exp_type=NIS_SOSS"),
    "sql": ("sql", "SELECT filename, targname FROM files ORDER BY filename"),
    "products": ("products", "soss"),
    "searches": ("searches",),
    "runs": ("runs",),
    "changes": ("changes", "1"),
    "diff": ("diff", "1", "1"),
    "outdated": ("outdated",),
    "keywords": ("keywords", "exposure"),
    "inputs": ("inputs", "jw01091002001_04101_00001-seg001_nis_x1dints.fits"),
    "outputs": ("outputs", "jw01091002001_04101_00001-seg001_nis_x1dints.fits"),
}
PICTURES = ("plot", "preview", "sky", "timeline")
OF_ONE_VALUE = (
    "demo",
    "harvest",
    "sync",
    "script",
    "index",
    "status",
    "forget",
    "serve",
    "login",
    "simulate",
    "publish",
    "clone",
    "shared",
    "copy",
    "upkeep",
)
OF_OBJECTS = ("changes", "outdated")
"""Listings whose JSON is an object with lists in it."""


def options(command: str) -> set[str]:
    found = get_command(application()).commands[command]  # type: ignore[attr-defined]
    return {option for one in found.params for option in one.opts}


def test_every_command_is_of_one_kind() -> None:
    assert sorted([*LISTINGS, *PICTURES, *OF_ONE_VALUE]) == sorted(COMMANDS)


@pytest.mark.parametrize("command", LISTINGS)
def test_a_listing_has_all_options_of_listings(command: str) -> None:
    assert {"--format", "-o", "--output", "--limit", "--json"} <= options(command)


@pytest.mark.parametrize("command", PICTURES)
def test_a_picture_has_a_format_and_a_file(command: str) -> None:
    assert {"--format", "-o", "--output", "--json", "--show"} <= options(command)


@pytest.mark.parametrize("command", LISTINGS)
def test_two_formats_at_once_are_refused_in_one_line(
    command: str, catalog: Database, mastlake: Command, tmp_path: Path
) -> None:
    words = LISTINGS[command]
    for more in (
        ("--json", "--format", "csv"), ("--json", "-o", "x.csv"), ("--format", "json", "-o", "x.csv"),
        ("--format", "table", "-o", "x.csv"), ("--format", "cvs"), ("-o", "x.txt"),
    ):  # fmt: skip
        done = mastlake("--catalog", str(catalog.path), *words, *more)
        assert done.code == 2, more
        assert not done.out
        assert len(done.err.splitlines()) == 1, done.err
        assert not list(tmp_path.glob("x.*"))


@pytest.mark.parametrize("command", PICTURES)
def test_two_kinds_of_picture_are_refused_in_one_line(
    command: str, catalog: Database, mastlake: Command, tmp_path: Path
) -> None:
    (tmp_path / "a.fits").write_bytes(b"")
    words = {"plot": ["plot", str(tmp_path / "a.fits")], "preview": ["preview", "soss"]}.get(command, [command])
    for more in (("--format", "svg", "-o", "x.png"), ("--format", "csv"), ("-o", "x.txt")):
        done = mastlake("--catalog", str(catalog.path), *words, *more)
        assert (done.code, done.out) == (2, ""), more
        assert len(done.err.splitlines()) == 1, done.err


@pytest.mark.long
@pytest.mark.parametrize("command", LISTINGS)
def test_a_format_and_the_ending_of_a_file_give_the_same_rows(
    command: str, catalog: Database, mastlake: Command, tmp_path: Path
) -> None:
    words = ("--catalog", str(catalog.path), *LISTINGS[command], "--limit", "2")
    printed = mastlake(*words, "--format", "csv")
    assert printed.code == 0, printed.err
    rows = list(csv.DictReader(io.StringIO(printed.out)))
    assert len(rows) <= 2
    assert printed.out.count("\n") >= 1  # the names of columns stand there without rows too
    for ending in ("csv", "jsonl", "json", "parquet", "ecsv", "vot"):
        assert mastlake(*words, "-o", str(tmp_path / f"out.{ending}")).code == 0, ending
    assert (tmp_path / "out.csv").read_text() == printed.out
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == len(rows)
    assert pq.read_table(tmp_path / "out.parquet").num_rows == len(rows)
    whole = json.loads((tmp_path / "out.json").read_text())
    assert isinstance(whole, dict) == (command in OF_OBJECTS)
    if command not in OF_OBJECTS:
        assert len(whole) == len(rows)


@pytest.mark.parametrize("command", LISTINGS)
def test_quiet_leaves_data_and_nothing_else(command: str, catalog: Database, mastlake: Command) -> None:
    words = ("--catalog", str(catalog.path), *LISTINGS[command], "--limit", "1")
    for more in ((), ("--json",), ("--format", "csv")):
        quiet, loud = mastlake(*words, *more, "-q"), mastlake(*words, *more)
        assert quiet.err == ""
        assert (quiet.code, quiet.out) == (loud.code, loud.out)


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1.5", ""])
@pytest.mark.parametrize("command", LISTINGS)
def test_a_limit_is_a_number_of_rows(command: str, limit: str, catalog: Database, mastlake: Command) -> None:
    done = mastlake("--catalog", str(catalog.path), *LISTINGS[command], "--limit", limit)
    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["forget", ""], ["find", "--target", ""], ["find", "--until="], ["products", "soss", "--subgroup", ""],
        ["index", ""], ["plot", ""], ["outdated", "--state", ""], ["sync", "--sql", "", "--dry-run"],
        ["inputs", ""], ["searches", "show", ""], ["--catalog", "", "status"],
    ],
)  # fmt: skip
def test_an_empty_value_never_means_everything(catalog: Database, mastlake: Command, words: list[str]) -> None:
    done = mastlake("--catalog", str(catalog.path), *words)
    assert (done.code, done.out) == (2, "")
    assert "is empty; give one" in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["find", "--limit", "99999999999999999999"], ["sync", "soss", "--source", "clod", "--dry-run"],
        ["sync", "soss", "--limit-rate", "20MB/h", "--dry-run"], ["runs", "--search", "sos"],
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_in_one_line(catalog: Database, mastlake: Command, words: list[str]) -> None:
    done = mastlake("--catalog", str(catalog.path), *words)
    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1


def test_a_path_that_is_not_there_is_told(catalog: Database, mastlake: Command) -> None:
    assert "there is no nowhere" in mastlake("--catalog", str(catalog.path), "outdated", "nowhere").err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_server_is_refused_by_every_command(command: str, mastlake: Command) -> None:
    words = {
        "keywords": ["exp_type"], "sql": ["SELECT 1"], "index": ["."], "forget": ["x"], "inputs": ["x"],
        "outputs": ["x"], "plot": ["x"], "preview": ["x"], "diff": ["1", "2"], "demo": ["--dir", "never"],
        "publish": ["never"], "clone": ["never"], "copy": ["never", "never"],
    }.get(command, [])  # fmt: skip
    done = mastlake("--server", "ftp://example.org", command, *words)
    assert (done.code, done.err) == (2, "mastlake: --server ftp://example.org is not an http or https address\n")
    assert not done.out


@pytest.mark.long
@pytest.mark.parametrize("command", ["sky", "timeline"])
def test_a_picture_of_files_takes_the_first_of_them(
    command: str, catalog: Database, mastlake: Command, tmp_path: Path
) -> None:
    picture = tmp_path / "x.svg"
    done = mastlake("--catalog", str(catalog.path), command, "--limit", "2", "-o", str(picture), "--json")
    assert done.code == 0, done.err
    assert "the first 2" in picture.read_text()
    found = done.json["footprints"] if command == "sky" else done.json["observed"]
    assert sum(one["files"] for one in found) + done.json.get("unplaced", 0) == 2
    assert mastlake("--catalog", str(catalog.path), command, "--limit", "0").code == 2
