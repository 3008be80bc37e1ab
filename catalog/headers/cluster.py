"""A Dask cluster as an executor, from the address of its scheduler."""

from __future__ import annotations

import logging
import re
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any, ParamSpec, TypeVar

from catalog.errors import ExecutorError, UsageError
from catalog.text import harmless, without_password

P = ParamSpec("P")
T = TypeVar("T")

_PACKAGE = "mastlake"
_ADDRESS = re.compile(r"dask://(?P<host>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):(?P<port>[0-9]{1,5})/?")
_CONNECT_SECONDS = 10
_WORKER_SECONDS = 30
_RETRIES = 3
_ADVICE = {
    "tcp": "if it uses TLS, set distributed.comm.require-encryption and distributed.comm.tls in Dask's configuration",
    "tls": "Dask's configuration asks for TLS; does the scheduler use it, and is distributed.comm.tls right?",
}
_CHATTY = ("distributed", "tornado", "asyncio", "concurrent.futures")


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
        raise UsageError(f"an executor is written dask://HOST:PORT, not {without_password(address)}")
    if find_spec("distributed") is None:
        raise ExecutorError("--executor dask://... needs distributed: pip install 'mastlake[dask]'")
    return f"{match['host']}:{match['port']}"


class _Cluster(Executor):
    """The executor of a client, which also tells when there is nobody left to work."""

    def __init__(self, client: Any, place: str) -> None:
        self._client = client
        self._place = place
        self._executor: Executor = client.get_executor(retries=_RETRIES, pure=False)
        self._worked_at = time.monotonic()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Hand a call to the scheduler."""
        return self._executor.submit(fn, *args, **kwargs)

    def fault(self) -> str | None:
        """Say why no answer will come; None if one may come."""
        if self._client.status == "closed":
            return f"the Dask scheduler at {self._place} is gone; index again to go on"
        if self._client.status == "running" and self._client.scheduler_info(n_workers=-1)["workers"]:
            self._worked_at = time.monotonic()
        if time.monotonic() - self._worked_at > _WORKER_SECONDS:
            return f"the Dask scheduler at {self._place} has no workers any more; index again to go on"
        return None


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
        If no scheduler answers there, it has no workers, or one of them has another mastlake.
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
            with suppress(TimeoutError):  # one that hangs does no harm: each result is checked again
                _within(_WORKER_SECONDS, lambda: _prove_versions(client, place))
            yield _Cluster(client, place)
        finally:
            with suppress(Exception):  # of a scheduler that is gone
                client.close(timeout=2)


def _prove_versions(client: Any, place: str) -> None:
    """Ask the scheduler and each worker for their mastlake: a worker without it would end at its first call.

    The scheduler unpacks what it passes on, so it needs mastlake as well.
    """
    try:
        answers = {f"the Dask scheduler at {place}": client.run_on_scheduler(version, _PACKAGE)}
    except PackageNotFoundError as error:
        answers = {f"the Dask scheduler at {place}": error}
    answers |= {f"the worker at {at}": each for at, each in client.run(version, _PACKAGE, on_error="return").items()}
    ours = version(_PACKAGE)
    for who, theirs in answers.items():
        if theirs != ours:
            has = f"mastlake {theirs}" if isinstance(theirs, str) else "no mastlake"
            raise ExecutorError(harmless(f"{who} has {has}, and this is {ours}; install this version there"))


def _reach(place: str) -> None:
    """Look whether anything listens there: Dask would try for ten seconds, and not say why it failed."""
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
    except OSError as error:
        raise ExecutorError(f"no Dask scheduler answers at {place}: {error.strerror or error}") from error


def _client(place: str) -> Any:
    """Connect."""
    import dask
    import distributed

    encrypted = dask.config.get("distributed.comm.require-encryption", None)
    scheme = "tls" if encrypted or dask.config.get("distributed.comm.default-scheme", "tcp") == "tls" else "tcp"
    connect: Any = distributed.Client  # which has no types
    try:
        return _within(
            2 * _CONNECT_SECONDS,
            lambda: connect(f"{scheme}://{place}", timeout=_CONNECT_SECONDS, set_as_default=False),
        )
    except Exception as error:  # of many kinds: sockets, certificates, another protocol
        reason = harmless(str(error).strip().partition("\n")[0][:200]) or "what listens there says nothing"
        raise ExecutorError(f"no Dask scheduler answers at {scheme}://{place}: {reason}; {_ADVICE[scheme]}") from error


def _within(seconds: float, call: Callable[[], T]) -> T:
    """Return what a call returns, or raise TimeoutError: Dask waits without end for what does not answer."""
    made: Future[T] = Future()

    def make() -> None:
        try:
            made.set_result(call())
        except Exception as error:
            made.set_exception(error)

    threading.Thread(target=make, daemon=True, name="dask-client").start()
    return made.result(seconds)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask from writing its own lines and warnings: what matters is raised."""
    import distributed  # noqa: F401 - it gives its loggers levels of their own

    names = [name for name in logging.root.manager.loggerDict if name.startswith(_CHATTY)]
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
