"""Events of a running sync. A program that shows progress receives them; the library prints nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan is made; these items will be fetched or checked."""

    items: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Started:
    """The first bytes of a file are asked for; ``have`` of its ``size`` are here already."""

    path: str
    filename: str
    size: int | None
    have: int


@dataclass(frozen=True, slots=True)
class Received:
    """A file has this many of its bytes now; for each file this is told at most a few times a second."""

    path: str
    have: int


@dataclass(frozen=True, slots=True)
class Finished:
    """A file is done: ``present``, ``fetched``, ``resumed``, ``replaced`` or ``failed``."""

    path: str
    filename: str
    outcome: str
    size: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Paused:
    """A file, or the whole sync where ``filename`` is empty, waits before it asks again."""

    filename: str
    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Note:
    """A message that is told once."""

    text: str


Event = Planned | Started | Received | Finished | Paused | Note
OnEvent = Callable[[Event], None]
