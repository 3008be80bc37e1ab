"""Answers that are read into one buffer again and again: the same bytes, the same connections, the same errors."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from catalog.errors import Unreachable
from catalog.sync.source import Ask, Mast
from tests.files_server import Files, serving
from tests.sync_catalog import URI, add_files, catalog

NAME = f"{URI}jw00001_nis_x1d.fits"
BODY = os.urandom(300_000)


@pytest.fixture
def files() -> Iterator[Files]:
    """A server of one file, which counts the connections that requests come over."""
    served = Files({NAME: BODY})
    with serving(served):
        yield served


def received(mast: Mast, most: int) -> bytes:
    """The whole file, in reads of at most so many bytes."""
    with mast.open(Ask(NAME)) as answer:
        return b"".join(map(bytes, answer.chunks(most)))


def in_pieces(handler: BaseHTTPRequestHandler, uri: str, body: bytes) -> bool:
    """Answer in chunks, without a length."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for at in range(0, len(body), 70_000):
        piece = body[at : at + 70_000]
        handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
    handler.wfile.write(b"0\r\n\r\n")
    return True


def to_the_end(handler: BaseHTTPRequestHandler, uri: str, body: bytes) -> bool:
    """Answer without a length, and close."""
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(body)
    handler.close_connection = True
    return True


def cut(handler: BaseHTTPRequestHandler, uri: str, body: bytes) -> bool:
    """Promise all, send half, and close."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])
    handler.close_connection = True
    return True


@pytest.mark.parametrize("act", [None, in_pieces, to_the_end])
@pytest.mark.parametrize("most", [1, 4096, 1 << 20])
def test_bytes_come_as_they_were_sent_however_they_are_framed(files: Files, act: object, most: int) -> None:
    files.content[NAME] = BODY[: 5000 if most == 1 else None]
    files.act = act  # type: ignore[assignment]
    mast = Mast(files.address)
    assert received(mast, most) == files.content[NAME]
    assert received(mast, most) == files.content[NAME]
    mast.close()


def test_a_file_that_was_read_leaves_its_connection_to_the_next(files: Files) -> None:
    callers = []

    def note(handler: BaseHTTPRequestHandler, uri: str, body: bytes) -> bool:
        callers.append(handler.client_address)
        return False

    files.act = note
    mast = Mast(files.address)
    assert [received(mast, 1 << 16) for _ in range(3)] == [BODY] * 3
    mast.close()
    assert len(set(callers)) == 1


def test_a_connection_that_ends_early_keeps_what_came_and_says_so(files: Files) -> None:
    files.act = cut
    mast = Mast(files.address)
    came: list[bytes] = []
    with mast.open(Ask(NAME)) as answer, pytest.raises(Unreachable):
        came.extend(map(bytes, answer.chunks(4096)))
    mast.close()
    assert b"".join(came) == BODY[: len(BODY) // 2]


@pytest.mark.long
def test_a_plan_imports_nothing_that_only_changing_tables_needs(tmp_path: Path) -> None:
    database = catalog(tmp_path / "c.duckdb")
    add_files(database, {NAME: BODY})
    program = (
        "import sys; from catalog import Catalog\n"
        "with Catalog.open(sys.argv[1]) as lake: lake.plan(dest=sys.argv[2])\n"
        "print({'sqlalchemy', 'alembic'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", program, str(database.path), str(tmp_path / "dest")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "set()"
