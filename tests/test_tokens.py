"""A token goes to the server that the user chose, and to no other; and it is kept where its owner alone can read it."""

from __future__ import annotations

import http.server
import io
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import keyring
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyring.backend import KeyringBackend
from keyring.backends import fail, null

from catalog.defaults import SERVER
from catalog.errors import DiskError, UsageError
from catalog.simulator import Simulator
from catalog.sync import tokens
from catalog.sync.tokens import cleaned, find_token, keep_in_file, keep_token, origin, token_file

from .conftest import Command

SECRET = "0123456789abcdef0123456789abcdef"
OTHER = "http://127.0.0.1:9"


class Memory(KeyringBackend):
    """A keyring that keeps what it is given, for one test."""

    priority = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password


@pytest.fixture(autouse=True)
def ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Memory]:
    """A keyring and a configuration folder of the test's own."""
    before, ring = keyring.get_keyring(), Memory()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("MAST_API_TOKEN", raising=False)
    keyring.set_keyring(ring)
    yield ring
    keyring.set_keyring(before)


def sent(token: tokens.Token | None) -> str | None:
    """What the server would see."""
    return None if token is None else token.header.removeprefix("token ")


class Host(http.server.ThreadingHTTPServer):
    """A server on loopback that writes down every header, and answers as it is told."""

    daemon_threads = True

    def __init__(self, answer: Callable[[http.server.BaseHTTPRequestHandler], None]) -> None:
        host = self
        self.seen: list[str] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.seen.append(str(self.headers))
                answer(self)

            def log_message(self, *words: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


Serve = Callable[[Callable[[http.server.BaseHTTPRequestHandler], None]], Host]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start such servers, and stop them after the test."""
    started: list[Host] = []

    def start(answer: Callable[[http.server.BaseHTTPRequestHandler], None]) -> Host:
        started.append(Host(answer))
        return started[-1]

    yield start
    for host in started:
        host.shutdown()
        host.server_close()


def body(text: bytes) -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    """An answer of these bytes."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    return answer


class TestWhichServerGetsWhichToken:
    """The rule, without a network."""

    def test_the_variable_is_for_servers_that_the_user_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MAST_API_TOKEN", SECRET)
        assert sent(find_token()) == SECRET
        assert sent(find_token(OTHER)) == SECRET
        assert find_token(OTHER, is_named_by_user=False) is None
        assert sent(find_token("https://mast.stsci.edu:443/", is_named_by_user=False)) == SECRET

    def test_a_token_of_mast_does_not_go_to_it_unencrypted_or_to_a_host_that_looks_like_it(self) -> None:
        assert keep_token(SECRET)
        for odd in (
            "http://mast.stsci.edu",
            "https://mast.stsci.edu.evil.example",
            "https://mast.stsci.edu@evil.example",
        ):
            assert find_token(odd, is_named_by_user=False) is None

    def test_a_token_that_was_kept_for_a_server_goes_there_whoever_names_it(self) -> None:
        assert keep_token(SECRET, OTHER)
        assert sent(find_token(OTHER, is_named_by_user=False)) == SECRET
        assert find_token("http://127.0.0.1:10", is_named_by_user=False) is None
        assert find_token() is None

    def test_the_file_is_used_where_it_is_its_owners_alone(self) -> None:
        path = keep_in_file(SECRET)
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o077 == 0
        assert sent(find_token()) == SECRET
        path.chmod(0o644)
        with pytest.raises(DiskError, match="chmod 600"):
            find_token()

    @pytest.mark.long
    def test_a_token_in_the_keyring_takes_the_place_of_the_file(self) -> None:
        keep_in_file("older")
        assert keep_token(SECRET)
        assert not token_file(SERVER).exists()
        assert sent(find_token()) == SECRET

    @pytest.mark.parametrize("backend", [null.Keyring, fail.Keyring])
    def test_a_keyring_that_keeps_nothing_is_told_as_such(self, backend: type[KeyringBackend]) -> None:
        keyring.set_keyring(backend())
        assert keep_token(SECRET) is False
        assert find_token() is None

    @given(st.text(max_size=40))
    def test_a_token_can_stand_in_a_header_a_cookie_and_a_shell_or_is_refused_unseen(self, text: str) -> None:
        try:
            found = cleaned(text, "a pipe")
        except UsageError as error:
            told = str(error)
            assert len(text.strip()) < 8 or text.strip() not in told
        else:
            assert found.isascii()
            assert not set(found) & set(" ;,\"'\\$`\r\n\t")

    @pytest.mark.parametrize("given", [f"token {SECRET}", f"Bearer  {SECRET}\n", f"  {SECRET} "])
    def test_the_scheme_that_a_token_was_copied_with_is_not_sent_twice(self, given: str) -> None:
        assert cleaned(given, "a pipe") == SECRET

    def test_servers_are_compared_by_scheme_host_and_port(self) -> None:
        assert origin("https://MAST.stsci.edu:443/api") == SERVER
        assert origin("http://[::1]:80") == "http://[::1]"


class TestLogin:
    """The command."""

    @pytest.fixture
    def piped(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
        """Put a token into the pipe that the command reads."""

        def pipe(token: str) -> None:
            monkeypatch.setattr(sys, "stdin", io.StringIO(f"{token}\n"))

        return pipe

    @pytest.mark.parametrize("name", ["127.0.0.2", "localhost", "127.0.0.1"])
    def test_no_redirect_is_followed(
        self, mastlake: Command, serve: Serve, piped: Callable[[str], None], name: str
    ) -> None:
        thief = serve(body(b"{}"))

        def elsewhere(handler: http.server.BaseHTTPRequestHandler) -> None:
            handler.send_response(302)
            handler.send_header("Location", f"http://{name}:{thief.server_port}/whoami")
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        asked = serve(elsewhere)
        piped(SECRET)
        outcome = mastlake("--server", asked.url, "login")
        assert outcome.code == 1
        assert "the token was not sent there" in outcome.err
        assert any(SECRET in headers for headers in asked.seen)
        assert thief.seen == []

    @pytest.mark.parametrize(
        "answer",
        [
            b"", b"null", b"[]", b"3", b"{}", b"<html>", b'{"anon": null}', b'{"anon": "f"}', b"\xff", b"[" * 100_000,
            b'{"anon": true}', b" " * (3 << 20),
        ],
    )  # fmt: skip
    def test_an_answer_that_does_not_say_yes_is_one_line(
        self, mastlake: Command, serve: Serve, piped: Callable[[str], None], answer: bytes, ring: Memory
    ) -> None:
        piped(SECRET)
        outcome = mastlake("--server", serve(body(answer)).url, "login")
        assert (outcome.code, outcome.err.count("\n")) == (1, 1)
        assert not ring.kept

    @pytest.mark.parametrize("more", [b"", b', "attrib": null', b', "attrib": {"display_name": 7}', b', "attrib": "x"'])
    def test_a_bearer_without_a_name_is_accepted(
        self, mastlake: Command, serve: Serve, piped: Callable[[str], None], more: bytes
    ) -> None:
        piped(SECRET)
        host = serve(body(b'{"anon": false' + more + b"}"))
        assert mastlake("--server", host.url, "login", "--json").json == {"name": "an unnamed bearer", "kept": True}

    def test_a_bearers_name_cannot_steer_the_terminal(
        self, mastlake: Command, serve: Serve, piped: Callable[[str], None]
    ) -> None:
        piped(SECRET)
        host = serve(body(b'{"anon": false, "attrib": {"display_name": "a\\u001b[2Jb\\nc"}}'))
        outcome = mastlake("--server", host.url, "login", "--no-store")
        assert outcome.err == "MAST accepts the token of a?[2Jb?c\n"

    def test_a_netrc_is_not_sent(
        self, mastlake: Command, serve: Serve, piped: Callable[[str], None], tmp_path: Path
    ) -> None:
        (tmp_path / ".netrc").write_text("default login bob password S3CRET\n")
        (tmp_path / ".netrc").chmod(0o600)
        piped(SECRET)
        host = serve(body(b'{"anon": false}'))
        assert mastlake("--server", host.url, "login", "--no-store").code == 0
        assert not any("Authorization" in headers for headers in host.seen)

    def test_a_token_that_cannot_be_sent_is_not_shown(
        self, mastlake: Command, sky: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MAST_API_TOKEN", "SECRET\nTOKEN")
        outcome = mastlake("--server", sky.url, "login")
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)
        assert "SECRET" not in outcome.err
        assert "TOKEN from" not in outcome.err.replace("MAST_API_TOKEN", "")

    def test_without_a_keyring_the_token_goes_to_a_file_when_asked_for(
        self, mastlake: Command, sky: Simulator, piped: Callable[[str], None]
    ) -> None:
        keyring.set_keyring(fail.Keyring())
        piped(sky.token)
        outcome = mastlake("--server", sky.url, "login")
        assert outcome.code == 1
        assert "mastlake login --file" in outcome.err
        assert find_token(sky.url) is None
        piped(sky.token)
        outcome = mastlake("--server", sky.url, "login", "--file")
        assert outcome.code == 0
        assert str(token_file(sky.url)) in outcome.err
        assert sent(find_token(sky.url, is_named_by_user=False)) == sky.token
        assert find_token() is None

    def test_a_server_that_only_a_folder_names_is_not_logged_into(
        self, mastlake: Command, serve: Serve, piped: Callable[[str], None], tmp_path: Path
    ) -> None:
        host = serve(body(b'{"anon": false}'))
        (tmp_path / "mastlake.toml").write_text(f'server = "{host.url}"\n')
        piped(SECRET)
        outcome = mastlake("login")
        assert outcome.code == 2
        assert f"mastlake --server {host.url} login" in outcome.err
        assert host.seen == []
        piped(SECRET)
        assert mastlake("--server", host.url, "login").code == 0
