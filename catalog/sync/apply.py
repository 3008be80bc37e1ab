"""Apply a plan: run its transfers, count the results, record them in the catalog, and report."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from catalog.defaults import JOBS
from catalog.errors import CatalogError, DiskError, MastlakeError
from catalog.store.database import Database
from catalog.store.history.runs import utc_now
from catalog.sync.checksum_doubt import ChecksumDoubt
from catalog.sync.events import Event, Finished, Note, OnEvent, Planned
from catalog.sync.partial import remove_leftovers
from catalog.sync.plan import TO_DO, Item, Plan
from catalog.sync.pool import ItemResult, Pool
from catalog.sync.rate import Halted
from catalog.sync.record import Recorder
from catalog.sync.replaced_files import LEFT, FileBefore, PersonsOwn, keep_old
from catalog.sync.source import Denied, TokenNeeded
from catalog.sync.transfer import Mismatch, SharedTransfers
from catalog.sync.verification import ProvenFile


@dataclass(frozen=True)
class SyncFailure:
    """A product that could not be fetched, and why; without a name it stands for all that were not tried."""

    filename: str
    data_uri: str
    reason: str


@dataclass(frozen=True)
class SyncReport:
    """The result of a sync; `selected` is the sum of the five counts that follow it, unless it was interrupted.

    Parameters
    ----------
    selected : int
        How many products were selected.
    present : int
        How many were on disk already, and right.
    fetched, resumed, replaced : int
        How many were new; how many continued an unfinished file; how many local files were renewed because the archive
        had a newer version, or because their bytes were not the archive's.
    failed : int
        How many could not be fetched, or were not tried because the sync could not go on.
    bytes : int
        How many bytes were received.
    seconds : float
        How long it took.
    failures : tuple of SyncFailure
        The reason of each failure.
    interrupted : bool
        Whether Ctrl-C ended it; what was finished until then is kept.
    sources : dict
        How many of the received files came from each source.
    notes : tuple of str
        More that a person should know, one line each.
    """

    selected: int
    present: int
    fetched: int
    resumed: int
    replaced: int
    failed: int
    bytes: int
    seconds: float
    failures: tuple[SyncFailure, ...] = ()
    interrupted: bool = False
    sources: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON's types.

        Returns
        -------
        dict
            The object that ``mastlake sync --json`` prints.

        Examples
        --------
        >>> SyncReport(1, 1, 0, 0, 0, 0, 0, 0.5).as_dict()["present"]
        1
        """
        return {**asdict(self), "failures": [asdict(failure) for failure in self.failures]}


def apply(
    plan: Plan, database: Database, shared: SharedTransfers, jobs: int = JOBS, on_event: OnEvent | None = None
) -> SyncReport:
    """Do what a plan says.

    Parameters
    ----------
    plan : Plan
        The plan that `catalog.sync.make_plan` returned.
    database : Database
        The catalog in which finished files are recorded.
    shared : SharedTransfers
        The sources, the pace, and the destination.
    jobs : int
        How many files to fetch at the same time.
    on_event : callable, optional
        Called with each event, by one thread at a time.

    Raises
    ------
    DiskError
        If the destination cannot be made, or has too little space.
    """
    if plan.shortage:
        raise DiskError(f"{plan.shortage}; nothing was fetched")
    for final in plan.leftovers:
        remove_leftovers(final)
    if any(plan.tallies[action].items for action in TO_DO):
        try:
            plan.dest.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DiskError(f"cannot make {plan.dest}: {error.strerror}") from error
    database.require_local()
    return _Application(plan, database, shared, on_event or (lambda event: None)).run(jobs)


