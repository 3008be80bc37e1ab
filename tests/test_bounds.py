"""Answers without measure: too large, without an end, or a byte at a time."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from catalog.archive import body as bodies
from catalog.archive.client import MastArchive, Query, Waiting
from catalog.errors import ArchiveError, Garbled, Unreachable

Respond = Callable[[BaseHTTPRequestHandler, threading.Event], None]
QUERY = Query("Mast.Jwst.Filtered.Niriss")


@contextmanager
def serving(respond: Respond) -> Iterator[str]:
    """Answer every question in one way; the event is set once nobody listens any more."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            with suppress(OSError):
                respond(self, over)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def bomb(handler: BaseHTTPRequestHandler, over: threading.Event) -> None:
    packed = gzip.compress(bytes(64 << 20))
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Length", str(len(packed)))
    handler.end_headers()
    handler.wfile.write(packed)


def without_end(handler: BaseHTTPRequestHandler, over: threading.Event) -> None:
    handler.send_response(200)
    handler.end_headers()
    while not over.is_set():
        handler.wfile.write(b" " * 65536)


def a_byte_at_a_time(handler: BaseHTTPRequestHandler, over: threading.Event) -> None:
    handler.send_response(200)
    handler.end_headers()
    while not over.wait(0.02):
        handler.wfile.write(b" ")


def headers_a_byte_at_a_time(handler: BaseHTTPRequestHandler, over: threading.Event) -> None:
    handler.wfile.write(b"HTTP/1.0 200 OK\r\nX-Long: ")
    while not over.wait(0.02):
        handler.wfile.write(b"x")


def half(handler: BaseHTTPRequestHandler, over: threading.Event) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"400\r\nabc")


def no_gzip(handler: BaseHTTPRequestHandler, over: threading.Event) -> None:
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.end_headers()
    handler.wfile.write(b"this is no gzip")


@pytest.mark.parametrize("respond", [bomb, without_end])
def test_an_answer_larger_than_any_of_the_archive_is_left(monkeypatch: pytest.MonkeyPatch, respond: Respond) -> None:
    monkeypatch.setattr(bodies, "MOST_BYTES", 8 << 20)
    with serving(respond) as url, MastArchive(url) as archive, pytest.raises(Garbled, match="more than 8 MB"):
        archive.count(QUERY)


@pytest.mark.parametrize("respond", [a_byte_at_a_time, headers_a_byte_at_a_time])
def test_an_answer_that_drips_ends_in_time(respond: Respond) -> None:
    waiting = Waiting(total=0.3)
    with serving(respond) as url, MastArchive(url, waiting) as archive, pytest.raises(Unreachable, match="in time"):
        archive.count(QUERY)


def test_an_answer_that_is_slower_than_any_line_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "PATIENT", 0.2)
    with serving(a_byte_at_a_time) as url, MastArchive(url) as archive, pytest.raises(Unreachable, match="1,000 bytes"):
        archive.count(QUERY)


@pytest.mark.parametrize("respond", [half, no_gzip])
def test_an_answer_that_is_not_what_its_headers_say_is_one_line(respond: Respond) -> None:
    with serving(respond) as url, MastArchive(url) as archive, pytest.raises(ArchiveError):
        archive.count(QUERY)


def test_a_compressed_answer_is_read() -> None:
    def packed(handler: BaseHTTPRequestHandler, over: threading.Event) -> None:
        body = gzip.compress(b'{"status": "COMPLETE", "data": [{"Column1": 7}], "fields": []}')
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    with serving(packed) as url, MastArchive(url) as archive:
        assert archive.count(QUERY) == 7


def test_a_service_that_refuses_to_count_is_asked_for_its_paging_from_then_on() -> None:
    asked: list[bool] = []

    def without_counts(handler: BaseHTTPRequestHandler, over: threading.Event) -> None:
        counting = "COUNT_BIG" in asked_for[-1]
        asked.append(counting)
        answer = b'{"status": "ERROR", "msg": "Invalid column name COUNT_BIG(*)."}'
        if not counting:
            answer = (
                b'{"status": "COMPLETE", "data": [{"filename": "a"}], "fields": [], "paging": {"rowsFiltered": 599}}'
            )
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(answer)))
        handler.end_headers()
        handler.wfile.write(answer)

    asked_for: list[str] = []
    with serving(without_counts) as url, MastArchive(url) as archive:
        send = archive._ask
        archive._ask = lambda query, columns, size: asked_for.append(columns[0]) or send(query, columns, size)  # type: ignore[func-returns-value,method-assign]
        assert [archive.count(QUERY), archive.count(QUERY)] == [599, 599]
    assert asked == [True, False, False]
