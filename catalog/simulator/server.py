"""The HTTP server: MAST's paths, answered from a made-up archive, with the faults that were ordered."""

from __future__ import annotations

import gzip
import http.server
import json
import re
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from catalog.simulator.answers import TIMEOUT, JsonBody, Spoiling, answer, status_body, with_an_odd_cell
from catalog.simulator.bundles import curl_script, packed
from catalog.simulator.caom import columns_config
from catalog.simulator.faults import Faults, Stats
from catalog.simulator.files import send_file
from catalog.simulator.kept_answers import KeptAnswers
from catalog.simulator.state import ArchiveState

TOKEN = "simulator-token"  # noqa: S105 - it opens made-up files only
"""The token for exclusive files."""


@dataclass
class Service:
    """The objects that all requests share.

    Attributes
    ----------
    control : callable
        Carries out an order from ``POST /_control`` and returns the answer.
    latency_s : float
        The pause before the first byte of every answer.
    retry_after_s : int
        The value of ``Retry-After`` in answers 429 and 503.
    cache_answers : bool
        Keep whole answers, but for lists of products: the same question gets the same bytes until the archive changes.
    """

    state: ArchiveState
    control: Callable[[Mapping[str, Any]], dict[str, Any]]
    faults: Faults = field(default_factory=Faults)
    stats: Stats = field(default_factory=Stats)
    latency_s: float = 0.0
    retry_after_s: int = 1
    cache_answers: bool = False
    kept: KeptAnswers = field(default_factory=KeptAnswers)


