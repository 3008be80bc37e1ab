"""Which faults are worth another try, and when."""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    wait_random_exponential,
)

from catalog.errors import ArchiveError, Garbled, OutOfTime, Overloaded, QueryTimeout, Unreachable

Result = TypeVar("Result")

PASSING = (Unreachable, Overloaded, Garbled)
"""Faults that may be gone a moment later. A question that was refused will be refused again."""
LONGEST_RETRY_AFTER = 900.0
"""Seconds that the archive can ask us to wait; more counts as this."""


@dataclass(frozen=True)
class Patience:
    """How long to go on asking.

    Attributes
    ----------
    attempts : int
        How often one question is asked at most.
    first_pause, longest_pause : float
        Seconds; pauses double from the first on and are drawn at random below that (full jitter, as in
        https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    silence : float
        Seconds after which a question that has no answer in time is not asked again: an archive that worked on it for
        so long, or said nothing, does so the next time.
    until : float
        When to stop asking altogether, by `time.monotonic`.
    """

    attempts: int = 5
    first_pause: float = 0.5
    longest_pause: float = 60.0
    silence: float = 450.0
    until: float = math.inf

    def ask(self, question: Callable[[], Result], *, also: tuple[type[ArchiveError], ...] = (QueryTimeout,)) -> Result:
        """Ask until there is an answer, or a fault that will not pass.

        Parameters
        ----------
        question : callable
            Asks once.
        also : tuple of ArchiveError
            Faults to try again beside `PASSING`; a query that timed out can instead be made smaller.

        Raises
        ------
        OutOfTime
            Once `until` has passed.
        """
        attempts = Retrying(
            retry=retry_if_exception_type(PASSING + also),
            before=self._in_time,
            wait=self._pause,
            stop=self._is_enough,
            reraise=True,
        )
        return attempts(question)

    def _in_time(self, state: RetryCallState) -> None:
        if time.monotonic() >= self.until:
            raise OutOfTime("the time limit of this run is reached; nothing was changed, run it again")

    def _is_enough(self, state: RetryCallState) -> bool:
        fault = state.outcome.exception() if state.outcome else None
        is_silent = isinstance(fault, Unreachable) and (state.seconds_since_start or 0) >= self.silence
        return is_silent or state.attempt_number >= self.attempts

    def _pause(self, state: RetryCallState) -> float:
        fault = state.outcome.exception() if state.outcome else None
        if isinstance(fault, Overloaded) and fault.retry_after is not None:
            pause = min(fault.retry_after, LONGEST_RETRY_AFTER) + random.uniform(0, self.first_pause)
        else:
            pause = wait_random_exponential(multiplier=self.first_pause, max=self.longest_pause)(state)
        return max(0.0, min(pause, self.until - time.monotonic()))


def retry_after(value: str | None, date: str | None = None) -> float | None:
    """Read a Retry-After header: seconds, or a date, which is taken relative to the answer's own Date.

    The local clock has no part in it, so that one that is wrong, or jumps, makes nobody wait.
    """
    if not value:
        return None
    if re.fullmatch(r"\d{1,6}", value.strip()):
        return float(value)
    try:
        seconds = (parsedate_to_datetime(value) - parsedate_to_datetime(date or "")).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return max(0.0, seconds)
