"""Which faults are worth another try, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from catalog.errors import ArchiveError, Garbled, Overloaded, QueryTimeout, Unreachable

Result = TypeVar("Result")

PASSING = (Unreachable, Overloaded, Garbled)
"""Faults that may be gone a moment later. A question that was refused will be refused again."""


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
    """

    attempts: int = 5
    first_pause: float = 0.5
    longest_pause: float = 60.0

    def ask(self, question: Callable[[], Result], *, also: tuple[type[ArchiveError], ...] = (QueryTimeout,)) -> Result:
        """Ask until there is an answer, or a fault that will not pass.

        Parameters
        ----------
        question : callable
            Asks once.
        also : tuple of ArchiveError
            Faults to try again beside `PASSING`; a query that timed out can instead be made smaller.
        """
        attempts = Retrying(
            retry=retry_if_exception_type(PASSING + also),
            wait=self._pause,
            stop=stop_after_attempt(self.attempts),
            reraise=True,
        )
        return attempts(question)

    def _pause(self, state: RetryCallState) -> float:
        fault = state.outcome.exception() if state.outcome else None
        if isinstance(fault, Overloaded) and fault.retry_after is not None:
            return min(fault.retry_after, self.longest_pause)
        return wait_random_exponential(multiplier=self.first_pause, max=self.longest_pause)(state)
