"""Split a search so that every answer is whole, and prove it by counts and keys.

The archive promises no row order, so pages of one question can lose and repeat rows. A question is asked in one
page or not at all: a larger one is split by ranges of a column, each part proven against ``COUNT_BIG(*)``.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from catalog.archive.answer import Answer, SetAside
from catalog.archive.client import Archive, Query
from catalog.archive.retry import Patience
from catalog.errors import Incomplete
from catalog.missions import JWST, Cut
from catalog.vocabulary.spelling import kept_name

FULL_ROWS = 10_000
"""Rows of one answer with all columns: some 40 MB of JSON, so that memory stays small."""
LIGHT_ROWS = 50_000
"""Rows of one answer with few columns: MAST's own page."""

KEYS_AT_ONCE = 500
"""Keys of one count."""


@dataclass(frozen=True)
class Part:
    """A part of a query that one answer can hold, and how many rows the archive counts in it."""

    query: Query
    rows: int


@dataclass(frozen=True)
class Whole:
    """Asks whole queries.

    Attributes
    ----------
    archive : Archive
        Whom to ask.
    patience : Patience
        How long to go on.
    key : str
        The column that names a row.
    cuts : sequence of Cut
        By what a query that is too large is split.
    at_once : int
        Answers under way at the same time.
    on_aside : callable, optional
        Called with what of an answer is set aside, once that answer is proven whole; from any thread.
    """

    archive: Archive
    patience: Patience = field(default_factory=Patience)
    key: str = "filename"
    cuts: Sequence[Cut] = JWST.file_cuts
    at_once: int = 2
    on_aside: Callable[[Sequence[SetAside]], None] | None = None

    def count(self, query: Query) -> int:
        """Return how many rows a query has."""
        return self.patience.ask(lambda: self.archive.count(query))

    def rows(
        self,
        query: Query,
        columns: Sequence[str] = ("*",),
        *,
        limit: int | None = None,
        on_part: Callable[[int, int], None] | None = None,
    ) -> Iterator[pa.Table]:
        """Yield all rows of a query, in parts, each proven complete.

        Parameters
        ----------
        query, columns
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
        total = self.count(query) or self._proven_count(query, columns, size)
        done = 0
        parts = self._split(query, total, size, self.cuts)
        patterns = patterns_to_check(query)
        more = tuple(name for name in patterns if "*" not in columns and name not in columns)
        for table in self._ahead(parts, lambda part: self._prove(part, (*columns, *more), size)):
            done += table.num_rows
            if on_part:
                on_part(done, max(total, done))
            yield _matching(table, query, patterns).drop_columns([kept_name(name, query.kind) for name in more])

    def _proven_count(self, query: Query, columns: Sequence[str], size: int) -> int:
        """Return how many rows a query has that seems to have none, by a page of its rows and another count."""
        answer = self.patience.ask(lambda: self.archive.rows(query, columns, size))
        shown = int(answer.rows.num_rows) + answer.rows_aside
        return max(self.count(query), answer.total, shown)

    def _ahead(self, parts: Iterator[Part], ask: Callable[[Part], pa.Table]) -> Iterator[pa.Table]:
        """Ask for a few parts ahead of whoever takes the answers, in order."""
        with ThreadPoolExecutor(self.at_once, thread_name_prefix="archive") as pool:
            waiting: deque[Future[pa.Table]] = deque()
            try:
                for part in parts:
                    waiting.append(pool.submit(ask, part))
                    if len(waiting) >= self.at_once:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def _split(self, query: Query, total: int, size: int, cuts: Sequence[Cut]) -> Iterator[Part]:
        """Yield parts of at most ``size`` rows that together are the query."""
        if total <= size:
            if total:
                yield Part(query, total)
            return
        if not cuts:
            raise Incomplete(
                f"{total} rows of {query.service} cannot be told apart by any range; the archive's page is {size}"
            )
        cut, rest = cuts[0], cuts[1:]
        covered = self.count(_within(query, cut, cut.low, cut.high))
        if covered != total and covered != (total := self.count(query)):  # nulls lie in no range
            yield from self._split(query, total, size, rest)
            return
        stack = self._stretches(query, cut, total)
        while stack:
            low, high, rows = stack.pop()
            part = _within(query, cut, low, high)
            if rows <= size:
                if rows:
                    yield Part(part, rows)
            elif high - low <= cut.step:
                yield from self._split(part, rows, size, rest)
            else:
                middle = low + (high - low) / 2
                upper = math.nextafter(middle, math.inf)
                left = self.count(_within(query, cut, low, middle))
                right = rows - left  # proven with the rows; only a part that seems empty would never be asked for
                if right <= 0:
                    right = self.count(_within(query, cut, upper, high))
                stack += [(upper, high, right), (low, middle, left)]

    def _stretches(self, query: Query, cut: Cut, total: int) -> list[tuple[float, float, int]]:
        """Return ranges that together are all of a cut, the last first, and how many rows each has."""
        if cut.likely is None:
            return [(cut.low, cut.high, total)]
        first, last = cut.likely
        before, after = math.nextafter(first, -math.inf), math.nextafter(last, math.inf)
        ranges = ((after, cut.high), (first, last), (cut.low, before))
        return [(low, high, self.count(_within(query, cut, low, high))) for low, high in ranges]

    def _prove(self, part: Part, columns: Sequence[str], size: int) -> pa.Table:
        """Ask until the rows are as many as the archive counts, and each of them is known to be another."""
        query, expected = part.query, part.rows
        for _ in range(self.patience.attempts):
            answer = self.patience.ask(lambda: self.archive.rows(query, columns, size))
            rows = answer.rows.num_rows + answer.rows_aside
            if rows == expected == answer.total and self._are_distinct(query, answer):
                if self.on_aside and answer.aside:
                    self.on_aside(answer.aside)
                return answer.rows
            expected = self.count(query)
            if expected > size:
                parts = self._split(query, expected, size, self.cuts)
                return pa.concat_tables([self._prove(p, columns, size) for p in parts], promote_options="permissive")
        raise Incomplete(f"{query.service} gave {rows} rows where it counts {expected}; try again later")

    def _are_distinct(self, query: Query, answer: Answer) -> bool:
        """Say whether no key stands more often than the archive has rows of it.

        An answer of the right length that repeats one row has lost another. Yet the archive itself may have several
        rows of one key, so it is asked for the number of rows of just those keys.
        """
        if not answer.rows.num_rows:
            return True
        key = self._key(answer.rows)
        keys = answer.rows.column(key)
        folded = pc.utf8_rtrim_whitespace(pc.utf8_lower(keys.cast(pa.string())))  # as the archive compares texts
        counted = pc.value_counts(folded)
        several = counted.filter(pc.greater(counted.field("counts"), 1)).field("values")
        if not len(several):
            return True
        groups = [several[at : at + KEYS_AT_ONCE] for at in range(0, len(several), KEYS_AT_ONCE)]
        return all(self._has_all(query, key, keys.filter(pc.is_in(folded, group))) for group in groups)

    def _has_all(self, query: Query, key: str, keys: pa.ChunkedArray) -> bool:
        """Say whether the archive counts as many rows of these keys as there are."""
        return len(keys) == self.count(query.having(key, *pc.unique(keys).to_pylist()))

    def _key(self, table: pa.Table) -> str:
        """GuideStar rows spell it fileName."""
        return str(next(name for name in table.column_names if name.lower() == self.key.lower()))


def patterns_to_check(query: Query) -> dict[str, str]:
    """Return the patterns that the archive takes for wider ones, by column.

    To it ``_`` stands for any character and ``[...]`` for any of several; to a user they are characters.
    """
    patterns = {str(one["paramName"]): str(one["freeText"]) for one in query.filters if one.get("freeText")}
    return {name: pattern for name, pattern in patterns.items() if "_" in pattern or "[" in pattern}


def _matching(table: pa.Table, query: Query, patterns: Mapping[str, str]) -> pa.Table:
    """Return the rows that match the patterns as they are meant."""
    for name, pattern in patterns.items():
        values = table.column(kept_name(name, query.kind))
        if pa.types.is_string(values.type):
            meant = pattern.replace("\\", "\\\\").replace("_", "\\_")
            table = table.filter(pc.match_like(values, meant, ignore_case=True))
    return table


def _within(query: Query, cut: Cut, low: float, high: float) -> Query:
    return query.having(cut.column, {"min": low, "max": high})
