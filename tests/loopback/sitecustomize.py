"""No Python process of the tests reaches beyond this machine.

The tests import this module, and put its folder on ``PYTHONPATH``: Python imports a ``sitecustomize`` at its start, and
so every Python process that a test starts keeps the same rule. An address elsewhere is told as a network that is not
reachable, a name as one that no server knows, before anything is sent.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import sys
from typing import Any

_OURS = ("", "localhost", "ip6-localhost")
_NAMED = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
_SENT = ("socket.connect", "socket.sendto")


def is_numeric(host: str) -> bool:
    """Say whether a host is an address, for which no name server is asked."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine."""
    return host in _OURS or (is_numeric(host) and ipaddress.ip_address(host).is_loopback)


def refuse_elsewhere(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse what would leave this machine; an audit hook of Python."""
    if event in _NAMED:
        host = arguments[0].decode() if isinstance(arguments[0], bytes) else arguments[0] or ""
        if not (is_loopback(host) or is_numeric(host) or host == socket.gethostname()):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known (the tests ask no name server)")
    elif event in _SENT:
        address = arguments[1]
        if isinstance(address, tuple) and not is_loopback(address[0]):
            raise OSError(errno.ENETUNREACH, "Network is unreachable (the tests stay on this machine)")


sys.addaudithook(refuse_elsewhere)
