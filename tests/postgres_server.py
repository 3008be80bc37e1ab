"""A PostgreSQL server of the tests' own, on a free port of this machine, in a temporary folder that goes with it."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

PASSWORD = "wort-das-niemand-sieht"
NOWHERE = "there is no PostgreSQL here: apt-get install postgresql brings it"
_NUMBERS = itertools.count()


@cache
def binaries() -> Path | None:
    """Return the folder with ``initdb`` and ``postgres``; None if they are not installed."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return installed[-1].parent if installed else None


class PostgresServer:
    """A server with the user astro, who owns the database jwst.

    Parameters
    ----------
    folder : Path
        An empty folder that another user than root can enter.
    """

    def __init__(self, folder: Path) -> None:
        found = binaries()
        assert found is not None, NOWHERE
        self._bin = found
        self._folder = folder
        self._own = folder / "own"
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._own.mkdir()
        if os.geteuid() == 0:  # the server refuses to run as root
            shutil.chown(self._own, "nobody")
        (folder / "password").write_text(PASSWORD)
        made = [f"--pgdata={self._own / 'data'}", "--username=admin", f"--pwfile={folder / 'password'}"]
        self._run("initdb", *made, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync")
        services: dict[str, dict[str, object]] = {
            "mastlake": {"host": self._own, "user": "astro", "dbname": "jwst"},
            "admin": {"host": self._own, "user": "admin", "dbname": "jwst"},
            "tcp": {"host": "127.0.0.1", "user": "astro", "dbname": "jwst"},
        }
        lines = [
            "\n".join([f"[{name}]", *(f"{key}={value}" for key, value in {**words, "port": self.port}.items())])
            for name, words in services.items()
        ]
        (folder / "services.conf").write_text("\n".join(lines) + "\n")
        (folder / "passwords").touch(mode=0o600)
        (folder / "passwords").write_text(f"*:*:*:*:{PASSWORD}\n")
        self.start()
        self.run_as_admin(f"CREATE ROLE astro LOGIN PASSWORD '{PASSWORD}'", dbname="postgres")
        self.run_as_admin("CREATE DATABASE jwst OWNER astro", dbname="postgres")

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which libpq finds the server and the password."""
        return {"PGSERVICEFILE": str(self._folder / "services.conf"), "PGPASSFILE": str(self._folder / "passwords")}

    @property
    def processes(self) -> list[int]:
        """The process numbers of the server: the first process, and its children."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        return [self._process.pid, *map(int, children.split())]

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        options = [f"-k{self._own}", "-clisten_addresses=127.0.0.1", f"-p{self.port}", "-F", "-cmax_connections=60"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._own / "data", *options], stdout=log, stderr=log, **_as_nobody()
            )
        self._watch = subprocess.Popen(  # the end of its input is the end of this process, however it comes
            ["sh", "-c", "cat; kill -QUIT $0", str(self._process.pid)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(1000):
            with suppress(Exception):
                self.run_as_admin("SELECT 1", dbname="postgres")
                return
            time.sleep(0.03)
        raise AssertionError((self._folder / "log").read_text()[-2000:])

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """End the server at once; SIGKILL reaches its children too, as when the machine loses its power."""
        assert self._process is not None
        with suppress(ProcessLookupError, FileNotFoundError):
            for process in self.processes if how == signal.SIGKILL else [self._process.pid]:
                with suppress(ProcessLookupError):
                    os.kill(process, how)
        self._process.wait()
        if self._watch is not None:
            self._watch.communicate()

    def run_as_admin(self, statement: str, dbname: str = "jwst") -> list[tuple[Any, ...]]:
        """Run a statement as the user who may do everything."""
        import psycopg

        words = {"host": str(self._own), "port": self.port, "user": "admin", "password": PASSWORD, "dbname": dbname}
        with psycopg.connect(**words, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def new_schema(self) -> str:
        """Return a name that no schema has yet."""
        return f"lake_{os.getpid()}_{next(_NUMBERS)}"

    def copy(self, schema: str, to: str, data: Path) -> None:
        """Copy a lake's metadata into a new schema; its rows are in another folder."""
        self.run_as_admin(f"CREATE SCHEMA {to} AUTHORIZATION astro")
        for (table,) in self.run_as_admin(f"SELECT tablename FROM pg_tables WHERE schemaname = '{schema}'"):
            self.run_as_admin(
                f"SET ROLE astro; CREATE TABLE {to}.{table} (LIKE {schema}.{table} INCLUDING ALL); "
                f"INSERT INTO {to}.{table} SELECT * FROM {schema}.{table}"
            )
        self.run_as_admin(f"UPDATE {to}.ducklake_metadata SET value = '{data}/' WHERE key = 'data_path'")

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run([self._bin / program, *words], capture_output=True, check=False, **_as_nobody())
        assert done.returncode == 0, done.stderr.decode()


def _as_nobody() -> Mapping[str, Any]:
    return {"user": "nobody", "extra_groups": [], "cwd": "/"} if os.geteuid() == 0 else {"cwd": "/"}


def _scratch() -> str:
    """Return a folder that every user can enter, with a path short enough for the server's socket."""
    usual = Path(tempfile.gettempdir())
    is_open = all(folder.stat().st_mode & 0o1 for folder in (usual, *usual.parents))
    return str(usual) if (is_open or os.geteuid()) and len(str(usual)) < 60 else "/tmp"


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Start a server, and remove it at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="mastlake-pg-", dir=_scratch(), ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = PostgresServer(Path(folder))
        try:
            yield server
        finally:
            server.stop()
