"""Which faults are worth another attempt, and when."""

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
"""Faults that may be over a moment later. A question that was refused will be refused again."""
LONGEST_RETRY_AFTER = 900.0
"""The longest time, in seconds, that the archive can make us wait; a longer time counts as this."""


@dataclass(frozen=True)
class Patience:
    """How long to ask again after faults.

    Attributes
    ----------
    attempts : int
        How often one question is asked at most.
    first_pause, longest_pause : float
        In seconds. The limit of a pause begins with the first and doubles; the pause is random below it (full jitter,
        https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    silence : float
        Seconds after which a question that timed out is not asked again: if the archive worked on it or said nothing
        for so long, it would do so again.
    until : float
        When to stop asking, as a time of `time.monotonic`.
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
            Faults that are tried again in addition to `PASSING`. Without them, the caller can make the query smaller.

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
    """Read a Retry-After header: seconds, or a date, which is compared with the answer's own Date.

    The local clock is not used, so a wrong clock cannot make anybody wait.
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
