"""How long questions may take when a program asks them for others: some seconds, or until they are stopped."""

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
    """Limit the questions that this thread asks in the block: to some seconds in all, or until they are stopped.

    Parameters
    ----------
    seconds : float
        For all questions of the block together.
    stop : threading.Event, optional
        When it is set, the current question ends.
    """
    token = _limit.set(_Limit(seconds, time.monotonic() + seconds, stop))
    try:
        yield
    finally:
        _limit.reset(token)


def why_to_stop() -> QuestionStopped | None:
    """Return the reason why the current question must end now, or None if it may go on."""
    limit = _limit.get()
    if limit is None:
        return None
    if limit.stop is not None and limit.stop.is_set():
        return QuestionStopped("the question was cancelled")
    if time.monotonic() > limit.until:
        return QuestionStopped(f"the question took longer than {limit.seconds:g} seconds; ask for less, or in steps")
    return None
