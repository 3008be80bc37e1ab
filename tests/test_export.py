"""Formats: what is written is read back by the tools that people use, the same."""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io.votable import parse_single_table, validate
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.answers.formats import FORMATS, Format, checked_format, format_of, objects, write, write_file
from catalog.answers.result import Result
from catalog.answers.tables import astropy_table
from catalog.errors import BadValue, DiskError, UsageError

from .conftest import Command
from .test_find import HARVESTED, fill

MOMENT = datetime(2022, 7, 28, 12, 4, 20, 97999)
SAMPLE = pa.table({
    "filename": ["a.fits", "b,\"c\".fits", None, "", "δ <&> 5"],
    "effexptm": pa.array([1.5, None, math.pi, -0.0, 1e-300]),
    "nints": pa.array([1, 2, None, -(2**53), 2**62], pa.int64()),
    "tsovisit": pa.array([True, None, False, True, False]),
    "date_obs": pa.array([MOMENT, None, MOMENT, datetime(1, 1, 1), MOMENT], pa.timestamp("us")),
    "targ_ra": pa.array([0.1 + 0.2, 359.999999999999, None, 0.0, 12.0]),
})  # fmt: skip


def written(rows: pa.Table, form: Format, size: int = 2) -> bytes:
    """Write rows in batches of a few."""
    sink = io.BytesIO()
    reader = pa.RecordBatchReader.from_batches(rows.schema, rows.to_batches(max_chunksize=size))
    assert write(reader, form, sink) == rows.num_rows
    return sink.getvalue()


def values(column: Any) -> list[Any]:
    """An astropy column as Python values, masked ones as None."""
    masked = np.ma.asarray(column)
    return [
        None if hidden else one for one, hidden in zip(masked.data.tolist(), np.ma.getmaskarray(masked), strict=True)
    ]


