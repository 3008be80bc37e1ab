"""The public bucket: how the archive is asked where products lie in it, and what is told of it."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from catalog.errors import Garbled, Unreachable
from catalog.sync import Selection, SyncReport, sync
from catalog.sync.cloud import AT_ONCE, Cloud, mast_lookup, public_bucket
from catalog.sync.events import Event, Note
from catalog.sync.plan import Item
from catalog.sync.rate import SharedPace
from catalog.sync.source import Ask, NotInSource
from tests.conftest import Authority
from tests.files_server import Files, fits, serving
from tests.sync_catalog import URI, add_files, catalog


def test_the_archive_is_asked_for_cloud_paths_of_forty_products_at_most() -> None:
    asked: list[list[tuple[str, str]]] = []

    def read(path: str) -> bytes:
        asked.append(urllib.parse.parse_qsl(urllib.parse.urlsplit(path).query))
        uris = [value for name, value in asked[-1] if name == "uri"]
        return json.dumps({uri: {"path": f"/jwst/public/{uri.rsplit('/', 1)[1]}"} for uri in uris}).encode()

    items = [Item(f"{URI}{n}.fits", f"{n}.fits", f"/d/{n}.fits", None, None, "fetch", "") for n in range(100)]
    source = Cloud(mast_lookup(read), store=object())
    assert list(source.ahead(iter(items))) == items
    assert [sum(name == "uri" for name, _ in query) for query in asked] == [40, 40, 20]
    assert all(("use_cloud_path", "True") in query for query in asked)
    assert AT_ONCE == 40


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"[" * 100_000, b"<html>", b'{"mast:a": 5}', b'{"mast:a": {"path": ["x"]}}']
)
def test_a_look_up_that_is_not_as_expected_is_garbled_or_finds_nothing(answer: bytes) -> None:
    try:
        assert mast_lookup(lambda path: answer)(["mast:a"]) == {"mast:a": None}
    except Garbled:
        assert answer != b'{"mast:a": {"path": ["x"]}}'


def test_a_path_that_could_lead_elsewhere_is_not_asked_for() -> None:
    source = Cloud(lambda uris: dict.fromkeys(uris, "../../secret"), store=object())
    list(source.ahead(iter([Item("mast:a", "a", "/d/a", None, None, "fetch", "")])))
    with pytest.raises(NotInSource):
        source.open(Ask("mast:a"))


@pytest.fixture
def files() -> Iterator[Files]:
    """A server of four files, two of which are in the bucket."""
    served = Files({f"{URI}jw{n:05d}_nis_x1d.fits": fits(n + 1) for n in range(4)})
    keys = {uri: f"jwst/public/{uri.rsplit('/', 1)[1]}" for uri in list(served.content)[:2]}
    served.json["/api/v0.1/path_lookup/"] = {uri: {"path": f"/{key}"} for uri, key in keys.items()}
    served.bucket = {key: served.content[uri] for uri, key in keys.items()}
    with serving(served):
        yield served


def synced(files: Files, folder: Path) -> tuple[SyncReport, str]:
    pytest.importorskip("obstore.store", reason="the object-store client is an extra")
    store = public_bucket(files.address)
    database = catalog(folder / "c.duckdb")
    add_files(database, files.content)
    seen: list[Event] = []
    report = sync(database, Selection(), server=files.address, dest=folder / "d", source="cloud", store=store,
                  on_event=seen.append, pace=SharedPace(unit=0.001))  # fmt: skip
    return report, "\n".join(event.text for event in seen if isinstance(event, Note))


def test_a_sync_from_the_cloud_says_how_many_files_came_from_where(files: Files, tmp_path: Path) -> None:
    report, told = synced(files, tmp_path)
    assert (report.fetched, report.sources) == (4, {"cloud": 2, "mast": 2})
    assert told == "2 files from cloud, 2 files from mast"


def test_a_look_up_that_fails_is_told_and_mast_gives_the_files(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(uris: Iterable[str]) -> dict[str, str | None]:
        raise Unreachable("mast gave no answer")

    monkeypatch.setattr("catalog.sync.run.mast_lookup", lambda read: fails)
    report, told = synced(files, tmp_path)
    assert (report.fetched, report.sources) == (4, {"mast": 4})
    assert "the look-up of cloud paths failed: mast gave no answer" in told


def test_an_object_that_cannot_be_had_is_told_and_mast_gives_it(files: Files, tmp_path: Path) -> None:
    files.bucket = {key: body[:-1] + b"x" for key, body in files.bucket.items()}
    files.faults["object cut"] = 1
    report, told = synced(files, tmp_path)
    assert (report.fetched, report.failed) == (4, 0)
    assert "files from mast" in told


def test_a_store_that_cannot_be_reached_is_left_alone_after_a_few_files(tmp_path: Path) -> None:
    class Absent:
        asked = 0

        def get(self, path: str, **options: object) -> object:
            self.asked += 1
            raise OSError("connection refused")

    store = Absent()
    source = Cloud(lambda uris: dict.fromkeys(uris, "jwst/a"), store)
    list(source.ahead(iter(Item(f"mast:{n}", "a", "/d/a", None, None, "fetch", "") for n in range(9))))
    for n in range(9):
        with pytest.raises((Unreachable, NotInSource)):
            source.open(Ask(f"mast:{n}"))
    assert store.asked == 3
    assert "3 times in a row" in source.failed
    assert "connection refused" in source.failed


# --- the network that people have -----------------------------------------------------------------------


def read_object(address: str) -> bytes:
    pytest.importorskip("obstore.store", reason="the object-store client is an extra")
    source = Cloud(lambda uris: dict.fromkeys(uris, "jwst/a"), public_bucket(address))
    list(source.ahead(iter([Item("mast:a", "a", "/d/a", None, None, "fetch", "")])))
    with source.open(Ask("mast:a")) as answer:
        return b"".join(answer.chunks(1000))


@pytest.mark.parametrize(
    ("variables", "direct"),
    [
        ({}, True),
        ({"http_proxy": "PROXY"}, False),
        ({"ALL_PROXY": "PROXY"}, False),
        ({"http_proxy": "PROXY", "no_proxy": "127.0.0.1"}, True),
        ({"http_proxy": "PROXY", "NO_PROXY": "*"}, True),
        ({"http_proxy": "PROXY", "NO_PROXY": "localhost, 127.0.0.0/8"}, True),
    ],
)
def test_the_store_is_asked_through_the_proxy_that_every_client_here_goes_through(
    variables: dict[str, str], direct: bool, bare_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Files(bucket={"jwst/a": b"by the proxy"})
    bucket = Files(bucket={"jwst/a": b"directly"})
    with serving(proxy), serving(bucket):
        for name, value in variables.items():
            monkeypatch.setenv(name, value.replace("PROXY", proxy.address))
        assert read_object(bucket.address) == (b"directly" if direct else b"by the proxy")


def test_the_store_is_trusted_by_the_certificates_that_every_client_here_trusts(
    authority: Authority, bare_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Files(bucket={"jwst/a": b"safely"})
    with serving(bucket, authority.tls):
        with pytest.raises(Unreachable):
            read_object(bucket.address)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle))
        assert read_object(bucket.address) == b"safely"
