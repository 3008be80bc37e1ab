"""The network that people have: addresses, proxies, certificates, and what their failures are called."""

from __future__ import annotations

import copy
import http.server
import json
import os
import pickle
import socket
import ssl
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from catalog.archive.client import AnswerLimits, MastArchive
from catalog.errors import ProxyFault, Refused, Unreachable, Untrusted, UsageError
from catalog.network.routes import proxy_of
from catalog.network.server import Server, keeps_credentials
from catalog.simulator import Simulator
from catalog.store.database import Database
from catalog.sync import Selection, Token, sync
from catalog.sync.rate import SharedPace
from catalog.sync.script import script
from catalog.sync.source import Ask, Mast
from catalog.vocabulary.search import Search
from tests.conftest import Authority, Command
from tests.files_server import TOKEN, Files, fits, serving
from tests.sync_catalog import URI, add_files, catalog
from tests.test_bounds import in_tls, speaking

NAME = f"{URI}jw00001_nis_x1d.fits"
THREE = {
    "status": "COMPLETE",
    "msg": "",
    "data": [{"Column1": 3}],
    "fields": [{"name": "Column1", "type": "string"}],
}
"""A count as the archive answers it."""
QUICK = AnswerLimits(connect=5, read=5, total=5, first_pause=0.01, longest_pause=0.05)


pytestmark = pytest.mark.usefixtures("bare_environment")


@pytest.fixture
def files() -> Iterator[Files]:
    """A server of one file."""
    served = Files({NAME: fits(2)})
    with serving(served):
        yield served


def fetched(server: str, **ask: Any) -> bytes:
    source = Mast(server, Token(TOKEN), timeout=5)
    try:
        with source.open(Ask(NAME, **ask)) as answer:
            return b"".join(bytes(chunk) for chunk in answer.chunks(1000))
    finally:
        source.close()


# --- addresses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("mast.stsci.edu", "https://mast.stsci.edu"),
        ("https://mast.stsci.edu/", "https://mast.stsci.edu"),
        ("localhost:8000", "http://localhost:8000"),
        ("127.0.0.1:9", "http://127.0.0.1:9"),
        ("bob:s3cret@LOCALHOST/x", "http://LOCALHOST/x"),
        ("localhost.example.org", "https://localhost.example.org"),
        ("127.example.org:80", "https://127.example.org:80"),
        ("[::1]:80", "http://[::1]:80"),
        (" http://mirror.example.org:8080/mast ", "http://mirror.example.org:8080/mast"),
        ("https://bob:s3cret@mirror.example.org", "https://mirror.example.org"),
    ],
)
def test_a_server_is_read_as_people_write_it(written: str, meant: str) -> None:
    assert Server(written) == meant


@pytest.mark.parametrize(
    "written", ["", "file:///etc", "ftp://bob:s3cret@x", "http://", "http://x:0", "http://bob:s3cret@x y", "x?s3cret",
                "http://bob:s3cret@h:99999", "http://bob:s3cret@[", "bob:s3cret@h:x"]
)  # fmt: skip
def test_what_is_no_address_is_refused_without_showing_a_password(written: str) -> None:
    with pytest.raises(UsageError) as refused:
        Server(written)
    assert "s3cret" not in str(refused.value).replace("x?s3cret", "")


def test_a_password_in_an_address_is_shown_and_copied_nowhere() -> None:
    server = Server("https://bob:s3cr%40t@mirror.example.org")
    assert server.authorization == "Basic Ym9iOnMzY3JAdA=="
    for text in (str(server), repr(server), f"{server}", json.dumps(server), server + "/x"):
        assert "s3cr" not in text
    for copied in (copy.copy(server), pickle.loads(pickle.dumps(server))):
        assert (copied, copied.authorization) == (server, None)


