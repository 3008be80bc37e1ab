"""Receive the bytes of one file, however often the connection drops, within limits.

An attempt asks a source for the missing bytes and writes what comes. There are limits for attempts in a row without
progress, for attempts that are too slow, for new beginnings, and for all attempts together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from tenacity import RetryCallState, Retrying, retry_if_exception_type

from catalog.errors import ArchiveError, Garbled, Overloaded, ProxyFault, Refused, Unreachable, Untrusted, UsageError
from catalog.sync.destination_places import DestinationPlaces
from catalog.sync.events import OnEvent, Paused, Received, Started
from catalog.sync.partial import Identity, PartialFile
from catalog.sync.plan import Item
from catalog.sync.rate import SharedPace, TooSlow
from catalog.sync.replaced_files import OldBytes
from catalog.sync.source import Ask, Download, NotInSource, ProductSource
from catalog.sync.structure import has_structure
from catalog.sync.verification import Problem

ATTEMPTS = 6
"""How many attempts in a row may make no progress."""
MOST_ATTEMPTS = 1000
RESTARTS = 5
"""How often a file may begin again without having been proven wrong."""
SLOW_ATTEMPTS = 3
"""How many attempts in a row may be too slow."""
_GETTING_ON = 1 << 20
"""So many bytes always count as progress; for a smaller file, a hundredth of it is enough."""
_LARGEST_UNTOLD = 1 << 30
"""The most bytes of a product whose length neither the catalog nor the answer tells."""
_EVENT_SECONDS = 0.2
_WORTH_ANOTHER_TRY = (Overloaded, Unreachable, Garbled)


@dataclass(frozen=True)
class Current:
    """A file as the archive lists it now."""

    filename: str
    size: int | None
    checksum: str | None


AskCurrent = Callable[[str], Current | None]


@dataclass
class SharedTransfers:
    """The settings and sources that all downloads of a sync share.

    Parameters
    ----------
    root : Path
        The destination; nothing is written outside it.
    sources : tuple of ProductSource
        The first source is asked first. If it does not have a file, the last one is asked, and stays in use for it.
    pace : SharedPace
        The stop sign, the rate limit and the breaker.
    current : callable, optional
        Asks the archive for the row that it has now for a file.
    on_event : callable
        Called with each event.
    doubtful : callable
        Returns whether the archive's checksums are in doubt, so that fetching a file again proves nothing.
    old_bytes : OldBytes
        The rule for bytes that are replaced.
    trust_length : bool
        Whether a person said that length and structure are enough where only the MD5 is not as listed.
    catalog : Path, optional
        The catalog, which no product may replace.
    on_detour : callable
        Called with the reason why the first source did not give a file that it should have.
    slots : context manager
        Entered while the archive is asked and sends; not while a file is proven and written to disk.
    """

    root: Path
    sources: tuple[ProductSource, ...]
    pace: SharedPace
    current: AskCurrent | None = None
    on_event: OnEvent = lambda event: None
    doubtful: Callable[[], bool] = lambda: False
    old_bytes: OldBytes = field(default_factory=OldBytes)
    trust_length: bool = False
    catalog: Path | None = None
    on_detour: Callable[[str], None] = lambda reason: None
    slots: AbstractContextManager[object] = field(default_factory=nullcontext)
    answers: dict[int, Download] = field(default_factory=dict)

    @property
    def places(self) -> DestinationPlaces:
        """The places below the destination."""
        return DestinationPlaces(self.root, self.catalog)

    def abort(self) -> None:
        """End every read that is waiting."""
        for answer in list(self.answers.values()):
            answer.abort()

    @contextmanager
    def registered(self, answer: Download) -> Iterator[None]:
        """Let `abort` reach a download while it is read."""
        self.answers[id(answer)] = answer
        try:
            yield
        finally:
            del self.answers[id(answer)]


@dataclass
class WrongAnswer(Exception):
    """The answer is not of the version that is wanted, so it is not read to its end."""

    problem: Problem


@dataclass
class Receiver:
    """The reception of one file.

    Parameters
    ----------
    shared : SharedTransfers
        The objects that all downloads of the sync share.
    item : Item
        The file to receive, as the archive lists it.
    part : PartialFile
        Where the bytes go.
    on_bytes : callable
        Called with the number of bytes that came.

    Attributes
    ----------
    size : int or None
        The required length; None if a whole answer of any length is accepted.
    source : str
        The source of the last bytes.
    told : bool
        Whether the last answer told its length or its end, so that the bytes are surely complete.
    """

    shared: SharedTransfers
    item: Item
    part: PartialFile
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
            If the archive sends another version.
        ArchiveError
            If the bytes cannot be fetched.
        """
        if self.part.size and self.part.size == self.size:
            self.told = True
            return
        attempts = Retrying(
            retry=retry_if_exception_type(_WORTH_ANOTHER_TRY),
            stop=self._give_up,
            wait=self._pause,
            sleep=self.shared.pace.wait,
            reraise=True,
        )
        attempts(self._attempt)

    def again(self) -> None:
        """Drop the bytes, which are proven wrong; the next ones come from the archive itself and from no cache."""
        self._first_source = False
        self._fresh = True
        self._fruitless = self._restarts = self._slow = self._had = 0
        self._begin()
        self._restarts = 0

    def _begin(self, etag: str | None = None) -> None:
        """Begin the file again, from its first byte."""
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
        pace = self.shared.pace
        pace.check()
        seconds = pace.pause(self._fruitless, getattr(error, "retry_after", None))
        self.shared.on_event(Paused(self.item.filename, seconds, str(error)))
        return seconds

    def _attempt(self) -> None:
        with self.shared.slots:
            self._ask_in_turn()

    def _ask_in_turn(self) -> None:
        pace, had = self.shared.pace, self.part.size
        pace.admit()
        if not self._started:
            self._started = True
            self.shared.on_event(Started(self.item.path, self.item.filename, self.item.size, self.part.found))
        if self.size is not None and self.part.size > self.size:
            self._begin()
        try:
            self._ask()
        except UsageError as error:  # the environment names something wrong, which every file would meet
            pace.halt(str(error))
            raise
        except (Untrusted, ProxyFault) as error:
            if not pace.answered:  # then every file would meet the same
                pace.halt(str(error))
                raise
            raise Unreachable(str(error)) from error  # it worked earlier, so it may work again
        except _WORTH_ANOTHER_TRY as error:
            if self.part.size <= had and (seconds := pace.failed(str(error))):
                self.shared.on_event(Paused("", seconds, f"the archive is down ({error})"))
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
        with answer, self.shared.registered(answer):
            self._take(answer)

    def _open(self) -> Download:
        item, first, last = self.item, self.shared.sources[0], self.shared.sources[-1]
        ask = Ask(item.data_uri, self.part.size, self.part.identity.etag, item.exclusive, self._fresh, self.size)
        if self._first_source and first is not last:
            try:
                self.source = first.name
                return first.open(ask)
            except ArchiveError as error:
                self._first_source = False
                if not isinstance(error, NotInSource):
                    self.shared.on_detour(str(error))
        self.source = last.name
        return last.open(ask)

    def _take(self, answer: Download) -> None:
        """Write the bytes that come, once it is clear that they can be the file's."""
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
            if answer.ends and answer.length is None:  # a chunked answer that came to its end
                raise WrongAnswer(Problem("length", f"the archive lists {length} bytes, but sends {have}"))
            raise Unreachable(f"the connection ended after {have} of {length} bytes")
        self.told = answer.ends

    def _write(self, answer: Download, length: int | None) -> None:
        part, pace = self.part, self.shared.pace
        last_event, floor = time.monotonic(), pace.floor()
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
            if time.monotonic() - last_event > _EVENT_SECONDS:
                last_event = time.monotonic()
                self.shared.on_event(Received(self.item.path, part.size))

    def _nothing_else_tells(self) -> bool:
        """Whether only the type of the answer could show that it is not the file."""
        item = self.item
        return (
            self.size is None and item.checksum is None and not has_structure(item.filename) and not _may_be_page(item)
        )

    def _is_page(self, answer: Download, chunk: bytes | memoryview) -> bool:
        """Whether a web page came instead. With a checksum, bytes of the listed length are proven later anyway."""
        proven_later = self.item.checksum is not None and answer.length == self.size
        return not proven_later and not _may_be_page(self.item) and _begins_a_page(chunk)


def _may_be_page(item: Item) -> bool:
    return item.filename.lower().endswith((".html", ".htm"))


def _begins_a_page(chunk: bytes | memoryview) -> bool:
    return bytes(chunk[:256]).lstrip().lower().startswith((b"<!doctype html", b"<html"))
