"""Criteria that are each correct, but together can only be a mistake."""

from __future__ import annotations

from collections.abc import Iterable

from catalog.errors import BadValue
from catalog.vocabulary.criteria import Criterion

_INSTRUMENTS = frozenset({"NIRISS", "NIRCAM", "NIRSPEC", "MIRI"})


def refuse_contradictions(criteria: Iterable[Criterion]) -> None:
    """Refuse a keyword that is given twice in such a way that no file can match both.

    Raises
    ------
    BadValue
        The error says how to write what the user probably meant.

    Examples
    --------
    >>> refuse_contradictions([Criterion("exp_type", ("NIS_SOSS",)), Criterion("exp_type", ("NIS_AMI",))])
    Traceback (most recent call last):
    ...
    catalog.errors.BadValue: exp_type is given twice; any of several values is exp_type=NIS_SOSS,NIS_AMI
    """
    seen: dict[str, Criterion] = {}
    for criterion in criteria:
        other = seen.setdefault(criterion.keyword, criterion)
        if other is criterion:
            continue
        if other.values and criterion.values and not set(map(_word, other.values)) & set(map(_word, criterion.values)):
            values = ",".join(str(value) for value in (*other.values, *criterion.values))
            raise BadValue(f"{criterion.keyword} is given twice; any of several values is {criterion.keyword}={values}")
        if other.ranges and criterion.ranges and not _meet(other, criterion):
            raise BadValue(
                f"{criterion.keyword} is given twice, in ranges that have nothing in common; "
                f"either of two is {criterion.keyword}=1..2,5..6"
            )


def _word(value: str | int | bool) -> str:
    return str(value).lower()


def _meet(first: Criterion, second: Criterion) -> bool:
    return any(a.low <= b.high and b.low <= a.high for a in first.ranges for b in second.ranges)


def refuse_modeless(criteria: Iterable[Criterion]) -> None:
    """Refuse an instrument's name without its mode: MAST lists observations by instrument and mode.

    Raises
    ------
    BadValue
        The error says how to ask for all modes.

    Examples
    --------
    >>> refuse_modeless([Criterion("instrument_name", ("NIRISS",))])
    Traceback (most recent call last):
    ...
    catalog.errors.BadValue: instrument_name has the mode in it, like NIRISS/SOSS; all modes are instrument_name=NIRISS*
    """
    for criterion in criteria:
        if criterion.keyword != "instrument_name":
            continue
        for value in criterion.values:
            name = str(value).upper()
            if name in _INSTRUMENTS:
                raise BadValue(
                    f"instrument_name has the mode in it, like NIRISS/SOSS; all modes are instrument_name={name}*"
                )
