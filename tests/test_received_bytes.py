"""What a server may send for a file, and what becomes of it under the final name."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.errors import Garbled, Refused, Unreachable
from catalog.store.database import Database
from catalog.sync import Current, Selection, SyncReport, Token, make_plan, sync
from catalog.sync.encoding import encoding_of, unpacked_pieces
from catalog.sync.events import Event, Note
from catalog.sync.names import part_path
from catalog.sync.rate import SharedPace, SlowestSpeed, TooSlow
from catalog.sync.source import Ask, Mast
from tests.files_server import TOKEN, Files, Handler, fits, serving
from tests.sync_catalog import URI, add_files, add_products, catalog

EVERYTHING = Selection()
ONE = "jw00001_nis_x1d.fits"
ASSOCIATION = json.dumps({"products": [{"name": "x", "members": []}]}).encode() * 1 + b" " * 500


@pytest.fixture
def files() -> Iterator[Files]:
    """A server that has nothing yet."""
    served = Files()
    with serving(served):
        yield served


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """A catalog that lists nothing yet."""
    return catalog(tmp_path / "c.duckdb")


@pytest.fixture
def go(database: Database, files: Files, tmp_path: Path) -> Callable[..., SyncReport]:
    """Sync everything into ``dest``, without long pauses."""

    def run(**more: Any) -> SyncReport:
        more.setdefault("pace", SharedPace(unit=0.001))
        return sync(database, EVERYTHING, server=files.address, dest=tmp_path / "dest", **more)

    return run


def listed(database: Database, files: Files, body: bytes, name: str = ONE) -> str:
    """A file with a checksum."""
    files.content[URI + name] = body
    add_files(database, {URI + name: body})
    return URI + name


def unlisted(database: Database, files: Files, body: bytes, name: str, size: int | None) -> str:
    """A product without a checksum, whose listed size may be another."""
    files.content[URI + name] = body
    add_products(database, {URI + name: body}, size=size)
    return URI + name


def answering(**headers: str) -> Callable[[BaseHTTPRequestHandler, str, bytes], bool]:
    """Answer with the bytes and these headers."""

    def act(handler: BaseHTTPRequestHandler, uri: str, body: bytes) -> bool:
        assert isinstance(handler, Handler)
        handler.answer(200, body, **headers)
        return True

    return act


def packed(handler: BaseHTTPRequestHandler, uri: str, body: bytes) -> bool:
    assert isinstance(handler, Handler)
    handler.answer(200, gzip.compress(body), Content_Encoding="gzip")
    return True


def chunked(sent: bytes) -> Callable[[BaseHTTPRequestHandler, str, bytes], bool]:
    def act(handler: BaseHTTPRequestHandler, uri: str, body: bytes) -> bool:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"%x\r\n" % len(sent) + sent + b"\r\n0\r\n\r\n")
        return True

    return act


def reasons(database: Database) -> list[str]:
    with database.read() as connection:
        return [str(row[0]) for row in connection.execute("SELECT reason FROM findings").fetchall()]


# --- encodings, types, empty files --------------------------------------------------------------------


@pytest.mark.parametrize("size", ["listed", "unknown"])
def test_bytes_that_were_packed_for_the_way_are_unpacked(
    go: Callable[..., SyncReport], database: Database, files: Files, tmp_path: Path, size: str
) -> None:
    name = "jw1_asn.json"
    unlisted(database, files, ASSOCIATION, name, len(ASSOCIATION) if size == "listed" else None)
    listed(database, files, fits(3))
    files.act = packed
    assert go().fetched == 2
    assert (tmp_path / "dest" / name).read_bytes() == ASSOCIATION
    assert (tmp_path / "dest" / ONE).read_bytes() == fits(3)


def test_a_compressed_file_that_is_called_encoded_stays_compressed(
    go: Callable[..., SyncReport], database: Database, files: Files, tmp_path: Path
) -> None:
    body = gzip.compress(fits(2))
    unlisted(database, files, body, "a.fits.gz", None)
    files.act = answering(Content_Encoding="gzip")
    assert go().fetched == 1
    assert (tmp_path / "dest" / "a.fits.gz").read_bytes() == body


def test_an_encoding_that_cannot_be_undone_is_named(
    go: Callable[..., SyncReport], database: Database, files: Files
) -> None:
    listed(database, files, fits(1))
    files.act = lambda handler, uri, body: answering(Content_Encoding="br")(handler, uri, body[:-1])
    assert "br-encoded" in go().failures[0].reason


@settings(max_examples=60)
@given(data=st.binary(max_size=3000), pieces=st.integers(1, 700), members=st.integers(1, 3), most=st.integers(1, 5000))
def test_unpacking_gives_the_bytes_or_says_that_they_end_too_early(
    data: bytes, pieces: int, members: int, most: int
) -> None:
    sent = gzip.compress(data) * members
    chunks = [sent[at : at + pieces] for at in range(0, len(sent), pieces)]
    unpacked = list(unpacked_pieces(chunks, "gzip", most))
    assert b"".join(unpacked) == data * members
    assert all(len(piece) <= most for piece in unpacked)
    with pytest.raises(Garbled):
        list(unpacked_pieces([sent[:-1]], "gzip", most))
    assert b"".join(unpacked_pieces([zlib.compress(data)], "deflate", most)) == data
    with pytest.raises(Refused):
        encoding_of("gzip, br", Ask("mast:a.fits"), None)


def test_right_bytes_are_right_whatever_the_server_calls_them(
    go: Callable[..., SyncReport], database: Database, files: Files
) -> None:
    listed(database, files, fits(2))
    listed(database, files, b"<html> is how this text begins", "jw00002_note.txt")
    files.act = answering(Content_Type="text/html; charset=utf-8")
    assert go().fetched == 2


def test_a_web_page_is_not_taken_for_a_product_of_which_nothing_is_known(
    go: Callable[..., SyncReport], database: Database, files: Files
) -> None:
    unlisted(database, files, b"We are back at noon", "jw1_log.txt", None)
    files.act = answering(Content_Type="text/html")
    assert "web page" in go().failures[0].reason


@pytest.mark.long
def test_a_file_of_no_bytes_is_a_file(
    go: Callable[..., SyncReport], database: Database, files: Files, tmp_path: Path
) -> None:
    unlisted(database, files, b"", "jw1_log.txt", 0)
    unlisted(database, files, b"", "jw2_log.txt", None)
    listed(database, files, b"", "jw3_log.txt")
    listed(database, files, fits(9))
    report = go()
    assert (report.fetched, [failure.filename for failure in report.failures]) == (3, ["jw2_log.txt"])
    assert (tmp_path / "dest" / "jw1_log.txt").read_bytes() == b""
    assert go().present == 3


# --- lengths and structure -----------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("size", [0, 17, 10**6])
@pytest.mark.parametrize("sent", ["with its length", "in chunks"])
def test_a_stale_listed_length_without_a_checksum_is_advice(
    go: Callable[..., SyncReport], database: Database, files: Files, tmp_path: Path, size: int, sent: str
) -> None:
    unlisted(database, files, ASSOCIATION, "jw1_asn.json", size)
    unlisted(database, files, b"\xff\xd8\xff" + b"x" * 600, "jw1.jpg", size)
    files.act = (lambda handler, uri, body: chunked(body)(handler, uri, body)) if sent == "in chunks" else None
    asked: list[str] = []
    report = go(current=asked.append)
    assert (report.fetched, report.failures) == (2, ())
    assert (tmp_path / "dest" / "jw1_asn.json").read_bytes() == ASSOCIATION
    assert sorted(set(asked)) == ["jw1.jpg", "jw1_asn.json"]
    assert sorted(reasons(database)) == sorted(
        f"it has {len(body)} bytes, the archive lists {size}, and no checksum" for body in files.content.values()
    )
    gets = files.stats["get"]
    assert (go().present, files.stats["get"]) == (2, gets)


def test_a_length_that_the_archive_lists_by_now_is_no_finding(
    go: Callable[..., SyncReport], database: Database, files: Files
) -> None:
    unlisted(database, files, ASSOCIATION, "jw1_asn.json", 17)
    report = go(current=lambda name: Current(name, len(ASSOCIATION), None))
    assert (report.fetched, reasons(database)) == (1, [])


def test_an_answer_of_another_length_that_is_not_whole_is_not_accepted(
    go: Callable[..., SyncReport], database: Database, files: Files
) -> None:
    unlisted(database, files, ASSOCIATION[:20], "jw1_asn.json", 17)
    unlisted(database, files, fits(3)[:-2880], "jw1.fits", 17)
    report = go()
    assert (report.fetched, report.failed) == (0, 2)
    assert all("not a whole file" in failure.reason for failure in report.failures)


def test_a_file_with_a_checksum_must_have_its_listed_length(
    go: Callable[..., SyncReport], database: Database, files: Files
) -> None:
    listed(database, files, fits(2))
    files.content[URI + ONE] = fits(4)
    assert go().failed == 1


def test_a_longer_answer_without_a_length_is_asked_for_a_few_times(
    go: Callable[..., SyncReport], database: Database, files: Files
) -> None:
    listed(database, files, fits(2))
    files.act = chunked(fits(6))
    assert go().failed == 1
    assert files.stats["get"] <= 3


def test_an_answer_without_any_length_must_come_twice_the_same(
    go: Callable[..., SyncReport], database: Database, files: Files, tmp_path: Path
) -> None:
    def to_the_end(handler: BaseHTTPRequestHandler, uri: str, body: bytes) -> bool:
        sent = body if files.stats["get"] != 1 else body[:-5]
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + sent)
        handler.close_connection = True
        return True

    unlisted(database, files, b"\xff\xd8\xff" + b"x" * 600, "jw1.jpg", None)
    files.act = to_the_end
    report = go()
    assert report.failed == 1
    assert go().fetched == 1
    assert (tmp_path / "dest" / "jw1.jpg").read_bytes() == files.content[URI + "jw1.jpg"]


SLOPPY = {
    "not padded": fits(1)[:-100],
    "zeros behind the last HDU": fits(1) + b"\0" * 2880,
    "words behind END": fits(1).replace(b"END" + b" " * 20, b"END / the end here     ", 1),
}


@pytest.mark.parametrize("kind", sorted(SLOPPY))
def test_a_file_with_the_archives_md5_is_right_however_sloppy_its_fits_is(
    go: Callable[..., SyncReport], database: Database, files: Files, kind: str
) -> None:
    listed(database, files, SLOPPY[kind])
    assert go().fetched == 1
    assert len(reasons(database)) >= 1
    assert (go().present, files.stats["get"]) == (1, 1)


@pytest.mark.long
@pytest.mark.parametrize("spoiled", [-1, -9, 5000])
def test_a_compressed_file_is_read_to_its_end(
    go: Callable[..., SyncReport], database: Database, files: Files, spoiled: int
) -> None:
    body = bytearray(gzip.compress(os.urandom(9000)))
    body[spoiled] ^= 1
    unlisted(database, files, bytes(body), "jw1.txt.gz", len(body))
    cut = gzip.compress(fits(4))[:-20]
    unlisted(database, files, cut, "jw1.fits.gz", len(cut))
    whole = gzip.compress(fits(4))
    unlisted(database, files, whole, "jw2.fits.gz", len(whole))
    report = go()
    assert (report.fetched, sorted(failure.filename for failure in report.failures)) == (
        1,
        ["jw1.fits.gz", "jw1.txt.gz"],
    )


def test_after_a_failed_proof_caches_are_told_to_ask_again(
    go: Callable[..., SyncReport], database: Database, files: Files
) -> None:
    listed(database, files, fits(2))

    def cache(handler: BaseHTTPRequestHandler, uri: str, body: bytes) -> bool:
        assert isinstance(handler, Handler)
        handler.answer(200, body if handler.headers.get("Cache-Control") == "no-cache" else fits(2, "old"))
        return True

    files.act = cache
    assert go().fetched == 1
    assert [ask.get("Cache-Control") for ask in files.asked] == [None, "no-cache"]


# --- bounds --------------------------------------------------------------------------------------------


def test_a_speed_below_the_floor_ends_an_answer() -> None:
    now = [0.0]
    floor = SlowestSpeed(100, 10, lambda: now[0])
    for _ in range(30):
        now[0] += 1
        floor.passed(101)
    now[0] += 600
    floor.rested()  # after a pause of our own
    floor.passed(1)
    now[0] += 11
    with pytest.raises(TooSlow, match="only 2 bytes came in 11 s"):
        floor.passed(1)
    assert issubclass(TooSlow, Unreachable)


def test_drips_end(go: Callable[..., SyncReport], database: Database, files: Files) -> None:
    def drip(handler: BaseHTTPRequestHandler, uri: str, body: bytes) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        for at in range(len(body)):
            handler.wfile.write(body[at : at + 1])
            handler.wfile.flush()
        return True

    listed(database, files, fits(1))
    files.act = drip
    report = go(pace=SharedPace(unit=0.001, least=1e15, window=1e-9))
    assert "only" in report.failures[0].reason
    assert files.stats["get"] <= 4


@pytest.mark.parametrize("etag", [True, False])
def test_an_answer_that_always_drops_is_asked_for_a_bounded_number_of_times(
    go: Callable[..., SyncReport], database: Database, files: Files, etag: bool
) -> None:
    def drop(handler: BaseHTTPRequestHandler, uri: str, body: bytes) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        if etag:
            handler.send_header("ETag", '"x"')
        handler.end_headers()
        handler.wfile.write(body[: 1000 + files.stats["get"]])  # never a range, and each time a byte more
        handler.wfile.flush()
        handler.close_connection = True
        handler.connection.shutdown(2)
        return True

    unlisted(database, files, fits(20), "jw1.fits", len(fits(20)))
    files.act = drop
    assert go().failed == 1
    assert files.stats["get"] <= 12


def test_a_range_that_is_never_satisfied_ends(go: Callable[..., SyncReport], database: Database, files: Files) -> None:
    def never(handler: BaseHTTPRequestHandler, uri: str, body: bytes) -> bool:
        assert isinstance(handler, Handler)
        handler.answer(416, b"")
        return True

    listed(database, files, fits(1))
    files.act = never
    assert go().failed == 1
    assert files.stats["get"] <= 6


# --- who refuses ---------------------------------------------------------------------------------------


def test_a_token_that_has_expired_keeps_no_public_file_away(
    go: Callable[..., SyncReport], database: Database, files: Files
) -> None:
    def strict(handler: BaseHTTPRequestHandler, uri: str, body: bytes) -> bool:
        assert isinstance(handler, Handler)
        if handler.headers.get("Authorization") in (None, f"token {TOKEN}"):
            return False
        handler.answer(401, b"token expired")
        return True

    listed(database, files, fits(1))
    files.act = strict
    assert go(token=Token("expired")).fetched == 1


def test_a_refusal_of_an_exclusive_file_says_that_the_token_may_have_expired(
    database: Database, files: Files, go: Callable[..., SyncReport]
) -> None:
    files.content[URI + ONE] = fits(1)
    add_files(database, {URI + ONE: fits(1)}, isRestricted=True)
    files.exclusive.add(URI + ONE)
    reason = go(token=Token("old")).failures[0].reason
    assert reason.startswith("exclusive to program 1366")
    assert "or has expired" in reason
    assert go(token=Token(TOKEN)).fetched == 1


@pytest.mark.parametrize("by", ["storage", "archive"])
def test_a_public_file_that_is_refused_is_not_said_to_need_a_token(
    go: Callable[..., SyncReport], database: Database, files: Files, by: str
) -> None:
    def refuse(handler: BaseHTTPRequestHandler, uri: str, body: bytes) -> bool:
        assert isinstance(handler, Handler)
        more = {"Server": "AmazonS3", "x_amz_request_id": "1"} if by == "storage" else {}
        handler.answer(403, b"<Error><Code>AccessDenied</Code></Error>", **more)
        return True

    listed(database, files, fits(1))
    files.act = refuse
    reason = go().failures[0].reason
    assert "403" in reason
    assert "token is needed" not in reason
    assert "exclusive" not in reason


def test_storage_that_the_archive_sends_us_to_gets_no_token_and_may_refuse_once(
    go: Callable[..., SyncReport], database: Database, files: Files
) -> None:
    storage = Files({URI + ONE: fits(1)})
    refusals = iter([403])

    def presigned(handler: BaseHTTPRequestHandler, uri: str, body: bytes) -> bool:
        assert isinstance(handler, Handler)
        if status := next(refusals, 0):
            handler.answer(status, b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>")
        return bool(status)

    files.content[URI + ONE] = fits(1)
    add_files(database, {URI + ONE: fits(1)}, isRestricted=True)
    storage.act = presigned
    with serving(storage):
        files.act = lambda handler, uri, body: (
            handler.answer(307, b"", Location=f"{storage.address}{handler.path}&X-Amz-Expires=60")  # type: ignore[attr-defined]
            or True
        )
        assert go(token=Token(TOKEN)).fetched == 1
    assert [ask.get("Authorization") for ask in files.asked] == [f"token {TOKEN}"] * 2
    assert [ask.get("Authorization") for ask in storage.asked] == [None, None]


def test_redirects_without_end_and_to_no_address_are_told(files: Files) -> None:
    files.content[URI + ONE] = fits(1)
    source = Mast(files.address)
    for where in ("{same}", "file:///etc/passwd", "http://[", ""):
        target = where.replace("{same}", "/api/v0.1/Download/file?uri=" + URI + ONE)
        files.act = lambda handler, uri, body, target=target: handler.answer(302, b"", Location=target) or True
        with pytest.raises((Garbled, Refused)):
            source.open(Ask(URI + ONE))
    source.close()


# --- the destination -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["mastlake.toml", "MASTLAKE.TOML", "mastlake.duckdb", "c.duckdb", "c.duckdb.wal", "c.duckdb.spool-1-2",
             "a.fits.part", "a.fits.part.json", ".hidden.fits", "lake.ducklake"]
)  # fmt: skip
def test_a_product_of_a_name_of_mastlakes_own_is_refused_and_told(
    database: Database, files: Files, tmp_path: Path, name: str
) -> None:
    unlisted(database, files, b"bytes of the server", name, 19)
    plan = make_plan(database, EVERYTHING, dest=tmp_path)
    assert plan.tallies["out of reach"].items == 1
    report = sync(database, EVERYTHING, server=files.address, dest=tmp_path)
    assert (report.failed, files.stats["get"]) == (1, 0)
    with database.read() as connection:
        assert connection.execute("SELECT count(*) FROM products").fetchall() == [(1,)]


def test_a_catalog_of_any_name_is_not_replaced_by_a_product(files: Files, tmp_path: Path) -> None:
    database = catalog(tmp_path / "jw1.fits")
    unlisted(database, files, fits(1), "jw1.fits", None)
    assert sync(database, EVERYTHING, server=files.address, dest=tmp_path).failed == 1
    with database.read() as connection:
        assert connection.execute("SELECT count(*) FROM products").fetchall() == [(1,)]


def test_a_right_file_behind_a_link_stays_behind_it(
    go: Callable[..., SyncReport], database: Database, files: Files, tmp_path: Path
) -> None:
    listed(database, files, fits(2))
    store = tmp_path / "store"
    store.mkdir()
    (store / ONE).write_bytes(fits(2))
    (tmp_path / "dest").mkdir()
    (tmp_path / "dest" / ONE).symlink_to(store / ONE)
    for _ in range(2):
        assert (go().present, files.stats["get"]) == (1, 0)
        assert (tmp_path / "dest" / ONE).is_symlink()


@pytest.mark.long
def test_links_planted_in_the_destination_are_not_written_through(
    database: Database, files: Files, tmp_path: Path
) -> None:
    listed(database, files, fits(2))
    outside, victim = tmp_path / "outside", tmp_path / "victim"
    outside.mkdir()
    victim.write_bytes(b"precious")
    for number, plant in enumerate(PLANTED):
        dest = tmp_path / f"dest{number}"
        dest.mkdir()
        template = plant(dest, outside, victim)
        files.faults["corrupt"] = 2 if "quarantine" in plant.__name__ else 0
        sync(database, EVERYTHING, server=files.address, dest=dest, template=template, pace=SharedPace(unit=0.001))
        assert list(outside.iterdir()) == [], plant.__name__
        assert victim.read_bytes() == b"precious", plant.__name__


def a_folder_of_the_template(dest: Path, outside: Path, victim: Path) -> str:
    (dest / "1366").symlink_to(outside)
    return "{program}/{obs_id}/{filename}"


def a_hard_link_as_unfinished_file(dest: Path, outside: Path, victim: Path) -> str:
    os.link(victim, part_path(dest / ONE))
    return "{filename}"


def a_hard_link_as_identity(dest: Path, outside: Path, victim: Path) -> str:
    os.link(victim, dest / f".{ONE}.part.json")
    return "{filename}"


def a_link_as_unfinished_file(dest: Path, outside: Path, victim: Path) -> str:
    part_path(dest / ONE).symlink_to(victim)
    return "{filename}"


def a_link_as_quarantine(dest: Path, outside: Path, victim: Path) -> str:
    (dest / ".mastlake-quarantine").symlink_to(outside)
    return "{filename}"


PLANTED = [
    a_folder_of_the_template,
    a_hard_link_as_unfinished_file,
    a_hard_link_as_identity,
    a_link_as_unfinished_file,
    a_link_as_quarantine,
]


@pytest.mark.parametrize("name", [f".{ONE}.part", f".{ONE}.part.json", ONE])
def test_a_named_pipe_in_the_destination_makes_nobody_wait(
    go: Callable[..., SyncReport], database: Database, files: Files, tmp_path: Path, name: str
) -> None:
    listed(database, files, fits(2))
    (tmp_path / "dest").mkdir()
    os.mkfifo(tmp_path / "dest" / name)
    if name.endswith(".json"):
        (tmp_path / "dest" / f".{ONE}.part").write_bytes(b"x")
    report = go()
    assert report.fetched + report.failed == 1


@pytest.fixture(scope="module")
def half_fetched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Database, Path]:
    """A catalog of one file, and a folder for it."""
    folder = tmp_path_factory.mktemp("half")
    database = catalog(folder / "c.duckdb")
    add_files(database, {URI + ONE: fits(1)})
    (folder / "d").mkdir()
    return database, folder / "d"


@pytest.mark.long
@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(note=st.one_of(st.binary(max_size=80), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9), lambda inner: st.fixed_dictionaries(
        {"uri": inner | st.just(URI + ONE), "checksum": inner, "length": inner, "etag": inner}), max_leaves=5,
).map(lambda value: json.dumps(value).encode())))  # fmt: skip
def test_no_note_beside_an_unfinished_file_stops_a_plan(half_fetched: tuple[Database, Path], note: bytes) -> None:
    database, dest = half_fetched
    part_path(dest / ONE).write_bytes(b"half")
    (dest / f".{ONE}.part.json").write_bytes(note)
    assert make_plan(database, EVERYTHING, dest=dest).selected == 1


# --- the report ----------------------------------------------------------------------------------------


def test_a_folder_that_is_moved_away_meanwhile_does_not_end_the_sync(
    database: Database, files: Files, tmp_path: Path
) -> None:
    for n in range(4):
        listed(database, files, fits(1, str(n)), f"jw{n:05d}_nis_x1d.fits")
    with database.write() as connection:
        connection.execute("UPDATE file_version SET program = right(split_part(filename, '_', 1), 1)")

    def move(event: Event) -> None:
        path = getattr(event, "path", "")
        if type(event).__name__ == "Finished" and Path(path).exists():
            Path(path).parent.rename(tmp_path / f"moved-{Path(path).parent.name}")

    report = sync(database, EVERYTHING, server=files.address, dest=tmp_path / "d", template="{program}/{filename}",
                  on_event=move, jobs=1)  # fmt: skip
    assert (report.fetched, report.failed) == (4, 0)


def test_a_catalog_that_stays_locked_costs_no_report_and_the_next_sync_notes_the_files(
    database: Database, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from catalog.errors import CatalogLocked

    listed(database, files, fits(1))

    def locked(self: Database) -> None:
        raise CatalogLocked("another process reads it")

    with monkeypatch.context() as patch:
        patch.setattr(Database, "write", locked)
        report = sync(database, EVERYTHING, server=files.address, dest=tmp_path / "d")
    assert (report.fetched, report.failed) == (1, 0)
    assert "1 fetched files are not noted" in report.notes[0]
    with database.read() as connection:
        assert connection.execute("SELECT count(*) FROM local_files").fetchall() == [(0,)]
    assert (sync(database, EVERYTHING, server=files.address, dest=tmp_path / "d").present, files.stats["get"]) == (1, 1)
    with database.read() as connection:
        assert connection.execute("SELECT count(*) FROM local_files").fetchall() == [(1,)]


@pytest.mark.long
def test_the_bytes_of_something_that_spoils_every_file_get_no_name_and_an_honest_server_mends_it(
    go: Callable[..., SyncReport], database: Database, files: Files, tmp_path: Path
) -> None:
    for n in range(6):
        listed(database, files, fits(1, str(n)), f"jw{n:05d}_nis_x1d.fits")
    honest = dict(files.content)
    files.content = {uri: body[:-1] + b"X" for uri, body in honest.items()}
    notes: list[Event] = []
    assert [go(on_event=notes.append).failed for _ in range(3)] == [6, 6, 6]
    assert all("--trust-length" in note.text for note in notes if isinstance(note, Note))
    assert list((tmp_path / "dest").glob("*.fits")) == []
    assert go(trust_length=True).fetched == 6
    files.content = honest
    assert (go().replaced, go().present) == (6, 6)
    assert {path.name: path.read_bytes() for path in (tmp_path / "dest").glob("*.fits")} == {
        uri.rsplit("/", 1)[1]: body for uri, body in honest.items()
    }


# --- the law -------------------------------------------------------------------------------------------

FRAMINGS = ["length", "chunked", "close", "chunked and length"]


@pytest.mark.long
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(
    body=st.binary(min_size=1, max_size=3000).map(lambda data: b"\x89PNG" + data),
    framings=st.lists(st.sampled_from(FRAMINGS), min_size=1, max_size=3),
    cuts=st.lists(st.sampled_from([1.0, 1.0, 0.5, 0.0, 0.99]), min_size=1, max_size=4),
    packing=st.sampled_from(["", "gzip", "identity", "deflate", "said only"]),
    kind=st.sampled_from(["image/png", "text/html", "application/octet-stream"]),
    ranges=st.booleans(),
    etag=st.booleans(),
    size=st.sampled_from(["right", "none", "wrong", "zero"]),
    checksum=st.booleans(),
    redirects=st.lists(st.sampled_from([0, 0, 301, 302, 303, 307, 308]), min_size=1, max_size=4),
)
def test_whatever_the_headers_and_wherever_answers_are_cut_a_final_name_has_the_files_bytes(
    body: bytes, framings: list[str], cuts: list[float], packing: str, kind: str, ranges: bool, etag: bool,
    size: str, checksum: bool, redirects: list[int],
) -> None:  # fmt: skip
    files = Files({URI + "jw1.png": body})
    answers = iter(range(10_000))

    def act(handler: BaseHTTPRequestHandler, uri: str, content: bytes) -> bool:
        turn = next(answers)
        if redirect := redirects[turn % len(redirects)]:
            where = handler.path if turn % 2 else files.address + handler.path
            handler.wfile.write(f"HTTP/1.1 {redirect} Yes\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode())
            return True
        framing, cut = framings[turn % len(framings)], cuts[turn % len(cuts)] if turn < 8 else 1.0
        start = int(handler.headers.get("Range", "bytes=0-")[6:-1]) if ranges and not packing else 0
        packers: dict[str, Any] = {"gzip": gzip.compress, "deflate": zlib.compress}
        sent = packers.get(packing, bytes)(content[start:])
        head = [f"HTTP/1.1 {206 if start else 200} Yes", f"Content-Type: {kind}", "Connection: close"]
        head += [f"Content-Encoding: {'gzip' if packing == 'said only' else packing}"] if packing else []
        head += ['ETag: "v1"'] if etag else []
        head += [f"Content-Range: bytes {start}-{len(content) - 1}/{len(content)}"] if start else []
        head += [f"Content-Length: {len(sent)}"] if "length" in framing else []
        head += ["Transfer-Encoding: chunked"] if "chunked" in framing else []
        if "chunked" in framing:
            sent = b"%x\r\n" % len(sent) + sent + b"\r\n0\r\n\r\n" if sent else b"0\r\n\r\n"
        elif framing == "close":
            cut = 1.0  # nothing could tell
        handler.wfile.write("\r\n".join([*head, "", ""]).encode() + sent[: int(len(sent) * cut)])
        handler.close_connection = True
        return True

    files.act = act
    listed_size = {"right": len(body), "none": None, "wrong": len(body) + 7, "zero": 0}[size]
    with tempfile.TemporaryDirectory() as folder, serving(files):
        database = catalog(Path(folder) / "c.duckdb")
        if checksum:
            add_files(database, files.content, fileSize=listed_size)
        else:
            add_products(database, files.content, size=listed_size)
        sync(database, EVERYTHING, server=files.address, dest=Path(folder) / "d", pace=SharedPace(unit=0.0001))
        final = Path(folder) / "d" / "jw1.png"
        assert not final.exists() or final.read_bytes() == body
