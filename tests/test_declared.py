"""What the package promises about itself: imports that are declared, and a page of trust whose tests there are."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("catalog", "cli", "migrations")


def name_of(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


@cache
def declared(*extras: str) -> frozenset[str]:
    """The distributions that pyproject.toml names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in extras)]
    return frozenset(name_of(re.split(r"[<>=!~\[; ]", one, maxsplit=1)[0]) for ones in lists for one in ones)


def imported(source: Path) -> set[str]:
    """The packages that a module imports, without those of Python and of this project."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - set(ROOMS) - {"__future__", "tests"}


@pytest.mark.long
@pytest.mark.parametrize("room", ROOMS)
def test_every_package_that_is_imported_is_declared(room: str) -> None:
    distributions = packages_distributions()
    allowed = declared("cloud", "dask", "dataframes", "lake", "page", "web")
    undeclared = {
        (source.name, package)
        for source in (ROOT / room).rglob("*.py")
        for package in imported(source)
        if not {name_of(one) for one in distributions.get(package, [package])} & allowed
    }
    assert undeclared == set()


def test_every_room_is_installed() -> None:
    declared_rooms = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    rooms = {path.parent.relative_to(ROOT).as_posix().replace("/", ".") for path in ROOT.glob("catalog/**/__init__.py")}
    assert rooms - set(declared_rooms) == set()


def test_the_page_of_trust_names_tests_that_there_are() -> None:
    named = set(re.findall(r"tests/[a-z0-9_/]+\.py", (ROOT / "SECURITY.md").read_text()))
    assert named
    assert {one for one in named if not (ROOT / one).is_file()} == set()


def test_each_line_of_trust_names_a_test_that_holds_it() -> None:
    page = (ROOT / "SECURITY.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| line |")]
    assert rows
    assert [row for row in rows if not re.search(r"`tests/\w+\.py`", row)] == []
    without = "What is trusted, and what is not"
    parts = [part for part in page.split("\n## ") if without not in part]
    assert [part.partition("\n")[0] for part in parts if "`tests/" not in part] == []
