"""Are the archive's checksums MD5 at all? It is assumed, since they have 32 hex digits.

Where no checksum of any file ever agreed, though length and structure are right and a later sync receives the
same bytes again, it is the assumption that is wrong, not every file. One sync alone proves nothing: something on
the way may spoil all that passes for a night. So its bytes are only put aside, and the next one decides.
"""

from __future__ import annotations

import threading

import duckdb

from catalog.store.database import Database, columns_of
from catalog.sync.plan import Plan
from catalog.sync.proof import Done
from catalog.sync.transfer import Mismatch

ENOUGH = 5
"""So many files must disagree, and none agree, before the assumption is in doubt."""


class Doubt:
    """What a sync learns about checksums.

    Parameters
    ----------
    database : Database
        Where an earlier agreement is looked up, once it matters.
    known : bool
        Whether the plan found already that no checksum ever agreed.
    earlier : frozenset of str
        The names of what earlier syncs put aside; the bytes' MD5 is part of them.
    """

    def __init__(self, database: Database, known: bool = False, earlier: frozenset[str] = frozenset()) -> None:
        self.held: list[Mismatch] = []
        self._database = database
        self._known = known
        self._earlier = earlier
        self._confirmed = 0
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
        self._confirmed += mismatch.kept is not None and mismatch.kept.name in self._earlier

    def doubtful(self) -> bool:
        """Whether fetching again would prove nothing."""
        return len(self.held) >= (1 if self._known else ENOUGH) and self._never_agreed()

    def accepts(self) -> bool:
        """Whether length and structure must do."""
        return bool(self.held) and (self._known or self._confirmed >= ENOUGH) and self._never_agreed()

    def _never_agreed(self) -> bool:
        with self._lock:
            if self._before is None:
                self._before = agreed_before(self._database)
        return not (self._before or self._agreed)

    def text(self) -> str:
        """Say it, for the user; nothing where there is no doubt."""
        if not self.doubtful() and not self.accepts():
            return ""
        found = f"none of {len(self.held)} checksums is the MD5 of its file, though length and structure are right: "
        if self.accepts():
            return found + "the archive means something else by it; files are verified by length and structure only"
        return found + "something spoils what is sent, or they are no MD5; the next sync will tell which"


def agreed_before(database: Database) -> bool:
    """Whether any file on this disk ever had the MD5 that the archive listed for it."""
    with database.read() as connection:
        return _agreed(connection)


def never_agreed(connection: duckdb.DuckDBPyConnection, plan: Plan) -> bool:
    """Whether a plan would replace files because of their checksums, though none ever agreed.

    Looked up only where so many are to be replaced, so that it costs the usual plan nothing.
    """
    if plan.tallies["replace"].items < ENOUGH:
        return False
    row = connection.execute("SELECT count(*) FROM held ANTI JOIN rest USING (path) WHERE held.has_checksum").fetchone()
    return row is not None and row[0] == 0 and not _agreed(connection)


def _agreed(connection: duckdb.DuckDBPyConnection) -> bool:
    if "checksum" not in columns_of(connection, "file_version"):
        return False
    row = connection.execute(
        """SELECT 1 FROM local_file_version l JOIN file_version f USING (filename)
           WHERE l.checksum = lower(f.checksum) LIMIT 1"""
    ).fetchone()
    return row is not None


LOCAL_BY_DATE = """
    SELECT l.* REPLACE (CASE WHEN l.since_at >= f.listed_at THEN f.checksum ELSE l.checksum END AS checksum)
    FROM local_files l LEFT JOIN (
        SELECT v.filename, lower(v.checksum) AS checksum, min(r.started_at) AS listed_at
        FROM file_version v JOIN runs r ON r.run = v.since_run
        SEMI JOIN files f ON f.filename = v.filename AND f.checksum = v.checksum
        GROUP BY ALL
    ) f USING (filename)
"""
"""What was fetched since the archive listed its present checksum is of that version."""
