"""Whole answers, kept for the same question and compressed: those of a million files are some gigabytes of JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from catalog.simulator.answers import JsonBody

_CODEC = "zstd"


@dataclass(frozen=True)
class _Packed:
    pieces: tuple[tuple[bytes, int], ...]
    rows: int

    @classmethod
    def of(cls, body: JsonBody) -> _Packed:
        return cls(
            tuple((pa.compress(piece, _CODEC, asbytes=True), len(piece)) for piece in map(pa.py_buffer, body.pieces)),
            body.rows,
        )

    def unpacked(self) -> JsonBody:
        pieces = (memoryview(pa.decompress(packed, size, _CODEC)) for packed, size in self.pieces)
        return JsonBody(tuple(pieces), self.rows)


class KeptAnswers:
    """The answers to the questions that were asked since the archive last changed; one thread at a time may ask."""

    def __init__(self) -> None:
        self._generation = 0
        self._packed: dict[str, _Packed] = {}

    def answer(self, generation: int, question: str, make: Callable[[], JsonBody]) -> JsonBody:
        """Return the answer to a question; ``make`` is called if it was not asked in this generation of the archive."""
        if generation != self._generation:
            self._generation = generation
            self._packed.clear()
        packed = self._packed.get(question)
        if packed is not None:
            return packed.unpacked()
        body = make()
        self._packed[question] = _Packed.of(body)
        return body
