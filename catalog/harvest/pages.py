"""Rows of a search in one page where that is sure to be all of them, so that nothing new costs one request."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from catalog.archive.client import Query
from catalog.archive.partition import LIGHT_ROWS, Whole


def rows_that_include(
    whole: Whole,
    query: Query,
    columns: Sequence[str],
    known: Collection[str],
    on_part: Callable[[int, int], None] | None = None,
) -> Iterator[pa.Table]:
    """Yield all rows of a query; one page without a count does if it has everything that was there before.

    A page that lacks a row which the archive does not count would withdraw what it stands for. So where anything that
    is known is missing, the rows are asked for again in parts, each proven by a count.

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
        answer = whole.patience.ask(lambda: whole.archive.rows(query, columns, LIGHT_ROWS))
        keys = [name for name in answer.rows.column_names if name.lower() == whole.key.lower()]
        if keys and answer.total == answer.rows.num_rows + answer.rows_aside:
            column = answer.rows.column(keys[0]).cast(pa.string())
            missing = set(known).difference(column.to_pylist())
            if not missing and pc.count_distinct(column).as_py() == answer.rows.num_rows:
                if whole.on_aside and answer.aside:
                    whole.on_aside(answer.aside)
                if on_part:
                    on_part(answer.rows.num_rows, answer.rows.num_rows)
                yield answer.rows
                return
    yield from whole.rows(query, columns, on_part=on_part)
