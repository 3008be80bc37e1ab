"""How long one answer of the archive may take."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

_LEAST_WORKING = 60.0
"""The least time, in seconds, for which an answer may stay EXECUTING."""


@dataclass(frozen=True)
class AnswerLimits:
    """How long one answer may take.

    Attributes
    ----------
    connect, read : float
        Seconds to make a connection, and between two pieces of an answer.
    total : float
        Seconds until an answer that stays EXECUTING, or does not end, is given up; MAST's own client waits as long.
        After each such answer, the next one gets half the time.
    first_pause, longest_pause : float
        Seconds between two requests for an answer that is EXECUTING.
    until : float
        When to stop, as a time of `time.monotonic`.
    """

    connect: float = 20.0
    read: float = 300.0
    total: float = 600.0
    first_pause: float = 0.2
    longest_pause: float = 10.0
    until: float = math.inf

    def timeouts(self) -> tuple[float, float]:
        """Return the seconds to wait for a connection and for a piece of an answer, as `requests` takes them."""
        left = max(0.1, self.until - time.monotonic())
        return min(self.connect, left), min(self.read, left)

    def working(self, given_up: int) -> float:
        """Return the seconds that an answer may stay EXECUTING, after so many answers before it were given up."""
        return max(min(self.total, _LEAST_WORKING), self.total * 0.5**given_up)

    def longest(self) -> float:
        """Return the seconds that one answer may take, from the beginning of the question to the end of the answer."""
        return max(0.1, min(self.total, self.until - time.monotonic()))
