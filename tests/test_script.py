"""The bash script of a selection: clean to shellcheck, and the same bytes as a sync."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from catalog.errors import UsageError
from catalog.store.database import Database
from catalog.sync import Selection, Token, sync
from catalog.sync.script import script
from tests.files_server import TOKEN, Files, fits, md5, serving
from tests.sync_catalog import URI, add_files, add_products, catalog, change_file

EVERYTHING = Selection()
TOOLS = "awk basename bash cat cp curl cut dirname find grep gzip head mkdir mktemp mv rm sed sleep tr wc"


@pytest.fixture
def files() -> Iterator[Files]:
    """A server of six files, one of them exclusive, one with a name that a shell would mangle."""
    names = [*(f"jw{n:05d}_nis_x1d.fits" for n in range(4)), "jw+a=b@c,d~e_x1d.fits", "jw9_asn.json"]
    served = Files({f"{URI}{name}": fits(n + 2, name) for n, name in enumerate(names)})
    served.content[f"{URI}jw9_asn.json"] = b'{"products": []}'
    served.exclusive.add(f"{URI}{names[0]}")
    with serving(served):
        yield served


@pytest.fixture
def database(tmp_path: Path, files: Files) -> Database:
    """A catalog of them; the last two are products without a checksum."""
    made = catalog(tmp_path / "c.duckdb")
    uris = list(files.content)
    add_files(made, {uris[0]: files.content[uris[0]]}, isRestricted=True)
    add_files(made, {uri: files.content[uri] for uri in uris[1:4]})
    add_products(made, {uri: files.content[uri] for uri in uris[4:]})
    return made


@pytest.fixture
def run(tmp_path: Path, files: Files, database: Database) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Write the script and run it, with or without a token."""

    def go(token: str | None = None, dest: str = "dest", **more: object) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "fetch.sh"
        path.write_text(script(database, EVERYTHING, server=files.address, **more))  # type: ignore[arg-type]
        environment = {"PATH": "/usr/bin:/bin:/usr/local/bin", "JOBS": "3"} | (
            {"MAST_API_TOKEN": token} if token else {}
        )
        return subprocess.run(
            ["bash", str(path), str(tmp_path / dest)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return go


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder with the tools that the script uses, as far as every machine has them."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in TOOLS.split():
        (folder / name).symlink_to(str(shutil.which(name)))
    return folder


def there(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.long
@pytest.mark.parametrize("template", ["{filename}", "{program}/{obs_id}/{filename}"])
def test_a_script_is_clean_to_shellcheck(tmp_path: Path, database: Database, template: str) -> None:
    path = tmp_path / "fetch.sh"
    path.write_text(script(database, EVERYTHING, template=template))
    checker = Path(sys.executable).with_name("shellcheck")
    found = subprocess.run([str(checker), "--severity=style", str(path)], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.long
@pytest.mark.parametrize("template", ["{filename}", "{program}/{obs_id}/{filename}"])
def test_a_script_yields_the_same_bytes_as_a_sync(
    run: Callable[..., subprocess.CompletedProcess[str]],
    files: Files,
    database: Database,
    tmp_path: Path,
    template: str,
) -> None:
    done = run(TOKEN, template=template)
    assert (done.returncode, done.stdout) == (0, "")
    *lines, summary = done.stderr.splitlines()
    assert sorted(line.partition(" ")[2].partition(" (")[0] for line in lines) == sorted(
        f"fetched {path}" for path in there(tmp_path / "dest")
    )
    assert summary.startswith(f"6 products in {tmp_path / 'dest'}: 0 present, 6 fetched (")
    sync(database, EVERYTHING, server=files.address, dest=tmp_path / "synced", template=template, token=Token(TOKEN))
    assert there(tmp_path / "dest") == there(tmp_path / "synced")
    assert len(there(tmp_path / "dest")) == 6
    asked = files.stats["get"]
    assert run(TOKEN, template=template).returncode == 0
    assert files.stats["get"] == asked


@pytest.mark.long
def test_a_script_asks_for_a_token_only_where_needed_and_holds_none(
    run: Callable[..., subprocess.CompletedProcess[str]], files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAST_API_TOKEN", TOKEN)
    done = run()
    assert done.returncode == 1
    assert "jw00000_nis_x1d.fits: exclusive to program 1366; set MAST_API_TOKEN\n" in done.stderr
    assert len(there(tmp_path / "dest")) == 5
    assert not any("Authorization" in ask for ask in files.asked)
    assert TOKEN not in (tmp_path / "fetch.sh").read_text()
    assert run(TOKEN).returncode == 0
    assert [ask["uri"] for ask in files.asked if "Authorization" in ask] == [f"{URI}jw00000_nis_x1d.fits"]


@pytest.mark.long
@pytest.mark.parametrize("fault", ["503", "html", "empty", "cut", "corrupt"])
def test_a_script_overcomes_faults(
    run: Callable[..., subprocess.CompletedProcess[str]], files: Files, database: Database, tmp_path: Path, fault: str
) -> None:
    with database.write() as connection:
        connection.execute("DELETE FROM product_version")  # without a checksum, one wrong byte is nobody's to see
    files.faults[fault] = 1
    assert run(TOKEN).returncode == 0
    listed = list(files.content.items())[:4]
    assert there(tmp_path / "dest") == {uri.rsplit("/", 1)[1]: body for uri, body in listed}


@pytest.mark.long
def test_a_script_continues_what_was_cut_and_drops_what_is_of_another_version(
    run: Callable[..., subprocess.CompletedProcess[str]], files: Files, database: Database, tmp_path: Path
) -> None:
    uri = f"{URI}jw00003_nis_x1d.fits"
    files.content = {uri: files.content[uri]}
    with database.write() as connection:
        connection.execute("DELETE FROM file_version WHERE dataURI <> ?", [uri])
        connection.execute("DELETE FROM product_version")
    files.faults["cut"] = 2
    assert run().returncode == 0
    spans = [ask["Range"] for ask in files.asked if "Range" in ask]
    assert spans
    assert files.stats["bytes"] < 2 * len(files.content[uri])
    body = fits(len(files.content[uri]) // 2880 - 1, "second")
    files.content[uri] = body
    change_file(database, "jw00003_nis_x1d.fits", body)
    assert run().returncode == 0
    assert there(tmp_path / "dest") == {"jw00003_nis_x1d.fits": body}


@pytest.mark.long
def test_a_script_never_puts_wrong_bytes_under_a_final_name(
    run: Callable[..., subprocess.CompletedProcess[str]], files: Files, tmp_path: Path
) -> None:
    files.exclusive.clear()
    uri = f"{URI}jw00002_nis_x1d.fits"
    files.content[uri] = fits(len(files.content[uri]) // 2880 - 1, "nobody knows")
    done = run(TOKEN)
    assert done.returncode == 1
    assert "jw00002_nis_x1d.fits: its MD5 is not" in done.stderr
    assert md5(files.content[uri]) not in [
        md5(body) for name, body in there(tmp_path / "dest").items() if name[0] != "."
    ]


@pytest.mark.long
@pytest.mark.parametrize("has", ["md5sum", "md5", "openssl"])
def test_a_script_proves_checksums_by_what_the_machine_has(
    database: Database, files: Files, tools: Path, tmp_path: Path, has: str
) -> None:
    if has == "md5":  # that of macOS and the BSDs
        (tools / has).write_text(f"#!{shutil.which('bash')}\n{shutil.which('md5sum')} <\"$2\" | cut -d ' ' -f 1\n")
        (tools / has).chmod(0o755)
    else:
        (tools / has).symlink_to(shutil.which(has) or pytest.skip(f"there is no {has} here"))
    (tmp_path / "fetch.sh").write_text(script(database, EVERYTHING, server=files.address))
    command = ["bash", str(tmp_path / "fetch.sh"), str(tmp_path / "dest")]
    environment = {"PATH": str(tools), "JOBS": "8", "MAST_API_TOKEN": TOKEN}
    for told in ("0 present, 6 fetched", "6 present, 0 fetched"):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, told in done.stderr) == (0, True), done.stderr


def test_a_script_that_can_prove_no_checksum_says_so_before_it_asks(
    database: Database, files: Files, tools: Path, tmp_path: Path
) -> None:
    (tmp_path / "fetch.sh").write_text(script(database, EVERYTHING, server=files.address))
    command = ["bash", str(tmp_path / "fetch.sh"), str(tmp_path / "dest")]
    done = subprocess.run(command, env={"PATH": str(tools)}, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (2, "this script needs md5sum, md5 or openssl\n")
    assert not files.asked


@pytest.mark.parametrize("shell", [["sh"], ["bash", "--posix"]])
def test_a_script_runs_under_the_name_of_another_shell(files: Files, tmp_path: Path, shell: list[str]) -> None:
    uri = f"{URI}jw1_nis_x1d.fits"
    files.content[uri] = fits(1000)  # larger than the bytes beyond a listed length that are borne
    made = catalog(tmp_path / "one.duckdb")
    add_files(made, {uri: files.content[uri]})
    (tmp_path / "fetch.sh").write_text(script(made, EVERYTHING, server=files.address))
    done = subprocess.run(
        [*shell, str(tmp_path / "fetch.sh"), str(tmp_path / "dest")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, "1 fetched" in done.stderr) == (0, True), done.stderr
    assert (tmp_path / "dest" / "jw1_nis_x1d.fits").read_bytes() == files.content[uri]


def test_a_server_that_is_no_web_address_is_refused(database: Database) -> None:
    with pytest.raises(UsageError):
        script(database, EVERYTHING, server="file:///etc")


# --- faults of servers, of destinations, of tokens -----------------------------------------------------


@pytest.fixture
def one(files: Files, database: Database) -> str:
    """Leave one product without a checksum: a picture, in which nothing shows whether it is whole."""
    uri = f"{URI}jw7.jpg"
    files.content = {uri: b"\xff\xd8\xff" + bytes(range(256)) * 300}
    files.exclusive.clear()
    with database.write() as connection:
        for table in ("file_version", "product_version", "observation_product_link"):
            connection.execute(f"DELETE FROM {table}")
    add_products(database, files.content)
    return uri


def sending(*answers: bytes) -> Callable[[BaseHTTPRequestHandler, str, bytes], bool]:
    """Send these answers, head and body, one after another, and then what is right."""
    left = iter(answers)

    def act(handler: BaseHTTPRequestHandler, uri: str, body: bytes) -> bool:
        answer = next(left, None)
        if answer is None:
            return False
        handler.wfile.write(answer)
        handler.wfile.flush()
        handler.close_connection = True
        return True

    return act


def head(status: str, length: int, *more: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {length}", "Connection: close", *more, "", ""]).encode()


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.long
def test_a_script_never_joins_bytes_of_two_answers(run: Run, files: Files, one: str, tmp_path: Path) -> None:
    body = files.content[one]
    other = bytes(reversed(body))
    files.act = sending(
        head("200 OK", len(body), 'ETag: "v1"') + other[: len(body) // 3],
        head("200 OK", len(body), 'ETag: "v2"') + body[: len(body) // 2],
        head("206 Partial", 10, 'ETag: "v3"', f"Content-Range: bytes {len(body) // 2}-{len(body) - 1}/{len(body)}")
        + other[-10:],
        head("206 Partial", len(body) - 5, f"Content-Range: bytes 5-{len(body) - 1}/{len(body)}") + other[5:],
    )
    done = run()
    assert (done.returncode, there(tmp_path / "dest")) == (0, {"jw7.jpg": body})


@pytest.mark.long
def test_a_script_gets_past_a_range_that_cannot_be_satisfied(run: Run, files: Files, one: str, tmp_path: Path) -> None:
    body = files.content[one]
    files.act = sending(
        head("200 OK", len(body), 'ETag: "v1"') + body[:1000],
        head("416 Range Not Satisfiable", 0, f"Content-Range: bytes */{len(body)}"),
    )
    done = run()
    assert (done.returncode, there(tmp_path / "dest")) == (0, {"jw7.jpg": body})
    assert "Range" not in files.asked[-1]


def test_a_script_unpacks_what_was_packed_for_the_way(run: Run, files: Files, one: str, tmp_path: Path) -> None:
    body = files.content[one]
    packed = gzip.compress(body)
    files.act = sending(head("200 OK", len(packed), "Content-Encoding: gzip") + packed)
    assert run().returncode == 0
    assert there(tmp_path / "dest") == {"jw7.jpg": body}
    assert files.stats["get"] == 1


@pytest.mark.long
@pytest.mark.parametrize("size", [0, 11])
def test_a_script_takes_a_listed_length_without_a_checksum_for_advice(
    run: Run, files: Files, database: Database, one: str, tmp_path: Path, size: int
) -> None:
    with database.write() as connection:
        connection.execute("UPDATE product_version SET size = ?", [size])
    done = run()
    assert (done.returncode, there(tmp_path / "dest")) == (0, {"jw7.jpg": files.content[one]})
    assert "lists no checksum" in done.stderr
    assert files.asked[-1]["Cache-Control"] == "no-cache"


@pytest.mark.long
def test_a_script_quotes_a_token_and_refuses_one_with_a_line_break(
    run: Run, files: Files, database: Database, tmp_path: Path
) -> None:
    sharp = 'a"\\b#$(touch x)`'.replace(" ", "_")
    run(sharp)
    sent = [ask["Authorization"] for ask in files.asked if "Authorization" in ask]
    assert set(sent) == {f"token {sharp}"}
    done = run('good"\noutput = "' + str(tmp_path / "owned"))
    assert (done.returncode, (tmp_path / "owned").exists()) == (2, False)
    assert "MAST_API_TOKEN" in done.stderr


@pytest.mark.parametrize("plant", ["link", "hard link", "pipe"])
def test_a_script_neither_writes_through_nor_waits_for_what_has_its_own_names(
    run: Run, files: Files, one: str, tmp_path: Path, plant: str
) -> None:
    dest, victim = tmp_path / "dest", tmp_path / "victim"
    dest.mkdir()
    victim.write_bytes(b"precious")
    for name in ("", ".head", ".now", ".new", ".said", ".plain", ".version"):
        planted = dest / f".jw7.jpg.curl{name}"
        {"link": planted.symlink_to, "hard link": planted.hardlink_to}.get(plant, lambda _, at=planted: os.mkfifo(at))(
            victim
        )
    packed = gzip.compress(files.content[one])
    files.act = sending(head("200 OK", len(packed), "Content-Encoding: gzip") + packed)
    assert run().returncode == 0
    assert victim.read_bytes() == b"precious"
    assert there(dest) == {"jw7.jpg": files.content[one]}


@pytest.mark.parametrize("packed", [False, True])
def test_a_script_is_not_sent_more_than_a_file_may_have(
    run: Run, files: Files, database: Database, tmp_path: Path, packed: bool
) -> None:
    uri = next(iter(files.content))
    with database.write() as connection:
        for table in ("file_version", "product_version", "observation_product_link"):
            connection.execute(f"DELETE FROM {table}")
    add_files(database, {uri: b"x"})
    files.exclusive.clear()
    body = bytes(8 << 20)
    sent = b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(body) if packed else b"\r\n" + body
    files.act = sending(b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + sent)
    done = run()
    assert done.returncode == 1
    assert "more bytes come than may" in done.stderr
    assert sum(map(len, there(tmp_path / "dest").values())) < 2 << 20
    assert files.stats["get"] == 1


@pytest.mark.parametrize("plant", ["folder", "unfinished", "hard link", "pipe"])
def test_a_script_writes_through_no_link(run: Run, files: Files, one: str, tmp_path: Path, plant: str) -> None:
    outside, dest = tmp_path / "outside", tmp_path / "dest"
    outside.mkdir()
    dest.mkdir()
    victim = outside / "victim"
    victim.write_bytes(b"precious")
    template = "{filename}"
    if plant == "folder":
        (dest / "1366").symlink_to(outside)
        template = "{program}/{filename}"
    elif plant == "unfinished":
        (dest / ".jw7.jpg.curl").symlink_to(victim)
    elif plant == "hard link":
        (dest / ".jw7.jpg.curl").hardlink_to(victim)
    else:
        os.mkfifo(dest / ".jw7.jpg.curl")
    done = run(template=template)
    assert done.returncode == (1 if plant == "folder" else 0)
    assert [path.name for path in outside.iterdir()] == ["victim"]
    assert victim.read_bytes() == b"precious"


@pytest.mark.long
def test_a_script_says_what_it_does_and_does_nothing_twice(run: Run, files: Files, tmp_path: Path) -> None:
    first = run(TOKEN)
    assert len(first.stderr.splitlines()) == 7
    again = run(TOKEN)
    assert again.stderr == f"6 products in {tmp_path / 'dest'}: 6 present, 0 fetched (0 B), 0 failed\n"


@pytest.mark.long
def test_a_script_goes_on_where_a_kill_left_it(run: Run, files: Files, one: str, tmp_path: Path) -> None:
    body = files.content[one]
    assert run().returncode == 0
    (tmp_path / "dest" / "jw7.jpg").unlink()
    part = tmp_path / "dest" / ".jw7.jpg.curl"
    url = re.search(r"get jw7\.jpg \d+ - public '?([^'\n]*)'?", (tmp_path / "fetch.sh").read_text())
    assert url
    part.with_name(part.name + ".version").write_text(f"{url[1]} {len(body)} -\n")
    part.with_name(part.name + ".now").write_text(f'HTTP/1.1 200 OK\r\nETag: "{md5(body)[:12]}"\r\n\r\n')
    part.with_name(part.name + ".new").write_bytes(body[:50_000])
    assert run().returncode == 0
    assert files.asked[-1]["Range"] == "bytes=50000-"
    assert there(tmp_path / "dest") == {"jw7.jpg": body}


@pytest.mark.long
def test_a_script_that_is_interrupted_ends_its_transfers_and_can_go_on(
    files: Files, database: Database, run: Run, tmp_path: Path
) -> None:
    started = threading.Event()

    def slow(handler: BaseHTTPRequestHandler, uri: str, body: bytes) -> bool:
        handler.wfile.write(head("200 OK", len(body), 'ETag: "v1"') + body[:4000])
        handler.wfile.flush()
        started.set()
        handler.rfile.read(1)  # until the client lets go
        handler.close_connection = True
        return True

    files.act = slow
    path = tmp_path / "slow.sh"
    path.write_text(script(database, EVERYTHING, server=files.address))
    running = subprocess.Popen(
        ["bash", str(path), str(tmp_path / "dest")], env={"PATH": "/usr/bin:/bin"}, stderr=subprocess.PIPE, text=True
    )
    assert started.wait(60)
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=60)
    assert running.returncode == 130
    assert told.splitlines()[-1] == "interrupted; run it again to go on"
    files.act = None
    assert run(TOKEN).returncode == 0
