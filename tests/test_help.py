"""Every command: its help, its examples, its forms of answer, and how it ends."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from catalog.cli.examples import EXAMPLES, SEE_ALSO, SHORT
from catalog.cli.main import app

from catalog.simulator import Simulator
from catalog.simulator.server import TOKEN
from catalog.store.database import Database

from .conftest import Command
from .lakes import POSTGRES, name_in
from .postgres_server import binaries

COMMANDS = sorted(str(info.name) for info in app.registered_commands)
ENTRY = str(Path(sys.executable).with_name("mastlake"))
NOT_RUN = {"demo", "serve", "simulate"}  # the one has tests of its own, the others end only with Ctrl-C
NO_JSON = {"demo", "serve", "simulate"}  # they show, and end with nothing to say
CATALOG_FIRST = {"products", "find", "status", "outdated", "searches", "runs", "sky", "timeline", "sql"}


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """The help of every command, as it is printed into a file, as wide as needed."""
    environment = {**os.environ, "COLUMNS": "240", "TERMINAL_WIDTH": "240"}
    done = subprocess.run(
        [sys.executable, "-c", PRINT_HELP, "", *COMMANDS], capture_output=True, check=True, env=environment
    )
    assert done.stderr == b""
    return dict(json.loads(done.stdout))


PRINT_HELP = """
import contextlib, io, json, sys
from catalog.cli.main import run
found = {}
for name in sys.argv[1:]:
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        run([*name.split(), "--help"])
    found[name] = printed.getvalue()
found["loaded"] = " ".join(sys.modules)
print(json.dumps(found))
"""


class TestHelp:
    """What ``--help`` says."""

    @pytest.mark.parametrize("name", COMMANDS)
    def test_every_command_has_examples_and_says_where_to_go_on(self, helps: dict[str, str], name: str) -> None:
        text = helps[name]
        assert f"Usage: mastlake {name}" in text
        for why, words in EXAMPLES[name]:
            assert f"# {why}" in text
            assert f"$ {words}" in re.sub(r"\s+", " ", text)
        for other in SEE_ALSO.get(name, "").split(", "):
            assert other in ("", *COMMANDS), other

    def test_every_example_is_of_a_command_that_there_is(self) -> None:
        for name, examples in EXAMPLES.items():
            for _, words in examples:
                assert shlex.split(words)[:2] == ["mastlake", name]

    @pytest.mark.parametrize("name", COMMANDS)
    def test_every_option_is_explained(self, name: str) -> None:
        command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
        for parameter in command.params:
            assert parameter.help, f"{name} {parameter.name}"

    def test_the_first_page_has_every_commands_purpose_in_full(self, helps: dict[str, str]) -> None:
        for name in COMMANDS:
            assert re.search(rf"^  {name} +{re.escape(SHORT[name])}$", helps[""], re.MULTILINE), name

    def test_the_first_page_says_files_environment_and_exit_codes(self, helps: dict[str, str]) -> None:
        for word in ("mastlake.toml", "MASTLAKE_SERVER", "MASTLAKE_WAIT", "NO_COLOR", "Exit codes", *COMMANDS):
            assert word in helps[""]

    def test_into_a_file_there_is_no_escape_sequence(self, helps: dict[str, str]) -> None:
        assert not any("\x1b" in text for text in helps.values())

    def test_no_help_loads_anything_heavy(self, helps: dict[str, str]) -> None:
        heavy = {
            "astropy", "astroquery", "duckdb", "httpx", "keyring", "matplotlib", "numpy", "pandas", "PIL", "polars",
            "prompt_toolkit", "pyarrow", "requests", "rich", "scipy", "sqlalchemy", "stdatamodels", "textual_image",
        }  # fmt: skip
        assert heavy & set(helps["loaded"].split()) == set()

    def test_help_is_there_whatever_mastlake_toml_says(self, mastlake: Command, tmp_path: Path) -> None:
        (tmp_path / "mastlake.toml").write_text("what is this")
        assert mastlake("status", "--help").code == 0
        assert mastlake("status").code == 2


class TestExamples:
    """The examples of the help, run in order."""

    @pytest.fixture
    def asked(self, mastlake: Command, sky: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
        """A folder in which they can run, with a token; its catalog has the name that mastlake gives it."""
        monkeypatch.setenv("MASTLAKE_CATALOG", str(tmp_path / "mastlake.duckdb"))
        monkeypatch.setenv("MASTLAKE_SERVER", sky.url)
        monkeypatch.setenv("MAST_API_TOKEN", TOKEN)
        return mastlake

    @pytest.mark.long
    def test_every_example_runs(self, asked: Command, tmp_path: Path, request: pytest.FixtureRequest) -> None:
        for name, examples in EXAMPLES.items():
            if name in NOT_RUN or name not in COMMANDS:
                continue
            for _, words in examples:
                if "--watch" in words:  # ends only with Ctrl-C
                    continue
                if POSTGRES in words and binaries() is None:
                    continue
                arguments = [_present(tmp_path, word, request) for word in shlex.split(words)[1:]]
                outcome = asked(*arguments)
                assert outcome.code == 0, (words, outcome.err)
                if "--json" in arguments:
                    json.loads(outcome.out)
                if "-o" in arguments:
                    assert (tmp_path / arguments[arguments.index("-o") + 1]).stat().st_size


def _present(folder: Path, word: str, request: pytest.FixtureRequest) -> str:
    """Put what is here in the place of an example's file, folder or server."""
    if word.startswith(POSTGRES):
        return name_in(folder, POSTGRES, request)
    if word in {"/shared/jwst/", "s3://my-bucket/jwst/"}:
        return str(folder / "group" / "_")[:-1]
    if not re.search(r"\bjw\w+.*\.fits$", word):
        return word
    suffix = word.rpartition("_")[2]
    found = sorted((folder / "data").glob(f"*_{suffix}")) or sorted((folder / "data").glob("*_x1dints.fits"))
    return str(found[0]) if "/" in word else found[0].name


