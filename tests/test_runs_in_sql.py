"""The catalog as of a run: `files_at` and its like take the number of a run that was."""

from __future__ import annotations

import pytest

from catalog.questions.query_errors import BadQuery
from catalog.questions.statement import rows
from catalog.store.database import Database


@pytest.mark.parametrize("view", ["files", "observations", "products"])
@pytest.mark.parametrize("run", ["2026-11-27", "99", "DATE '2026-11-27'", "'2026-11-27'", "-1", "NULL", "1.5", "'x'"])
def test_a_date_or_a_run_to_come_is_refused(catalog: Database, view: str, run: str) -> None:
    with pytest.raises(BadQuery) as refused:
        rows(catalog, f"SELECT count(*) FROM {view}_at({run})")
    assert "\n" not in str(refused.value)
    assert "there is no run" in str(refused.value)


@pytest.mark.parametrize("view", ["files", "observations", "products"])
def test_a_run_that_was_is_answered(catalog: Database, view: str) -> None:
    (now,) = rows(catalog, f"SELECT count(*) AS n FROM {view}")["n"].to_pylist()
    for asked, values in ((f"FROM {view}_at(2)", []), (f"FROM {view}_at(?)", [2])):
        assert rows(catalog, f"SELECT count(*) AS n {asked}", values)["n"].to_pylist() == [now]
    assert rows(catalog, f"FROM {view}_at(0)").num_rows == 0
