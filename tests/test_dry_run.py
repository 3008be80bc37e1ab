"""`sync --dry-run` tells what `sync` then does: both decide from the same statement and the same look at the disk."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import DiskError
from catalog.sync import OldBytes, Plan, Selection, SyncReport, make_plan, sync
from catalog.sync.partial import Identity
from catalog.sync.rate import SharedPace
from tests.files_server import Files, fits, md5, serving
from tests.sync_catalog import URI, add_files, catalog

EVERYTHING = Selection()
TEMPLATE = "{program}/{filename}"

Obstacle = Callable[[Path, bytes], object]


def _linked(path: Path, body: bytes) -> None:
    """Put another program's folder where the file's is to be, outside of the destination."""
    outside = path.parent.parent.parent / "outside"
    outside.mkdir(exist_ok=True)
    path.parent.rmdir()
    path.parent.symlink_to(outside)


def _hard_linked(path: Path, body: bytes) -> None:
    path.with_name("mine").write_bytes(b"mine")
    os.link(path.with_name("mine"), path.with_name(f".{path.name}.part"))


def _instead_of_its_folder(path: Path, body: bytes) -> None:
    path.parent.rmdir()
    path.parent.write_bytes(b"")


OBSTACLES: dict[str, Obstacle] = {
    "nothing": lambda path, body: None,
    "the file": lambda path, body: path.write_bytes(body),
    "half of it": lambda path, body: path.write_bytes(body[: len(body) // 2]),
    "a folder": lambda path, body: path.mkdir(),
    "a named pipe": lambda path, body: os.mkfifo(path),
    "a device": lambda path, body: path.symlink_to("/dev/null"),
    "a link to nowhere": lambda path, body: path.symlink_to("nowhere"),
    "a link to itself": lambda path, body: path.symlink_to(path.name),
    "an unfinished link": lambda path, body: path.with_name(f".{path.name}.part").symlink_to("nowhere"),
    "an unfinished pipe": lambda path, body: os.mkfifo(path.with_name(f".{path.name}.part")),
    "an unfinished folder": lambda path, body: path.with_name(f".{path.name}.part").mkdir(),
    "an unfinished hard link": _hard_linked,
    "a folder that is a file": _instead_of_its_folder,
    "a folder that is a link": _linked,
}
NAMES = ("a_x1d.fits", "c.duckdb", "C.DUCKDB.wal", "mastlake.toml", ".hidden.fits", "a.part", "b.db", "B.db.wal",
         "b.db-journal", "b.dbx.fits", "a\u202egnp.fits", "a\n.fits", "con.fits", "a/b.fits", "..")  # fmt: skip


def told_and_done(folder: Path, things: dict[str, str], template: str = TEMPLATE) -> tuple[Plan, SyncReport]:
    """Plan and sync files of these names, each in a folder with an obstacle."""
    database = catalog(folder / "dest" / "b.db")
    served = Files()
    for number, (name, obstacle) in enumerate(things.items()):
        body, program = fits(1, name), str(number)
        served.content[URI + name] = body
        add_files(database, {URI + name: body}, program=program, filename=name)
        place = folder / "dest" / (program if template == TEMPLATE else ".") / name
        if obstacle != "nothing":
            place.parent.mkdir(exist_ok=True)
            OBSTACLES[obstacle](place, body)
    with serving(served):
        plan = make_plan(database, EVERYTHING, dest=folder / "dest", template=template)
        report = sync(database, EVERYTHING, server=served.address, dest=folder / "dest", template=template,
                      pace=SharedPace(unit=0.001))  # fmt: skip
    return plan, report


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_whatever_is_in_the_way_is_told_before(obstacle: str, tmp_path: Path) -> None:
    (tmp_path / "dest").mkdir()
    plan, report = told_and_done(tmp_path, {"a_x1d.fits": obstacle})
    told = {(item.filename, item.reason) for item in plan.items("out of reach")}
    assert told == {(failure.filename, failure.reason) for failure in report.failures}
    assert report.failed == plan.tallies["out of reach"].items


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_refused_is_told_before(name: str, tmp_path: Path) -> None:
    (tmp_path / "dest").mkdir()
    before = {path.name for path in (tmp_path / "dest").iterdir()}
    plan, report = told_and_done(tmp_path, {name: "nothing"}, template="{filename}")
    told = {(item.filename, item.reason) for item in plan.items("out of reach")}
    assert told == {(failure.filename, failure.reason) for failure in report.failures}
    assert report.failed == plan.tallies["out of reach"].items == (0 if name in ("a_x1d.fits", "b.dbx.fits") else 1)
    assert {path.name for path in (tmp_path / "dest").iterdir()} - before <= {name, "b.db"}


@pytest.mark.long
@settings(max_examples=4, deadline=None)
@given(st.lists(st.sampled_from(sorted(OBSTACLES)), min_size=1, max_size=12))
def test_a_plan_and_its_sync_agree_on_every_file(obstacles: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "dest").mkdir()
        plan, report = told_and_done(Path(folder), {f"jw{n}_x1d.fits": one for n, one in enumerate(obstacles)})
        told = {(item.filename, item.reason) for item in plan.items("out of reach")}
        assert told == {(failure.filename, failure.reason) for failure in report.failures}
        tallies = plan.tallies
        assert report.selected == report.present + report.fetched + report.resumed + report.replaced + report.failed
        assert tallies["fetch"].items == report.fetched
        assert tallies["check"].items == report.present + report.replaced
        assert plan.needed_bytes >= sum(item.size or 0 for item in plan.items("fetch"))


def test_a_destination_that_is_a_file_is_refused_by_both(tmp_path: Path) -> None:
    database = catalog(tmp_path / "c.duckdb")
    (tmp_path / "dest").write_bytes(b"mine")
    for act in (make_plan, sync):
        with pytest.raises(DiskError, match="dest is no folder"):
            act(database, EVERYTHING, dest=tmp_path / "dest")
    assert (tmp_path / "dest").read_bytes() == b"mine"


@pytest.mark.parametrize("place", ["mine", "mine/below"])
def test_a_file_where_a_folder_is_meant_is_refused_by_both(tmp_path: Path, place: str) -> None:
    database = catalog(tmp_path / "c.duckdb")
    (tmp_path / "mine").write_bytes(b"mine")
    for act in (make_plan, sync):
        with pytest.raises(DiskError, match="mine is no folder; name another destination"):
            act(database, EVERYTHING, dest=tmp_path / place)
    with pytest.raises(DiskError, match="mine is no folder; name another --keep-old"):
        OldBytes(tmp_path / place)
    assert (tmp_path / "mine").read_bytes() == b"mine"


def test_a_disk_that_is_too_small_is_told_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = catalog(tmp_path / "c.duckdb")
    add_files(database, {f"{URI}a_x1d.fits": fits(1)})
    monkeypatch.setattr("catalog.sync.run.free_bytes", lambda dest: 100)
    told = make_plan(database, EVERYTHING, dest=tmp_path / "dest").shortage
    assert told is not None
    with pytest.raises(DiskError, match="100 bytes free, 5,760 are needed"):
        sync(database, EVERYTHING, dest=tmp_path / "dest")
    assert told.endswith("has 100 bytes free, 5,760 are needed")


def left_over(dest: Path) -> list[str]:
    return sorted(path.name for path in dest.iterdir() if ".part" in path.name)


@pytest.mark.parametrize("kind", ["note", "note and bytes", "note of another", "locked", "not ours"])
def test_what_a_kill_left_beside_a_finished_file_is_swept_by_the_next_sync(kind: str, tmp_path: Path) -> None:
    name, dest = "a_x1d.fits", tmp_path / "dest"
    database, served = catalog(tmp_path / "c.duckdb"), Files({URI + name: fits(1)})
    add_files(database, served.content)
    with serving(served):
        sync(database, EVERYTHING, server=served.address, dest=dest)
        other = "b_x1d.fits" if kind == "note of another" else name
        note = "not ours" if kind == "not ours" else json.dumps(asdict(Identity(URI + other)))
        (dest / f".{other}.part.json").write_text(note)
        if kind in ("note and bytes", "locked"):
            (dest / f".{name}.part").write_bytes(b"half")
        before = left_over(dest)
        with (dest / f".{name}.part").open() if kind == "locked" else nullcontext() as file:
            if file is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
            make_plan(database, EVERYTHING, dest=dest)
            assert left_over(dest) == before
            assert sync(database, EVERYTHING, server=served.address, dest=dest).present == 1
    assert left_over(dest) == (before if kind in ("locked", "not ours") else [])
    assert (dest / name).read_bytes() == fits(1)


def test_an_unfinished_file_that_is_still_to_be_fetched_is_not_swept(tmp_path: Path) -> None:
    name, dest = "a_x1d.fits", tmp_path / "dest"
    database = catalog(tmp_path / "c.duckdb")
    add_files(database, {URI + name: fits(1), f"{URI}b_rate.fits": fits(1)})
    dest.mkdir()
    (dest / f".{name}.part").write_bytes(fits(1)[:5000])
    (dest / f".{name}.part.json").write_text(json.dumps(asdict(Identity(URI + name, md5(fits(1)), len(fits(1))))))
    plan = make_plan(database, Selection(extensions=("_rate.fits",)), dest=dest)
    assert (plan.tallies["fetch"].items, plan.leftovers) == (1, ())
    plan = make_plan(database, EVERYTHING, dest=dest)
    assert (plan.tallies["resume"].items, plan.leftovers) == (1, ())
