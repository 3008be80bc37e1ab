"""Which file went into which, from association files and headers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from catalog.headers import index_folders
from catalog.questions.lineage import inputs, outputs
from catalog.store.database import Database
from tests.fits_samples import sample

from .conftest import Command


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


def association(folder: Path, name: str, product: Any, *members: Any) -> None:
    products = [{"name": product, "members": [{"expname": member, "exptype": "science"} for member in members]}]
    (folder / name).write_text(json.dumps({"asn_type": "tso3", "products": products}))


@pytest.mark.long
def test_members_and_asntable_give_inputs_and_outputs(folder: Path, database: Database) -> None:
    association(folder, "jw1_tso3_001_asn.json", "jw1-o002_t001_niriss", "jw1_a_calints.fits", "jw1_b_calints.fits")
    (folder / "jw1-o002_t001_niriss_x1dints.fits").write_bytes(sample(ASNTABLE="'jw1_tso3_001_asn.json'"))
    (folder / "jw1_b_calints.fits").write_bytes(sample("b"))
    assert index_folders(database, [folder]).files == 2
    found = {(link.input, link.via) for link in inputs(database, "jw1-o002_t001_niriss_x1dints.fits")}
    assert found == {
        ("jw1_a_calints.fits", "jw1_tso3_001_asn.json"),
        ("jw1_b_calints.fits", "jw1_tso3_001_asn.json"),
        ("jw1_tso3_001_asn.json", "ASNTABLE"),
    }
    assert [link.output for link in outputs(database, "jw1_a_calints.fits")] == ["jw1-o002_t001_niriss_x1dints.fits"]


def test_a_product_that_is_not_here_stands_by_its_name(folder: Path, database: Database) -> None:
    association(folder, "jw2_asn.json", "jw2-o001_t001", "jw2_a_cal.fits")
    index_folders(database, [folder])
    assert [link.output for link in outputs(database, "jw2_a_cal.fits")] == ["jw2-o001_t001"]


@pytest.mark.long
def test_inputs_of_inputs_are_followed_and_circles_end(folder: Path, database: Database) -> None:
    association(folder, "one_asn.json", "b", "a.fits")
    association(folder, "two_asn.json", "c", "b_cal.fits")
    association(folder, "odd_asn.json", "a", "c_cal.fits")
    for name in ("b_cal", "c_cal"):
        (folder / f"{name}.fits").write_bytes(sample(name))
    index_folders(database, [folder])
    assert [(link.input, link.step) for link in inputs(database, "c_cal.fits", deep=True)][:2] == [
        ("b_cal.fits", 1), ("a.fits", 2),
    ]  # fmt: skip


def test_a_broken_association_is_a_failure(folder: Path, database: Database) -> None:
    (folder / "x_asn.json").write_text("{")
    report = index_folders(database, [folder])
    assert (report.files, report.failed) == (0, 1)


@pytest.mark.long
def test_the_commands_show_a_file_by_its_name_or_its_path(folder: Path, mastlake: Command) -> None:
    association(folder, "jw1_asn.json", "jw1-o001_t001_niriss", "jw1_a_cal.fits", "jw1_b_cal.fits")
    (folder / "jw1-o001_t001_niriss_i2d.fits").write_bytes(sample(ASNTABLE="'jw1_asn.json'"))
    assert mastlake("index", folder).code == 0
    made_from = mastlake("inputs", folder / "jw1-o001_t001_niriss_i2d.fits", "--json").json
    assert {"input": "jw1_a_cal.fits", "output": "jw1-o001_t001_niriss_i2d.fits", "via": "jw1_asn.json", "step": 1} in (
        made_from
    )
    shown = mastlake("outputs", "jw1_b_cal.fits")
    assert (shown.code, "jw1-o001_t001_niriss_i2d.fits" in shown.out) == (0, True)


@pytest.mark.long
def test_a_file_without_known_inputs_says_what_to_index(folder: Path, mastlake: Command) -> None:
    (folder / "a.fits").write_bytes(sample())
    mastlake("index", folder)
    outcome = mastlake("inputs", "a.fits")
    assert (outcome.code, outcome.out) == (0, "")
    assert "no inputs of a.fits are known; index the _asn.json file" in outcome.err
