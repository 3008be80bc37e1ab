"""Bring the catalog up to date with the headers of the FITS files in some folders."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing, nullcontext
from datetime import UTC, datetime

import pyarrow as pa

from catalog.errors import DiskError, ExecutorError, UsageError
from catalog.fits.associations import AssociationFile, file_rows, member_rows, read_associations
from catalog.headers.cluster import checked, connected
from catalog.headers.columns import wanted_keywords
from catalog.headers.events import (
    Event,
    FileMoved,
    FilesFound,
    FilesIndexed,
    FilesRead,
    FoldersWalked,
    IndexFailure,
    IndexReport,
    LinksLeftOut,
    OnEvent,
)  # fmt: skip
from catalog.headers.names import is_association
from catalog.headers.numbers import CardNumbers
from catalog.headers.other_files import look_at_others
from catalog.headers.pool import Batch, extract_all
from catalog.headers.walk import FolderChanges, WalkedFiles, compare, walk
from catalog.headers.write import ensure_columns, write_associations, write_extracts, write_moves, write_others
from catalog.store.database import Database
from catalog.store.history.local_files import count_below, note_folders
from catalog.store.history.verdicts import count_verified
from catalog.text import plural

_Workers = tuple[int | None, Executor | str | None]
"""How many processes of this machine to use, and the executor to use instead of them."""

_TOGETHER = 4096
"""How many files are committed together; a run that is cut off loses at most these."""

_FRUGAL = (
    "SET threads = 1",  # rows come from one thread anyway, and other threads would wait for it
    "SET memory_limit = '140MB'",
    "SET checkpoint_threshold = '1KB'",  # checkpoint at the commit, instead of writing a log that closing reads
    "SET max_vacuum_tasks = 0",  # else the wide table of headers is rewritten again and again, in memory
)


def _say_nothing(event: Event) -> None:
    """Take an event and do nothing."""


def index_folders(
    database: Database,
    folders: Iterable[str | os.PathLike[str]],
    *,
    verify: bool = False,
    processes: int | None = None,
    executor: Executor | str | None = None,
    on_event: OnEvent | None = None,
) -> IndexReport:
    """Read the headers of all FITS files in some folders into the catalog.

    Files with the size, time and inode that the catalog knows are not opened. A file that is found at a new path keeps
    its history. For a file that is no longer there, the version is closed.

    Parameters
    ----------
    database : Database
        The catalog; it is created if it does not exist.
    folders : iterable of path-like
        Folders, which are read with all their subfolders, or single files.
    verify : bool
        Read all bytes of every file, and compare its MD5 with the archive's.
    processes : int, optional
        How many processes to use; by default, as many as there are processors.
    executor : Executor or str, optional
        Where to read headers instead: any `concurrent.futures.Executor`, which stays open, or ``dask://HOST:PORT``.
    on_event : callable, optional
        Called with each event, one at a time.

    Raises
    ------
    DiskError
        If a folder does not exist or cannot be read.
    ExecutorError
        If the executor is of no use. What was read before is in the catalog.
    CatalogError
        If the catalog cannot be used.
    """
    if isinstance(executor, str):
        checked(executor)
    elif executor is not None and not isinstance(executor, Executor):
        raise UsageError(f"an executor is a concurrent.futures.Executor or dask://HOST:PORT, not {executor!r}")
    return _IndexRun(database, verify, (processes, executor), on_event or _say_nothing).index(folders)


class _IndexRun:
    """One index run: its counts, and the numbers of the cards that it knows."""

    def __init__(self, database: Database, verify: bool, workers: _Workers, tell: OnEvent) -> None:
        self._database = database
        self._verify = verify
        self._processes, self._executor = workers
        self._tell = tell
        self._numbers = CardNumbers()
        self._failures: list[IndexFailure] = []
        self._failed: set[str] = set()
        self._hdus = self._cards = self._done = self._unread = 0

    def index(self, folders: Iterable[str | os.PathLike[str]]) -> IndexReport:
        began = time.monotonic()
        folders = list(folders)
        about = self._known_there(folders)
        self._tell(FilesFound(0, about))
        walked = walk(folders, lambda files: self._tell(FilesFound(files, max(files, about) if about else 0)))
        if walked.links:
            self._tell(LinksLeftOut(tuple(walked.links)))
        for path, reason in walked.unread:
            self._fail(IndexFailure(path, None, None, reason))
        if not self._database.exists():
            with self._database.write_local():
                pass
        self._read_others(walked)
        compared = self._compare(walked)
        if compared.moved or compared.gone or compared.folders:
            with self._database.write_local() as connection:
                note_folders(connection, compared.folders)
                write_moves(connection, compared.moved, compared.gone, _now())
        for move in compared.moved:
            self._tell(FileMoved(move.path, move.now))
        read = self._read(compared)
        compared_bytes = self._compare_checksums(walked) if self._verify else (None, None)
        return IndexReport(
            files=compared.files,
            read=read,
            unchanged=compared.unchanged,
            removed=compared.removed,
            failed=len(self._failed),
            hdus=self._hdus,
            cards=self._cards,
            seconds=round(time.monotonic() - began, 3),
            failures=self._failures,
            verified=compared_bytes[0],
            unverified=compared_bytes[1],
        )

    def _known_there(self, folders: Iterable[str | os.PathLike[str]]) -> int:
        """Return how many files the catalog knows in the folders; if a folder is gone, its error says what to do."""
        if not self._database.exists():
            return 0
        roots = [os.path.abspath(folder) for folder in folders]  # noqa: PTH100 - links stay as the user named them
        with self._database.read() as connection:
            counts = {root: count_below(connection, root) for root in roots}
        for root, count in counts.items():
            if count and not os.path.lexists(root):
                raise DiskError(
                    f"no such folder: {root}; the catalog knows {plural(count, 'file')} in it: if they were moved, "
                    f"index the folder where they are now; if they are gone for good: mastlake forget {root}"
                )
        return sum(counts.values())

    def _compare(self, walked: WalkedFiles) -> FolderChanges:
        with self._database.read() as connection:
            comparison = compare(connection, walked, everything=self._verify)
        compared = comparison.settled()  # this reads files, for which the catalog need not stay open
        associations = sum(map(is_association, compared.to_read))
        self._tell(FoldersWalked(compared.files, len(compared.to_read) - associations, associations))
        return compared

    def _compare_checksums(self, walked: WalkedFiles) -> tuple[int, int]:
        """Report files whose bytes never were the archive's; count the others by whether they have a checksum."""
        with self._database.read() as connection:
            connection.register("walked", walked.table())
            rows = connection.execute(
                """SELECT d.path, d.reason FROM file_drift d JOIN local_files l USING (path)
                   SEMI JOIN walked USING (path)
                   WHERE d.state IN ('corrupt', 'modified') AND l.problem IS NULL ORDER BY d.path"""
            ).fetchall()
            counts = count_verified(connection, "walked")
            connection.unregister("walked")
        for path, reason in rows:
            self._fail(IndexFailure(path, None, None, reason))
        return counts

    def _read_others(self, walked: WalkedFiles) -> None:
        """Read files that a sync fetched and that have no headers: pictures, tables, logs."""
        with self._database.read() as connection:
            others = look_at_others(connection, walked.roots, everything=self._verify)
        if others.paths or others.moved:
            files = others.files()
            with self._database.write_local() as connection:
                write_moves(connection, others.moved, [], _now())
                write_others(connection, others.paths, files, _now())
        for move in others.moved:
            self._tell(FileMoved(move.path, move.now))

    def _read(self, compared: FolderChanges) -> int:
        paths = compared.to_read
        associations = [path for path in paths if is_association(path)]
        fits = [path for path in paths if not is_association(path)]
        with closing(self._extracted(fits, compared.to_digest)) as extracted:  # so that Ctrl-C ends it at once
            for together in _in_transactions(self._reported(extracted, len(paths))):
                self._done += sum(len(paths) for paths, _ in together)
                self._write(together)
                self._tell(FilesIndexed(self._done, len(fits)))
        done = len(fits)
        for group in read_associations(associations):
            self._write_associations(group)
            done += len(group)
            self._tell(FilesRead(done, len(paths)))
        return len(fits) - self._unread

    def _extracted(self, fits: Sequence[str], to_digest: frozenset[str]) -> Generator[Batch]:
        """Read headers, and for fetched files that changed also the MD5."""
        changed = [path for path in fits if path in to_digest]
        others = [path for path in fits if path not in to_digest]
        if not fits:
            return
        with connected(self._executor) if isinstance(self._executor, str) else nullcontext(self._executor) as executor:
            for some, digest in ((changed, True), (others, self._verify)):
                if some:
                    yield from extract_all(some, wanted_keywords(), digest, self._processes, executor)

    def _reported(self, batches: Iterator[Batch], total: int) -> Iterator[Batch]:
        """Pass batches on, and tell how many files are read."""
        done = 0
        self._tell(FilesRead(0, total))
        for batch in batches:
            done += len(batch[0])
            yield batch
            self._tell(FilesRead(done, total))

    def _write(self, batches: list[Batch]) -> None:
        """Store batches. The list is emptied before the commit, which needs memory of its own."""
        noted = [(paths, extract.files["unread"], extract.findings) for paths, extract in batches]
        with self._database.write_local() as connection:
            for setting in _FRUGAL:
                connection.execute(setting)
            ensure_columns(connection)
            self._numbers.begin(connection)
            written = write_extracts(connection, batches, self._numbers, _now())
            batches.clear()
        self._hdus += written.hdus
        self._cards += written.cards
        for paths, unread, findings in noted:
            self._note_failures(paths, unread, findings)

    def _write_associations(self, files: list[AssociationFile]) -> None:
        paths = [file.path for file in files]
        with self._database.write_local() as connection:
            write_associations(connection, paths, file_rows(files), member_rows(files), _now())
        for file in files:
            if file.problem:
                self._fail(IndexFailure(file.path, None, None, file.problem))

    def _note_failures(self, paths: Sequence[str], unread: pa.ChunkedArray, findings: pa.Table) -> None:
        for file, reason in enumerate(unread.to_pylist()):
            if reason is not None:
                self._unread += 1
                self._fail(IndexFailure(paths[file], None, None, reason))
        for finding in findings.to_pylist():
            if finding["harm"]:
                self._fail(IndexFailure(paths[finding["file"]], finding["hdu"], finding["byte"], finding["reason"]))

    def _fail(self, failure: IndexFailure) -> None:
        self._failed.add(failure.path)
        self._failures.append(failure)
        self._tell(failure)


def _in_transactions(batches: Iterator[Batch]) -> Iterator[list[Batch]]:
    """Collect batches until they are worth a transaction; if no more can be read, those that were read are written."""
    gathered: list[Batch] = []
    fault: ExecutorError | None = None
    try:
        for batch in batches:
            gathered.append(batch)
            if sum(len(paths) for paths, _ in gathered) >= _TOGETHER:
                yield gathered
                gathered = []
    except ExecutorError as error:
        fault = error
    if gathered:
        yield gathered
    if fault is not None:
        raise fault


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
