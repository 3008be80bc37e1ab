"""The catalog as of a run: `files_at` and its like take the number of a run that was."""

from __future__ import annotations

import pytest

from catalog.questions.query_errors import BadQuery
from catalog.questions.statement import rows
from catalog.store.database import Database

pytestmark = pytest.mark.engines


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


def test_the_number_may_come_from_another_macro_or_table(catalog: Database) -> None:
    """What a person builds on it: a macro of one's own, and each run beside what was there."""
    with catalog.write() as connection:
        connection.execute("CREATE MACRO those(n) AS TABLE SELECT * FROM files_at(n)")
    assert rows(catalog, "FROM those(2)").num_rows == rows(catalog, "FROM files").num_rows
    beside = rows(
        catalog, "SELECT r.run, count(f.filename) AS n FROM runs r, files_at(r.run) f GROUP BY ALL ORDER BY 1"
    )
    now = rows(catalog, "SELECT count(*) AS n FROM files")["n"].to_pylist()[0]
    assert beside["n"].to_pylist()[-1] == now
