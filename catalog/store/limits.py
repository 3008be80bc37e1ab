"""How long questions may take, for a program that asks on behalf of others: some seconds, or until they are stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from threading import Event

from catalog.errors import QuestionStopped


@dataclass(frozen=True)
class _Limit:
    seconds: float
    until: float
    stop: Event | None


_limit: ContextVar[_Limit | None] = ContextVar("limit", default=None)


@contextmanager
def limited(seconds: float, stop: Event | None = None) -> Iterator[None]:
    """Let the questions that this thread asks within the block end after some seconds in all, or when they are stopped.

    Parameters
    ----------
    seconds : float
        For all questions of the block together.
    stop : threading.Event, optional
        Ends the question under way when it is set.
    """
    token = _limit.set(_Limit(seconds, time.monotonic() + seconds, stop))
    try:
        yield
    finally:
        _limit.reset(token)


def why_to_stop() -> QuestionStopped | None:
    """Return the reason for which the question at hand must end now; None where it may go on."""
    limit = _limit.get()
    if limit is None:
        return None
    if limit.stop is not None and limit.stop.is_set():
        return QuestionStopped("the question was cancelled")
    if time.monotonic() > limit.until:
        return QuestionStopped(f"the question took longer than {limit.seconds:g} seconds; ask for less, or in steps")
    return None