@pytest.mark.long
def test_a_password_goes_to_its_server_and_into_neither_catalog_nor_script(
    mastlake: Command, sky: Simulator, tmp_path: Path
) -> None:
    address = str(sky.url).replace("http://", "http://bob:s3cret@")
    assert mastlake("--server", address, "harvest", "s", "--instrument", "niriss", "-k", "exp_type=NIS_SOSS").code == 0
    assert b"s3cret" not in (tmp_path / "catalog.duckdb").read_bytes()
    assert "s3cret" not in mastlake("sql", "SELECT server FROM runs", "--format", "csv").out
    assert "s3cret" not in mastlake("--server", address, "script", "s").out
    assert "s3cret" not in mastlake("--server", address, "status").out


def test_a_password_is_sent_to_its_server_and_a_token_beside_it(files: Files) -> None:
    files.act = lambda handler, uri, body: handler.send_error(401) or True  # type: ignore[func-returns-value]
    with pytest.raises(Exception, match="401"):
        fetched(files.address.replace("//", "//bob:s3cret@"), exclusive=True)
    assert files.asked[0]["Authorization"].startswith("Basic ")
    assert files.asked[0]["Cookie"] == f"mast_token={TOKEN}"


@pytest.mark.parametrize(
    ("sender", "receiver", "keeps"),
    [
        ("https://mast.stsci.edu/a", "https://mast.stsci.edu/b", True),
        ("https://mast.stsci.edu/a", "https://archive.stsci.edu/b", True),
        ("https://mast.stsci.edu/a", "http://mast.stsci.edu/b", False),
        ("https://mast.stsci.edu/a", "http://archive.stsci.edu/b", False),
        ("https://mast.stsci.edu/a", "https://mast.stsci.edu.example.org/b", False),
        ("https://mast.stsci.edu/a", "https://stpubdata.s3.us-east-1.amazonaws.com/b", False),
        ("http://mirror.example.org/a", "https://mirror.example.org/b", True),
        ("http://mirror.example.org:8080/a", "http://mirror.example.org:8081/b", False),
        ("http://mirror.example.org/a", "https://archive.stsci.edu/b", False),
    ],
)
def test_a_redirect_keeps_credentials_on_one_host_and_among_those_of_mast(
    sender: str, receiver: str, keeps: bool
) -> None:
    assert keeps_credentials(sender, receiver) is keeps


