"""The archive client: what it reads, what it waits for, and which faults it tells apart."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.archive.answer import read_answer, read_count
from catalog.archive.client import AnswerLimits, MastArchive, Query
from catalog.archive.partition import WholeQueries
from catalog.archive.retry import Patience
from catalog.errors import ArchiveError, Garbled, Incomplete, OutOfTime, Overloaded, QueryTimeout, Refused, Unreachable
from catalog.missions import JWST
from catalog.simulator import Simulator
from catalog.vocabulary.search import Search

from .conftest import QUICK

Connect = Callable[[str], MastArchive]


def body(fields: dict[str, str], rows: list[dict[str, Any]], **more: Any) -> bytes:
    answer = {
        "status": "COMPLETE",
        "msg": "",
        "data": rows,
        "fields": [{"name": n, "type": t} for n, t in fields.items()],
    }
    return json.dumps({**answer, **more}).encode()


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "text": st.one_of(st.none(), st.text(st.sampled_from('ab{}[],"\\:\n é'), max_size=12)),
                "number": st.one_of(st.none(), st.integers(-(2**50), 2**50)),
            }
        ),
        max_size=5,
    ),
    st.sampled_from([None, (",", ":"), (", ", ": "), (" ,\n", ":")]),
)
def test_rows_are_read_as_they_were_sent_whatever_their_texts_look_like(
    rows: list[dict[str, Any]], separators: tuple[str, str] | None
) -> None:
    fields = [{"name": "text", "type": "string"}, {"name": "number", "type": "int"}]
    sent = json.dumps({"status": "COMPLETE", "data": rows, "fields": fields}, separators=separators).encode()
    assert read_answer(sent).rows.to_pylist() == rows


@contextmanager
def scripted(*answers: tuple[int, dict[str, str], bytes]) -> Iterator[str]:
    """Serve these answers in turn, the last one for ever."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            code, headers, content = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(code)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class TestAnswers:
    """From JSON to Arrow."""

    def test_columns_have_the_types_that_the_fields_name(self) -> None:
        fields = {"n": "int", "x": "float", "name": "string", "isStale": "boolean"}
        rows = read_answer(body(fields, [{"n": 1, "x": 2, "name": "a", "isStale": True}, {"n": None}])).rows
        assert [field.type for field in rows.schema] == [pa.int64(), pa.float64(), pa.string(), pa.bool_()]
        assert rows.to_pylist()[1] == {"n": None, "x": None, "name": None, "isStale": None}

    def test_dates_become_timestamps_to_the_millisecond(self) -> None:
        fields = {"date_obs": "date", "date_obs_mjd": "float"}
        rows = read_answer(body(fields, [{"date_obs": "/Date(1654672136857)/", "date_obs_mjd": 59738.2}])).rows
        assert rows["date_obs"][0].as_py() == dt.datetime(2022, 6, 8, 7, 8, 56, 857000)

    def test_dates_before_1970_are_read_too(self) -> None:
        rows = read_answer(body({"mu_epoch": "date"}, [{"mu_epoch": "/Date(-86400000)/"}])).rows
        assert rows["mu_epoch"][0].as_py() == dt.datetime(1969, 12, 31)

    def test_flags_become_booleans_and_an_unknown_letter_is_an_odd_cell(self) -> None:
        assert read_answer(body({"tsovisit": "string"}, [{"tsovisit": "t"}, {"tsovisit": "f"}])).rows[
            "tsovisit"
        ].to_pylist() == [True, False]
        odd = read_answer(body({"tsovisit": "string"}, [{"tsovisit": "x"}])).rows
        assert odd.to_pylist() == [{"tsovisit": None, "odd_cells": r'{"tsovisit": "\"x\""}'}]

    def test_a_column_without_any_value_has_the_dictionarys_type(self) -> None:
        rows = read_answer(
            body({"gainfact": "string", "tsovisit": "string"}, [{"gainfact": None, "tsovisit": None}])
        ).rows
        assert rows.schema.field("gainfact").type == pa.float64()
        assert rows.schema.field("tsovisit").type == pa.bool_()

    def test_numbers_sent_as_text_and_text_sent_as_numbers_are_read(self) -> None:
        rows = read_answer(body({"obsid": "string", "n": "int"}, [{"obsid": 87602512, "n": "5"}])).rows
        assert rows.to_pylist() == [{"obsid": "87602512", "n": 5}]

    def test_a_column_that_mixes_types_is_read_as_text(self) -> None:
        rows = read_answer(body({"v": "string"}, [{"v": 1}, {"v": "a"}, {"v": None}])).rows
        assert rows["v"].to_pylist() == ["1", "a", None]

    def test_no_rows_are_an_empty_table_with_its_columns(self) -> None:
        answer = read_answer(body({"a": "int"}, []))
        assert answer.rows.num_rows == 0
        assert answer.rows.column_names == ["a"]

    def test_the_portals_check_box_is_no_column(self) -> None:
        assert read_answer(body({"_selected_": "boolean", "a": "int"}, [{"a": 1}])).rows.column_names == ["a"]

    def test_a_count_is_read_whatever_its_column_is_called(self) -> None:
        assert read_count(body({"Column1": "string"}, [{"Column1": 599}])) == 599

    def test_a_count_without_a_number_is_garbled(self) -> None:
        with pytest.raises(Garbled):
            read_count(body({"Column1": "string"}, []))

    @pytest.mark.parametrize(
        "content", [b"", b"<html><body>Maintenance</body></html>", b'{"status": "COMPLETE", "da', b"[]"]
    )
    def test_what_is_not_the_protocol_is_garbled(self, content: bytes) -> None:
        with pytest.raises(Garbled):
            read_answer(content)

    def test_an_error_is_told_apart_from_a_time_out(self) -> None:
        with pytest.raises(QueryTimeout):
            read_answer(json.dumps({"status": "ERROR", "msg": "Timeout expired."}).encode())
        with pytest.raises(Refused, match="Invalid column"):
            read_answer(json.dumps({"status": "ERROR", "msg": "Invalid column name 'x'."}).encode())

    @pytest.mark.long
    @given(
        st.lists(
            st.fixed_dictionaries(
                {
                    "i": st.none() | st.integers(-(2**63), 2**63 - 1),
                    "x": st.none() | st.floats(allow_nan=False, allow_infinity=False),
                    "s": st.none() | st.text(),
                    "b": st.none() | st.booleans(),
                }
            ),
            max_size=20,
        )
    )
    def test_every_cell_is_the_one_that_was_sent(self, rows: list[dict[str, Any]]) -> None:
        fields = {"i": "int", "x": "float", "s": "string", "b": "boolean"}
        assert read_answer(body(fields, rows)).rows.to_pylist() == rows