class TestJson:
    """``--json`` gives one JSON value on stdout, and nothing else."""

    @pytest.mark.parametrize("name", sorted(set(COMMANDS) - NO_JSON))
    def test_every_command_has_it(self, helps: dict[str, str], name: str) -> None:
        assert "--json" in helps[name]

    @pytest.mark.long
    def test_listings_are_lists_of_objects(self, mastlake: Command, catalog: Database) -> None:
        for words in (
            ["searches"],
            ["runs"],
            ["diff", 1, 1],
            ["find"],
            ["products"],
            ["keywords", "exp"],
            ["sql", "FROM runs"],
        ):
            answer = mastlake(*words, "--json").json
            assert isinstance(answer, list), words
            assert all(isinstance(one, dict) for one in answer), words
        for words in (
            ["status"],
            ["outdated"],
            ["changes"],
            ["sync", "--dry-run"],
            ["index", "."],
            ["script"],
            ["sky"],
            ["timeline"],
        ):
            assert isinstance(mastlake(*words, "--json").json, dict), words


class TestEnds:
    """Exit codes, and errors that say what to do next."""

    @pytest.mark.parametrize("name", sorted(CATALOG_FIRST))
    def test_without_a_catalog_every_command_says_how_to_make_one(self, mastlake: Command, name: str) -> None:
        outcome = mastlake(name, *(["SELECT 1"] if name == "sql" else []))
        assert outcome.code == 1
        assert outcome.out == ""
        assert outcome.err.count("\n") == 1
        assert "mastlake harvest NAME --instrument" in outcome.err

    @pytest.mark.parametrize("name", COMMANDS)
    def test_an_unknown_option_is_wrong_usage_and_points_to_the_help(self, mastlake: Command, name: str) -> None:
        outcome = mastlake(name, "--no-such-option")
        assert outcome.code == 2
        assert outcome.out == ""
        assert f"mastlake {name} --help" in outcome.err

    def test_a_mistyped_command_is_answered_with_the_nearest(self, mastlake: Command) -> None:
        outcome = mastlake("harvst")
        assert outcome.code == 2
        assert "harvest" in outcome.err

    @pytest.mark.parametrize(
        ("words", "next_step"),
        [
            (["changes", 99], "mastlake runs"),
            (["diff", 1, 99], "mastlake runs"),
            (["changes", "--what", "files"], "file, observation or product"),
            (["find", "-k", "zzzz=1"], "mastlake keywords"),
            (["products", "sos"], "soss"),
            (["sky", "--target", "NOWHERE"], "no harvested target is called 'NOWHERE'; there are"),
            (["preview", "nothing"], "mastlake products --type PREVIEW"),
            (["plot", "nothing.fits"], "mastlake sync"),
            (["plot", "catalog.duckdb", "-o", "a.bmp"], ".png, .svg or .pdf"),
            (["timeline", "--sql", "SELECT 1 AS a"], "column filename"),
        ],
    )
    def test_an_error_is_one_line_that_says_what_to_do_next(
        self, mastlake: Command, catalog: Database, words: list[object], next_step: str
    ) -> None:
        outcome = mastlake(*words)
        assert outcome.code == 2
        assert outcome.out == ""
        assert outcome.err.count("\n") == 1
        assert next_step in outcome.err

    def test_no_words_at_all_are_answered_with_the_help(self, mastlake: Command) -> None:
        outcome = mastlake()
        assert (outcome.code, outcome.out) == (2, "")
        assert "Usage: mastlake" in outcome.err


class TestColours:
    """NO_COLOR is kept everywhere."""

    @pytest.mark.parametrize("words", [["--help"], ["keywords", "exp_type"], ["keywords", "nothing-like-it"]])
    def test_no_colour_where_none_is_wanted(self, words: list[str]) -> None:
        from .test_plots import on_terminal

        _, plain = on_terminal([ENTRY, *words], {}, {"NO_COLOR": "1"})
        colours = re.compile(rb"\x1b\[[0-9;]*\b(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[0-9;]*m")
        assert not colours.search(plain)
