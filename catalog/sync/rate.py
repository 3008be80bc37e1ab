"""How fast to receive and when to wait: a rate limit, growing pauses, and a breaker for an archive that is down."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from catalog.errors import Unreachable

LONGEST_PAUSE = 60.0
LONGEST_RETRY_AFTER = 600.0
TRIALS_ONCE_UP = 7
"""How often an archive that sent bytes before is tried again: with the usual unit, over eight minutes of pauses."""


class Stopped(Exception):
    """The sync was told to stop."""


class Halted(Exception):
    """The sync cannot go on: the archive is down, or the disk is full. Its text says which."""


class TooSlow(Unreachable):
    """The bytes come so slowly that the connection is closed; the file continues over another one."""


class SlowestSpeed:
    """The speed below which a connection is closed: one byte a second would keep it open for ever.

    Parameters
    ----------
    least : float
        The least number of bytes a second.
    seconds : float
        The time over which the speed is measured.
    """

    def __init__(self, least: float, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._least = least
        self._seconds = seconds
        self._clock = clock
        self._since = clock()
        self._bytes = 0

    def passed(self, size: int) -> None:
        """Count bytes that came; raise `TooSlow` if they were too few."""
        self._bytes += size
        now = self._clock()
        if now - self._since < self._seconds:
            return
        if self._bytes < self._least * self._seconds:
            raise TooSlow(f"only {self._bytes} bytes came in {now - self._since:.0f} s")
        self._since, self._bytes = now, 0

    def rested(self) -> None:
        """Begin to measure again, after a pause of our own."""
        self._since, self._bytes = self._clock(), 0


class Rate:
    """A limit on bytes a second, shared by all downloads.

    Parameters
    ----------
    limit : int or None
        Bytes a second; None for no limit.
    """

    def __init__(self, limit: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self.chunk = min(1 << 20, max(1 << 12, limit // 20)) if limit else 1 << 20
        self._clock = clock
        self._lock = threading.Lock()
        self._free_at = clock()

    def take(self, size: int) -> float:
        """Count bytes that came, and return the seconds to wait before more are read."""
        if not self.limit:
            return 0.0
        with self._lock:
            now = self._clock()
            self._free_at = max(self._free_at, now - 0.1) + size / self.limit
            return max(0.0, self._free_at - now)


class SharedPace:
    """The pace that all downloads of one sync share: the stop sign, the rate limit, and the breaker.

    Parameters
    ----------
    limit_rate : int, optional
        Bytes a second.
    patience : int
        How many answers in a row, of all downloads, may fail until the archive counts as down.
    trials : int
        How often an archive that is down is tried again, after growing pauses, before the sync gives up. An archive
        that sent bytes earlier in this sync is tried `TRIALS_ONCE_UP` times.
    unit : float
        The length of the shortest pause, in seconds; pauses are multiples of it.
    least, window : float
        A connection that brings fewer bytes a second than ``least``, over ``window`` seconds, is closed.
    """

    def __init__(
        self,
        limit_rate: int | None = None,
        patience: int = 12,
        trials: int = 3,
        unit: float = 0.5,
        least: float = 256.0,
        window: float = 30.0,
    ) -> None:
        self._floor = (least, window)
        self.rate = Rate(limit_rate)
        self.stop = threading.Event()
        self.halted = ""
        self._unit = unit
        self._patience = patience
        self._trials = trials
        self._lock = threading.Lock()
        self._failures = 0
        self._answered = False
        self._opened = 0
        self._times_down = 0
        self._open_until = 0.0
        self._probe: int | None = None

    @property
    def answered(self) -> bool:
        """Whether this sync has received bytes."""
        return self._answered

    @property
    def times_down(self) -> int:
        """How often the archive counted as down in this sync; each failed trial counts again."""
        return self._times_down

    def floor(self) -> SlowestSpeed:
        """Return an object that measures the speed of one answer."""
        return SlowestSpeed(*self._floor)

    def wait(self, seconds: float) -> None:
        """Sleep; wake when the sync is told to stop."""
        if self.stop.wait(seconds) or self.stop.is_set():
            self.check()

    def check(self) -> None:
        """Raise an error if the sync was told to stop."""
        if self.halted:
            raise Halted(self.halted)
        if self.stop.is_set():
            raise Stopped

    def halt(self, reason: str) -> None:
        """End the sync, because no other item can succeed."""
        with self._lock:
            self.halted = self.halted or reason
        self.stop.set()

    def pause(self, attempt: int, retry_after: float | None) -> float:
        """Return the seconds until the next attempt: what the archive asks for, or a random part of a growing time."""
        if retry_after is not None:
            return min(retry_after, LONGEST_RETRY_AFTER) + random.uniform(0, self._unit)
        return random.uniform(0, min(self._unit * 2**attempt, LONGEST_PAUSE))

    def admit(self) -> None:
        """Wait until the archive may be asked; after a pause of the breaker, one thread asks before the others."""
        while True:
            self.check()
            with self._lock:
                if not self._opened:
                    return
                if self._probe is None and time.monotonic() >= self._open_until:
                    self._probe = threading.get_ident()
                    return
            self.stop.wait(min(0.1, self._unit))

    def succeeded(self, sent: bool = True) -> None:
        """Count an answer of the archive, with or without bytes; this closes the breaker."""
        with self._lock:
            self._failures = self._opened = 0
            self._answered |= sent
            self._probe = None

    def failed(self, reason: str) -> float:
        """Count a failure of the archive. Too many in a row open the breaker, and after some trials end the sync.

        Returns
        -------
        float
            For how many seconds nobody asks, if this failure opened the breaker; 0 otherwise.
        """
        with self._lock:
            self._failures += 1
            probed = self._probe == threading.get_ident()
            if self._failures < self._patience or (self._opened and not probed):
                return 0.0
            self._probe = None
            self._opened += 1
            self._times_down += 1
            seconds = self._unit * 2 ** (self._opened + 2)
            self._open_until = time.monotonic() + seconds
            over = self._opened > (TRIALS_ONCE_UP if self._answered else self._trials)
        if over:
            self.halt(f"the archive is down ({reason})")
        return 0.0 if over else seconds

    def left(self) -> None:
        """Let another thread ask first, because this one ended without learning whether the archive answers."""
        with self._lock:
            if self._probe == threading.get_ident():
                self._probe = None
