"""The PostgreSQL server that has the metadata of a lake: short questions, and the turns of those who write.

DuckDB reads and writes the metadata itself. This module asks beside it, over connections of its own, whether the lake
exists and which snapshot is the newest. Whoever writes keeps one more connection with an advisory lock, which the
server frees when the process, its machine or the connection dies. The server hands the lock on in the order in which it
was asked for.

libpq reads the service and the password from files and from the environment. No text of this module has a password.
"""

from __future__ import annotations

import os
import re
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zlib import crc32

from catalog.errors import CatalogError, CatalogUnwritable
from catalog.process.interrupts import held_back
from catalog.store.turns import LockWait, StillHeld
from catalog.text import harmless

if TYPE_CHECKING:
    from psycopg.pq.abc import PGconn

_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 20.0
_TOLD_SECONDS = 1.0
_OURS = 0x6D617374
"""The first number of mastlake's advisory locks."""
_NETWORK = {"keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3", "tcp_user_timeout": "30000"}
"""A connection that the network cut is given up after a minute."""
_OWNER = re.compile(r"mastlake (\d{1,10}) ([A-Za-z0-9_.-]{1,22}) (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)")
_SETTINGS = """
    SELECT set_config(name, value, false) FROM (VALUES ('statement_timeout', '0'), ('lock_timeout', '0'),
        ('idle_session_timeout', '0'), ('client_connection_check_interval', '2s'), ('tcp_keepalives_idle', '30'),
        ('tcp_keepalives_interval', '10'), ('tcp_keepalives_count', '3')) wanted (name, value)
    JOIN pg_settings USING (name)
"""
"""The server waits as long as the client does, and soon notices a client that died."""
_HOLDER = """
    SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'advisory' AND l.granted AND l.classid = $1 AND l.objid = $2 AND l.objsubid = 2
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

Row = tuple[str | None, ...]


class LakeServer:
    """The server of one lake.

    Parameters
    ----------
    name : str
        The name of the lake, for messages.
    keywords : mapping
        With which libpq reaches the database. No value needs quotes.
    """

    def __init__(self, name: str, keywords: Mapping[str, str]) -> None:
        self._name = name
        self._keywords = dict(keywords)
        self._lock = threading.RLock()
        self._asked: PGconn | None = None
        self._turn: PGconn | None = None

    @property
    def connection_string(self) -> str:
        """What DuckDB hands to libpq; it has no password."""
        seconds = os.environ.get("PGCONNECT_TIMEOUT") or f"{_CONNECT_SECONDS:g}"
        words = {"application_name": "mastlake", "connect_timeout": seconds, **_NETWORK, **self._keywords}
        return " ".join(f"{key}={value}" for key, value in words.items())

    def ask(self, statement: str, *values: str) -> list[Row]:
        """Return the rows of a short question, as texts.

        Raises
        ------
        CatalogError
            If the server cannot be reached, does not answer, or refuses.
        """
        with self._lock, self._told():
            for is_new in (self._asked is None, True):
                if self._asked is None:
                    self._asked = _connected(self.connection_string)
                try:
                    return _answer(self._asked, statement, values)
                except _Refused:
                    raise
                except BaseException as error:
                    self._asked = None
                    if is_new or not isinstance(error, _Lost):
                        raise
        raise AssertionError

    @contextmanager
    def turn(self, what: str, waiting: LockWait, is_of_writer: bool = True) -> Iterator[None]:
        """Wait for a lock and keep it until the end of the block.

        Parameters
        ----------
        what : str
            The name of the lock.
        waiting : LockWait
            How long to wait.
        is_of_writer : bool
            Whether `require_turn` asks for this lock.

        Raises
        ------
        StillHeld
            If the holder does not give it up in time; its text names the holder.
        CatalogError
            If the server cannot be reached.
        """
        key = str(_signed(crc32(what.encode())))
        connection: PGconn | None = None
        try:
            with self._told():
                connection = _connected(self.connection_string)
                _answer(connection, _SETTINGS)
                self._wait_for(connection, key, waiting)
                _answer(connection, "SELECT set_config('application_name', $1, false)", (_me(),))
            if is_of_writer:
                self._turn = connection
            yield
        finally:
            with held_back():
                if is_of_writer:
                    self._turn = None
                if connection is not None:
                    _left(connection)

    def require_turn(self) -> None:
        """Raise an error if the server freed our lock, as it does when it restarts: another process may write then.

        Raises
        ------
        CatalogUnwritable
            The error says that nothing was changed.
        """
        if self._turn is None:
            return
        try:
            _answer(self._turn, "SELECT 1")
        except (_Lost, _Refused) as error:
            raise CatalogUnwritable(
                f"lost the turn at {self._name} ({_line(error)}); nothing was changed, run again"
            ) from error

    def _wait_for(self, connection: PGconn, key: str, waiting: LockWait) -> None:
        ours = str(_OURS)
        tried = _answer(connection, "SELECT pg_try_advisory_lock($1, $2)", (ours, key))
        if tried == [("t",)]:
            return
        holder, looked_at = "another mastlake", -_TOLD_SECONDS

        def pause() -> bool:
            nonlocal holder, looked_at
            if time.monotonic() - looked_at > _TOLD_SECONDS:
                found = self.ask(_HOLDER, ours, str(int(key) % (1 << 32)))
                holder, looked_at = _told_of(found), time.monotonic()
            return waiting.pause(holder)

        try:
            _answer(connection, "SELECT pg_advisory_lock($1, $2)", (ours, key), pause)
        except _GivenUp:
            raise StillHeld(holder) from None

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say in one line why the server cannot be used."""
        import_psycopg()
        try:
            yield
        except _GivenUp:
            raise CatalogError(f"the PostgreSQL server of {self._name} does not answer; try again later") from None
        except _Lost as error:
            raise CatalogError(f"cannot reach the PostgreSQL server of {self._name}: {_line(error)}") from error
        except _Refused as error:
            raise CatalogError(f"the PostgreSQL server of {self._name} refuses: {_line(error)}") from error


