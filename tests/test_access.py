"""Who may fetch what now: find, products, plans and the view say the same."""

from __future__ import annotations

import datetime as dt
from itertools import product
from pathlib import Path

import pytest

from catalog.errors import BadValue
from catalog.questions.find import Criteria, statement
from catalog.questions.statement import rows
from catalog.store.database import Database
from catalog.store.times import time_of_mjd
from catalog.sync import Selection, make_plan, products
from tests.sync_catalog import URI, add_products, add_run, catalog, file_rows, insert, link_rows, product_rows

from .conftest import Command, copy_of

NOW = dt.datetime.now(dt.UTC).replace(tzinfo=None, microsecond=0)
READ = NOW - dt.timedelta(days=30)
DATES = {
    "never": None,
    "before the row was read": READ - dt.timedelta(days=9),
    "since the row was read": NOW - dt.timedelta(days=9),
    "to come": NOW + dt.timedelta(days=9),
}
RIGHTS = (None, "", "PUBLIC", "public", "EXCLUSIVE_ACCESS", "RESTRICTED")


def is_exclusive(rights: str | None, date: str) -> bool:
    """What the rule comes to."""
    if not rights:
        return date == "to come"
    return rights.upper() != "PUBLIC" and date != "since the row was read"


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bool]]:
    made = catalog(tmp_path_factory.mktemp("access") / "catalog.duckdb")
    add_run(made, 1, str(READ))
    expected = {}
    rows_of_files, rows_of_products, links = [], [], []
    for number, (rights, date, listed) in enumerate(product(RIGHTS, DATES, (True, False))):
        name, body = f"jw{number:05}_x1d.fits", {f"{URI}jw{number:05}_x1d.fits": b"x"}
        restricted = {None: None, "": None}.get(rights, str(rights).upper() != "PUBLIC")
        rows_of_files += file_rows(body, isRestricted=None if listed else restricted, publicReleaseDate=DATES[date])
        if listed:
            rows_of_products += product_rows(body, dataRights=rights)
            links += link_rows(body)
        expected[name] = is_exclusive(rights, date)
    insert(
        made,
        {
            "file_version": rows_of_files,
            "product_version": rows_of_products,
            "observation_product_link": links,
        },
    )
    return made.path, expected


@pytest.fixture
def database(_made: tuple[Path, dict[str, bool]], tmp_path: Path) -> tuple[Database, dict[str, bool]]:
    """A catalog with every combination of rights and dates, and whether each file is exclusive."""
    path, expected = _made
    return copy_of(path, tmp_path / "catalog.duckdb"), expected


class TestOneRule:
    """Whichever way one asks, the answer is the same."""

    @pytest.mark.long
    @pytest.mark.parametrize("release", ["public", "exclusive"])
    def test_find_products_and_plans_agree(
        self, database: tuple[Database, dict[str, bool]], tmp_path: Path, release: str
    ) -> None:
        made, exclusive = database
        wanted = {name for name, is_one in exclusive.items() if is_one == (release == "exclusive")}
        assert wanted
        sql, values = statement(Criteria(release=release), database=made, limit=None)
        assert set(rows(made, sql, values).column("filename").to_pylist()) == wanted
        plan = make_plan(made, Selection(release=release), dest=tmp_path / "data", has_token=False)
        assert {item.filename for item in plan.items()} == wanted
        assert {item.exclusive for item in plan.items()} == {release == "exclusive"}
        assert {item.action for item in plan.items()} == {"fetch" if release == "public" else "out of reach"}
        listed = {name for name in wanted if rows(made, f"FROM products WHERE filename = '{name}'").num_rows}
        assert set(products(made, Selection(release=release)).column("filename").to_pylist()) == listed
        negated = "NOT " if release == "public" else ""
        view = rows(made, f"SELECT filename FROM file_access WHERE {negated}exclusive")
        assert set(view.column("filename").to_pylist()) == wanted

    @pytest.mark.long
    def test_without_the_option_everything_is_selected(
        self, database: tuple[Database, dict[str, bool]], tmp_path: Path
    ) -> None:
        made, exclusive = database
        plan = make_plan(made, Selection(), dest=tmp_path / "data", has_token=False)
        assert {item.filename: item.exclusive for item in plan.items()} == exclusive

    @pytest.mark.long
    def test_another_word_is_refused(self, mastlake: Command, database: tuple[Database, dict[str, bool]]) -> None:
        with pytest.raises(BadValue, match="public or exclusive"):
            Selection(release="soon")
        for words in (["find"], ["products"], ["sync", "--dry-run"], ["script"]):
            outcome = mastlake(*words, "--release", "soon")
            assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("mjd", [1e300, -1e300, 2.0**63, float("inf"), float("nan"), 2973484, -678576])
def test_a_release_date_that_is_nonsense_is_no_date(tmp_path: Path, mjd: float) -> None:
    made = catalog(tmp_path / "catalog.duckdb")
    add_run(made, 1, str(READ))
    insert(made, {"observation_version": [{"obs_id": "obs1", "row_hash": 0, "since_run": 1, "t_obs_release": mjd}]})
    add_products(made, {f"{URI}a_x1d.fits": b"x"}, dataRights="EXCLUSIVE_ACCESS")
    assert products(made, Selection(release="exclusive")).column("release_at").to_pylist() == [None]
    assert make_plan(made, Selection(), dest=tmp_path / "data").items().__next__().exclusive


def test_an_mjd_is_a_moment(database: tuple[Database, dict[str, bool]]) -> None:
    made, _ = database
    found = rows(made, f"SELECT {time_of_mjd('59731.5::DOUBLE')} AS at").column("at").to_pylist()
    assert found == [dt.datetime(2022, 6, 1, 12)]


def test_a_sync_of_what_is_public_ends_well_although_exclusive_products_exist(
    database: tuple[Database, dict[str, bool]], mastlake: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAST_API_TOKEN", raising=False)
    everything = mastlake("sync", "--dry-run", "--json").json
    public = mastlake("sync", "--dry-run", "--release", "public", "--json").json
    assert everything["out_of_reach"]["items"]
    assert public["out_of_reach"]["items"] == 0
    assert public["selected"] == everything["selected"] - everything["out_of_reach"]["items"]
