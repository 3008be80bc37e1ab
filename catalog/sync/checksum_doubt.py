"""Files whose MD5 alone is not the one that the archive lists, and what a person says to that.

The archive's checksums have 32 hex digits, so they are taken for the MD5 of the file. If none of many agrees, though
lengths and structures are right, either that is wrong, or something on the way spoils every file alike. No program
can tell these apart: the bytes are put aside, and a person decides. With ``--trust-length`` such bytes are accepted by
length and structure, if the archive sends the very same twice. The next sync finds again that their MD5 is another.
"""

from __future__ import annotations

import threading

import duckdb

from catalog.store.database import Database, columns_of
from catalog.sync.transfer import Mismatch
from catalog.sync.verification import Done

ENOUGH = 5
"""So many files must disagree, and none agree, before fetching each of them again is given up."""


class Doubt:
    """What a sync learns about checksums.

    Parameters
    ----------
    database : Database
        Where an earlier agreement is looked up, once it matters.
    trust_length : bool
        Whether a person said that length and structure are to do.
    """

    def __init__(self, database: Database, trust_length: bool = False) -> None:
        self.held: list[Mismatch] = []
        self.accepts = trust_length
        self._database = database
        self._agreed = False
        self._before: bool | None = None
        self._lock = threading.Lock()

    def learn(self, done: Done) -> None:
        """Take note of a file whose checksum agreed."""
        if done.item.checksum and done.md5 == done.item.checksum:
            self._agreed = True

    def hold(self, mismatch: Mismatch) -> None:
        """Keep a file in mind whose bytes came twice the same, and are not as listed only in MD5."""
        self.held.append(mismatch)

    def doubtful(self) -> bool:
        """Whether fetching again would prove nothing."""
        return not self.accepts and len(self.held) >= ENOUGH and self._never_agreed()

    def _never_agreed(self) -> bool:
        with self._lock:
            if self._before is None:
                self._before = agreed_before(self._database)
        return not (self._before or self._agreed)

    def text(self) -> str:
        """Say it, for the user; nothing where there is no doubt."""
        if self.held and self.accepts:
            return (
                f"--trust-length: {len(self.held)} files are kept by length and structure alone; "
                "their MD5 is not the one that the archive lists"
            )
        if not self.doubtful():
            return ""
        return (
            f"none of {len(self.held)} checksums is the MD5 of its file, though length and structure are right: either "
            "something on the way spoils what is sent, or the archive means something else by its checksums; "
            "if you are sure of that, --trust-length keeps such files"
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