def import_psycopg() -> None:
    """Import psycopg.

    Raises
    ------
    CatalogError
        If it, or libpq, is not installed.
    """
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise CatalogError(
            "a catalog with ducklake:postgres: needs the package psycopg; install it: pip install 'mastlake[lake]'"
        ) from None


class _Lost(Exception):
    """There is no connection, or no longer one."""


class _Refused(Exception):
    """The server answered with an error."""


class _GivenUp(Exception):
    """The answer takes too long."""


def _connected(connection_string: str) -> PGconn:
    """Open a connection. libpq would wait in C, where Ctrl-C is not heard."""
    from psycopg import OperationalError, pq

    seconds = os.environ.get("PGCONNECT_TIMEOUT", "")
    until = time.monotonic() + (float(seconds) if seconds.isdecimal() and int(seconds) > 1 else _CONNECT_SECONDS)
    try:
        connection = pq.PGconn.connect_start(connection_string.encode())
        while True:
            state = connection.connect_poll() if connection.status != pq.ConnStatus.BAD else pq.PollingStatus.FAILED
            if state == pq.PollingStatus.OK:
                connection.nonblocking = 1
                return connection
            if state == pq.PollingStatus.FAILED:
                raise _Lost(connection.get_error_message())
            if (left := until - time.monotonic()) <= 0:
                raise _GivenUp
            waits_to_read = [connection.socket] if state == pq.PollingStatus.READING else []
            waits_to_write = [] if waits_to_read else [connection.socket]
            select.select(waits_to_read, waits_to_write, [], min(left, 0.1))
    except OperationalError as error:
        raise _Lost(str(error)) from error


def _answer(
    connection: PGconn, statement: str, values: tuple[str, ...] = (), goes_on: Callable[[], bool] | None = None
) -> list[Row]:
    """Send a statement, and return the rows of its answer; several statements are possible if there are no values.

    Parameters
    ----------
    connection : PGconn
        The connection.
    statement : str
        The statement.
    values : tuple of str
        Its values.
    goes_on : callable, optional
        Waits a moment, and says whether to wait longer.
    """
    from psycopg import OperationalError, pq

    goes_on = goes_on or _until(connection, _ANSWER_SECONDS)

    bad = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE)
    try:
        if values:
            connection.send_query_params(statement.encode(), [value.encode() for value in values])
        else:
            connection.send_query(statement.encode())
        rows: list[Row] = []
        refused = None
        while True:
            connection.flush()
            connection.consume_input()
            if connection.is_busy():
                if not goes_on():
                    raise _GivenUp
                continue
            if (result := connection.get_result()) is None:
                break
            if result.status in bad and refused is None:
                refused = _Lost if connection.status == pq.ConnStatus.BAD else _Refused
                text = result.get_error_message()
            rows = [
                tuple(_text(result.get_value(row, column)) for column in range(result.nfields))
                for row in range(result.ntuples)
            ]
    except OperationalError as error:
        raise _Lost(str(error)) from error
    if refused is not None:
        raise refused(text)
    return rows


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")


def _until(connection: PGconn, seconds: float) -> Callable[[], bool]:
    """Return a function that waits until the server has sent something, and says whether there is time left."""
    end = time.monotonic() + seconds

    def goes_on() -> bool:
        select.select([connection.socket], [], [], 0.1)
        return time.monotonic() < end

    return goes_on


def _left(connection: PGconn) -> None:
    """Free the locks of a connection and close it; a wait for a lock ends."""
    from psycopg import pq

    with suppress(Exception):
        if connection.transaction_status == pq.TransactionStatus.ACTIVE:
            connection.get_cancel().cancel()
        else:
            _answer(connection, "SELECT pg_advisory_unlock_all()")
    with suppress(Exception):
        connection.finish()


def _signed(number: int) -> int:
    return number - (1 << 32) if number >= 1 << 31 else number


def _me() -> str:
    """Return the name of this process, which the server shows to others; it keeps 63 bytes of a name."""
    host = re.sub(r"[^A-Za-z0-9_.-]", "_", socket.gethostname())[:22]
    return f"mastlake {os.getpid()} {host} {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _told_of(found: list[Row]) -> str:
    """Say who has the lock. Another user of the server may have chosen the name, so only one form of it is shown."""
    who = "another mastlake, which writes"
    match = _OWNER.fullmatch((found[0][0] or "") if found else "")
    return f"{who} (PID {match[1]} on {match[2]}, since {match[3]})" if match else who


def _line(error: Exception) -> str:
    """Return the reason in one line; a server may have written it."""
    text = re.sub(r"\s+", " ", str(error)).strip()
    return harmless(re.sub(r"^(ERROR|FATAL): +", "", text))[:400]
