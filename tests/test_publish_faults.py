"""A host that shows a published catalog, and lies, stalls or breaks off: one clear line, and nothing half done."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catalog.publish import fetching, pull
from catalog.publish.manifest import LATEST
from catalog.publish.publishing import publish
from tests import kills_publish
from tests.conftest import Command
from tests.published_server import Answer, Shown, Site, showing

pytest.importorskip("duckdb_extension_httpfs", reason="DuckDB's extension httpfs is an extra")

FILE, MANIFEST = "run-000001.duckdb", "run-000001.json"
WAYS = ["where it is", "whole"]


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    publish(kills_publish.working(folder), folder / "group")
    return folder / "group"


@pytest.fixture
def site(group: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A web server that gives parts, and a follower that reads the catalog where it is."""
    monkeypatch.setattr(pull, "IN_PLACE_BYTES", 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with showing(group) as shown:
        shown.gives_ranges = True
        yield shown


def refuses(mastlake: Command, site: Site, tmp_path: Path) -> str:
    """Ask, and return the one line; nothing may be in the cache."""
    done = mastlake("--catalog", site.address, "runs")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1), done.err
    assert list((tmp_path / "cache").rglob("run-*")) == []
    return done.err


def sends(body: bytes, status: int = 200, length: int | None = None, **headers: str) -> Answer:
    return lambda shown: shown.send(body, status, length, **headers)


def drips(shown: Shown) -> None:
    """Send a byte now and then."""
    shown.send_response(206 if "Range" in shown.headers else 200)
    shown.send_header("Content-Length", "12288")
    shown.send_header("Content-Range", "bytes 0-12287/99999")
    shown.end_headers()
    for _ in range(8):
        shown.wfile.write(b"x")
        shown.wfile.flush()
        time.sleep(0.05)


@pytest.mark.parametrize(
    "text",
    [
        b"../x\n", b"/etc/passwd\n", b"https://example.org/run-000001.json\n", b"", b"run-000001.json\0", b"run-1.json",
        b"run-000001.json\nrun-000002.json\n", "run-000001.json\u202e".encode(), b"RUN-000001.JSON", b"x" * 5_000_000,
    ],
    ids=range(10),
)  # fmt: skip
def test_a_pointer_that_names_something_else(mastlake: Command, site: Site, tmp_path: Path, text: bytes) -> None:
    site.instead[LATEST] = sends(text)
    assert LATEST in refuses(mastlake, site, tmp_path)
    assert site.asked[0] == LATEST
    assert not set(site.asked) - {LATEST, MANIFEST, FILE}


@pytest.mark.parametrize(
    "odd",
    [
        {"size": 1 << 40}, {"size": 10**30}, {"size": -1}, {"size": 1e9}, {"size": float("nan")},
        {"file": "../x.duckdb"}, {"file": "https://example.org/x"}, {"run": 2}, {"form": 99}, {"rows": {"x": -1}},
        {"opening": [[-1, 2]]}, {"opening": [[0]]}, {"opening": [[0, 1]] * 99}, {"history": None},
        {"licence": "x" * 2000},
    ],
    ids=str,
)  # fmt: skip
def test_a_manifest_with_wild_values(
    mastlake: Command, site: Site, group: Path, tmp_path: Path, odd: dict[str, Any]
) -> None:
    said = {**json.loads((group / MANIFEST).read_bytes()), **odd}
    site.instead[MANIFEST] = sends(json.dumps(said).encode())
    refuses(mastlake, site, tmp_path)
    assert FILE not in site.asked[:2]


def test_a_file_of_a_terabyte_with_all_its_marks(mastlake: Command, site: Site, group: Path, tmp_path: Path) -> None:
    marks = base64.b64encode(bytes(16 * (2 + (1 << 40) // (1 << 26)))).decode()
    said = {**json.loads((group / MANIFEST).read_bytes()), "size": 1 << 40, "blocks": marks}
    site.instead[MANIFEST] = sends(json.dumps(said).encode())
    assert "free" in refuses(mastlake, site, tmp_path)


@pytest.mark.parametrize("opening", [[[0, 10**18]], [[5, 1]], [[10**18, 10**19]]], ids=str)
def test_a_list_of_blocks_beyond_the_file_does_no_harm(
    mastlake: Command, site: Site, group: Path, opening: list[list[int]]
) -> None:
    said = {**json.loads((group / MANIFEST).read_bytes()), "opening": opening}
    site.instead[MANIFEST] = sends(json.dumps(said).encode())
    assert mastlake("--catalog", site.address, "runs").code == 0


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (sends(b"", 404), "is gone"),
        (sends(b"", 403), "HTTP 403"),
        (sends(b"", 416), "HTTP 416"),
        (sends(b"", 503), "cannot answer now"),
        (sends(b"", 307, Location="http://localhost:1/x"), "somewhere else"),
        (sends(b"x" * 100), "try again"),
        (sends(b"x" * 100, length=70_000), "too early"),
        (sends(b"x" * 9_000_000), "more bytes"),
        (sends(b"x" * 100, Content_Encoding="gzip"), "packed"),
        (lambda shown: shown.connection.close(), "gave no answer"),
    ],
    ids=range(10),
)
@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_does_not_come(
    mastlake: Command, site: Site, tmp_path: Path, answer: Answer, told: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "whole":
        monkeypatch.setattr(pull, "IN_PLACE_BYTES", 1 << 40)
    site.instead[FILE] = answer
    assert told in refuses(mastlake, site, tmp_path)


@pytest.mark.parametrize(
    ("answer", "told"), [(drips, "bytes a second"), (lambda shown: time.sleep(0.6), "in time")], ids=range(2)
)
@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_comes_too_slowly(
    mastlake: Command, site: Site, tmp_path: Path, answer: Answer, told: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_SILENCE", 0.3)
    monkeypatch.setattr(fetching, "_PATIENT", 0.2)
    test_a_file_that_does_not_come(mastlake, site, tmp_path, answer, told, way, monkeypatch)


@pytest.mark.parametrize(
    ("address", "code", "told"),
    [
        ("https://no-such-host.invalid/x/", 1, "there is no host"),
        ("http://127.0.0.1:1/", 1, "connection refused"),
        ("https://me:secretpw@127.0.0.1:1/x/", 1, "connection refused"),
        ("http://example.org/", 2, "must begin with https"),
        ("https://", 2, "--catalog"),
        ("https://127.0.0.1:99999/", 2, "--catalog"),
    ],
)
def test_an_address_that_is_of_no_use(
    mastlake: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, code: int, told: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    done = mastlake("--catalog", address, "runs")
    assert (done.code, done.out, done.err.count("\n")) == (code, "", 1), done.err
    assert told in done.err
    assert "secretpw" not in done.err


def test_a_proxy_that_is_not_there_is_named(mastlake: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secretpw@127.0.0.1:1")
    done = mastlake("--catalog", "https://example.org/x/", "runs")
    assert (done.code, done.err.count("\n")) == (1, 1), done.err
    assert "the proxy" in done.err
    assert "secretpw" not in done.err