def test_csv_is_read_back_by_duckdb_and_pandas(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(written(SAMPLE, "csv"))
    back = duckdb.read_csv(str(tmp_path / "x.csv"), parallel=False).fetchall()
    assert back[0][:4] == ("a.fits", 1.5, 1, True)
    assert back[0][4] == MOMENT
    assert back[2][2] is None
    frame = pd.read_csv(tmp_path / "x.csv", keep_default_na=False, na_values={"effexptm": [""], "targ_ra": [""]})
    assert frame["filename"][1] == 'b,"c".fits'
    assert frame["targ_ra"][0] == 0.1 + 0.2


def test_json_and_jsonl_are_read_back_by_anything(tmp_path: Path) -> None:
    found = json.loads(written(SAMPLE, "json"))
    assert found == [json.loads(line) for line in written(SAMPLE, "jsonl").splitlines()]
    assert found[0]["date_obs"] == "2022-07-28T12:04:20.097999"
    assert [row["filename"] for row in found] == SAMPLE["filename"].to_pylist()
    assert [row["nints"] for row in found] == SAMPLE["nints"].to_pylist()
    assert [row["targ_ra"] for row in found] == SAMPLE["targ_ra"].to_pylist()


def test_parquet_is_the_same_table_with_units(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(written(SAMPLE, "parquet"))
    back = pq.read_table(tmp_path / "x.parquet")
    assert back.equals(SAMPLE)
    assert back.schema.field("effexptm").metadata[b"unit"] == b"s"
    assert pd.read_parquet(tmp_path / "x.parquet")["nints"][4] == 2**62


def test_ecsv_is_read_back_by_astropy_with_units_and_meanings() -> None:
    back = Table.read(written(SAMPLE, "ecsv").decode(), format="ascii.ecsv")
    assert back["effexptm"].unit == "s"
    assert back["targ_ra"].unit == "deg"
    assert back["effexptm"].description == "Effective exposure time"
    for name in ("effexptm", "nints", "tsovisit", "targ_ra"):
        assert values(back[name]) == SAMPLE[name].to_pylist(), name
    assert values(back["filename"])[1] == 'b,"c".fits'
    assert values(back["date_obs"])[:2] == ["2022-07-28T12:04:20.097999", None]


def test_votable_is_valid_and_read_back_by_astropy(tmp_path: Path) -> None:
    path = tmp_path / "x.vot"
    path.write_bytes(written(SAMPLE, "votable"))
    report = io.StringIO()
    assert validate(path, output=report), report.getvalue()
    back = parse_single_table(path).to_table()
    assert back["effexptm"].unit == "s"
    assert back["effexptm"].description == "Effective exposure time"
    for name in ("nints", "tsovisit", "targ_ra", "effexptm"):
        assert values(back[name]) == SAMPLE[name].to_pylist(), name
    assert [str(one or "") for one in values(back["filename"])] == [one or "" for one in SAMPLE["filename"].to_pylist()]
    assert values(back["date_obs"])[0] == "2022-07-28T12:04:20.097999"
    assert b'xtype="timestamp"' in path.read_bytes()


@pytest.mark.parametrize("form", FORMATS)
def test_no_rows_are_a_whole_file_too(form: Format, tmp_path: Path) -> None:
    content = written(SAMPLE.slice(0, 0), form)
    if form in ("votable", "ecsv"):
        (tmp_path / "x").write_bytes(content)
        assert len(Table.read(tmp_path / "x", format={"votable": "votable", "ecsv": "ascii.ecsv"}[form])) == 0
    elif form == "json":
        assert json.loads(content) == []
    elif form == "csv":
        assert content.decode().strip().count(",") == 5


@pytest.mark.parametrize("form", FORMATS)
@given(sizes=st.tuples(st.integers(1, 40), st.integers(1, 40)), count=st.integers(0, 60), seed=st.integers(0, 999))
@settings(max_examples=10, deadline=None)
def test_the_size_of_batches_does_not_show(form: Format, sizes: tuple[int, int], count: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    absent = chance.random((3, count)) < 0.3
    letters = list('ab \n",#<&é')
    words = ["".join(chance.choice(letters, chance.integers(0, 9))) for _ in range(count)]
    rows = pa.table({
        "targname": pa.array(words, pa.string(), mask=absent[0]),
        "nints": pa.array(chance.integers(0, 99, count), mask=absent[1]),
        "effexptm": pa.array(chance.random(count), mask=absent[2]),
    })  # fmt: skip
    one, other = (written(rows, form, size) for size in sizes)
    if form == "parquet":
        assert pq.read_table(io.BytesIO(one)).equals(pq.read_table(io.BytesIO(other)))
    else:
        assert one == other


@pytest.fixture(scope="module")
def kinds() -> dict[str, pa.Table]:
    """One table for each of DuckDB's types, without the extremes that no other tool holds."""
    with duckdb.connect() as connection:
        names = [row[0] for row in connection.execute("DESCRIBE FROM test_all_types()").fetchall()]
        wide = {"hugeint", "uhugeint", "ubigint", "dec38_10"}
        return {
            name: connection.execute(
                f'SELECT "{name}" AS value FROM test_all_types() LIMIT 3 OFFSET {2 if name in wide else 0}'
            ).to_arrow_table()
            for name in names
            if "date" not in name and "timestamp" not in name
        }


@pytest.mark.parametrize("form", FORMATS)
def test_every_type_of_duckdb_can_be_written(form: Format, kinds: dict[str, pa.Table], tmp_path: Path) -> None:
    for name, rows in kinds.items():
        content = written(rows, form)
        (tmp_path / "x").write_bytes(content)
        if form == "json":
            assert len(json.loads(content)) == rows.num_rows, name
        elif form == "votable":
            assert len(parse_single_table(tmp_path / "x").to_table()) == rows.num_rows, name
        elif form == "ecsv":
            assert len(Table.read(tmp_path / "x", format="ascii.ecsv")) == rows.num_rows, name
        elif form == "parquet":
            assert pq.read_table(tmp_path / "x").num_rows == rows.num_rows, name


def test_what_no_format_holds_is_said_in_one_line() -> None:
    with duckdb.connect() as connection:
        huge = connection.execute("SELECT (2::HUGEINT ** 100)::HUGEINT AS n").to_arrow_table()
        late = connection.execute("SELECT 'infinity'::TIMESTAMP AS t").to_arrow_table()
    for form in ("votable", "ecsv"):
        with pytest.raises(BadValue, match=r"n has a value .* CAST it AS VARCHAR"):
            written(huge, form)
    assert json.loads(written(huge, "json")) == [{"n": 2**100}]
    assert written(huge, "csv").splitlines()[1] == str(2**100).encode()
    assert list(objects(late.to_reader())) == [{"t": "infinity"}]


@pytest.mark.parametrize("form", ["csv", "json", "jsonl", "votable", "ecsv", "parquet"])
def test_the_largest_integer_keeps_its_digits(mastlake: Command, lake: None, tmp_path: Path, form: str) -> None:
    most = 2**128 - 1
    path = tmp_path / f"x.{form}"
    done = mastlake("sql", f"SELECT {most}::UHUGEINT AS n, [{most}::UHUGEINT] AS l", "--format", form, "-o", path)
    assert done.code == 0, done.err
    told = str(pq.read_table(path).to_pylist()) if form == "parquet" else path.read_text()
    assert told.count(str(most)) == 2


def test_sums_are_numbers_and_names_are_told_apart(mastlake: Command, lake: None) -> None:
    rows = mastlake(
        "sql", "SELECT sum(program) AS a, 2 AS a, {'x': 1.5} AS s, [1, NULL] AS l FROM files", "--format", "json"
    )
    assert rows.json == [{"a": 7478, "a_1": 2, "s": {"x": 1.5}, "l": [1, None]}]
    flat = mastlake("sql", "SELECT {'x': 1.5} AS s, [1, NULL] AS l, MAP {'k': 1} AS m", "--format", "csv").out
    assert flat.splitlines()[1] == '"{""x"":1.5}","[1,null]","[[""k"",1]]"'


def test_a_result_is_an_astropy_table_with_units_and_masks() -> None:
    table = astropy_table(SAMPLE)
    assert table["effexptm"].unit == "s"
    assert table["date_obs"].dtype == np.dtype("datetime64[us]")
    assert table["nints"].mask.tolist() == [False, False, True, False, False]


BEYOND = {
    "a year that Python has not": "SELECT DATE '20000-01-01' AS v UNION ALL SELECT DATE '2020-01-01'",
    "a moment that Python has not": "SELECT 'infinity'::TIMESTAMP AS v UNION ALL SELECT TIMESTAMP '290000-01-01'",
    "nanoseconds": "SELECT '2022-01-01 00:00:00.123456789'::TIMESTAMP_NS AS v",
    "a list of nanoseconds": "SELECT ['2022-01-01 00:00:00.123456789'::TIMESTAMP_NS] AS v",
    "the end of a day": "SELECT TIME '24:00:00' AS v",
    "an interval": "SELECT INTERVAL '1 month 2 days' AS v",
    "a list of intervals": "SELECT [INTERVAL 1 DAY] AS v",
    "a union": "SELECT 'x'::UNION(n INTEGER, s VARCHAR) AS v",
    "a structure of a union": "SELECT {'a': 'x'::UNION(n INTEGER, s VARCHAR)} AS v",
    "a map of structures": "SELECT MAP {{'x': 1}: [1]} AS v",
    "names that repeat": "SELECT 1 AS v, 2 AS v",
}


@pytest.mark.parametrize("question", BEYOND.values(), ids=BEYOND)
def test_libraries_get_a_value_that_they_have_no_form_for_as_text(question: str) -> None:
    with duckdb.connect() as connection:
        result = Result(connection.execute(question).to_arrow_table(), question)
    for frame in (result.to_pandas(), result.to_polars(), result.to_table(), result.to_qtable()):
        assert len(frame) == len(result)
    for form in ("csv", "json", "jsonl", "parquet", "ecsv"):
        assert written(result.rows, checked_format(form))
    assert result._repr_html_()
    assert repr(result)


def test_a_map_of_structures_is_a_list_of_pairs_in_json_and_nanoseconds_are_whole() -> None:
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT MAP {{'x': 1}: [1]} AS m, ['2022-01-01 00:00:00.123456789'::TIMESTAMP_NS] AS t"
        ).to_arrow_table()
    assert json.loads(written(rows, "json")) == [{"m": [[{"x": 1}, [1]]], "t": ["2022-01-01T00:00:00.123456789"]}]


def test_times_that_the_standard_of_votables_cannot_write_are_text_there() -> None:
    with duckdb.connect() as connection:
        for moment in ("DATE '20000-01-01'", "DATE '0044-03-15 (BC)'", "'infinity'::TIMESTAMP"):
            rows = connection.execute(f"SELECT {moment} AS v, DATE '2022-01-01' AS d FROM range(3)").to_arrow_table()
            content = written(rows, "votable")
            assert content.count(b'xtype="timestamp"') == 1
            assert parse_single_table(io.BytesIO(content)).to_table()["d"][2] == "2022-01-01"


@pytest.mark.parametrize(
    "name", ["a\nb", "a\r\nb", "\x07", "\u2028", "a\x85b", " ", "#c", ",", "x\ty", '<x>&"q', "'", "%"]
)
def test_a_name_that_ends_a_line_is_spelled_as_in_the_catalog(name: str) -> None:
    rows = pa.table({name: [1, 2], "b": ["x", "y"]})
    tables = (
        Table.read(written(rows, "ecsv").decode(), format="ascii.ecsv"),
        parse_single_table(io.BytesIO(written(rows, "votable"))).to_table(use_names_over_ids=True),
    )
    for table in tables:
        assert len(table) == 2
        assert list(table[table.colnames[0]]) == [1, 2]
        assert name.isprintable() is (table.colnames[0] == name)


def test_a_format_is_known_by_the_files_ending() -> None:
    assert format_of(Path("a.VOT")) == "votable"
    with pytest.raises(UsageError, match=r"a.txt names no format; end it in .csv, "):
        format_of(Path("a.txt"))
    with pytest.raises(UsageError, match="parquet"):
        checked_format("xlsx")


GROWTH = """
import resource
from catalog.cli.main import run
def grown(question, name):
    try:
        run(['sql', question, '--format', '{form}', '-o', name])
    except SystemExit as left:
        assert not left.code
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = grown({small!r}, 'small')
print(grown({large!r}, 'large') - start)
"""
"""By how many kB a process grows for an answer."""


class TestFiles:
    """A file is whole, or not there."""

    def test_a_failure_in_the_middle_leaves_what_was_there(self, tmp_path: Path) -> None:
        def failing() -> Iterator[pa.RecordBatch]:
            yield SAMPLE.to_batches()[0]
            raise ValueError("the end")

        path = tmp_path / "x.csv"
        path.write_text("before")
        with pytest.raises(ValueError, match="the end"):
            write_file(pa.RecordBatchReader.from_batches(SAMPLE.schema, failing()), "csv", path)
        assert path.read_text() == "before"
        assert list(tmp_path.iterdir()) == [path]

    def test_a_folder_that_is_not_there_is_one_line(self, tmp_path: Path) -> None:
        with pytest.raises(DiskError, match="No such file"):
            write_file(SAMPLE.to_reader(), "csv", tmp_path / "no" / "x.csv")


@pytest.fixture
def lake(tmp_path: Path) -> None:
    from catalog.store.database import Database

    fill(Database(tmp_path / "catalog.duckdb"), pa.Table.from_pylist(HARVESTED))


class TestCommand:
    """``mastlake sql`` in each format."""

    @pytest.mark.parametrize("form", FORMATS)
    def test_stdout_and_file_are_the_same_bytes(self, mastlake: Command, lake: None, form: str, tmp_path: Path) -> None:
        question = "SELECT filename, program, targ_ra, date_obs_mjd, tsovisit FROM files ORDER BY filename"
        assert mastlake("sql", question, "--format", form, "-o", "x").code == 0
        if form != "parquet":
            assert mastlake("sql", question, "--format", form).out == (tmp_path / "x").read_text()
        if form in ("votable", "ecsv"):
            back = Table.read(tmp_path / "x", format={"votable": "votable", "ecsv": "ascii.ecsv"}[form])
            assert (back["targ_ra"].unit, back["date_obs_mjd"].unit) == ("deg", "d")
            assert sorted(back["program"]) == [1366, 1366, 1373, 1373, 2000]

    def test_a_column_of_any_name_is_written_without_a_word(self, mastlake: Command, lake: None) -> None:
        outcome = mastlake("sql", "SELECT count(*), 1 AS 'π/2' FROM files", "--format", "votable")
        assert (outcome.code, outcome.err) == (0, "")
        table = Table.read(io.BytesIO(outcome.out.encode()), format="votable", use_names_over_ids=True)
        assert table.colnames == ["count_star()", "π/2"]

    def test_an_ending_that_names_no_format_is_refused(self, mastlake: Command, lake: None, tmp_path: Path) -> None:
        outcome = mastlake("sql", "SELECT 1", "-o", "x.xls")
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)
        assert not (tmp_path / "x.xls").exists()

    def test_an_error_in_the_rows_is_one_line_and_no_file(self, mastlake: Command, lake: None, tmp_path: Path) -> None:
        question = "SELECT CAST(CASE WHEN x < 50000 THEN '1' ELSE 'no' END AS INTEGER) FROM range(60000) t(x)"
        outcome = mastlake("sql", question, "-o", "x.csv")
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)
        assert "Could not convert string 'no'" in outcome.err
        assert not (tmp_path / "x.csv").exists()

    def test_a_question_comes_from_stdin_too(
        self, mastlake: Command, lake: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO("SELECT count(*) AS n FROM files"))
        assert mastlake("sql", "-", "--format", "json").json == [{"n": 5}]
        monkeypatch.setattr(sys, "stdin", io.StringIO("SELECT count(*) AS n FROM files"))
        assert mastlake("sql", "--format", "json").json == [{"n": 5}]

    @pytest.mark.long
    @pytest.mark.parametrize("form", FORMATS)
    def test_an_answer_larger_than_memory_streams(self, lake: None, tmp_path: Path, form: str) -> None:
        """Five times the rows, and hardly more memory: held as a whole they would take some 500 MB."""
        few = 250_000 if form in ("csv", "parquet") else 10_000
        question = "SELECT x, x / 7 AS y, repeat('x', 1000) AS t FROM range({}) r(x)"
        code = GROWTH.format(form=form, small=question.format(few), large=question.format(5 * few))
        command = [sys.executable, "-c", code]
        environment = {"PATH": "", "HOME": str(tmp_path), "MASTLAKE_CATALOG": str(tmp_path / "catalog.duckdb")}
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=True)
        assert int(done.stdout.splitlines()[-1]) < 120_000
