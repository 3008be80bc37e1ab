"""Read a search in one page if that page surely has all rows, so that a harvest without changes needs one request."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

import pyarrow as pa

from catalog.archive.answer import ArchiveAnswer
from catalog.archive.client import Query
from catalog.archive.partition import LIGHT_ROWS, WholeQueries
from catalog.archive.repeats import key_column, repeated
from catalog.errors import Garbled, QueryTimeout


def rows_that_include(
    whole: WholeQueries,
    query: Query,
    columns: Sequence[str],
    known_keys: Collection[str],
    on_part: Callable[[int, int], None] | None = None,
) -> Iterator[pa.Table]:
    """Yield all rows of a query. One page without a count is enough if it has everything that was there before.

    If a page lacked a row and the archive did not count, the file of that row would be withdrawn. So if any known row
    is missing, or the archive runs out of time for the page, the rows are asked for in parts, each proven by a count.

    Parameters
    ----------
    whole : WholeQueries
        It asks for whole queries.
    query, columns
        As for `WholeQueries.rows`.
    known_keys : collection of str
        Keys of the rows that the query had before.
    on_part : callable, optional
        Called with the number of rows so far, and of all rows.
    """
    if known_keys and len(known_keys) <= LIGHT_ROWS:
        answer = _page(whole, query, columns)
        if answer is not None and _includes(answer, whole.key, known_keys):
            if whole.on_aside and answer.aside:
                whole.on_aside(answer.aside)
            if on_part:
                on_part(answer.rows.num_rows, answer.rows.num_rows)
            yield answer.rows
            return
    yield from whole.rows(query, columns, on_part=on_part)


def _page(whole: WholeQueries, query: Query, columns: Sequence[str]) -> ArchiveAnswer | None:
    try:
        return whole.patience.ask(lambda: whole.archive.rows(query, columns, LIGHT_ROWS), also=())
    except QueryTimeout:
        return None


def _includes(answer: ArchiveAnswer, key: str, known_keys: Collection[str]) -> bool:
    """Say whether an answer has as many rows as its paging counts, each of them once, and all known keys."""
    if answer.total != answer.rows.num_rows + answer.rows_aside:
        return False
    try:
        keys = answer.rows.column(key_column(answer.rows, key)).cast(pa.string())
    except Garbled:
        return False
    return set(known_keys) <= set(keys.to_pylist()) and not len(repeated(answer.rows, key))
