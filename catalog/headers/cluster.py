"""A Dask cluster as an executor, from the address of its scheduler."""

from __future__ import annotations

import logging
import re
import socket
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any

from catalog.errors import ExecutorError, UsageError
from catalog.text import harmless

_ADDRESS = re.compile(r"dask://(?P<host>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):(?P<port>[0-9]{1,5})/?")
_CONNECT_SECONDS = 10
_WORKER_SECONDS = 30
_RETRIES = 3
_CHATTY = ("distributed", "tornado", "asyncio")


def checked(address: str) -> str:
    """Return the host and port of a scheduler.

    Raises
    ------
    UsageError
        If the address has another form than ``dask://HOST:PORT``.
    MastlakeError
        If Dask is not installed.

    Examples
    --------
    >>> checked("dask://login.example.org:8786"), checked("dask://[::1]:8786")
    ('login.example.org:8786', '[::1]:8786')
    """
    match = _ADDRESS.fullmatch(address)
    if match is None or not 0 < int(match["port"]) < 1 << 16:
        raise UsageError(f"an executor is written dask://HOST:PORT, not {harmless(address)}")
    if find_spec("distributed") is None:
        raise ExecutorError("--executor dask://... needs distributed: pip install 'mastlake[dask]'")
    return f"{match['host']}:{match['port']}"


@contextmanager
def connected(address: str) -> Iterator[Executor]:
    """Connect to a scheduler, and disconnect at the end.

    Dask's own configuration says whether the connection uses TLS, and with which certificates.

    Parameters
    ----------
    address : str
        ``dask://HOST:PORT``.

    Raises
    ------
    ExecutorError
        If no scheduler answers there, or it has no workers.
    """
    place = checked(address)
    _reach(place)
    with _quiet():
        client = _client(place)
        try:
            try:
                client.wait_for_workers(1, timeout=_WORKER_SECONDS)
            except (TimeoutError, OSError) as error:
                raise ExecutorError(f"the scheduler at {place} has no workers; start some, and index again") from error
            yield client.get_executor(retries=_RETRIES, pure=False)
        finally:
            with suppress(Exception):  # of a scheduler that is gone
                client.close(timeout=2)


def _reach(place: str) -> None:
    """Look whether anything listens there: Dask would try for ten seconds, and not say why it failed."""
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
    except OSError as error:
        raise ExecutorError(f"no Dask scheduler answers at {place}: {error.strerror or error}") from error


def _client(place: str) -> Any:
    """Connect, in a thread of its own: Dask waits without end for something that listens and says nothing."""
    import dask
    import distributed

    encrypted = dask.config.get("distributed.comm.require-encryption", None)
    scheme = "tls" if encrypted or dask.config.get("distributed.comm.default-scheme", "tcp") == "tls" else "tcp"
    connect: Any = distributed.Client  # which has no types
    made: Future[Any] = Future()

    def make() -> None:
        try:
            made.set_result(connect(f"{scheme}://{place}", timeout=_CONNECT_SECONDS, set_as_default=False))
        except Exception as error:
            made.set_exception(error)

    threading.Thread(target=make, daemon=True, name="dask-client").start()
    try:
        return made.result(2 * _CONNECT_SECONDS)
    except Exception as error:  # of many kinds: sockets, certificates, another protocol
        reason = harmless(str(error).strip().partition("\n")[0][:200]) or "what listens there says nothing"
        raise ExecutorError(f"no Dask scheduler answers at {scheme}://{place}: {reason}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask from writing its own lines and warnings: what matters is raised."""
    levels = {name: logging.getLogger(name).level for name in _CHATTY}
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
