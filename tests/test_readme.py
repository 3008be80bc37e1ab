"""Every command of the README and of the pages runs, in the order of reading, against the built-in archive."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from catalog.simulator import Simulator

from .conftest import Command
from .written_pages import DOCS, ROOT, written_pages

README = (ROOT / "README.md").read_text()
FIRST = ("harvest", "ask", "program", "download", "disk", "headers", "pictures")
"""How-to pages in the order of reading: each may use what the earlier ones left in the folder."""
GOES_ON = {"serve"}
"""It runs until somebody ends it; the tests of the page start it, and end it."""
PRINT = {"sql", "products", "find", "searches", "runs", "keywords"}


def pages() -> list[Path]:
    folder = DOCS / "howto"
    first = [folder / f"{name}.md" for name in FIRST]
    return [ROOT / "README.md", *first, *(path for path in written_pages() if path not in first)]


def commands() -> list[tuple[str, str]]:
    """Each command that is shown after a prompt, and the page that it is on."""
    return [
        (page.name, command)
        for page in pages()
        for command in re.findall(r"^ *\$ mastlake (.+)$", page.read_text(), re.MULTILINE)
    ]


def test_the_pages_show_only_commands_that_there_are(mastlake: Command) -> None:
    listed = set(re.findall(r"^  (\w+) ", mastlake("--help").out.partition("Commands")[2], re.MULTILINE))
    shown = {shlex.split(command)[0] for _, command in commands()}
    named = {name for page in pages() for name in re.findall(r"`mastlake ([a-z]+)\b", page.read_text())}
    assert shown | named <= listed
    assert {"harvest", "sql", "products", "sync", "script", "index", "status", "outdated", "keywords"} <= shown


@pytest.mark.long
def test_every_command_in_the_readme_and_the_pages_runs(mastlake: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    with Simulator() as archive:
        monkeypatch.setenv("MASTLAKE_SERVER", archive.url)
        done: set[str] = set()
        for page, command in commands():
            words = shlex.split(command)
            if words[0] in GOES_ON:
                continue
            if words == ["harvest"] and "harvest" not in done:
                archive.advance()
            elif command in done and words[0] not in ("changes", "sync"):
                continue  # an earlier page had it, and nothing has changed since
            done.add(command)
            outcome = mastlake(*words)
            assert outcome.code == 0, (page, command, outcome.err)
            if words[0] in PRINT and "-o" not in words:
                assert outcome.out.strip(), (page, command)


def test_the_readme_names_the_make_targets_that_there_are() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^make ([\w-]+)", README, re.MULTILINE)
    assert {"demo", "test"} <= set(targets)
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
