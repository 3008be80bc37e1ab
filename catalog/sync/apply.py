"""Apply a plan: run its transfers, keep count, write down what is done, and report."""

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
from catalog.sync.checksum_doubt import Doubt
from catalog.sync.events import Event, Finished, Note, OnEvent, Planned
from catalog.sync.partial import sweep
from catalog.sync.plan import TO_DO, Item, Plan
from catalog.sync.pool import Pool, Result
from catalog.sync.rate import Halted
from catalog.sync.record import Recorder
from catalog.sync.replaced_files import LEFT, Before, PersonsOwn, keep_old
from catalog.sync.source import Denied, TokenNeeded
from catalog.sync.transfer import Line, Mismatch
from catalog.sync.verification import Done


@dataclass(frozen=True)
class Failure:
    """A product that could not be had, and why; without a name it stands for those that were not tried."""

    filename: str
    data_uri: str
    reason: str


@dataclass(frozen=True)
class SyncReport:
    """What a sync did; `selected` is the sum of the five that follow it, unless it was interrupted.

    Parameters
    ----------
    selected : int
        How many products were meant.
    present : int
        Were on disk and right.
    fetched, resumed, replaced : int
        New ones; those that continued an unfinished file; local files renewed because their archive version
        moved on, or their bytes were not the archive's.
    failed : int
        Could not be had, or were not tried because the sync could not go on.
    bytes : int
        Received.
    seconds : float
        It took.
    failures : tuple of Failure
        Why, one each.
    interrupted : bool
        Ended by Ctrl-C; what was finished is kept.
    sources : dict
        How many of the files that were received came from where.
    notes : tuple of str
        What a person should know besides.
    """

    selected: int
    present: int
    fetched: int
    resumed: int
    replaced: int
    failed: int
    bytes: int
    seconds: float
    failures: tuple[Failure, ...] = ()
    interrupted: bool = False
    sources: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON's types.

        Returns
        -------
        dict
            As ``mastlake sync --json`` prints it.

        Examples
        --------
        >>> SyncReport(1, 1, 0, 0, 0, 0, 0, 0.5).as_dict()["present"]
        1
        """
        return {**asdict(self), "failures": [asdict(failure) for failure in self.failures]}


def apply(plan: Plan, database: Database, line: Line, jobs: int = JOBS, on_event: OnEvent | None = None) -> SyncReport:
    """Do what a plan says.

    Parameters
    ----------
    plan : Plan
        As `catalog.sync.make_plan` returns it.
    database : Database
        Where finished files are written down.
    line : Line
        Sources, pace, and the destination.
    jobs : int
        How many files at once.
    on_event : callable, optional
        Is told what happens, by one thread at a time.

    Raises
    ------
    DiskError
        Where the destination cannot be made, or has too little space.
    """
    if plan.shortage:
        raise DiskError(f"{plan.shortage}; nothing was fetched")
    for final in plan.leftovers:
        sweep(final)
    if any(plan.tallies[action].items for action in TO_DO):
        try:
            plan.dest.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DiskError(f"cannot make {plan.dest}: {error.strerror}") from error
    return _Run(plan, database, line, on_event or (lambda event: None)).run(jobs)


class _Run:
    """One application of a plan."""

    def __init__(self, plan: Plan, database: Database, line: Line, on_event: OnEvent) -> None:
        self.plan = plan
        self.line = line
        self.counts: Counter[str] = Counter()
        self.failures: list[Failure] = []
        self.recorder = Recorder(database, plan.run)
        self.doubt = Doubt(database, line.trust_length)
        self.sources: Counter[str] = Counter()
        self.detours: list[str] = []
        self.notes: list[str] = []
        self._lock = threading.Lock()
        self._on_event = on_event
        line.on_event = self.tell
        line.doubtful = self.doubt.doubtful
        line.on_detour = self.detours.append

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
        pool = Pool(self.line, max(1, min(jobs, sum(t.items for t in todo))))
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
        """Commit what waits; where the catalog cannot be had, the report is given all the same."""
        try:
            self.recorder.flush()
        except CatalogError as error:
            count = self.recorder.waiting
            self.notes.append(
                f"{count} fetched files are not noted in the catalog ({error}); the next sync notes them, from the disk"
            )

    def _tell_sources(self) -> None:
        """Say how many files came from where, where there is a choice."""
        if len(self.line.sources) < 2:
            return
        told = [f"{self.sources[source.name]:,} files from {source.name}" for source in self.line.sources]
        self.tell(Note(", ".join(told)))
        reasons = [*(source.failed for source in self.line.sources if source.failed), *self.detours]
        if reasons:
            name = self.line.sources[0].name
            self.tell(Note(f"{len(reasons):,} times {name} failed, and MAST was asked instead; first: {reasons[0]}"))

    def _transfer(self, pool: Pool) -> bool:
        try:
            return pool.run(self.line.sources[0].ahead(self.plan.items(*TO_DO)), self._take, self.recorder.tick)
        except BaseException:
            self.line.pace.stop.set()
            self.line.abort()
            raise

    def _take(self, result: Result) -> None:
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

    def _done(self, done: Done) -> None:
        self.doubt.learn(done)
        self.recorder.add(done)
        self.counts[done.outcome] += 1
        if done.outcome != "present":
            self.sources[done.source] += 1
        self.tell(Finished(done.item.path, done.item.filename, done.outcome, done.size))

    def _fail(self, item: Item, reason: str) -> None:
        self.counts["failed"] += 1
        self.failures.append(Failure(item.filename, item.data_uri, reason))
        self.tell(Finished(item.path, item.filename, "failed", 0, reason))

    def _settle(self) -> None:
        """Decide about files whose MD5 alone is not as listed: they are wrong, or the checksums are no MD5."""
        if text := self.doubt.text():
            self.tell(Note(text))
        accepted = self.doubt.accepts
        for mismatch in self.doubt.held:
            done = mismatch.digest_only
            assert done is not None
            if accepted and mismatch.kept is not None:
                keep_old(Path(done.item.path), Before(None, archived=False), self.line.old_bytes, self.plan.dest)
                said = f"its MD5 is {done.md5}, the archive lists {done.item.checksum}; accepted by its length"
                self._done(replace(_put_in_place(mismatch.kept, done), findings=(*done.findings, said)))
            else:
                self._fail(done.item, str(mismatch))

    def _count_untried(self, interrupted: bool) -> None:
        reason = self.line.pace.halted
        if not reason:
            return
        tried = self.plan.tallies["present"].items + sum(self.counts.values())
        if left := self.plan.selected - tried:
            self.counts["failed"] += left
            self.failures.append(Failure("", "", f"{left} files were not fetched: {reason}"))


def _put_in_place(kept: Path, done: Done) -> Done:
    """Give bytes that were put aside their final name after all."""
    final = Path(done.item.path)
    kept.replace(final)
    kept.with_name(kept.name + ".json").unlink(missing_ok=True)
    stat = final.stat()
    return replace(done, mtime_ns=stat.st_mtime_ns, inode=stat.st_ino)


def _explain(item: Item, error: Exception) -> str:
    """One line that says why an item failed."""
    ahead = item.release_at is not None and item.release_at > utc_now()
    if isinstance(error, TokenNeeded) or (isinstance(error, Denied) and (item.exclusive or ahead)):
        date = ""
        if item.release_at:
            date = f"{' until' if ahead else ', though listed as public since'} {item.release_at:%Y-%m-%d}"
        return f"exclusive to program {item.program or 'unknown'}{date}: {error}"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)
