"""How fast, and when to wait: a rate limit, pauses that grow, and a breaker for when the archive is down."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from catalog.errors import Unreachable

LONGEST_PAUSE = 60.0
LONGEST_RETRY_AFTER = 600.0
TRIALS_ONCE_UP = 7
"""An archive that sent bytes before gets more trials: at the usual unit, over eight minutes of pauses."""


class Stopped(Exception):
    """The sync was told to end."""


class Halted(Exception):
    """The sync cannot go on: the archive is down, or the disk is full. Its text says which."""


class TooSlow(Unreachable):
    """Bytes come so slowly that the connection is given up; the file goes on over another one."""


class Floor:
    """The speed below which an answer is given up: a byte a second would hold a connection for ever.

    Parameters
    ----------
    least : float
        Bytes a second.
    seconds : float
        Over how long.
    """

    def __init__(self, least: float, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._least = least
        self._seconds = seconds
        self._clock = clock
        self._since = clock()
        self._bytes = 0

    def passed(self, size: int) -> None:
        """Count bytes that came; raise `TooSlow` where they were too few."""
        self._bytes += size
        now = self._clock()
        if now - self._since < self._seconds:
            return
        if self._bytes < self._least * self._seconds:
            raise TooSlow(f"only {self._bytes} bytes came in {now - self._since:.0f} s")
        self._since, self._bytes = now, 0

    def rested(self) -> None:
        """Begin to measure anew, after a pause of our own."""
        self._since, self._bytes = self._clock(), 0


class Rate:
    """A limit on bytes a second, shared by all downloads.

    Parameters
    ----------
    limit : int or None
        Bytes a second; None: as fast as it goes.
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


class Pace:
    """What all downloads of one sync share: the stop sign, the rate, and the breaker.

    Parameters
    ----------
    limit_rate : int, optional
        Bytes a second.
    patience : int
        How many answers in a row, over all downloads, may fail before the archive counts as down.
    trials : int
        How often it is then tried again, after pauses that grow, before the sync gives up. An archive that
        sent bytes earlier in this sync gets `TRIALS_ONCE_UP`.
    unit : float
        Seconds that pauses are multiples of.
    least, window : float
        An answer that brings fewer bytes a second, over a window of so many seconds, is given up.
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
        self._open_until = 0.0
        self._probe: int | None = None

    @property
    def answered(self) -> bool:
        """Whether bytes have come in this sync."""
        return self._answered

    def floor(self) -> Floor:
        """Return the measure of one answer's speed."""
        return Floor(*self._floor)

    def wait(self, seconds: float) -> None:
        """Sleep, unless told to stop."""
        if self.stop.wait(seconds) or self.stop.is_set():
            self.check()

    def check(self) -> None:
        """Raise where the sync was told to end."""
        if self.halted:
            raise Halted(self.halted)
        if self.stop.is_set():
            raise Stopped

    def halt(self, reason: str) -> None:
        """End the sync: no other item can succeed."""
        with self._lock:
            self.halted = self.halted or reason
        self.stop.set()

    def pause(self, attempt: int, retry_after: float | None) -> float:
        """Seconds before the next attempt: what the archive asks for, or a random part of a growing span."""
        if retry_after is not None:
            return min(retry_after, LONGEST_RETRY_AFTER) + random.uniform(0, self._unit)
        return random.uniform(0, min(self._unit * 2**attempt, LONGEST_PAUSE))

    def admit(self) -> None:
        """Wait until the archive may be asked. After the breaker's pause one goes first, and the others wait for it."""
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
        """Count an answer of the archive, with bytes or without; the breaker closes."""
        with self._lock:
            self._failures = self._opened = 0
            self._answered |= sent
            self._probe = None

    def failed(self, reason: str) -> float:
        """Count a failure of the archive itself; too many in a row open the breaker, and in the end halt the sync.

        Returns
        -------
        float
            For how many seconds nobody asks, where this failure is the one that opened the breaker; 0 otherwise.
        """
        with self._lock:
            self._failures += 1
            probed = self._probe == threading.get_ident()
            if self._failures < self._patience or (self._opened and not probed):
                return 0.0
            self._probe = None
            self._opened += 1
            seconds = self._unit * 2 ** (self._opened + 2)
            self._open_until = time.monotonic() + seconds
            over = self._opened > (TRIALS_ONCE_UP if self._answered else self._trials)
        if over:
            self.halt(f"the archive is down ({reason})")
        return 0.0 if over else seconds

    def left(self) -> None:
        """Let another go first where this thread was to, and never learned whether the archive answers."""
        with self._lock:
            if self._probe == threading.get_ident():
                self._probe = None
