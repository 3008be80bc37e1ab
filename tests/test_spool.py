"""Rows that wait on disk: read back in order, picked by number, a few at a time; and laid down by time and place."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.store.duckdb_file import one_thread
from catalog.store.history.row_order import in_storage_order
from catalog.store.history.versions import FILES
from catalog.store.spool import Spool, few_at_a_time

NUMBERS = pa.schema([("n", pa.int64()), ("text", pa.string())])


def batch(n: int) -> pa.RecordBatch:
    return pa.record_batch([pa.array([n] * 100), pa.array(["x" * 1000] * 100)], schema=NUMBERS)


@pytest.mark.long
@given(
    lengths=st.lists(st.integers(1, 5000), min_size=1, max_size=4),
    share=st.sampled_from([1, 2, 7, 5000]),
    start=st.integers(0, 5000),
)
def test_picked_rows_are_those_asked_for_in_order_each_with_its_hash(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], share: int, start: int
) -> None:
    with Spool(tmp_path_factory.mktemp("spool") / "c.duckdb") as spool:
        for number, length in enumerate(lengths):
            spool.add("rows", pa.table({"a": [f"{number}-{i}" for i in range(length)]}))
        numbers = list(range(start, sum(lengths), share))
        wanted = pa.table(
            {"staged_row": pa.array(numbers, pa.int64()), "staged_hash": pa.array([-n for n in numbers], pa.int64())}
        ).append_column("beside", pa.array([f"of {n}" for n in numbers], pa.string()))
        with duckdb.connect() as connection, spool.staged("rows").picked(connection, wanted):
            picked = connection.execute("SELECT * FROM picked ORDER BY staged_row").to_arrow_table()
        everything = [f"{number}-{i}" for number, length in enumerate(lengths) for i in range(length)]
        assert picked["a"].to_pylist() == [everything[n] for n in numbers]
        assert picked["staged_hash"].to_pylist() == [-n for n in numbers]
        assert picked["beside"].to_pylist() == [f"of {n}" for n in numbers]


def test_rows_of_answers_with_other_columns_are_read_with_all_of_them(tmp_path: Path) -> None:
    with Spool(tmp_path / "c.duckdb") as spool:
        spool.add("rows", pa.table({"a": [1], "b": ["x"]}))
        spool.add("rows", pa.table({"c": [True], "a": [0.5]}))
        read = pa.Table.from_batches(spool.read("rows"))
    assert read.drop_columns(["staged_row"]).to_pylist() == [
        {"a": 1.0, "b": "x", "c": None},
        {"a": 0.5, "b": None, "c": True},
    ]


@pytest.mark.parametrize("token", ["n", "text"])
def test_a_reader_that_is_slow_holds_few_batches(token: str) -> None:
    made = 0

    def rows() -> Iterator[pa.RecordBatch]:
        nonlocal made
        for n in range(100):
            made += 1
            yield batch(n)

    with few_at_a_time(rows(), NUMBERS, token, at_once=4, patience=60) as reader:
        scanned = ds.Scanner.from_batches(reader).to_reader()  # as DuckDB reads
        first = scanned.read_next_batch()
        time.sleep(0.2)
        assert made == 4
        del first
        assert sum(rows.num_rows for rows in scanned) == 99 * 100
    assert made == 100


@given(
    column=st.sampled_from([pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.timestamp("us"), pa.binary()]),
    nulls=st.lists(st.booleans(), max_size=20),
    skipped=st.integers(0, 9),
)
def test_a_batch_keeps_its_values_while_few_are_held(column: pa.DataType, nulls: list[bool], skipped: int) -> None:
    numbers = pa.array([None if null else n % 2 for n, null in enumerate(nulls)], pa.int64())
    held = pa.record_batch({"a": numbers.cast(pa.string() if column == pa.binary() else column).cast(column)})
    with few_at_a_time(iter([held.slice(skipped)]), held.schema, "a") as reader:
        assert reader.read_all() == pa.Table.from_batches([held.slice(skipped)])


def test_rows_begun_anew_take_the_place_of_those_before(tmp_path: Path) -> None:
    schema = pa.schema([("a", pa.int64())])
    with Spool(tmp_path / "c.duckdb") as spool, duckdb.connect() as connection:
        for rows in ([1, 2, 3], [4], []):
            staged = spool.begun_anew("rows", schema)
            spool.add("rows", pa.table({"a": pa.array(rows, pa.int64())}))
            with staged.in_passing(connection):
                assert connection.execute("SELECT a, staged_row FROM rows").fetchall() == [
                    (a, number) for number, a in enumerate(rows)
                ]


GROWTH = """
import resource, sys
from pathlib import Path
import numpy as np, pyarrow as pa
from catalog.store.database import Database
from catalog.store.history.comparison import compare_versions
from catalog.store.history.versions import PRODUCTS
from catalog.store.spool import Spool
database = Database(Path("catalog.duckdb"))
def peak(parts):
    with Spool(database.path) as spool, database.write() as connection:
        for part in range(parts):
            numbers = {f"c{column}": np.arange(2000) * column for column in range(200)}
            spool.add("offered", pa.table({"data_uri": [f"{part}-{row}" for row in range(2000)], **numbers}))
        spool.offer(connection, "offered")
        compare_versions(connection, PRODUCTS, spool.staged("offered"), 1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = peak(2)
print(peak(60) - start)
"""
"""By how many kB a process grows that compares 192 MB of numbers with a catalog."""


@pytest.mark.long
def test_rows_that_are_compared_do_not_stay_in_memory(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", GROWTH], cwd=tmp_path, check=True, stdout=subprocess.PIPE, text=True, timeout=300
    )
    assert int(done.stdout) < 96 << 10


@pytest.mark.long
def test_a_reader_that_gives_up_leaves_no_thread_waiting() -> None:
    before = threading.active_count()
    for _ in range(20):
        with (
            duckdb.connect() as connection,
            few_at_a_time((batch(n) for n in range(100)), NUMBERS, "n", at_once=2, patience=0.1) as reader,
        ):
            connection.register("numbers", reader)
            with pytest.raises(duckdb.Error):
                connection.execute("SELECT text::INTEGER, n FROM numbers").fetchall()
    assert threading.active_count() == before


@pytest.mark.parametrize("way", ["passing", "picked"])
def test_the_error_of_a_statement_that_fails_is_the_one_that_is_told(tmp_path: Path, way: str) -> None:
    wanted = pa.table({"staged_row": pa.array([0], pa.int64()), "staged_hash": pa.array([1], pa.int64())})
    with Spool(tmp_path / "c.duckdb") as spool, duckdb.connect() as connection:
        spool.add("rows", pa.table({"a": ["no number"]}))
        staged = spool.staged("rows")
        connection.execute("BEGIN TRANSACTION")
        reading = staged.in_passing(connection) if way == "passing" else staged.picked(connection, wanted)
        table = "rows" if way == "passing" else "picked"
        with pytest.raises(duckdb.ConversionException, match="no number"), reading, one_thread(connection):
            connection.execute(f"CREATE TABLE t AS SELECT a::INTEGER, * FROM {table}")


class TestStorageOrder:
    """Rows that are asked about together lie together."""

    def test_stretches_of_time_come_first_then_bands_of_declination_then_names(self) -> None:
        rows = pa.table(
            {
                "filename": ["d", "c", "b", "a", "e"],
                "date_obs_mjd": [59_900.0, 59_780.0, 59_781.0, 59_782.0, None],
                "targ_dec": [0.0, 55.0, 5.0, 6.0, 1.0],
            }
        )
        assert in_storage_order(rows, FILES)["filename"].to_pylist() == ["a", "b", "c", "d", "e"]

    def test_rows_without_numbers_to_go_by_stay_as_they_came(self) -> None:
        rows = pa.table({"filename": ["b", "a"], "date_obs_mjd": pa.nulls(2), "targ_dec": ["x", "y"]})
        assert in_storage_order(rows, FILES) == rows
