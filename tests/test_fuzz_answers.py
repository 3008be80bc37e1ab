"""A short run of the fuzzing of answers; `make fuzz` has the long one."""

from __future__ import annotations

import pytest

from .fuzz_answers import fuzz, fuzz_reading


def test_spoilt_answers_are_read_or_refused_in_one_line() -> None:
    assert fuzz_reading(150) > 0


@pytest.mark.long
def test_spoilt_answers_lose_nothing_but_what_is_spoilt() -> None:
    assert fuzz(10, seed=2, harvests=4) >= 10