class TestClient:
    """Against servers that misbehave."""

    def test_executing_is_asked_again_until_complete(self, connect: Connect) -> None:
        working: tuple[int, dict[str, str], bytes] = (200, {}, json.dumps({"status": "EXECUTING"}).encode())
        done: tuple[int, dict[str, str], bytes] = (200, {}, body({"Column1": "string"}, [{"Column1": 7}]))
        with scripted(working, working, working, done) as url:
            archive = connect(url)
            assert archive.count(Query("Mast.Jwst.Filtered.Niriss")) == 7
            assert archive.requests == 4

    def test_executing_for_ever_ends_with_a_clear_line(self) -> None:
        working: tuple[int, dict[str, str], bytes] = (200, {}, json.dumps({"status": "EXECUTING"}).encode())
        waiting = AnswerLimits(total=0.3, first_pause=0.05)
        with (
            scripted(working) as url,
            MastArchive(url, waiting) as archive,
            pytest.raises(Unreachable, match="still working"),
        ):
            archive.count(Query("Mast.Jwst.Filtered.Niriss"))

    def test_answers_after_one_that_stayed_executing_get_half_the_time_down_to_a_minute(self) -> None:
        assert [AnswerLimits().working(given_up) for given_up in (0, 1, 2, 3, 4, 900)] == [600, 300, 150, 75, 60, 60]
        assert AnswerLimits(total=30).working(5) == 30

    def test_a_question_that_had_no_answer_for_so_long_is_not_asked_again(self) -> None:
        asked: list[int] = []

        def question() -> int:
            asked.append(1)
            raise Unreachable("still working")

        with pytest.raises(Unreachable):
            Patience(first_pause=0, silence=0).ask(question)
        assert len(asked) == 1

    @pytest.mark.parametrize(
        ("answer", "fault"),
        [
            ((500, {}, b"no"), Overloaded),
            ((429, {"Retry-After": "3"}, b"no"), Overloaded),
            ((404, {}, b"no"), Refused),
            ((200, {"Content-Type": "text/html"}, b"<html></html>"), Garbled),
            ((200, {"Content-Length": "1000"}, b"{"), ArchiveError),
        ],
    )
    def test_faults_of_the_server_are_told_apart(
        self, connect: Connect, answer: tuple[int, dict[str, str], bytes], fault: type[Exception]
    ) -> None:
        with scripted(answer) as url, pytest.raises(fault):
            connect(url).count(Query("Mast.Jwst.Filtered.Niriss"))

    def test_retry_after_is_read(self, connect: Connect) -> None:
        with scripted((429, {"Retry-After": "3"}, b"")) as url, pytest.raises(Overloaded) as caught:
            connect(url).count(Query("Mast.Jwst.Filtered.Niriss"))
        assert caught.value.retry_after == 3

    def test_retry_after_is_waited_for(self) -> None:
        faults = [Overloaded("busy", 0.3)]

        def question() -> int:
            if faults:
                raise faults.pop()
            return 7

        began = time.monotonic()
        assert Patience(first_pause=0.0).ask(question) == 7
        assert time.monotonic() - began >= 0.3

    def test_a_run_that_is_out_of_time_asks_no_more(self) -> None:
        with pytest.raises(OutOfTime, match="time limit"):
            Patience(until=time.monotonic()).ask(lambda: 7)

    def test_a_server_that_is_down_is_unreachable(self, connect: Connect) -> None:
        with pytest.raises(Unreachable, match="--server"):
            connect("http://127.0.0.1:9").count(Query("Mast.Jwst.Filtered.Niriss"))

    def test_a_passing_fault_is_asked_again_and_a_refusal_is_not(self, connect: Connect) -> None:
        done: tuple[int, dict[str, str], bytes] = (200, {}, body({"Column1": "string"}, [{"Column1": 7}]))
        with scripted((503, {}, b""), (200, {}, b"<html>"), done) as url:
            archive = connect(url)
            assert QUICK.ask(lambda: archive.count(Query("s"))) == 7
        with scripted((403, {}, b""), done) as url, pytest.raises(Refused):
            QUICK.ask(lambda: connect(url).count(Query("s")))

    @pytest.mark.long
    def test_two_servers_do_not_share_a_column_configuration(self, sky: Simulator, connect: Connect) -> None:
        with Simulator(files=50, seed=2) as other:
            for url in (sky.url, other.url):
                assert connect(url).observations(obs_collection="JWST", proposal_id=["1"]).rows.num_rows == 0

    def test_a_token_that_holds_names_its_bearer_and_another_is_refused(self, sky: Simulator, connect: Connect) -> None:
        assert connect(sky.url).login(sky.token)
        with pytest.raises(Refused, match="token"):
            connect(sky.url).login("wrong")