class _Application:
    """The application of one plan."""

    def __init__(self, plan: Plan, database: Database, shared: SharedTransfers, on_event: OnEvent) -> None:
        self.plan = plan
        self.shared = shared
        self.counts: Counter[str] = Counter()
        self.failures: list[SyncFailure] = []
        self.recorder = Recorder(database, plan.run)
        self.doubt = ChecksumDoubt(database, shared.trust_length)
        self.sources: Counter[str] = Counter()
        self.detours: list[str] = []
        self.notes: list[str] = []
        self._lock = threading.Lock()
        self._on_event = on_event
        shared.on_event = self.tell
        shared.doubtful = self.doubt.doubtful
        shared.on_detour = self.detours.append

    def tell(self, event: Event) -> None:
        with self._lock:
            self._on_event(event)

    def run(self, jobs: int) -> SyncReport:
        began = time.monotonic()
        tallies = self.plan.tallies
        todo = [tallies[action] for action in TO_DO]
        self.tell(Planned(sum(t.items for t in todo), sum(t.bytes for t in todo)))
        for item in self.plan.items("out of reach"):
            self._fail(item, item.reason)
        for item in self.plan.items("modified"):
            self._fail(item, f"{item.reason.removeprefix('modified: ')}; {LEFT}")
        pool = Pool(self.shared, max(1, min(jobs, sum(t.items for t in todo))))
        interrupted = bool(sum(t.items for t in todo)) and self._transfer(pool)
        self._settle()
        self._write_down()
        self._count_untried(interrupted)
        self._tell_sources()
        present = tallies["present"].items + self.counts["present"]
        outcomes = {word: self.counts[word] for word in ("fetched", "resumed", "replaced", "failed")}
        seconds = round(time.monotonic() - began, 3)
        return SyncReport(
            self.plan.selected, present, **outcomes, bytes=pool.bytes, seconds=seconds,
            failures=tuple(self.failures), interrupted=interrupted,
            sources=dict(self.sources), notes=tuple(self.notes),
        )  # fmt: skip

    def _write_down(self) -> None:
        """Commit what waits. If the catalog cannot be used, the report is returned all the same."""
        try:
            self.recorder.flush()
        except CatalogError as error:
            count = self.recorder.waiting
            self.notes.append(
                f"{count} fetched files are not noted in the catalog ({error}); the next sync notes them, from the disk"
            )

    def _tell_sources(self) -> None:
        """Note how many files came from each source, if there are several."""
        if len(self.shared.sources) < 2:
            return
        counts = [f"{self.sources[source.name]:,} files from {source.name}" for source in self.shared.sources]
        self.tell(Note(", ".join(counts)))
        reasons = [*(source.failed for source in self.shared.sources if source.failed), *self.detours]
        if reasons:
            name = self.shared.sources[0].name
            self.tell(Note(f"{len(reasons):,} times {name} failed, and MAST was asked instead; first: {reasons[0]}"))

    def _transfer(self, pool: Pool) -> bool:
        try:
            return pool.run(self.shared.sources[0].ahead(self.plan.items(*TO_DO)), self._take, self.recorder.tick)
        except BaseException:
            self.shared.pace.stop.set()
            self.shared.abort()
            raise

    def _take(self, result: ItemResult) -> None:
        if result.done is not None:
            self._done(result.done)
        elif isinstance(result.error, Mismatch) and result.error.digest_only is not None:
            self.doubt.hold(result.error)
        elif isinstance(result.error, Halted):
            return
        elif isinstance(result.error, PersonsOwn):
            if result.error.done is not None:
                self.recorder.add(result.error.done)
            self._fail(result.item, str(result.error))
        elif isinstance(result.error, MastlakeError | OSError):
            self._fail(result.item, _explain(result.item, result.error))
        elif result.error is not None:
            raise result.error

    def _done(self, done: ProvenFile) -> None:
        self.doubt.learn(done)
        self.recorder.add(done)
        self.counts[done.outcome] += 1
        if done.outcome != "present":
            self.sources[done.source] += 1
        self.tell(Finished(done.item.path, done.item.filename, done.outcome, done.size))

    def _fail(self, item: Item, reason: str) -> None:
        self.counts["failed"] += 1
        self.failures.append(SyncFailure(item.filename, item.data_uri, reason))
        self.tell(Finished(item.path, item.filename, "failed", 0, reason))

    def _settle(self) -> None:
        """Decide about files of which only the MD5 differs: the bytes are wrong, or the checksums are no MD5."""
        if text := self.doubt.text():
            self.tell(Note(text))
        accepted = self.doubt.accepts
        for mismatch in self.doubt.held:
            done = mismatch.digest_only
            assert done is not None
            if accepted and mismatch.kept is not None:
                keep_old(Path(done.item.path), FileBefore(None, archived=False), self.shared.old_bytes, self.plan.dest)
                said = f"its MD5 is {done.md5}, the archive lists {done.item.checksum}; accepted by its length"
                self._done(replace(_put_in_place(mismatch.kept, done), findings=(*done.findings, said)))
            else:
                self._fail(done.item, str(mismatch))

    def _count_untried(self, interrupted: bool) -> None:
        reason = self.shared.pace.halted
        if not reason:
            return
        tried = self.plan.tallies["present"].items + sum(self.counts.values())
        if left := self.plan.selected - tried:
            self.counts["failed"] += left
            self.failures.append(SyncFailure("", "", f"{left} files were not fetched: {reason}"))


def _put_in_place(kept: Path, done: ProvenFile) -> ProvenFile:
    """Give bytes that were put aside their final name after all."""
    final = Path(done.item.path)
    kept.replace(final)
    kept.with_name(kept.name + ".json").unlink(missing_ok=True)
    stat = final.stat()
    return replace(done, mtime_ns=stat.st_mtime_ns, inode=stat.st_ino)


def _explain(item: Item, error: Exception) -> str:
    """Return one line that says why an item failed."""
    ahead = item.release_at is not None and item.release_at > utc_now()
    if isinstance(error, TokenNeeded) or (isinstance(error, Denied) and (item.exclusive or ahead)):
        date = ""
        if item.release_at:
            date = f"{' until' if ahead else ', though listed as public since'} {item.release_at:%Y-%m-%d}"
        return f"exclusive to program {item.program or 'unknown'}{date}: {error}"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)
