"""One file: fetched, proven, and put under its name.

Whatever the archive sends goes to an unfinished file (`partial`). It gets its final name only when its length,
its MD5 where the archive lists one, and its FITS structure are right. When they are not, the archive is asked
for the file's current row first, since it may have been reprocessed meanwhile; then the bytes are fetched once
more; then they are put aside.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from tenacity import RetryCallState, Retrying, retry_if_exception_type

from catalog.errors import ArchiveError, DiskError, Garbled, MastlakeError, Overloaded, Refused, Unreachable
from catalog.sync.events import OnEvent, Paused, Received, Started
from catalog.sync.names import refusal, within
from catalog.sync.old import Before, OldBytes, keep_old, look
from catalog.sync.pace import Pace
from catalog.sync.partial import Identity, Part
from catalog.sync.plan import Item
from catalog.sync.proof import Done, Problem, judge
from catalog.sync.source import Answer, Ask, Source

ATTEMPTS = 6
"""In a row without a new byte; an attempt that brings some starts the count again."""
_EVENT_SECONDS = 0.2
_WORTH_ANOTHER_TRY = (Overloaded, Unreachable, Garbled)


@dataclass(frozen=True)
class Current:
    """A file as the archive lists it at this moment."""

    filename: str
    size: int | None
    checksum: str | None


AskCurrent = Callable[[str], Current | None]


class Mismatch(MastlakeError):
    """Bytes that are not what the archive lists.

    Parameters
    ----------
    message : str
        What is wrong.
    kept : Path, optional
        Where the bytes were put.
    digest_only : Done, optional
        What they would be, where only their MD5 is not as listed, and the same each time: the archive's
        checksum is perhaps no MD5.
    """

    def __init__(self, message: str, kept: Path | None = None, digest_only: Done | None = None) -> None:
        super().__init__(message)
        self.kept = kept
        self.digest_only = digest_only


@dataclass
class Line:
    """What all downloads of a sync share.

    Parameters
    ----------
    root : Path
        The destination; nothing is written outside it.
    sources : tuple of Source
        The first is asked first; the last is asked where the first has not got it, and from then on.
    pace : Pace
        The stop sign, the rate and the breaker.
    current : callable, optional
        Asks the archive for a file's row as it is now.
    on_event : callable
        Is told what happens.
    doubtful : callable
        Whether the archive's checksums are in doubt, so that fetching again proves nothing.
    old_bytes : OldBytes
        What becomes of bytes that are replaced.
    slots : context manager
        Held while the archive is asked and sends; a file that is proven and synced to disk holds none.
    """

    root: Path
    sources: tuple[Source, ...]
    pace: Pace
    current: AskCurrent | None = None
    on_event: OnEvent = lambda event: None
    doubtful: Callable[[], bool] = lambda: False
    old_bytes: OldBytes = field(default_factory=OldBytes)
    slots: AbstractContextManager[object] = field(default_factory=nullcontext)
    answers: dict[int, Answer] = field(default_factory=dict)

    def abort(self) -> None:
        """Make every read that waits end."""
        for answer in list(self.answers.values()):
            answer.abort()

    @contextmanager
    def registered(self, answer: Answer) -> Iterator[None]:
        """Let `abort` reach an answer while it is read."""
        self.answers[id(answer)] = answer
        try:
            yield
        finally:
            del self.answers[id(answer)]


def transfer(line: Line, item: Item, on_bytes: Callable[[int], None] = lambda count: None) -> Done:
    """Fetch one item, or find that it is here.

    Parameters
    ----------
    line : Line
        Of the sync it belongs to.
    item : Item
        What, and where to.
    on_bytes : callable
        Is told how many bytes came, each time some do.

    Raises
    ------
    PersonsOwn
        Where the bytes on disk are a person's own and stay.
    Mismatch, ArchiveError, DiskError, OSError
        Where it could not be had; what had its final name is unchanged then.
    Stopped, Halted
        Where the sync was told to end.
    """
    final = Path(item.path)
    if reason := refusal(final.name):
        raise DiskError(f"its name cannot be that of a file here: {reason}")
    final.parent.mkdir(parents=True, exist_ok=True)
    if not within(final.parent, line.root) or final.is_dir():
        raise DiskError(f"{final} leads out of {line.root}, or is a folder")
    before = look(item, line.old_bytes)
    if isinstance(before, Done):
        return before
    part = Part(final, Identity(item.data_uri, item.checksum, item.size))
    try:
        return _Job(line, item, part, before, on_bytes).run()
    finally:
        part.close()


@dataclass
class _Wrong(Exception):
    """An answer that is not of the version that is wanted; not worth reading."""

    problem: Problem


@dataclass
class _Job:
    """One transfer under way."""

    line: Line
    item: Item
    part: Part
    before: Before
    on_bytes: Callable[[int], None]
    fruitless: int = 0
    had: int = 0
    first_source: bool = True
    started: bool = False

    def run(self) -> Done:
        resumed = self.part.found > 0
        problem = self._receive()
        if problem:
            problem = self._as_it_is_now(problem)
        if problem is None:
            return self._finish(resumed and self.part.found > 0)
        before = self.part.digest()
        if problem.kind != "digest" or not self.line.doubtful():
            self._again()
            problem = self._receive()
        if problem is None:
            return self._finish(resumed=False)
        raise self._put_aside(problem, before)

    def _put_aside(self, problem: Problem, before: str) -> Mismatch:
        same = problem.kind == "digest" and self.part.digest() == before
        done = Done(self.item, self._outcome(resumed=False), self.part.size, before, 0, 0) if same else None
        kept = self.part.quarantine(self.line.root, problem.text)
        return Mismatch(problem.text + (f"; the bytes are in {kept}" if kept else ""), kept, done)

    def _as_it_is_now(self, problem: Problem) -> Problem | None:
        """Ask the archive whether the file changed since the catalog was written; judge the bytes by that."""
        try:
            row = self.line.current(self.item.filename) if self.line.current else None
        except ArchiveError:
            return problem
        checksum = row.checksum.lower() if row and row.checksum else None
        if row is None or (row.size, checksum) == (self.item.size, self.item.checksum):
            return problem
        self.item = replace(self.item, size=row.size, checksum=checksum)
        return judge(self.item, self.part)

    def _again(self) -> None:
        """Start from nothing, from the archive itself."""
        self.first_source = False
        self.fruitless = self.had = self.part.found = 0
        self.part.start(Identity(self.item.data_uri, self.item.checksum, self.item.size))

    def _receive(self) -> Problem | None:
        """Bring the bytes here, however often the connection drops, and say what is wrong with them."""
        attempts = Retrying(
            retry=retry_if_exception_type(_WORTH_ANOTHER_TRY),
            stop=self._give_up,
            wait=self._pause,
            sleep=self.line.pace.wait,
            reraise=True,
        )
        if not self.part.size or self.part.size != self.item.size:
            try:
                attempts(self._attempt)
            except _Wrong as wrong:
                return wrong.problem
        return judge(self.item, self.part)

    def _give_up(self, state: RetryCallState) -> bool:
        self.first_source = False
        self.fruitless = 0 if self.part.size > self.had else self.fruitless + 1
        self.had = self.part.size
        return self.fruitless >= ATTEMPTS or state.attempt_number >= 1000

    def _pause(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        pace = self.line.pace
        pace.check()
        seconds = pace.pause(self.fruitless, getattr(error, "retry_after", None))
        self.line.on_event(Paused(self.item.filename, seconds, str(error)))
        return seconds

    def _attempt(self) -> None:
        with self.line.slots:
            self._ask_in_turn()

    def _ask_in_turn(self) -> None:
        pace, had = self.line.pace, self.part.size
        pace.admit()
        if not self.started:
            self.started = True
            self.line.on_event(Started(self.item.path, self.item.filename, self.item.size, self.part.found))
        if self.item.size is not None and self.part.size > self.item.size:
            self._again()
        try:
            self._ask()
        except _WORTH_ANOTHER_TRY as error:
            if self.part.size <= had and (seconds := pace.failed(str(error))):
                self.line.on_event(Paused("", seconds, f"the archive is down ({error})"))
            raise
        except (Refused, _Wrong):
            pace.succeeded(sent=False)
            raise
        finally:
            pace.left()

    def _ask(self) -> None:
        try:
            answer = self._open()
        except Garbled:
            self._again()
            raise
        with answer, self.line.registered(answer):
            self._take(answer)

    def _open(self) -> Answer:
        ask = Ask(self.item.data_uri, self.part.size, self.part.identity.etag)
        if self.first_source and len(self.line.sources) > 1:
            try:
                return self.line.sources[0].open(ask)
            except ArchiveError:
                self.first_source = False
        return self.line.sources[-1].open(ask)

    def _take(self, answer: Answer) -> None:
        """Write what comes, once it is clear that it can be the file."""
        item, part = self.item, self.part
        if answer.html and not _may_be_page(item):
            raise Garbled("the archive sent a web page instead of the file")
        length = answer.length if item.size is None else item.size
        if answer.length == 0 and length != 0:
            raise Garbled("the archive sent no bytes")
        if answer.length is not None and answer.length != length:
            raise _Wrong(Problem("length", f"the archive lists {length} bytes, but sends {answer.length}"))
        if answer.offset == 0:
            part.found = 0
            part.start(Identity(item.data_uri, item.checksum, item.size, answer.etag))
        self._write(answer, length)
        if part.size == 0 and length != 0:
            raise Garbled("the archive sent no bytes")
        if length is not None and part.size < length:
            raise Unreachable(f"the connection ended after {part.size} of {length} bytes")

    def _write(self, answer: Answer, length: int | None) -> None:
        part, pace = self.part, self.line.pace
        told = time.monotonic()
        for chunk in answer.chunks(pace.rate.chunk):
            if part.size == 0 and not _may_be_page(self.item) and _is_page(chunk):
                raise Garbled("the archive sent a web page instead of the file")
            part.write(chunk)
            pace.succeeded()
            self.on_bytes(len(chunk))
            if length is not None and part.size > length:
                self._again()
                raise Garbled("the archive sent more bytes than it lists")
            pace.check()
            if pause := pace.rate.take(len(chunk)):
                pace.wait(pause)
            if time.monotonic() - told > _EVENT_SECONDS:
                told = time.monotonic()
                self.line.on_event(Received(self.item.path, part.size))

    def _outcome(self, resumed: bool) -> str:
        if self.item.action in ("replace", "check"):
            return "replaced"
        return "resumed" if resumed else "fetched"

    def _finish(self, resumed: bool) -> Done:
        keep_old(self.part.final, self.before, self.line.old_bytes, self.line.root)
        stat = self.part.finish()
        outcome = self._outcome(resumed)
        return Done(self.item, outcome, self.part.size, self.part.digest(), stat.st_mtime_ns, stat.st_ino)


def _may_be_page(item: Item) -> bool:
    return item.filename.lower().endswith((".html", ".htm"))


def _is_page(chunk: bytes | memoryview) -> bool:
    return bytes(chunk[:256]).lstrip().lower().startswith((b"<!doctype html", b"<html"))