class TestWhole:
    """Answers that prove to be whole."""

    @pytest.mark.long
    def test_a_search_is_the_same_whatever_size_its_parts_have(self, sky: Simulator, connect: Connect) -> None:
        search = Search.parse("all", "niriss", [])
        archive = connect(sky.url)
        whole, query = WholeQueries(archive, QUICK), archive.query(search)
        expected = sorted(sky.filenames("niriss"))
        for limit in (17, 100, 20_000):
            parts = list(whole.rows(query, ("filename", "checksum"), limit=limit))
            assert sorted(name for part in parts for name in part["filename"].to_pylist()) == expected
            assert all(part.num_rows <= limit for part in parts)

    @pytest.mark.parametrize("likely", [(0.0, 1.0), (59_760.0, 59_800.0), (190_000.0, 200_000.0)])
    def test_rows_beyond_the_likely_values_are_found_as_well(
        self, sky: Simulator, connect: Connect, likely: tuple[float, float]
    ) -> None:
        archive = connect(sky.url)
        whole = WholeQueries(archive, QUICK, cuts=(replace(JWST.file_cuts[0], likely=likely),))
        parts = list(whole.rows(archive.query(Search.parse("all", "niriss", [])), ("filename",), limit=100))
        assert sorted(name for part in parts for name in part["filename"].to_pylist()) == sorted(
            sky.filenames("niriss")
        )

    @pytest.mark.long
    @pytest.mark.parametrize(
        "fault", ["lost_page", "doubled_rows", "count_moves", "invoke_error", "invoke_500", "invoke_cut"]
    )
    def test_no_fault_of_the_archive_loses_or_doubles_a_file(self, connect: Connect, fault: str) -> None:
        search = Search.parse("all", "niriss", [])
        with Simulator(files=400, seed=3) as own:
            expected = sorted(own.filenames("niriss"))
            own.faults(**{fault: 2})
            archive = connect(own.url)
            parts = list(WholeQueries(archive, QUICK).rows(archive.query(search), ("filename",), limit=30))
        assert sorted(name for part in parts for name in part["filename"].to_pylist()) == expected

    def test_an_answer_that_never_adds_up_is_reported(self, connect: Connect) -> None:
        with Simulator(files=400, seed=3) as own:
            own.faults(lost_page=1000)
            with pytest.raises(Incomplete, match="try again later"):
                list(WholeQueries(connect(own.url), QUICK).rows(Query("Mast.Jwst.Filtered.Niriss"), ("filename",)))
