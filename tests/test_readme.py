"""Every command of the README runs, in order, against the built-in archive."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from catalog.simulator import Simulator

from .conftest import Command

README = (Path(__file__).parent.parent / "README.md").read_text()
COMMANDS = re.findall(r"^\$ mastlake (.+)$", README, re.MULTILINE)


def test_the_readme_shows_every_command(mastlake: Command) -> None:
    listed = set(re.findall(r"^  (\w+) ", mastlake("--help").out.partition("Commands")[2], re.MULTILINE))
    used = {shlex.split(command)[0] for command in COMMANDS} | set(re.findall(r"mastlake (\w+)", README))
    assert {"harvest", "sql", "products", "sync", "script", "index", "status", "outdated", "keywords"} <= used
    assert used <= listed | {"does", "in", "command", "import"}


def test_every_command_in_the_readme_runs(mastlake: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    with Simulator() as archive:
        monkeypatch.setenv("MASTLAKE_SERVER", archive.url)
        for number, command in enumerate(COMMANDS):
            words = shlex.split(command)
            if words == ["harvest"] and number:
                archive.advance()
            outcome = mastlake(*words)
            assert outcome.code == 0, (command, outcome.err)
            if words[0] in ("sql", "products", "find", "searches", "runs", "keywords") and "-o" not in words:
                assert outcome.out.strip(), command


def test_the_readme_names_the_make_targets_that_there_are() -> None:
    makefile = (Path(__file__).parent.parent / "Makefile").read_text()
    for target in re.findall(r"^make ([\w-]+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
