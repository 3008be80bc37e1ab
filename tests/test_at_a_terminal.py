"""A person at a terminal is asked, and what is typed in secret is not shown."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pexpect
import pytest

from catalog.simulator import Simulator
from catalog.simulator.server import TOKEN
from catalog.store.database import Database
from catalog.store.history.runs import saved_searches


def at_a_terminal(folder: Path, server: str, *words: str) -> pexpect.spawn:
    """Run a command in a terminal of its own, with a home folder of its own and without a keyring."""
    told = {
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        "NO_COLOR": "1",
        "PATH": os.environ["PATH"],
        "TERM": "dumb",
    }
    program = [sys.executable, "-c", "from catalog.cli.start import run; run()"]
    command = [*program, "--catalog", str(folder / "catalog.duckdb"), "--server", server, *words]
    return pexpect.spawn(command[0], command[1:], env=told, cwd=str(folder), timeout=60, encoding="utf-8")


def ended(asked: pexpect.spawn) -> tuple[int | None, str]:
    """Wait for the end; return the exit code and what was told since the last question."""
    asked.expect(pexpect.EOF)
    asked.close()
    return asked.exitstatus, str(asked.before)


@pytest.mark.long
def test_login_asks_for_the_token_shows_none_of_it_and_offers_a_file(tmp_path: Path, sky: Simulator) -> None:
    asked = at_a_terminal(tmp_path, sky.url, "login")
    asked.expect("MAST token: ")
    asked.sendline(TOKEN)
    asked.expect("no keyring.*only you can read.*: ")
    assert TOKEN not in asked.before + asked.after
    asked.sendline("y")
    code, told = ended(asked)
    assert (code, "only you can read" in told) == (0, True)
    (kept,) = [path for path in (tmp_path / "config").rglob("*") if path.is_file()]
    assert kept.stat().st_mode & 0o077 == 0


def test_login_that_is_interrupted_says_so(tmp_path: Path, sky: Simulator) -> None:
    asked = at_a_terminal(tmp_path, sky.url, "login")
    asked.expect("MAST token: ")
    asked.sendintr()
    code, told = ended(asked)
    assert code in (1, 130)
    assert "Traceback" not in told


@pytest.mark.long
@pytest.mark.parametrize(("answer", "names"), [("y", ["nothing"]), ("n", []), ("", [])])
def test_a_new_search_that_matches_nothing_is_saved_only_if_a_person_says_so(
    tmp_path: Path, sky: Simulator, answer: str, names: list[str]
) -> None:
    words = ("harvest", "nothing", "--instrument", "niriss", "-k", "exp_type=NIS_SOSS", "-k", "program=99999")
    asked = at_a_terminal(tmp_path, sky.url, *words)
    asked.expect("nothing matched nothing. Save the search all the same.*: ")
    asked.sendline(answer)
    code, _ = ended(asked)
    assert code == 0
    with Database(tmp_path / "catalog.duckdb").read() as connection:
        assert [saved.search.name for saved in saved_searches(connection)] == names
