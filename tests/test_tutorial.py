"""The tutorial notebook, cell by cell, against the built-in archive."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from catalog.simulator import Simulator

NOTEBOOK = Path(__file__).parent.parent / "docs" / "tutorial.ipynb"
MAST_TUTORIAL_LINES = 40
"""MAST's notebook that walks the same way has at least so many lines of code, without blank ones and comments."""


def _code(notebook: Any) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def _shown(cell: Any, kind: str) -> str:
    return "".join(output.data.get(kind, "") for output in cell.outputs if output.output_type == "execute_result")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The notebook as it is after all cells ran in an empty folder."""
    folder = tmp_path_factory.mktemp("tutorial")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with Simulator(files=1500) as archive, pytest.MonkeyPatch.context() as environment:
        environment.setenv("MASTLAKE_SERVER", archive.url)
        environment.setenv("IPYTHONDIR", str(folder / "ipython"))
        environment.setenv("PYTHONWARNINGS", "error")
        client = NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": folder}})
        return client.execute()


@pytest.mark.long
def test_the_tutorial_runs_without_a_word_of_warning(run: Any) -> None:
    outputs = [output for cell in run.cells for output in cell.get("outputs", [])]
    assert {output.output_type for output in outputs} == {"execute_result"}


@pytest.mark.long
def test_the_tutorial_shows_tables_and_a_picture(run: Any) -> None:
    code = [cell for cell in run.cells if cell.cell_type == "code"]
    tables = [cell.source for cell in code if "<table" in _shown(cell, "text/html")]
    assert [source.partition("(")[0] for source in tables] == ["lake.find", "lake.sql", "lake.products"]
    (picture,) = [_shown(cell, "image/png") for cell in code if "lake.plot" in cell.source]
    assert base64.b64decode(picture).startswith(b"\x89PNG")


@pytest.mark.long
def test_the_tutorial_fetches_what_it_planned(run: Any) -> None:
    (synced,) = [_shown(cell, "text/plain") for cell in run.cells if cell.source.startswith("lake.sync")]
    assert "failed=0" in synced
    assert "fetched=0," not in synced


def test_the_tutorial_takes_a_third_of_the_code() -> None:
    lines = [line for source in _code(nbformat.read(NOTEBOOK, as_version=4)) for line in source.splitlines()]
    assert 3 * len([line for line in lines if line.strip()]) <= MAST_TUTORIAL_LINES


def test_the_tutorial_is_kept_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.outputs and cell.execution_count is None for cell in notebook.cells if "outputs" in cell)
