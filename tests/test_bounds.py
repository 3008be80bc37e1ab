"""Answers without measure: too large, without an end, or a byte at a time."""

from __future__ import annotations

import gzip
import socket
import socketserver
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from catalog.archive import body as bodies
from catalog.archive.client import AnswerLimits, MastArchive, Query
from catalog.errors import ArchiveError, Garbled, ProxyFault, Refused, Unreachable, Untrusted
from catalog.simulator import Simulator
from catalog.sync.rate import SlowestSpeed, TooSlow
from catalog.sync.source import Ask, Mast

from .conftest import Authority, Command

Respond = Callable[[BaseHTTPRequestHandler, threading.Event], None]
QUERY = Query("Mast.Jwst.Filtered.Niriss")


Speak = Callable[[socket.socket, threading.Event], None]


@contextmanager
def speaking(speak: Speak, first: int = 1 << 16) -> Iterator[str]:
    """Answer every request at the level of the socket, in one way, once so many bytes at most are read."""
    over = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                self.request.recv(first)
                speak(self.request, over)

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()


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
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
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
    waiting = AnswerLimits(total=0.3)
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


# --- a byte at a time, wherever an answer has bytes ------------------------------------------------------

_HEAD = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
DRIPS = {
    "status": (b"", b"H"),
    "header": (_HEAD + b"X-Long: ", b"x"),
    "many headers": (_HEAD, b"X: y\r\n"),
    "more to come": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "length of a chunk": (_CHUNKED, b"0"),
    "trailer": (_CHUNKED + b"0\r\n", b"X: y\r\n"),
    "redirect": (b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 60000\r\n\r\n", b" "),
}

WAYS = {
    "directly": ("UNUSED", ""),
    "by a proxy": ("http_proxy", "http://archive.invalid"),
    "through a tunnel": ("https_proxy", "https://archive.invalid"),
}


def dripping(start: bytes, drop: bytes) -> Speak:
    def speak(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(start)
        while not over.wait(0.02):
            connection.sendall(drop)

    return speak


def downloaded(server: str) -> None:
    source = Mast(server, timeout=0.1)
    try:
        with source.open(Ask("mast:a")) as answer:
            list(answer.chunks(1000))
    finally:
        source.close()


def searched(server: str) -> None:
    with MastArchive(server, AnswerLimits(connect=0.1, read=0.1)) as archive:
        archive.count(QUERY)


def logged_in(server: str) -> None:
    with MastArchive(server, AnswerLimits(connect=0.1, read=0.1)) as archive:
        archive.login("secret")


@pytest.mark.parametrize("ask", [downloaded, searched, logged_in])
@pytest.mark.parametrize("where", DRIPS)
@pytest.mark.parametrize("way", WAYS)
def test_a_byte_at_a_time_is_waited_for_no_longer_than_silence_is(
    ask: Callable[[str], None], where: str, way: str, bare_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with speaking(dripping(*DRIPS[where])) as url:
        variable, behind = WAYS[way]
        monkeypatch.setenv(variable, url)
        with pytest.raises((Unreachable, ProxyFault, Untrusted, Refused, Garbled)):
            ask(behind or url)


def in_tls(authority: Authority, speak: Speak) -> Speak:
    """Speak in one way within TLS."""

    def answer(connection: socket.socket, over: threading.Event) -> None:
        with authority.tls.wrap_socket(connection, server_side=True) as safe:
            speak(safe, over)

    return answer


def tunnel(start: bytes, drop: bytes) -> Speak:
    """Open any tunnel; what it leads to drips."""

    def speak(proxy: socket.socket, over: threading.Event) -> None:
        proxy.recv(1 << 16)
        proxy.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        proxy.recv(1 << 16)
        dripping(start, drop)(proxy, over)

    return speak


@pytest.mark.parametrize("ask", [downloaded, searched, logged_in])
def test_a_handshake_that_drips_through_a_safe_proxy_is_waited_for_no_longer_than_silence_is(
    ask: Callable[[str], None], authority: Authority, bare_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    hello = tunnel(b"\x16\x03\x03\x3f\x00\x02\x00\x3e\xfc\x03\x03", b"x")  # a record of 16 kB
    with speaking(in_tls(authority, hello), first=0) as url:
        monkeypatch.setenv("https_proxy", url.replace("http:", "https:"))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
        with pytest.raises((Unreachable, ProxyFault), match=r"in time|timed out"):
            ask("https://archive.invalid")


def test_a_body_that_drips_ends_a_login_in_time() -> None:
    def speak(connection: socket.socket, over: threading.Event) -> None:
        dripping(_HEAD + b"Content-Length: 10000\r\n\r\n", b" ")(connection, over)

    waiting = AnswerLimits(total=0.3)
    with speaking(speak) as url, MastArchive(url, waiting) as archive, pytest.raises(Unreachable, match="in time"):
        archive.login("secret")


def test_a_redirect_with_a_body_without_end_is_not_read() -> None:
    def speak(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /again\r\n\r\n")
        while not over.is_set():
            connection.sendall(b" " * 65536)

    with (
        speaking(speak) as url,
        MastArchive(url, AnswerLimits(total=20)) as archive,
        pytest.raises(Refused, match="redirects"),
    ):
        archive.count(QUERY)


def test_a_download_that_unpacks_to_nothing_is_too_slow() -> None:
    nothing = zlib.compressobj(wbits=31)
    start, drop = nothing.compress(b""), b""
    start += nothing.flush(zlib.Z_SYNC_FLUSH)
    drop = nothing.flush(zlib.Z_FULL_FLUSH) or b"\x00\x00\x00\xff\xff"
    head = _HEAD + b"Content-Encoding: gzip\r\n\r\n"
    with speaking(dripping(head + start, drop)) as url:
        source, floor = Mast(url, timeout=5), SlowestSpeed(256, 0.2)
        with source.open(Ask("mast:a")) as answer, pytest.raises(TooSlow):
            deque(map(floor.passed, map(len, answer.chunks(1000))))
        source.close()


@pytest.mark.long
def test_a_harvest_from_an_archive_that_drips_ends_at_its_time_limit_with_one_line(mastlake: Command) -> None:
    with Simulator(files=20, instruments=["niriss"]) as sky:
        sky.faults(invoke_drip=10_000)
        outcome = mastlake("harvest", "n", "--instrument", "niriss", "--server", sky.url, "--time-limit", "1s")
    assert outcome.code == 1
    assert "Traceback" not in outcome.err
    (told,) = [line for line in outcome.err.splitlines() if line.startswith("mastlake:")]  # others say how far it is
    assert "time" in told
