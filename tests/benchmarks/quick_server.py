"""A server of files that is not the bottleneck: a thread a connection, bytes sent by the kernel.

``python tests/benchmarks/quick_server.py FOLDER [DELAY]`` prints its port. What the download address asks for is looked
up by name in FOLDER; the first byte of an answer comes after DELAY seconds.
"""

from __future__ import annotations

import re
import socket
import sys
import threading
import time
from pathlib import Path
from urllib.parse import unquote

_RANGE = re.compile(rb"\r\nRange: *bytes=(\d+)-", re.IGNORECASE)
_PIECE = 1 << 24


def answer(connection: socket.socket, folder: Path, request: bytes, delay: float) -> None:
    """Send one file, or the rest of it."""
    method, target, _ = request.split(b"\r\n", 1)[0].decode().split(" ")
    path = folder / unquote(target).rpartition("/")[2]
    time.sleep(delay)
    if not path.is_file():
        connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        return
    with path.open("rb") as file:
        size = path.stat().st_size
        asked = _RANGE.search(request)
        start = int(asked[1]) if asked else 0
        lines = [f"HTTP/1.1 {206 if asked else 200} OK", f"Content-Length: {size - start}", f'ETag: "{size}"',
                 "Accept-Ranges: bytes", "Content-Type: application/fits"]  # fmt: skip
        if asked:
            lines.append(f"Content-Range: bytes {start}-{size - 1}/{size}")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode()
        if method == "HEAD":
            connection.sendall(head)
            return
        connection.sendall(head, socket.MSG_MORE)
        while start < size:
            start += connection.sendfile(file, start, min(_PIECE, size - start))


def talk(connection: socket.socket, folder: Path, delay: float) -> None:
    """Answer one connection's requests."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    waiting = b""
    with connection:
        try:
            while True:
                while b"\r\n\r\n" not in waiting:
                    more = connection.recv(1 << 16)
                    if not more:
                        return
                    waiting += more
                request, _, waiting = waiting.partition(b"\r\n\r\n")
                answer(connection, folder, request + b"\r\n", delay)
        except ConnectionError:
            return


def main(folder: Path, delay: float) -> None:
    """Serve until the end."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        print(listening.getsockname()[1], flush=True)
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=talk, args=(connection, folder, delay), daemon=True).start()


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.0)
