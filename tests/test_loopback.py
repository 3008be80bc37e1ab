"""The tests stay on this machine, and so do the Python processes that they start."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable

import pytest

ELSEWHERE = "import socket; socket.create_connection(('192.0.2.1', 9), timeout=1)"
NAMED = "import socket; socket.getaddrinfo('mast.stsci.edu', 443)"


def test_no_connection_leaves_this_machine() -> None:
    with pytest.raises(OSError, match="the tests stay on this machine"):
        socket.create_connection(("192.0.2.1", 9), timeout=1)


def test_no_datagram_leaves_this_machine() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        pytest.raises(OSError, match="the tests stay on this machine"),
    ):
        sender.sendto(b"anything", ("192.0.2.1", 9))


@pytest.mark.parametrize("ask", [lambda name: socket.getaddrinfo(name, 443), socket.gethostbyname])
@pytest.mark.parametrize("name", ["mast.stsci.edu", b"mast.stsci.edu"])
def test_no_name_server_is_asked(ask: Callable[[str | bytes], object], name: str | bytes) -> None:
    with pytest.raises(socket.gaierror, match="the tests ask no name server"):
        ask(name)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", None])
def test_this_machine_can_be_asked(host: str | None) -> None:
    assert socket.getaddrinfo(host, 80)


@pytest.mark.parametrize("program", [ELSEWHERE, NAMED], ids=["connection", "name"])
def test_processes_that_tests_start_keep_the_same_rule(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "(the tests" in done.stderr.splitlines()[-1]
