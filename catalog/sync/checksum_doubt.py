"""Files of which only the MD5 differs from the archive's checksum, and what a person decides about them.

The archive's checksums have 32 hex digits, so this package takes them for the MD5 of the file. If none of many agrees
although lengths and structures are right, either this is wrong, or something on the way changes every file in the same
way. No program can tell these apart: the bytes are put aside, and a person decides. With ``--trust-length`` such bytes
are accepted by length and structure, if the archive sends the same bytes twice. The next sync checks the MD5 again.
"""

from __future__ import annotations

import threading

import duckdb

from catalog.store.database import Database, columns_of
from catalog.sync.transfer import Mismatch
from catalog.sync.verification import ProvenFile

ENOUGH = 5
"""How many files must disagree, and none agree, before files are no longer fetched a second time."""


class ChecksumDoubt:
    """Collects what a sync learns about the archive's checksums.

    Parameters
    ----------
    database : Database
        The catalog, which tells of earlier agreement when it matters.
    trust_length : bool
        Whether a person said that length and structure are enough.
    """

    def __init__(self, database: Database, trust_length: bool = False) -> None:
        self.held: list[Mismatch] = []
        self.accepts = trust_length
        self._database = database
        self._agreed = False
        self._before: bool | None = None
        self._lock = threading.Lock()

    def learn(self, done: ProvenFile) -> None:
        """Note a file whose checksum agreed."""
        if done.item.checksum and done.md5 == done.item.checksum:
            self._agreed = True

    def hold(self, mismatch: Mismatch) -> None:
        """Keep a file whose bytes came twice the same, and of which only the MD5 is not as listed."""
        self.held.append(mismatch)

    def doubtful(self) -> bool:
        """Whether fetching a file again would prove nothing."""
        return not self.accepts and len(self.held) >= ENOUGH and self._never_agreed()

    def _never_agreed(self) -> bool:
        with self._lock:
            if self._before is None:
                self._before = agreed_before(self._database)
        return not (self._before or self._agreed)

    def text(self) -> str:
        """Return the message for the user; empty if there is no doubt."""
        if self.held and self.accepts:
            return (
                f"--trust-length: {len(self.held)} files are kept because of their length and structure; "
                "their MD5 is not the one that the archive lists"
            )
        if not self.doubtful():
            return ""
        return (
            f"none of {len(self.held)} checksums is the MD5 of its file, although length and structure are right: "
            "either something on the way changes the bytes, or the archive's checksums mean something else; "
            "if you are sure of the latter, --trust-length keeps such files"
        )


def agreed_before(database: Database) -> bool:
    """Whether any file on this disk ever had the MD5 that the archive listed for it."""
    with database.read() as connection:
        return _agreed(connection)


def _agreed(connection: duckdb.DuckDBPyConnection) -> bool:
    if "checksum" not in columns_of(connection, "file_version"):
        return False
    row = connection.execute(
        """SELECT 1 FROM local_file_version l JOIN file_version f USING (filename)
           WHERE l.checksum = lower(f.checksum) LIMIT 1"""
    ).fetchone()
    return row is not None
