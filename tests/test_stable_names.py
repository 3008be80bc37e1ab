"""The names that docs/compatibility.md promises are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from catalog.cli.main import INTERRUPTED

from catalog import errors
from catalog.store.database import Database

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "compatibility.md").read_text()

MACROS = {
    "apt_observation": ["name"],
    "exposure_of": ["name"],
    "file_id": ["name"],
    "files_at": ["run"],
    "footprints_overlap": ["region", "other"],
    "footprints_overlapping": ["region"],
    "header_value": ["word"],
    "observations_at": ["run"],
    "products_at": ["run"],
    "program_of": ["name"],
    "separation": ["ra1", "dec1", "ra2", "dec2"],
}
"""The macros that people call, as the first release has them: a new parameter comes after these."""


def promised(what: str) -> list[str]:
    """Return the names in one row of the table of what is stable."""
    (row,) = re.findall(rf"^\| {re.escape(what)} \| (.*) \|$", PAGE, re.MULTILINE)
    return re.findall(r"`([\w.]+)`", str(row))


def test_every_promised_view_is_there(catalog: Database) -> None:
    with catalog.read() as connection:
        there = {name for (name,) in connection.execute("SELECT table_name FROM information_schema.tables").fetchall()}
        for name in promised("Views"):
            assert name in there
            connection.execute(f"SELECT * FROM {name} LIMIT 1")


@pytest.mark.parametrize("name", MACROS)
def test_every_macro_that_people_call_has_its_parameters(catalog: Database, name: str) -> None:
    with catalog.read() as connection:
        forms = connection.execute(
            "SELECT parameters FROM duckdb_functions() WHERE function_name = ? AND NOT internal", [name]
        ).fetchall()
    assert MACROS[name] in [parameters[: len(MACROS[name])] for (parameters,) in forms]


@pytest.mark.parametrize("error", [one for one in vars(errors).values() if isinstance(one, type)])
def test_an_error_has_a_promised_exit_code(error: type) -> None:
    if issubclass(error, errors.MastlakeError):
        assert error.exit_code in (1, 2)


def test_an_interruption_has_its_exit_code() -> None:
    assert INTERRUPTED == 130


def test_every_promised_variable_is_read() -> None:
    source = "".join(path.read_text() for folder in ("catalog", "cli") for path in (ROOT / folder).rglob("*.py"))
    for name in promised("Environment"):
        assert name in source
