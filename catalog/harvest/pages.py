"""Rows of a search in one page where that is sure to be all of them, so that nothing new costs one request."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

import pyarrow as pa

from catalog.archive.answer import Answer
from catalog.archive.client import Query
from catalog.archive.partition import LIGHT_ROWS, Whole
from catalog.archive.repeats import key_column, repeated
from catalog.errors import Garbled, QueryTimeout


def rows_that_include(
    whole: Whole,
    query: Query,
    columns: Sequence[str],
    known: Collection[str],
    on_part: Callable[[int, int], None] | None = None,
) -> Iterator[pa.Table]:
    """Yield all rows of a query; one page without a count does if it has everything that was there before.

    A page that lacks a row which the archive does not count would withdraw what it stands for. So where anything that
    is known is missing, or the archive has no time for the page, the rows are asked for again in parts, each proven by
    a count.

    Parameters
    ----------
    whole : Whole
        Whom to ask.
    query, columns
        As of `Whole.rows`.
    known : collection of str
        Keys of the rows that the query had.
    on_part : callable, optional
        Called with rows so far and rows in all.
    """
    if known and len(known) <= LIGHT_ROWS:
        answer = _page(whole, query, columns)
        if answer is not None and _includes(answer, whole.key, known):
            if whole.on_aside and answer.aside:
                whole.on_aside(answer.aside)
            if on_part:
                on_part(answer.rows.num_rows, answer.rows.num_rows)
            yield answer.rows
            return
    yield from whole.rows(query, columns, on_part=on_part)


def _page(whole: Whole, query: Query, columns: Sequence[str]) -> Answer | None:
    try:
        return whole.patience.ask(lambda: whole.archive.rows(query, columns, LIGHT_ROWS), also=())
    except QueryTimeout:
        return None


def _includes(answer: Answer, key: str, known: Collection[str]) -> bool:
    """Say whether an answer has all that its paging counts, each row once, and everything that is known."""
    if answer.total != answer.rows.num_rows + answer.rows_aside:
        return False
    try:
        keys = answer.rows.column(key_column(answer.rows, key)).cast(pa.string())
    except Garbled:
        return False
    return set(known) <= set(keys.to_pylist()) and not len(repeated(answer.rows, key))
