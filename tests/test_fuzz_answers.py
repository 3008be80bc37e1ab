"""A short run of the fuzzing of answers; `make fuzz` has the long one."""

from __future__ import annotations

from .fuzz_answers import fuzz


def test_spoilt_answers_lose_nothing_but_what_is_spoilt() -> None:
    assert fuzz(10, harvests=4) >= 10
