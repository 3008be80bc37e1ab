"""Object stores on loopback: moto's S3, and one that answers whatever a test wants."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

KEY, SECRET, TOKEN = "AKIDEXAMPLE00000TEST", "secret/of+the+test", "token-of-the-test"


@contextmanager
def s3() -> Iterator[str]:
    """Run moto's server, and return its address."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


class Objects:
    """The objects of a new bucket, as another client sees them.

    Parameters
    ----------
    address : str
        The address of the store.
    bucket : str
        The name.
    """

    def __init__(self, address: str, bucket: str) -> None:
        from obstore.store import S3Store

        self._url = f"{address}/{bucket}"
        requests.put(self._url, timeout=5).raise_for_status()
        self._store: Any = S3Store(
            bucket, prefix="lake", endpoint=address, region="us-east-1", client_options={"allow_http": True}
        )
        self.address = f"s3://{bucket}/lake"

    def names(self) -> list[str]:
        """Return the names below the prefix."""
        return sorted(str(one["path"]) for one in self._store.list().collect())

    def begin_upload(self, key: str) -> None:
        """Begin to send a file in parts, as a publisher does that is killed then."""
        requests.post(f"{self._url}/{key}?uploads", timeout=5).raise_for_status()

    def uploads(self) -> list[str]:
        """Return the names of files that were sent in part."""
        return re.findall("<Key>(.*?)</Key>", requests.get(f"{self._url}?uploads", timeout=5).text)

    def get(self, name: str) -> bytes:
        """Return the content of an object."""
        return bytes(self._store.get(name).bytes())

    def put(self, name: str, content: bytes) -> None:
        """Write an object."""
        self._store.put(name, content)

    def remove(self, name: str) -> None:
        """Remove an object."""
        self._store.delete(name)

    def put_raw(self, name: str) -> None:
        """Write an object with a name that other clients do not accept."""
        requests.put(f"{self._url}/lake/{name}", timeout=5).raise_for_status()


Answer = Callable[["Odd"], None]


class Odd(BaseHTTPRequestHandler):
    """Answers each request as the test says, and notes what it was asked."""

    answer: Answer
    asked: list[tuple[str, str, dict[str, str]]]

    def handle_any(self) -> None:
        self.asked.append((self.command, self.path, dict(self.headers)))
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        type(self).answer(self)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass

    def say(self, status: int, code: str = "", **headers: str) -> None:
        """Answer as S3 does when it refuses; its own text has the key in it."""
        body = f"<Error><Code>{code}</Code><Message>for {KEY} and {TOKEN}</Message></Error>".encode() if code else b""
        self.send(body, status, **headers)

    def send(self, body: bytes, status: int = 200, **headers: str) -> None:
        """Answer with a body."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def without_conditions(stored: dict[str, bytes]) -> Answer:
    """Return the answers of a store that keeps objects, and knows no conditional requests."""

    def answer(odd: Odd) -> None:
        path, _, query = odd.path.partition("?")
        if "If-Match" in odd.headers or "If-None-Match" in odd.headers:
            odd.say(501, "NotImplemented")
        elif odd.command == "PUT":
            stored[path] = odd.body
            odd.say(200)
        elif odd.command == "DELETE":
            stored.pop(path, None)
            odd.say(204)
        elif "list-type" in query:
            found = "".join(
                f"<Contents><Key>{name[6:]}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
                f"<Size>{len(stored[name])}</Size></Contents>"
                for name in stored
            )
            odd.send(f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>".encode())
        elif path in stored:
            odd.send(stored[path])
        else:
            odd.say(404, "NoSuchKey")

    return answer


@contextmanager
def answering(answer: Answer) -> Iterator[tuple[str, list[tuple[str, str, dict[str, str]]]]]:
    """Run such a server; return its address, and the list of what it was asked."""
    asked: list[tuple[str, str, dict[str, str]]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Odd,), {"answer": answer, "asked": asked}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
