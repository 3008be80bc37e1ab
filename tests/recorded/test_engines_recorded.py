"""What MAST really answered, harvested into a file and into lakes: every engine keeps the same catalog and history."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catalog.archive.client import MastArchive
from catalog.harvest import harvest
from catalog.store.database import Database
from catalog.vocabulary.search import Search

from ..conftest import QUICK, state
from ..lakes import PREFIXES, lake_in
from .test_harvest_recorded import MOVES

VIEWS = ("files", "observations", "products")


def history(database: Database) -> dict[str, Any]:
    """Everything that was known at each run, and all that changed."""
    with database.read() as connection:
        rows: dict[str, Any] = {
            "changes": connection.execute("SELECT run, what, kind, key, columns FROM changes ORDER BY ALL").fetchall()
        }
        for (run,) in connection.execute("SELECT run FROM runs ORDER BY run").fetchall():
            for view in VIEWS:
                then = connection.execute(f"SELECT * FROM {view}_at({int(run)})").to_arrow_table().to_pylist()
                plain = [{name: value for name, value in row.items() if value is not None} for row in then]
                rows[f"{view} at {run}"] = sorted(plain, key=lambda row: repr(sorted(row.items(), key=repr)))
    return rows


@pytest.mark.long
@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_lake_keeps_the_catalog_and_the_history_that_a_file_keeps(
    prefix: str,
    request: pytest.FixtureRequest,
    database: Database,
    recorded: Any,
    connect: Callable[[str], MastArchive],
    soss: Search,
    tmp_path: Path,
) -> None:
    lake = lake_in(tmp_path, prefix, request)
    for snapshot, moves in MOVES.items():
        recorded.archive.move(snapshot)
        for target in (database, lake):
            run = harvest(target, connect(recorded.url), soss, patience=QUICK).run
            assert (run.new, run.changed, run.withdrawn) == moves
    assert state(lake) == state(database)
    of_lake, of_file = history(lake), history(database)
    assert list(of_lake) == list(of_file)
    for part, rows in of_file.items():
        assert of_lake[part] == rows, part
