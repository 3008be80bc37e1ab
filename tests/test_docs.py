"""What the pages say of the source is so; what they take from it is taken when they are built."""

from __future__ import annotations

import importlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import grimp
import pytest
import yaml
from catalog.cli.main import COMMANDS

import catalog
from catalog.errors import MastlakeError
from catalog.simulator import Simulator
from catalog.store.database import Database

from .conftest import Command
from .written_pages import DOCS, ROOT, written_pages

WAYS = (DOCS / "explanation" / "rooms.md").read_text().split("\n## ")[1:]


@pytest.fixture(scope="module")
def generate() -> Iterator[ModuleType]:
    """The modules that make parts of the pages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS))
        yield importlib.import_module("generate")


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.partition("\n")[0])
def test_each_way_through_the_rooms_names_files_and_names_that_there_are(way: str) -> None:
    steps = re.findall(r"^\d+\. (.*(?:\n   .*)*)", way, re.MULTILINE)
    assert 2 <= len(steps) <= 10
    for step in steps:
        paths = re.findall(r"`((?:cli|catalog)/[\w/]+\.py)`", step)
        assert paths, step
        assert all((ROOT / path).is_file() for path in paths), step
        named = re.match(r"`([^`]+)` \(((?:`\w+`(?:, )?)+)\)", step)
        for name in re.findall(r"\w+", named[2]) if named else ():
            source = (ROOT / paths[0]).read_text()
            assert re.search(rf"^(?:def|class|from .* import .*|    def) ?{name}\b", source, re.MULTILINE), step


@pytest.mark.parametrize("page", written_pages(), ids=lambda page: page.relative_to(DOCS).as_posix())
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text()
    for path in re.findall(r"`((?:catalog|cli|tests|migrations|docs)/[\w/.]+\.\w+)`", text):
        assert (ROOT / path).exists(), path
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (page.parent / target).exists(), target


def test_every_link_of_the_readme_leads_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", (ROOT / "README.md").read_text()):
        assert (ROOT / target).exists(), target


def test_the_page_of_commands_has_every_command_and_option(generate: ModuleType) -> None:
    import typer.main
    from catalog.cli.main import application

    text = generate.commands()
    assert re.findall(r"^## mastlake (\w+)$", text, re.MULTILINE) == list(COMMANDS)
    for name, command in typer.main.get_command(application()).commands.items():  # type: ignore[attr-defined]
        section = text.partition(f"## mastlake {name}\n")[2].partition("\n## ")[0]
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert all(f"`{option}`" in section for option in parameter.opts), (name, parameter.name)


def test_the_page_of_the_format_has_everything_that_is_in_a_catalog(generate: ModuleType, tmp_path: Path) -> None:
    text = generate.catalog_format()
    with Database(tmp_path / "new.duckdb").write() as connection:
        relations = connection.execute("SELECT DISTINCT table_name FROM duckdb_columns() WHERE NOT internal").fetchall()
        macros = connection.execute("SELECT function_name FROM duckdb_functions() WHERE NOT internal").fetchall()
    assert {name for (name,) in relations} == set(re.findall(r"^### (\w+)$", text, re.MULTILINE))
    for (name,) in macros:
        assert f"`{name}(" in text


def test_the_page_of_errors_has_every_error(generate: ModuleType) -> None:
    text = generate.errors()

    def below(kind: type[MastlakeError]) -> Iterator[type[MastlakeError]]:
        for one in kind.__subclasses__():
            yield one
            yield from below(one)

    for error in below(MastlakeError):
        if error.__module__ == "catalog.errors":
            assert f"| `{error.__name__}` | `{error.__bases__[0].__name__}` | {error.exit_code} |" in text


def test_the_page_of_settings_has_every_option_that_the_file_beside_a_catalog_may_set(generate: ModuleType) -> None:
    from catalog.config.trust import MAY_SET

    text = generate.settings()
    for name in ("sync", "harvest", "find"):
        assert f"### [{name}]" in text
    marked = {key.replace("-", "_") for key in re.findall(r"^\| `([\w-]+)` \| yes \|", text, re.MULTILINE)}
    assert {"jobs", "limit_rate", "subgroup"} <= marked <= MAY_SET


def test_the_picture_of_the_rooms_is_that_of_the_imports(generate: ModuleType) -> None:
    rooms = importlib.import_module("generate.rooms")
    picture = generate.draw_rooms()
    drawn = set(re.findall(r'data-from="(\w+)" data-to="(\w+)"', picture))
    floors = {room: level for level, floor in enumerate(rooms.floors()) for room in floor}
    folders = {path.parent.name for path in (ROOT / "catalog").glob("*/__init__.py")}
    assert set(floors) == folders | {"cli"}
    assert all(f">{room}</text>" in picture for room in floors)

    graph = grimp.build_graph("catalog", "cli", cache_dir=None)
    names = {f"catalog.{room}": room for room in folders} | {"cli": "cli"}
    imports = {
        (importer, imported)
        for one, importer in names.items()
        for other, imported in names.items()
        if one != other and graph.direct_import_exists(importer=one, imported=other, as_packages=True)
    }
    assert drawn <= imports
    assert all(floors[one] < floors[other] for one, other in drawn)

    def reached(room: str) -> set[str]:
        following = {other for one, other in drawn if one == room}
        return following.union(*(reached(other) for other in following))

    assert all(other in reached(one) for one, other in imports)


def test_the_citation_has_what_its_format_asks_for() -> None:
    said = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(said)
    assert said["cff-version"] == "1.2.0"
    assert said["type"] == "software"
    assert all("name" in author or {"family-names", "given-names"} <= set(author) for author in said["authors"])
    assert said["version"] == catalog.__version__
    assert said["license"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"]


DECISIONS = sorted((DOCS / "decisions").glob("0*.md"))


@pytest.mark.parametrize("record", DECISIONS, ids=lambda record: record.stem)
def test_each_decision_has_a_number_a_date_an_alternative_and_a_figure(record: Path) -> None:
    text = record.read_text()
    assert text.startswith(f"# {int(record.name[:4])}. ")
    assert re.search(r"^Date: 20\d\d-\d\d-\d\d$", text, re.MULTILINE)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Decision", "Alternative", "Figure"]
    assert all(part.partition("\n")[2].strip() for part in text.split("\n## ")[1:])


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [int(record.name[:4]) for record in DECISIONS] == list(range(1, len(DECISIONS) + 1))


KEYS = re.findall(
    r"^\| `(.+?)` \| (a list|an object).*? \| (.+) \|$", (DOCS / "reference" / "json.md").read_text(), re.M
)


def values_at(value: Any, path: str) -> list[Any]:
    """What stands under keys with dots between them; a list stands for each of its members."""
    found = [value]
    for key in path.split("."):
        members = [one for each in found for one in (each if isinstance(each, list) else [each])]
        assert all(key in one for one in members), path
        found = [one[key] for one in members]
    return found


@pytest.mark.long
def test_every_key_that_is_promised_is_in_what_a_command_prints(
    mastlake: Command, catalog: Database, sky: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASTLAKE_SERVER", sky.url)
    assert len(KEYS) > 15
    for words, kind, keys in KEYS:
        outcome = mastlake(*words.split(), "--json")
        assert outcome.code == 0, (words, outcome.err)
        assert isinstance(outcome.json, list if kind == "a list" else dict), words
        assert outcome.json, words
        for path in re.findall(r"`([\w.]+)`", keys):
            values_at(outcome.json, path)


def test_the_page_of_python_has_every_public_name() -> None:
    page = (DOCS / "reference" / "api.md").read_text()
    named = set(re.findall(r"^\.\. auto\w+:: mastlake\.(\w+)$", page, re.MULTILINE))
    assert named == set(catalog.__all__) - {"__version__"}


@pytest.mark.long
def test_the_python_of_its_page_runs(sky: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MASTLAKE_SERVER", sky.url)
    page = DOCS / "howto" / "python.md"
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, page.name, "exec"), {})


def test_the_page_of_laws_names_each_law_of_the_tests(generate: ModuleType) -> None:
    page = generate.PAGES["laws.md"]()
    assert "- Every cell is the one that was sent." in page
    assert "  - Nothing stands twice or halfway." in page
    sources = [path.read_text() for path in (ROOT / "tests").rglob("test_*.py")]
    assert page.count("\n- ") == sum(
        len(re.findall(r"^ *@given|^class .*StateMachine\)", text, re.M)) for text in sources
    )
