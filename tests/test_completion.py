"""What the tab key offers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest
from catalog.cli.completion import whole_words

from catalog.api.catalog import Catalog
from catalog.publish.publishing import publish
from catalog.store.database import Database

from .published_server import showing
from .test_store import hold

ENTRY = str(Path(sys.executable).with_name("mastlake"))
BASH = shutil.which("bash")

ASK_BASH = r"""
eval "$2"
read -r -a COMP_WORDS <<< "$1"
[[ $1 == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
_mastlake_completion mastlake
printf '%s\n' "${COMPREPLY[@]}"
"""
"""What bash does on the tab key, once it has broken the line into words."""


def environment() -> dict[str, str]:
    """Without a catalog of the user's; the command is found by its name."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MASTLAKE", "_MASTLAKE"))}
    path = f"{Path(ENTRY).parent}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}


@lru_cache
def script() -> str:
    """What a user of bash sources."""
    done = subprocess.run(
        [ENTRY, "--show-completion", "bash"], capture_output=True, text=True, check=True, env=environment()
    )
    return done.stdout


def in_bash(folder: Path, pieces: str) -> list[str]:
    """What bash would offer for a line that it broke at spaces and equals signs."""
    assert BASH is not None
    done = subprocess.run(
        [BASH, "--norc", "--noprofile", "-c", ASK_BASH, "bash", pieces, script()],
        capture_output=True, text=True, check=True, cwd=folder, env=environment(),
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.split()


def in_zsh(folder: Path, line: str) -> str:
    """What the command answers to zsh, whose words are whole."""
    asking = {"_MASTLAKE_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": line}
    done = subprocess.run(
        [ENTRY], capture_output=True, text=True, check=True, cwd=folder, env={**environment(), **asking}
    )
    return done.stdout


@pytest.fixture
def folder(catalog: Database) -> Path:
    """A folder with a catalog of the usual name."""
    catalog.path.rename(catalog.path.with_name("mastlake.duckdb"))
    return catalog.path.parent


@pytest.mark.skipif(BASH is None, reason="there is no bash")
class TestInBash:
    """Through the script that bash runs."""

    @pytest.mark.parametrize(
        ("pieces", "offered"),
        [
            ("mastlake har", ["harvest"]),
            ("mastlake sync s", ["soss"]),
            ("mastlake harvest x --instrument ni", ["nircam", "niriss", "nirspec"]),
            ("mastlake sql x --format ec", ["ecsv"]),
            ("mastlake find -k exp_type = NIS_S", ["NIS_SOSS"]),
            ("mastlake find -k exp_type = nis_s", ["nis_sOSS"]),
            ("mastlake find -k category = COM,E", ["COM,ERS"]),
            ("mastlake find -k tsovisit =", ["T", "F"]),
            ("mastlake products --subgroup X1DI", ["X1DINTS"]),
            ("mastlake products --type = SCIENCE,IN", ["SCIENCE,INFO"]),
            ("mastlake find -k no_such = ", []),
        ],
    )
    def test_the_next_word_is_offered(self, folder: Path, pieces: str, offered: list[str]) -> None:
        found = in_bash(folder, pieces)
        assert set(offered) <= set(found)
        assert bool(found) == bool(offered)

    def test_a_keyword_that_is_alone_brings_its_values(self, folder: Path) -> None:
        found = in_bash(folder, "mastlake find -k exp_typ")
        assert "exp_type=NIS_SOSS" in found
        assert all(one.startswith("exp_type=") for one in found)

    def test_several_keywords_end_in_their_equals_sign(self, folder: Path) -> None:
        assert "date_obs_mjd=" in in_bash(folder, "mastlake find -k date_")

    @pytest.mark.long
    def test_another_catalog_is_asked_where_it_is_named(self, folder: Path) -> None:
        (folder / "mastlake.duckdb").rename(folder / "other.duckdb")
        assert in_bash(folder, "mastlake sync so") == []
        assert in_bash(folder, "mastlake --catalog other.duckdb sync so") == ["soss"]

    @pytest.mark.long
    def test_places_and_what_a_published_catalog_has_are_offered(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        publish(Database(folder / "mastlake.duckdb"), folder / "group")
        (folder / "mastlake.duckdb").unlink()
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        with showing(folder / "group") as site:
            Catalog.open(site.address).close()
        broken = site.address.replace(":", " : ")
        assert in_bash(folder, "mastlake --catalog g") == ["group/"]
        assert in_bash(folder, "mastlake publish gro") == ["group/"]
        assert in_bash(folder, "mastlake --catalog group/ sync so") == ["soss"]
        assert in_bash(folder, f"mastlake --catalog {broken} sync so") == ["soss"]
        assert in_bash(folder, "mastlake clone http : //127") == [site.address.removeprefix("http:")]

    def test_searches_of_mastlake_toml_are_offered_too(self, folder: Path) -> None:
        (folder / "mastlake.toml").write_text('[searches.ami]\ninstrument = "niriss"')
        assert in_bash(folder, "mastlake harvest a") == ["ami"]

    def test_files_are_offered_to_plot(self, folder: Path) -> None:
        (folder / "data").mkdir()
        (folder / "data" / "a.fits").touch()
        (folder / "notes.txt").touch()
        assert in_bash(folder, "mastlake plot data/") == ["data/a.fits"]

    def test_a_broken_catalog_is_no_hindrance(self, folder: Path) -> None:
        (folder / "mastlake.duckdb").write_text("no catalog")
        assert in_bash(folder, "mastlake sync s") == []
        assert "NIS_SOSS" in in_bash(folder, "mastlake find -k exp_type = NIS_SO")

    def test_a_catalog_in_use_is_not_waited_for(self, folder: Path) -> None:
        other = hold(folder / "mastlake.duckdb", 30)
        try:
            assert in_bash(folder, "mastlake sync s") == []
            assert other.poll() is None
        finally:
            other.kill()
            other.wait()


class TestInOtherShells:
    """Through what the command answers to them."""

    @pytest.mark.long
    def test_zsh_gets_whole_words_with_a_word_about_each(self, folder: Path) -> None:
        answer = in_zsh(folder, "mastlake find -k exp_type=NIS_S")
        assert '"exp_type=NIS_SOSS"' in answer
        assert "files" in answer

    @pytest.mark.long
    def test_targets_are_offered_in_the_letters_typed(self, folder: Path) -> None:
        assert '"wasp-39"' in in_zsh(folder, "mastlake find --target wasp-3")


class TestWholeWords:
    """Words that bash broke."""

    @pytest.mark.parametrize(
        ("pieces", "at", "expected"),
        [
            (["m", "find"], 1, (["m", "find"], 1, "")),
            (["m", "-k", "a", "=", "b"], 4, (["m", "-k", "a=b"], 2, "a=")),
            (["m", "-k", "a", "="], 3, (["m", "-k", "a="], 2, "a=")),
            (["m", "-k", "a", "=", ""], 4, (["m", "-k", "a="], 2, "a=")),
            (["m", "-k", "a", "=", "b", "-k", "c", "=", "d,e"], 8, (["m", "-k", "a=b", "-k", "c=d,e"], 4, "c=")),
            (["m", "-k", "a", "=", "b", "x"], 2, (["m", "-k", "a"], 2, "")),
            (["m", "-c", "s3", ":", "//b/", "find"], 5, (["m", "-c", "s3://b/", "find"], 3, "")),
            (
                ["m", "-c", "http", ":", "//h", ":", "80/", "-k", "a", "=:", "b"],
                10,
                (["m", "-c", "http://h:80/", "-k", "a=:b"], 4, "a=:"),
            ),
            (["m", "-c", "s3", ":", "//b"], 4, (["m", "-c", "s3://b"], 2, "s3:")),
        ],
    )
    def test_they_are_put_together(self, pieces: list[str], at: int, expected: tuple[list[str], int, str]) -> None:
        assert whole_words(pieces, at) == expected