class SimulatorServer(http.server.ThreadingHTTPServer):
    """A server of one archive on loopback."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int, service: Service) -> None:
        self.service = service
        super().__init__(("127.0.0.1", port), Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a client that went away; it needs no traceback."""


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: SimulatorServer

    @property
    def service(self) -> Service:
        """The objects that all requests share."""
        return self.server.service

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Write nothing, since a library does not print."""

    def do_HEAD(self) -> None:
        """Answer like GET, without a body."""
        self._counted(self._get)

    def do_GET(self) -> None:
        """Answer downloads, statistics and logins."""
        self._counted(self._get)

    def do_POST(self) -> None:
        """Answer queries, column configurations, bundles and control."""
        self._counted(self._post)

    def _counted(self, respond: Callable[[], None]) -> None:
        if self.path.startswith("/_"):
            respond()
            return
        self.service.stats.begin()
        try:
            if self.service.latency_s:
                time.sleep(self.service.latency_s)
            respond()
        finally:
            self.service.stats.end()

    def reply(
        self, body: bytes, code: int = 200, kind: str = "application/json", headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a whole answer."""
        self.begin(len(body), code, kind, headers)
        if self.command != "HEAD":
            self.wfile.write(body)

    def begin(self, size: int, code: int, kind: str, headers: Mapping[str, str] | None = None) -> None:
        """Send status line and headers."""
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()

    def drop(self) -> None:
        """Close the connection in the middle of an answer."""
        self.wfile.flush()
        self.close_connection = True

    def busy(self, code: int) -> None:
        """Answer 429 or 503."""
        self.reply(b"Try again later", code, "text/plain", {"Retry-After": str(self.service.retry_after_s)})

    def has_token(self) -> bool:
        """Say whether the request has the right token, in a header or a cookie."""
        header = self.headers.get("Authorization", "")
        if header.lower().startswith("token ") and header[6:].strip() == TOKEN:
            return True
        cookie = re.search(r"mast_token=([^;\s]+)", self.headers.get("Cookie", ""))
        return cookie is not None and cookie[1].strip('"') == TOKEN

    def _get(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/_stats":
            self.reply(json.dumps(self.service.stats.as_dict()).encode())
        elif url.path == "/whoami":
            self.reply(json.dumps(self._who()).encode())
        elif url.path.lower().rstrip("/").endswith("/download/file"):
            send_file(self, urllib.parse.parse_qs(url.query).get("uri", [""])[0])
        else:
            self.reply(b'{"error": "not found"}', 404)

    def _who(self) -> dict[str, object]:
        is_known = self.has_token()
        name = "simulated astronomer" if is_known else "anonymous"
        return {"anon": not is_known, "ezid": name, "token": None, "attrib": {"display_name": name}}

    def _post(self) -> None:
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode(errors="replace")
        path = urllib.parse.urlsplit(self.path).path.lower()
        if path == "/_control":
            self._control(text)
        elif path.endswith("/columnsconfig"):
            self.service.stats.add("columnsconfig")
            name = urllib.parse.parse_qs(text).get("colConfigId", [""])[0]
            self.reply(json.dumps(columns_config(name)).encode())
        elif "/download/bundle" in path:
            self._bundle(path.rpartition("/bundle")[2].strip("."), urllib.parse.parse_qs(text).get("uri", []))
        elif path.endswith("/invoke"):
            self._invoke(urllib.parse.parse_qs(text).get("request", [text])[0])
        else:
            self.reply(b'{"error": "not found"}', 404)

    def _control(self, text: str) -> None:
        try:
            done = self.service.control(json.loads(text or "{}"))
        except (ValueError, TypeError, KeyError) as error:
            self.reply(json.dumps({"error": str(error)}).encode(), 400)
        else:
            self.reply(json.dumps(done).encode())

    def _bundle(self, kind: str, uris: list[str]) -> None:
        self.service.stats.add("bundle")
        if kind in ("zip", "tar.gz"):
            self.reply(packed(self.service.state, uris, kind), 200, "application/octet-stream")
        else:
            self.reply(curl_script(str(self.headers.get("Host")), uris), 200, "text/x-sh")

    def _invoke(self, text: str) -> None:
        try:
            request = json.loads(text)
            if not isinstance(request, dict) or not isinstance(request.get("params") or {}, dict):
                raise TypeError("a request is an object")
        except (ValueError, TypeError, RecursionError):
            self.reply(bytes(status_body("ERROR", "The request is no JSON object.").pieces[0]))
            return
        faults, stats = self.service.faults, self.service.stats
        stats.add("invoke")
        stats.add(str(request.get("service")))
        if self._refused(faults):
            return
        body = self._answer(request, self._spoiling(request))
        stats.add("rows", body.rows)
        self._send(b"".join(body.pieces) if faults.due() else body)

    def _send(self, answered: JsonBody | bytes) -> None:
        """Send an answer, with the faults of transport that were ordered."""
        if isinstance(answered, JsonBody):
            self.begin(answered.size, 200, "application/json")
            for piece in answered.pieces:
                self.wfile.write(piece)
            return
        take = self.service.faults.take
        body = with_an_odd_cell(answered) if take("odd_cells") else answered
        packing = {"Content-Encoding": "gzip"} if take("invoke_gzip") else None
        body = gzip.compress(body) if packing else body
        self.begin(len(body), 200, "application/json", packing)
        if take("invoke_cut"):
            self.wfile.write(body[: len(body) // 2])
            self.drop()
        elif take("invoke_slow"):
            self._send_slowly(body)
        elif take("invoke_drip"):
            self._drip(body)
        else:
            self.wfile.write(body)

    def _refused(self, faults: Faults) -> bool:
        """Refuse the request before it is read, if such a fault was ordered."""
        for code in (429, 503):
            if faults.take(f"invoke_{code}"):
                self.busy(code)
                return True
        if faults.take("invoke_redirect"):
            self.reply(b"", 307, "text/plain", {"Location": self.path})
        elif faults.take("invoke_500"):
            self.reply(b"Internal Server Error", 500, "text/plain")
        elif faults.take("invoke_html"):
            self.reply(b"<html><body>Down for maintenance</body></html>", 200, "text/html")
        elif faults.take("invoke_error"):
            self.reply(bytes(status_body("ERROR", TIMEOUT).pieces[0]))
        elif faults.take("invoke_executing"):
            self.reply(b'{"status": "EXECUTING", "msg": "", "percent complete": 0.3}')
        else:
            return False
        return True

    def _spoiling(self, request: Mapping[str, Any]) -> Spoiling:
        counting = "COUNT_BIG" in str((request.get("params") or {}).get("columns", "")).upper()
        take = self.service.faults.take
        if counting:
            return Spoiling(count_moves=take("count_moves"), count_refused=take("count_refused"))
        return Spoiling(
            lost=take("lost_page"),
            doubled=take("doubled_rows"),
            lost_and_doubled=take("lost_and_doubled"),
            stale_sizes="products" in str(request.get("service")).lower() and take("stale_sizes"),
        )

    def _answer(self, request: Mapping[str, Any], spoiling: Spoiling) -> JsonBody:
        service = self.service
        if not service.cache_answers or spoiling != Spoiling():
            return answer(service.state, request, spoiling)
        bare = {name: value for name, value in request.items() if name != "cacheBreaker"}
        if "products" in str(request.get("service")).lower():  # cheap, and each harvest asks for other batches
            return answer(service.state, bare, spoiling)
        with service.state.lock:
            question = json.dumps(bare, sort_keys=True)
            return service.kept.answer(
                service.state.generation, question, lambda: answer(service.state, bare, spoiling)
            )

    def _drip(self, body: bytes) -> None:
        for at in range(len(body)):
            self.wfile.write(body[at : at + 1])
            time.sleep(0.01)

    def _send_slowly(self, body: bytes) -> None:
        step = max(1, len(body) // 20)
        for at in range(0, len(body), step):
            self.wfile.write(body[at : at + step])
            time.sleep(0.05)