def test_netrc_is_sent_only_where_the_user_asks_for_it(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login bob password s3cret\n")
    (tmp_path / ".netrc").chmod(0o600)
    fetched(files.address)
    monkeypatch.setenv("MASTLAKE_NETRC", "1")
    fetched(files.address)
    assert [ask.get("Authorization", "")[:6] for ask in files.asked] == ["", "Basic "]


def test_a_search_sends_no_netrc(tmp_path: Path, asked: list[http.server.BaseHTTPRequestHandler]) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login bob password s3cret\n")
    with portal(asked) as address:
        count(address)
    assert [handler.headers.get("Authorization") for handler in asked] == [None]


# --- a server that counts, to be asked in clear and through TLS --------------------------------------


@pytest.fixture
def asked() -> list[http.server.BaseHTTPRequestHandler]:
    """Requests that came, in order."""
    return []


@contextmanager
def portal(
    asked: list[http.server.BaseHTTPRequestHandler], tls: ssl.SSLContext | None = None, redirect: str = ""
) -> Iterator[str]:
    """A server that answers every search with a count of 3, and every download with a FITS file."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            return

        def do_POST(self) -> None:
            self.body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            self.do_GET()

        def do_GET(self) -> None:
            asked.append(self)
            body = fits(2) if "Download" in self.path else json.dumps(THREE).encode()
            self.send_response(301 if redirect else 200)
            if redirect:
                self.send_header("Location", redirect + urllib.parse.urlsplit(self.path).path)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    class Quiet(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: object) -> None:
            return

    server = Quiet(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def count(server: str) -> int:
    with MastArchive(server, QUICK) as archive:
        return archive.count(archive.query(Search.parse("s", "niriss", ["exp_type=NIS_SOSS"])))


# --- proxies ---------------------------------------------------------------------------------------


def test_searches_and_downloads_go_through_the_proxy_and_pass_hosts_that_need_none(
    asked: list[http.server.BaseHTTPRequestHandler], monkeypatch: pytest.MonkeyPatch
) -> None:
    with portal(asked) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.removeprefix("http://").replace("127", "bob:s3cret@127", 1))
        assert count("http://archive.invalid") == 3
        assert fetched("http://archive.invalid") == fits(2)
        assert [handler.path.split("/api")[0] for handler in asked] == ["http://archive.invalid"] * 2
        assert {handler.headers["Proxy-Authorization"] for handler in asked} == {"Basic Ym9iOnMzY3JldA=="}
        monkeypatch.setenv("no_proxy", "localhost,archive.invalid")
        assert proxy_of("http://archive.invalid/x") is None
        with pytest.raises(Unreachable, match=r"no host archive\.invalid"):
            fetched("http://archive.invalid")


@pytest.mark.parametrize(
    "proxy",
    ["nonsense://x", "http://", "http://x:99999", "http://x:port", "http://bob:s3cret@[", "http://bob:s3\x1b[cret@x",
     "http://bob:s3cret@a b", "socks5://127.0.0.1:9"],
)  # fmt: skip
@pytest.mark.parametrize("ask", [count, fetched])
def test_a_proxy_that_no_client_can_take_is_one_line_without_its_password(
    ask: Callable[[str], object], proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setattr("catalog.network.routes.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"is no address|pysocks") as refused:
        ask("http://archive.invalid")
    assert "cret" not in str(refused.value)


def test_a_sync_names_a_wrong_proxy_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    database = catalog(tmp_path / "c.duckdb")
    add_files(database, {f"{URI}jw{n:05d}_nis_x1d.fits": fits(1) for n in range(40)})
    monkeypatch.setenv("http_proxy", "nonsense://x")
    report = sync(database, Selection(), server="http://archive.invalid", dest=tmp_path / "d", jobs=2)
    assert report.failed == 40
    assert len(report.failures) < 10
    assert "is no address" in report.failures[-1].reason


@pytest.mark.parametrize("ask", [count, fetched])
def test_a_proxy_that_does_not_answer_is_named_at_once(
    ask: Callable[[str], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://bob:s3cret@127.0.0.1:{closed_port()}")
    with pytest.raises(ProxyFault, match=r"the proxy 127\.0\.0\.1:\d+ gave no answer: connection refused") as fault:
        ask("http://archive.invalid")
    assert "s3cret" not in str(fault.value)


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


# --- certificates ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_searches_and_downloads_trust_the_same_bundle(
    name: str,
    authority: Authority,
    asked: list[http.server.BaseHTTPRequestHandler],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(name, str(authority.bundle))
    with portal(asked, authority.tls) as address:
        assert (count(address), fetched(address)) == (3, fits(2))


def tunnelled(connection: socket.socket, over: threading.Event) -> None:
    """Lead a connection on to where it asks to be led."""
    host, port = connection.recv(1 << 16).split()[1].decode().split(":")
    connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    with socket.create_connection((host, int(port))) as far:
        back = threading.Thread(target=pumped, args=(far, connection), daemon=True)
        back.start()
        pumped(connection, far)


def pumped(sender: socket.socket, receiver: socket.socket) -> None:
    with suppress(OSError):
        while some := sender.recv(1 << 16):
            receiver.sendall(some)


def test_searches_and_downloads_go_through_a_proxy_that_is_spoken_to_in_tls(
    authority: Authority, asked: list[http.server.BaseHTTPRequestHandler], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    with portal(asked, authority.tls) as address, speaking(in_tls(authority, tunnelled), first=0) as proxy:
        monkeypatch.setenv("https_proxy", proxy.replace("http:", "https:"))
        monkeypatch.setenv("no_proxy", "")
        assert (count(address), fetched(address)) == (3, fits(2))


@pytest.mark.parametrize("ask", [count, fetched])
def test_a_certificate_that_is_not_trusted_is_told_as_such(
    ask: Callable[[str], object],
    authority: Authority,
    asked: list[http.server.BaseHTTPRequestHandler],
) -> None:
    with (
        portal(asked, authority.tls) as address,
        pytest.raises(Untrusted, match=r"certificate verify failed.*REQUESTS_CA_BUNDLE"),
    ):
        ask(address)
    with portal(asked) as address, pytest.raises(Untrusted, match="is it https"):
        ask(address.replace("http:", "https:"))
    assert asked == []


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("kind", ["missing", "text", "pipe"])
def test_a_bundle_that_cannot_be_read_is_named(
    name: str, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if kind == "text":
        (tmp_path / "bundle").write_text("no certificate")
    elif kind == "pipe":
        os.mkfifo(tmp_path / "bundle")
    monkeypatch.setenv(name, str(tmp_path / "bundle"))
    with pytest.raises(UsageError, match=f"{name} names"):
        fetched("https://127.0.0.1:9")


def test_a_list_of_folders_of_certificates_may_name_one_that_is_gone(
    authority: Authority,
    asked: list[http.server.BaseHTTPRequestHandler],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "certs").mkdir()
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path / 'gone'}{os.pathsep}{tmp_path / 'certs'}")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle))
    with portal(asked, authority.tls) as address:
        assert fetched(address) == fits(2)


def test_a_sync_asks_once_whom_it_cannot_trust(
    authority: Authority, asked: list[http.server.BaseHTTPRequestHandler], tmp_path: Path
) -> None:
    database = catalog(tmp_path / "c.duckdb")
    add_files(database, {f"{URI}jw{n:05d}_nis_x1d.fits": fits(1) for n in range(40)})
    with portal(asked, authority.tls) as address:
        report = sync(database, Selection(), server=address, dest=tmp_path / "d", jobs=2, pace=SharedPace(unit=0.01))
    assert report.failed == 40
    assert len(report.failures) < 10
    assert "certificate" in report.failures[-1].reason


def test_a_redirect_from_http_to_https_keeps_the_question(
    authority: Authority,
    asked: list[http.server.BaseHTTPRequestHandler],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle))
    with portal(asked, authority.tls) as safe, portal([], redirect=safe) as plain:
        assert count(plain) == 3
    assert [(handler.command, "COUNT_BIG" in handler.body) for handler in asked] == [("POST", True)]  # type: ignore[attr-defined]


def test_a_question_that_is_sent_on_to_another_host_is_told_with_its_name(
    asked: list[http.server.BaseHTTPRequestHandler],
) -> None:
    told = r"sends the question on to http://localhost:\d+; .*--server http://localhost"
    with (
        portal(asked) as other,
        portal([], redirect=other.replace("127.0.0.1", "localhost")) as first,
        pytest.raises(Refused, match=told),
    ):
        count(first)
    assert asked == []


# --- an archive that is down -----------------------------------------------------------------------


@pytest.mark.parametrize("ask", [count, fetched])
def test_a_refused_connection_is_told_in_words(ask: Callable[[str], object]) -> None:
    port = closed_port()
    with pytest.raises(Unreachable, match=rf"^127\.0\.0\.1:{port} gave no answer: connection refused"):
        ask(f"http://127.0.0.1:{port}")


@pytest.mark.long
def test_status_shows_catalog_and_disk_although_the_archive_is_down(
    mastlake: Command, catalog: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.archive.retry.Patience.attempts", 1, raising=False)
    outcome = mastlake("--server", f"http://127.0.0.1:{closed_port()}", "status", "--ask")
    assert outcome.code == 1
    assert "catalog  " in outcome.out
    assert "disk     " in outcome.out
    assert "connection refused" in outcome.err


def test_a_script_of_a_server_without_a_scheme_names_one(catalog: Database) -> None:
    assert "server=https://mast.example.org\n" in script(catalog, Selection(), server="mast.example.org")
