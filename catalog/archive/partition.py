"""Split a search so that every answer is whole, and prove it by counts.

The archive promises no row order, so pages of one question can lose and repeat rows. A question is asked in one
page or not at all: a larger one is split by ranges of a column, each part proven against ``COUNT_BIG(*)``.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from catalog.archive.client import Archive, Filters
from catalog.archive.retry import Patience
from catalog.errors import Incomplete

FULL_ROWS = 20_000
"""Rows of one answer with all columns: some 80 MB of JSON, so that memory stays small."""
LIGHT_ROWS = 50_000
"""Rows of one answer with few columns: MAST's own page."""


@dataclass(frozen=True)
class Cut:
    """A column by which a search can be split, and where its values lie.

    Attributes
    ----------
    column : str
        A number, never null.
    low, high : float
        Every value lies between.
    step : float
        Values nearer than this count as one.
    """

    column: str
    low: float
    high: float
    step: float


CUTS = (Cut("ingestCompletionDate_mjd", 0.0, 200_000.0, 1e-7), Cut("ArchiveFileID", 0, 1e12, 1))
"""Tried in order; MJD 200,000 is in the year 2406."""


@dataclass(frozen=True)
class Question:
    """A part of a search that one answer can hold: its filters, and how many rows the archive counts."""

    filters: tuple[dict[str, Any], ...]
    rows: int


@dataclass(frozen=True)
class Whole:
    """Asks whole searches.

    Attributes
    ----------
    archive : Archive
        Whom to ask.
    patience : Patience
        How long to go on.
    key : str
        The column that names a row.
    at_once : int
        Questions under way at the same time.
    """

    archive: Archive
    patience: Patience = field(default_factory=Patience)
    key: str = "filename"
    at_once: int = 2

    def count(self, service: str, filters: Filters) -> int:
        """Return how many rows a search has."""
        return self.patience.ask(lambda: self.archive.count(service, filters))

    def rows(
        self,
        service: str,
        filters: Filters,
        columns: Sequence[str] = ("*",),
        *,
        limit: int | None = None,
        on_part: Callable[[int, int], None] | None = None,
    ) -> Iterator[pa.Table]:
        """Yield all rows of a search, in parts, each proven complete.

        Parameters
        ----------
        service, filters, columns
            As of `Archive.rows`.
        limit : int, optional
            Rows of a part at most.
        on_part : callable, optional
            Called with rows so far and rows in all.

        Raises
        ------
        Incomplete
            If answers and counts do not agree, however often they are asked.
        """
        size = limit or (FULL_ROWS if "*" in columns else LIGHT_ROWS)
        total = self.count(service, filters)
        done = 0
        questions = self._split(service, tuple(dict(f) for f in filters), total, size, CUTS)
        for table in self._ahead(questions, lambda question: self._prove(service, question, columns, size)):
            done += table.num_rows
            if on_part:
                on_part(done, max(total, done))
            yield table

    def _ahead(self, questions: Iterator[Question], ask: Callable[[Question], pa.Table]) -> Iterator[pa.Table]:
        """Ask a few questions ahead of whoever takes the answers, in order."""
        with ThreadPoolExecutor(self.at_once, thread_name_prefix="archive") as pool:
            waiting: deque[Future[pa.Table]] = deque()
            try:
                for question in questions:
                    waiting.append(pool.submit(ask, question))
                    if len(waiting) >= self.at_once:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def _split(
        self, service: str, filters: tuple[dict[str, Any], ...], total: int, size: int, cuts: Sequence[Cut]
    ) -> Iterator[Question]:
        """Yield questions of at most ``size`` rows that together are the search."""
        if total <= size:
            if total:
                yield Question(filters, total)
            return
        if not cuts:
            raise Incomplete(
                f"{total} rows of {service} cannot be told apart by any range; the archive's page is {size}"
            )
        cut, rest = cuts[0], cuts[1:]
        covered = self.count(service, _within(filters, cut, cut.low, cut.high))
        if covered != total and covered != (total := self.count(service, filters)):  # nulls lie in no range
            yield from self._split(service, filters, total, size, rest)
            return
        stack = [(cut.low, cut.high, total)]
        while stack:
            low, high, rows = stack.pop()
            part = _within(filters, cut, low, high)
            if rows <= size:
                if rows:
                    yield Question(part, rows)
            elif high - low <= cut.step:
                yield from self._split(service, part, rows, size, rest)
            else:
                middle = low + (high - low) / 2
                upper = math.nextafter(middle, math.inf)
                left = self.count(service, _within(filters, cut, low, middle))
                right = self.count(service, _within(filters, cut, upper, high))
                stack += [(upper, high, right), (low, middle, left)]

    def _prove(self, service: str, question: Question, columns: Sequence[str], size: int) -> pa.Table:
        """Ask until the rows are as many as the archive counts, and none stands twice."""
        filters, expected, seen = question.filters, question.rows, set[tuple[int, int]]()
        for _ in range(self.patience.attempts):
            answer = self.patience.ask(lambda: self.archive.rows(service, filters, columns, size))
            rows = answer.rows.num_rows
            distinct = pc.count_distinct(answer.rows.column(self._key(answer.rows))).as_py() if rows else 0
            # Rows that repeat are the archive's own if a second answer, in another order, has the same ones.
            if rows == expected == answer.total and (distinct == rows or (rows, distinct) in seen):
                return answer.rows
            seen.add((rows, distinct))
            expected = self.count(service, filters)
            if expected > size:
                parts = self._split(service, filters, expected, size, CUTS)
                return pa.concat_tables(
                    [self._prove(service, p, columns, size) for p in parts], promote_options="permissive"
                )
        raise Incomplete(f"{service} gave {rows} rows where it counts {expected}; try again later")

    def _key(self, table: pa.Table) -> str:
        """GuideStar rows spell it fileName."""
        return str(next(name for name in table.column_names if name.lower() == self.key.lower()))


def _within(filters: tuple[dict[str, Any], ...], cut: Cut, low: float, high: float) -> tuple[dict[str, Any], ...]:
    return (*filters, {"paramName": cut.column, "values": [{"min": low, "max": high}]})
