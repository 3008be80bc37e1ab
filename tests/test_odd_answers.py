"""Answers with cells, rows and columns that are not as they should be: each costs nothing but itself."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from catalog.archive.answer import ArchiveAnswer, read_answer
from catalog.archive.client import MastArchive
from catalog.errors import ArchiveError, Garbled
from catalog.harvest import harvest
from catalog.simulator import Simulator
from catalog.store.database import Database
from catalog.store.history.merge import merge_versions
from catalog.store.history.row_changes import differences
from catalog.store.history.versions import FILES, PRODUCTS
from catalog.store.schema.migrate import make_views
from catalog.store.spool import Spool
from catalog.store.sql import quoted
from catalog.vocabulary.search import Search
from catalog.vocabulary.spelling import ODD_CELLS, catalog_name, catalog_names, sent_name

from .conftest import QUICK

KINDS = ("string", "int", "float", "boolean", "date")
NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([10**30, -(2**63) - 1, 2**63, 2**63 - 1, 1e300, 10.7, math.nan, math.inf]),
)
TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["N/A", "", "NaN", "t", "5", "1e400", "},{", "/Date(1654672136857)/", "/Date(999999999999999)/"]),
    st.sampled_from(["2022-06-08T07:08:56.1234567", "2022-06-08", "\ud800", "\0", "a\nb", "null"]),
)
CELLS = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(TEXTS, inner, max_size=2)),
    max_leaves=4,
)


def body(fields: dict[str, str], rows: Sequence[Any], **more: Any) -> bytes:
    described = [{"name": name, "type": kind} for name, kind in fields.items()]
    return json.dumps({"status": "COMPLETE", "msg": "", "data": rows, "fields": described, **more}).encode()


def odd_of(answer: ArchiveAnswer, row: int) -> dict[str, str]:
    if ODD_CELLS not in answer.rows.column_names:
        return {}
    return dict(json.loads(answer.rows[ODD_CELLS][row].as_py() or "{}"))


def same(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


class TestCells:
    """One cell, whatever it is."""

    @pytest.mark.long
    @settings(max_examples=150)
    @example("float", 2**53 + 1, True)
    @example("float", -(10**19 + 1), False)
    @given(st.sampled_from(KINDS), CELLS, st.booleans())
    def test_any_value_is_in_its_column_or_beside_it_and_the_others_stay(
        self, kind: str, cell: Any, first: bool
    ) -> None:
        good = {"string": "a", "int": 3, "float": 2.5, "boolean": True, "date": "/Date(0)/"}[kind]
        rows = [{"filename": "odd", "x": cell}, {"filename": "good", "x": good}]
        answer = read_answer(body({"filename": "string", "x": kind}, rows if first else rows[::-1]))
        names = answer.rows["filename"].to_pylist()
        assert sorted(names) == ["good", "odd"]
        values = dict(zip(names, answer.rows["x"].to_pylist(), strict=True))
        plain = {"date": None}.get(kind, good)
        assert kind == "date" or values["good"] == plain
        self.is_kept(kind, cell, values["odd"], odd_of(answer, names.index("odd")).get("x"))

    def is_kept(self, kind: str, cell: Any, value: Any, odd: str | None) -> None:
        """Say that a cell can be told from what is kept of it."""
        if odd is not None:
            assert same(json.loads(odd), cell)
        elif cell is None:
            assert value is None
        elif kind in ("int", "float") and not isinstance(cell, str):
            assert value == cell
        elif kind == "string":
            assert value == cell or same(json.loads(value), cell)
        else:
            assert value is not None

    @pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
    def test_a_number_without_a_value_is_null_and_its_word_is_kept(self, word: str) -> None:
        raw = body({"filename": "string", "x": "float"}, [{"filename": "a", "x": 4.25}, {"filename": "b", "x": 1.5}])
        answer = read_answer(raw.replace(b"4.25", word.encode()))
        assert answer.rows["x"].to_pylist() == [None, 1.5]
        assert odd_of(answer, 0) == {"x": word}
        assert answer.odd == {"x": 1}

    def test_a_text_that_is_not_utf8_is_kept_byte_by_byte(self) -> None:
        raw = body({"filename": "string", "t": "string"}, [{"filename": "a", "t": "WASP"}, {"filename": "b", "t": "é"}])
        answer = read_answer(raw.replace(b"WASP", b"W\xff"))
        assert answer.rows["t"].to_pylist() == [None, "é"]
        assert odd_of(answer, 0) == {"t": r'"W\xff"'}

    def test_a_byte_order_mark_is_no_part_of_the_answer(self) -> None:
        answer = read_answer(b"\xef\xbb\xbf" + body({"filename": "string"}, [{"filename": "a"}]))
        assert answer.rows.to_pylist() == [{"filename": "a"}]

    def test_a_fraction_makes_whole_numbers_numbers_and_cuts_nothing(self) -> None:
        rows = [{"filename": "a", "n": 10.7}, {"filename": "b", "n": 10}]
        assert read_answer(body({"filename": "string", "n": "int"}, rows)).rows["n"].to_pylist() == [10.7, 10.0]

    def test_a_fraction_beside_numbers_that_no_float_holds_is_odd(self) -> None:
        rows = [{"filename": "a", "n": 10.7}, {"filename": "b", "n": 2**60 + 1}]
        answer = read_answer(body({"filename": "string", "n": "int"}, rows))
        assert answer.rows["n"].to_pylist() == [None, 2**60 + 1]
        assert odd_of(answer, 0) == {"n": "10.7"}

    @pytest.mark.parametrize("size", [-1, 2**63 - 1, 10.5, "big"])
    def test_a_size_that_no_file_has_is_unknown(self, size: Any) -> None:
        rows = [{"dataURI": "u", "size": size}]
        answer = read_answer(body({"dataURI": "string", "size": "int"}, rows), "product")
        assert answer.rows["size"].to_pylist() == [None]
        assert odd_of(answer, 0) == {"size": json.dumps(size)}

    @pytest.mark.parametrize("day", [1e300, 1e12, 1e7, -1e6])
    def test_a_date_that_no_calendar_has_is_unknown(self, day: float) -> None:
        rows = [{"obs_id": "a", "t_obs_release": day}, {"obs_id": "b", "t_obs_release": 59_790.5}]
        answer = read_answer(body({"obs_id": "string", "t_obs_release": "float"}, rows), "observation")
        assert answer.rows["t_obs_release"].to_pylist() == [None, 59_790.5]

    def test_a_column_that_is_called_a_number_and_is_text_throughout_is_text(self) -> None:
        rows = [{"filename": str(n), "x": f"grism {n}"} for n in range(40)]
        answer = read_answer(body({"filename": "string", "x": "int"}, rows))
        assert answer.rows.schema.field("x").type == pa.string()
        assert not answer.odd

    @pytest.mark.parametrize("announced", KINDS)
    @pytest.mark.parametrize(
        ("listed", "values", "kind"),
        [
            ("productLevel", ["3", "1b"], pa.string()),
            ("effexptm", [2, 2.5], pa.float64()),
            ("nints", [3, 4], pa.int64()),
        ],
    )
    def test_a_column_that_the_dictionary_lists_holds_that_whatever_an_answer_calls_it(
        self, announced: str, listed: str, values: list[Any], kind: pa.DataType
    ) -> None:
        rows = [{"filename": f"{number}", listed: value} for number, value in enumerate(values)]
        for some in (rows, rows[:1]):
            column = read_answer(body({"filename": "string", listed: announced}, some)).rows[listed]
            assert column.type == kind
            assert column.to_pylist() == values[: len(some)]

    def test_a_member_that_stands_twice_in_a_row_is_kept_twice(self) -> None:
        raw = body({"filename": "string", "n": "int"}, [{"filename": "a", "n": 1}]).replace(
            b'"n": 1', b'"n": 1, "n": 2'
        )
        answer = read_answer(raw)
        assert answer.rows["n"].to_pylist() == [2]
        assert odd_of(answer, 0) == {"n": "1, 2"}

    @pytest.mark.parametrize("depth", [100, 5_000, 200_000])
    def test_a_value_nested_however_deep_is_text(self, depth: int) -> None:
        raw = body({"filename": "string", "t": "string"}, [{"filename": "a", "t": 7}, {"filename": "b", "t": "x"}])
        answer = read_answer(raw.replace(b"7", b"[" * depth + b"]" * depth))
        assert answer.rows["filename"].to_pylist() == ["a", "b"]
        assert answer.rows["t"].to_pylist() == ["[" * depth + "]" * depth, "x"]


class TestRows:
    """Rows that are none."""

    @pytest.mark.parametrize("row", [None, 5, "x", [], [1, 2], True])
    @pytest.mark.parametrize("at", [0, 1, 2])
    def test_a_row_that_is_no_object_is_set_aside(self, row: Any, at: int) -> None:
        rows: list[Any] = [{"filename": "a"}, {"filename": "b"}]
        rows.insert(at, row)
        answer = read_answer(body({"filename": "string"}, rows))
        assert answer.rows["filename"].to_pylist() == ["a", "b"]
        assert [(one.what, json.loads(one.text)) for one in answer.aside] == [("file", row)]
        assert answer.rows_aside == 1
        assert answer.total == 3

    @pytest.mark.parametrize("key", [None, "", "\ud800"])
    @pytest.mark.parametrize(
        ("kind", "column"), [("file", "filename"), ("product", "dataURI"), ("observation", "obs_id")]
    )
    def test_a_row_without_a_key_is_set_aside(self, kind: str, column: str, key: Any) -> None:
        answer = read_answer(body({column: "string", "n": "int"}, [{column: key, "n": 7}, {column: "b", "n": 8}]), kind)
        assert answer.rows["n"].to_pylist() == [8]
        (aside,) = answer.aside
        assert aside.what == kind
        assert json.loads(aside.text)["n"] == 7

    @pytest.mark.parametrize(("key", "text"), [(5, "5"), (True, "true"), (1.50, "1.5"), ([1], "[1]")])
    def test_a_key_of_another_type_is_its_text(self, key: Any, text: str) -> None:
        rows = [{"obs_id": key, "obsid": 87602512}, {"obs_id": "b", "obsid": "2"}]
        answer = read_answer(body({"obs_id": "int", "obsid": "int"}, rows), "observation")
        assert answer.rows["obs_id"].to_pylist() == [text, "b"]
        assert answer.rows["obsid"].to_pylist() == ["87602512", "2"]

    def test_a_column_that_differs_from_the_key_in_case_does_not_take_its_place(self) -> None:
        sent = body({"FILENAME": "string", "fileName": "string"}, [{"FILENAME": "x", "fileName": "a"}])
        rows = read_answer(sent, asked=("fileName", "ingestCompletionDate_mjd")).rows
        assert rows.column_names == ["%46%49%4C%45%4E%41%4D%45", "fileName", "ingestCompletionDate_mjd"]
        assert rows["fileName"].to_pylist() == ["a"]

    def test_an_answer_may_lack_columns_that_were_asked_for_but_not_its_key(self) -> None:
        asked = ("filename", "checksum", "ingestCompletionDate_mjd")
        rows = read_answer(body({}, [{"filename": "a"}]), asked=asked).rows
        assert rows.to_pylist() == [{"filename": "a", "checksum": None, "ingestCompletionDate_mjd": None}]
        with pytest.raises(Garbled, match="no column filename"):
            read_answer(body({}, [{"checksum": "c"}]), asked=asked)

    def test_a_column_that_no_field_names_is_kept(self) -> None:
        answer = read_answer(body({"filename": "string"}, [{"filename": "a", "z": 1}, {"filename": "b", "y": "c"}]))
        assert answer.rows.to_pylist() == [
            {"filename": "a", "z": "1", "y": None},
            {"filename": "b", "z": None, "y": "c"},
        ]

    @pytest.mark.parametrize(
        "raw",
        [
            body({"filename": "string"}, None),  # type: ignore[arg-type]
            body({"filename": "string"}, {"a": 1}),  # type: ignore[arg-type]
            body({"filename": "string"}, [{"filename": "a"}], paging={"rowsFiltered": "x"}),
            body({"filename": "string"}, [{"filename": "a"}], paging={"rowsFiltered": None}),
            body({"filename": "string"}, [{"filename": "a"}], paging={"rowsFiltered": -1}),
            body({"x": "string"}, [{"x": "a"}]),
            b"[" * 100_000,
            b'{"status": ' * 100_000,
            b'{"status": "COMPLETE", "data": [{"a": 1}',
            b'{"status": "COMPLETE", "data": [{"a": 1}], "fields": 7}',
            b"\xff\xfe{\x00}\x00",
        ],
    )
    def test_an_answer_that_is_none_is_garbled(self, raw: bytes) -> None:
        with pytest.raises(Garbled):
            read_answer(raw, whole=True)

    @settings(max_examples=300)
    @given(st.data())
    def test_an_answer_with_bytes_spoiled_anywhere_is_read_or_one_line(self, data: st.DataObject) -> None:
        raw = bytearray(body({"filename": "string", "n": "int"}, [{"filename": f"f{n}", "n": n} for n in range(3)]))
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, len(raw) - 1))
            raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        with suppress(ArchiveError):
            read_answer(bytes(raw), whole=True).rows.validate(full=True)


NAMES = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["", '"', "a\nb", "\0", "%", "%25", "since_run", "SINCE_RUN", "row_hash", "odd_cells", "staged_row"]
    ),
    st.sampled_from(
        ["obs_id", "si_obs_id", "si_si_obs_id", "FILENAME", "fileName", "data_uri", "parent", "footprint", "é", "É"]
    ),
    st.sampled_from(
        ["rowid", "file_id", "instrument", "Instrument", "checked_run", "until_run", "key", "x'; DROP TABLE runs; --"]
    ),
)


class TestNames:
    """Columns of any name."""

    @pytest.mark.long
    @given(st.lists(NAMES, unique=True, max_size=12), st.sampled_from(["file", "observation", "product"]))
    @example(["obs_id", "OBS_ID", "Obs_Id", "si_obs_id", "SI_OBS_ID"], "file")
    def test_every_name_has_a_spelling_of_its_own_and_comes_back_from_it(self, names: list[str], kind: str) -> None:
        kept = catalog_names(names, kind)
        assert len({name.lower() for name in kept}) == len(names)
        assert [sent_name(name, kind) for name in kept] == names
        assert all(name and name.isprintable() and '"' not in name for name in kept)

    @pytest.mark.parametrize("name", ["exp_type", "filter-pupil", "date_obs_mjd", "s_region", "dataURI"])
    def test_names_of_the_archive_stay_as_they_are(self, name: str) -> None:
        assert catalog_name(name, "file") == name

    @pytest.mark.long
    @settings(max_examples=6, deadline=None)
    @given(st.lists(NAMES, unique=True, min_size=1, max_size=12))
    @example(
        ["since_run", "until_run", "row_hash", "obs_id", "si_obs_id", "staged_row", "file_id", "rowid", "Filename", ""]
    )
    def test_columns_of_any_name_are_kept_and_kept_again(
        self, tmp_path_factory: pytest.TempPathFactory, names: list[str]
    ) -> None:
        names = [name for name in names if name.lower() != "filename"]
        database = Database(tmp_path_factory.mktemp("names") / "c.duckdb")
        for run, value in ((1, "first"), (2, "first"), (3, "second")):
            sent = {**{name: f"{value} {at}" for at, name in enumerate(names)}, "filename": "a"}
            answer = read_answer(body(dict.fromkeys(sent, "string"), [sent]))
            with Spool(database.path) as spool, database.write() as connection:
                spool.add("rows_in", answer.rows)
                spool.offer(connection, "rows_in")
                constants: dict[str, object] = {"instrument": "niriss", "checked_run": run}
                merge_versions(connection, FILES, spool.staged("rows_in"), run, constants)
                make_views(connection)
        with database.read() as connection:
            for at, kept in enumerate(catalog_names(names, "file")):
                column = quoted(kept)
                assert connection.execute(f"SELECT {column} FROM files").fetchall() == [(f"second {at}",)]
            ((_, _, _, differing),) = differences(connection, 1, 3)
            comments = dict(
                connection.execute(
                    "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'file_version'"
                ).fetchall()
            )
        assert {sent_name(column, "file") for column in differing or []} == set(names)
        for name, kept in zip(names, catalog_names(names, "file"), strict=True):
            assert kept == name or json.dumps(name) in comments[kept]

    @pytest.mark.long
    def test_a_thousand_columns_more_are_kept_again_and_again(self, database: Database) -> None:
        for run in (1, 2):
            sent = {"dataURI": "u", **{f"c{number}": run for number in range(1000)}}
            answer = read_answer(body({**dict.fromkeys(sent, "int"), "dataURI": "string"}, [sent]), "product")
            with Spool(database.path) as spool, database.write() as connection:
                spool.add("rows_in", answer.rows.append_column("data_uri", answer.rows["dataURI"]))
                spool.offer(connection, "rows_in")
                merge_versions(connection, PRODUCTS, spool.staged("rows_in"), run, {})
        with database.read() as connection:
            assert connection.execute("SELECT c0, c999 FROM product_version ORDER BY since_run").fetchall() == [
                (1, 1),
                (2, 2),
            ]

    def test_more_columns_than_any_table_has_are_refused_by_name(self) -> None:
        sent = {"filename": "a", **{f"c{number}": 1 for number in range(3000)}, "x" * 2000: 1}
        answer = read_answer(body(dict.fromkeys(sent, "int"), [sent]))
        assert answer.rows.num_columns == 2000
        assert answer.rows["filename"].to_pylist() == ["a"]
        assert {one.what for one in answer.aside} == {"column"}
        assert len(answer.aside) == len(sent) - 2000
        assert answer.rows_aside == 0


@pytest.mark.long
def test_a_harvest_tells_how_many_rows_have_an_odd_cell_and_keeps_all_files(database: Database) -> None:
    with Simulator(files=60, seed=5) as sky, MastArchive(sky.url) as archive:
        expected = set(sky.filenames("niriss"))
        sky.faults(odd_cells=4)
        found = harvest(database, archive, Search.parse("all", "niriss", []), patience=QUICK)
        assert found.odd.get("file") == 1
        again = harvest(database, archive, Search.parse("all", "niriss", []), full=True, patience=QUICK)
    assert (found.run.files, again.run.files, again.run.new) == (len(expected), len(expected), 0)
    assert not again.odd
    with database.read() as connection:
        assert {name for (name,) in connection.execute("SELECT filename FROM files").fetchall()} == expected
        assert connection.execute("SELECT count(*) FROM file_version WHERE odd_cells IS NOT NULL").fetchone() == (1,)
