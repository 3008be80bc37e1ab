"""How far the pull of a whole catalog is, for whoever waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Pull:
    """How far the pull of a whole catalog is.

    Attributes
    ----------
    name : str
        The address.
    have, total : int
        How many bytes came, and how many are asked for.
    is_over : bool
        True for the last event, whether all bytes came or not.
    """

    name: str
    have: int
    total: int
    is_over: bool = False


Pulled = Callable[[Pull], None]


class Meter:
    """Counts the bytes of one pull after another.

    Parameters
    ----------
    name : str
        The address.
    pulled : callable, optional
        Called with each `Pull`.
    """

    def __init__(self, name: str, pulled: Pulled | None = None) -> None:
        self._name = name
        self._pulled = pulled
        self._total = self._have = 0

    def counted(self, received: Iterator[bytes]) -> Iterator[bytes]:
        """Pass bytes on, and count them if a pull is watched; a block that comes twice adds nothing at the end."""
        for piece in received:
            if self._pulled is not None and self._total:
                self._have = min(self._have + len(piece), self._total)
                self._pulled(Pull(self._name, self._have, self._total))
            yield piece

    @contextmanager
    def watched(self, total: int) -> Iterator[None]:
        """Report until the end of the block how many of so many bytes came."""
        if self._pulled is None or not total:
            yield
            return
        self._have, self._total = 0, total
        try:
            self._pulled(Pull(self._name, 0, total))
            yield
        finally:
            self._total = 0
            self._pulled(Pull(self._name, self._have, total, is_over=True))
