"""``import mastlake`` and ``import catalog`` are two names of one package."""

from __future__ import annotations

import importlib
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import catalog
import mastlake
from catalog.errors import UsageError

ROOT = Path(__file__).parents[1]


def python(program: str, folder: Path) -> str:
    """Run a program in a process of its own, outside of the sources, with warnings as errors."""
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_both_names_are_one_package() -> None:
    assert mastlake is catalog
    for name in catalog.__all__:
        assert getattr(mastlake, name) is getattr(catalog, name)


@pytest.mark.parametrize("name", ["errors", "simulator", "vocabulary.search", "sync.events", "cli.main"])
def test_both_names_lead_to_the_same_modules(name: str) -> None:
    assert importlib.import_module(f"mastlake.{name}") is importlib.import_module(f"catalog.{name}")


@pytest.mark.parametrize("first", ["catalog", "mastlake"])
def test_the_order_of_the_two_names_does_not_matter(first: str, tmp_path: Path) -> None:
    program = (
        f"import {first}.errors\n"
        "import mastlake.errors, catalog.errors, mastlake\n"
        "from mastlake import Search, errors\n"
        "from mastlake.vocabulary.search import Search as same\n"
        "import catalog.vocabulary.search as home\n"
        "assert mastlake.errors is catalog.errors is errors\n"
        "assert Search is same is home.Search\n"
        "assert home.__spec__.name == home.__name__ == 'catalog.vocabulary.search'\n"
    )
    python(program, tmp_path)


def test_an_error_raised_under_one_name_is_caught_under_the_other() -> None:
    import mastlake.errors

    with pytest.raises(mastlake.errors.UsageError, match="exp_type") as told:
        mastlake.Search.parse("soss", "niriss", ["exp_typ=NIS_SOSS"])
    assert isinstance(told.value, UsageError)


def test_objects_go_through_pickle_under_either_name() -> None:
    search = mastlake.Search.parse("soss", "niriss", ["exp_type=NIS_SOSS"])
    assert pickle.loads(pickle.dumps(search)) == search


def test_a_module_that_there_is_not_is_no_module_under_either_name() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"mastlake\.nothing"):
        importlib.import_module("mastlake.nothing")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("mastlake.nothing.below")
    with pytest.raises(AttributeError, match="mastlake"):
        mastlake.Katalog  # type: ignore[attr-defined]  # noqa: B018


def test_the_name_loads_nothing_that_the_package_does_not(tmp_path: Path) -> None:
    loaded = python("import mastlake, sys; print(*sorted(name for name in sys.modules if 'catalog' in name))", tmp_path)
    assert loaded.split() == ["catalog", "catalog._version"]


@pytest.mark.long
def test_a_type_checker_knows_the_public_names(tmp_path: Path) -> None:
    (tmp_path / "typed.py").write_text(
        "from mastlake import Catalog, Result, Search\n"
        "from mastlake.errors import UsageError\n"
        "import mastlake\n"
        "lake: Catalog = mastlake.Catalog.open()\n"
        "found: Result = lake.find(target='WASP*')\n"
        "search: Search = Search.parse('soss', 'niriss', [])\n"
        "code: int = UsageError('').exit_code\n"
        "version: str = mastlake.__version__\n"
        "wrong: int = lake.find()  # the one line that is wrong\n"
    )
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), str(tmp_path / "typed.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert len(errors) == 1, done.stdout
    assert "typed.py:9:" in errors[0]
