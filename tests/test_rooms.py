"""The contract between rooms is kept by a tool; these tests hold that the tool would notice."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

WRONG = {
    "a low room that imports a high one": ("catalog/text.py", "from catalog.harvest import harvest\n"),
    "two rooms on one floor": ("catalog/headers/names.py", "from catalog.sync import plan\n"),
    "a low room that imports a high one within a function": (
        "catalog/vocabulary/dates.py", "def late() -> None:\n    import catalog.questions.find\n",
    ),
    "a room that asks the built-in archive": ("catalog/sync/plan.py", "import catalog.simulator\n"),
    "a room that imports the command line": ("catalog/api/catalog.py", "import cli.main\n"),
    "a command that passes the Python API by": ("cli/status.py", "import catalog.store.database\n"),
    "a command that passes it by within a function": (
        "cli/find.py", "def late() -> None:\n    from catalog.questions.find import statement\n",
    ),
    "a command that names a lower room for its types only": (
        "cli/sync.py", "if TYPE_CHECKING:\n    from catalog.sync import Plan\n",
    ),
    "a module in no room": ("catalog/somewhere.py", ""),
}  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the sources to a folder of their own."""
    folder = tmp_path_factory.mktemp("house")
    for room in ("catalog", "cli", "mastlake", "migrations"):
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def judged(house: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run([program, "--no-cache"], cwd=house, capture_output=True, text=True, check=False, timeout=120)


def test_the_rooms_as_they_are_keep_the_contract(house: Path) -> None:
    told = judged(house)
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.parametrize("wrong", WRONG)
def test_a_planted_import_breaks_the_contract(house: Path, wrong: str) -> None:
    name, line = WRONG[wrong]
    module = house / name
    before = module.read_text() if module.exists() else None
    module.write_text((before or '"""Nothing."""\n') + line)
    try:
        told = judged(house)
    finally:
        if before is None:
            module.unlink()
        else:
            module.write_text(before)
    assert told.returncode != 0, told.stdout
