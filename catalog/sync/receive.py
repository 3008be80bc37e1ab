"""Bring the bytes of one file here, however often the connection drops, and within bounds.

An attempt asks a source for what is missing and writes what comes. Attempts end after some that did not get on, after
some that were slower than a floor, after some that had to begin from nothing, and after a number in any case.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from tenacity import RetryCallState, Retrying, retry_if_exception_type

from catalog.errors import ArchiveError, Garbled, Overloaded, ProxyFault, Refused, Unreachable, Untrusted, UsageError
from catalog.sync.events import OnEvent, Paused, Received, Started
from catalog.sync.partial import Identity, Part
from catalog.sync.places import Places
from catalog.sync.plan import Item
from catalog.sync.rate import Pace, TooSlow
from catalog.sync.replaced_files import OldBytes
from catalog.sync.source import Answer, Ask, NotThere, Source
from catalog.sync.structure import has_structure
from catalog.sync.verification import Problem

ATTEMPTS = 6
"""In a row without getting on; an attempt that does starts the count again."""
MOST_ATTEMPTS = 1000
RESTARTS = 5
"""How often a file is begun again from nothing, without having been proven wrong."""
SLOW_ATTEMPTS = 3
"""In a row that were slower than the floor."""
_GETTING_ON = 1 << 20
"""Bytes that are progress in any case; of a smaller file, a hundredth is."""
_LARGEST_UNTOLD = 1 << 30
"""Bytes of a product whose length neither the catalog nor the answer tells."""
_EVENT_SECONDS = 0.2
_WORTH_ANOTHER_TRY = (Overloaded, Unreachable, Garbled)


@dataclass(frozen=True)
class Current:
    """A file as the archive lists it at this moment."""

    filename: str
    size: int | None
    checksum: str | None


AskCurrent = Callable[[str], Current | None]


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
    trust_length : bool
        Whether a person said that length and structure are to do where an MD5 is not as listed.
    catalog : Path, optional
        The catalog, which no product may replace.
    on_detour : callable
        Is told why the first source did not give a file that it should have.
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
    trust_length: bool = False
    catalog: Path | None = None
    on_detour: Callable[[str], None] = lambda reason: None
    slots: AbstractContextManager[object] = field(default_factory=nullcontext)
    answers: dict[int, Answer] = field(default_factory=dict)

    @property
    def places(self) -> Places:
        """The places below the destination."""
        return Places(self.root, self.catalog)

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


@dataclass
class WrongAnswer(Exception):
    """An answer that is not of the version that is wanted; not worth reading to its end."""

    problem: Problem


@dataclass
class Receiver:
    """The reception of one file.

    Parameters
    ----------
    line : Line
        Of the sync.
    item : Item
        What is wanted, as the archive lists it.
    part : Part
        Where the bytes go.
    on_bytes : callable
        Is told how many came.

    Attributes
    ----------
    size : int or None
        The length that is required; None where a whole answer of any length will do.
    source : str
        Where the last bytes came from.
    told : bool
        Whether the last answer said where it ends, so that the bytes are surely all of it.
    """

    line: Line
    item: Item
    part: Part
    on_bytes: Callable[[int], None]
    size: int | None = field(init=False)
    source: str = ""
    told: bool = False
    _fruitless: int = 0
    _restarts: int = 0
    _slow: int = 0
    _had: int = 0
    _first_source: bool = True
    _fresh: bool = False
    _started: bool = False

    def __post_init__(self) -> None:
        self.size = self.item.size

    def receive(self) -> None:
        """Ask until all bytes are here.

        Raises
        ------
        WrongAnswer
            Where the archive sends another version.
        ArchiveError
            Where they cannot be had.
        """
        if self.part.size and self.part.size == self.size:
            self.told = True
            return
        attempts = Retrying(
            retry=retry_if_exception_type(_WORTH_ANOTHER_TRY),
            stop=self._give_up,
            wait=self._pause,
            sleep=self.line.pace.wait,
            reraise=True,
        )
        attempts(self._attempt)

    def again(self) -> None:
        """Drop the bytes, which are proven wrong; the next come from the archive itself, past any cache."""
        self._first_source = False
        self._fresh = True
        self._fruitless = self._restarts = self._slow = self._had = 0
        self._begin()
        self._restarts = 0

    def _begin(self, etag: str | None = None) -> None:
        """Begin the file from its first byte."""
        self._restarts += self.part.size > 0
        self.part.found = 0
        self.part.start(Identity(self.item.data_uri, self.item.checksum, self.size, etag))

    def _give_up(self, state: RetryCallState) -> bool:
        self._first_source = False
        gained = self.part.size - self._had
        got_on = gained >= _GETTING_ON or (gained > 0 and gained * 100 >= (self.size or 0))
        slow = state.outcome is not None and isinstance(state.outcome.exception(), TooSlow)
        self._slow = self._slow + 1 if slow else 0
        self._fruitless = 0 if got_on else self._fruitless + 1
        self._had = self.part.size
        over = self._fruitless >= ATTEMPTS or self._restarts >= RESTARTS or self._slow >= SLOW_ATTEMPTS
        return over or state.attempt_number >= MOST_ATTEMPTS

    def _pause(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        pace = self.line.pace
        pace.check()
        seconds = pace.pause(self._fruitless, getattr(error, "retry_after", None))
        self.line.on_event(Paused(self.item.filename, seconds, str(error)))
        return seconds

    def _attempt(self) -> None:
        with self.line.slots:
            self._ask_in_turn()

    def _ask_in_turn(self) -> None:
        pace, had = self.line.pace, self.part.size
        pace.admit()
        if not self._started:
            self._started = True
            self.line.on_event(Started(self.item.path, self.item.filename, self.item.size, self.part.found))
        if self.size is not None and self.part.size > self.size:
            self._begin()
        try:
            self._ask()
        except UsageError as error:  # what the environment names is wrong, for every file
            pace.halt(str(error))
            raise
        except (Untrusted, ProxyFault) as error:
            if not pace.answered:  # so it is for every file
                pace.halt(str(error))
                raise
            raise Unreachable(str(error)) from error  # it has worked before
        except _WORTH_ANOTHER_TRY as error:
            if self.part.size <= had and (seconds := pace.failed(str(error))):
                self.line.on_event(Paused("", seconds, f"the archive is down ({error})"))
            raise
        except (Refused, WrongAnswer):
            pace.succeeded(sent=False)
            raise
        finally:
            pace.left()

    def _ask(self) -> None:
        try:
            answer = self._open()
        except Garbled:
            self._begin()
            raise
        with answer, self.line.registered(answer):
            self._take(answer)

    def _open(self) -> Answer:
        item, first, last = self.item, self.line.sources[0], self.line.sources[-1]
        ask = Ask(item.data_uri, self.part.size, self.part.identity.etag, item.exclusive, self._fresh, self.size)
        if self._first_source and first is not last:
            try:
                self.source = first.name
                return first.open(ask)
            except ArchiveError as error:
                self._first_source = False
                if not isinstance(error, NotThere):
                    self.line.on_detour(str(error))
        self.source = last.name
        return last.open(ask)

    def _take(self, answer: Answer) -> None:
        """Write what comes, once it is clear that it can be the file."""
        length = answer.length if self.size is None else self.size
        if answer.html and not _may_be_page(self.item) and (answer.length != length or self._nothing_else_tells()):
            raise Garbled("the archive sent a web page instead of the file")
        if answer.length == 0 and length != 0:
            raise Garbled("the archive sent no bytes")
        if answer.length is not None and answer.length != length:
            raise WrongAnswer(Problem("length", f"the archive lists {length} bytes, but sends {answer.length}"))
        if answer.offset == 0:
            self._begin(answer.etag)
        self._write(answer, length)
        have = self.part.size
        if have == 0 and length != 0:
            raise Garbled("the archive sent no bytes")
        if length is not None and have < length:
            if answer.ends and answer.length is None:  # chunks that came to their end
                raise WrongAnswer(Problem("length", f"the archive lists {length} bytes, but sends {have}"))
            raise Unreachable(f"the connection ended after {have} of {length} bytes")
        self.told = answer.ends

    def _write(self, answer: Answer, length: int | None) -> None:
        part, pace = self.part, self.line.pace
        told, floor = time.monotonic(), pace.floor()
        most = _LARGEST_UNTOLD if length is None else length
        for chunk in answer.chunks(pace.rate.chunk):
            pace.check()
            floor.passed(len(chunk))
            if not chunk:
                continue
            if part.size == 0 and self._is_page(answer, chunk):
                raise Garbled("the archive sent a web page instead of the file")
            part.write(chunk)
            pace.succeeded()
            self.on_bytes(len(chunk))
            if part.size > most:
                raise WrongAnswer(Problem("length", f"the archive lists {length} bytes, but sends more"))
            if pause := pace.rate.take(len(chunk)):
                pace.wait(pause)
                floor.rested()
            if time.monotonic() - told > _EVENT_SECONDS:
                told = time.monotonic()
                self.line.on_event(Received(self.item.path, part.size))

    def _nothing_else_tells(self) -> bool:
        """Whether nothing but its type could show that an answer is not the file."""
        item = self.item
        return (
            self.size is None and item.checksum is None and not has_structure(item.filename) and not _may_be_page(item)
        )

    def _is_page(self, answer: Answer, chunk: bytes | memoryview) -> bool:
        """Whether a web page comes instead; bytes of the listed length are proven later where there is a checksum."""
        proven_later = self.item.checksum is not None and answer.length == self.size
        return not proven_later and not _may_be_page(self.item) and _begins_a_page(chunk)


def _may_be_page(item: Item) -> bool:
    return item.filename.lower().endswith((".html", ".htm"))


def _begins_a_page(chunk: bytes | memoryview) -> bool:
    return bytes(chunk[:256]).lstrip().lower().startswith((b"<!doctype html", b"<html"))
