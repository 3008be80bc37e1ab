"""Split a search so that every answer is whole, and prove it by counts and keys.

The archive promises no row order, so pages of one question can lose and repeat rows. A question is asked in one
page or not at all: a larger one is split by ranges of a column, each part proven against ``COUNT_BIG(*)``. So is one
for which the archive has no time. In the end all parts together must be the whole.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.archive.answer import ArchiveAnswer, SetAside
from catalog.archive.client import Archive, Query
from catalog.archive.repeats import Hashes, alike, folded, hashes, key_column, repeated, shared
from catalog.archive.retry import Patience
from catalog.errors import Incomplete, QueryTimeout
from catalog.missions import JWST, Cut
from catalog.vocabulary.spelling import catalog_name

FULL_ROWS = 10_000
"""Rows of one answer with all columns: some 40 MB of JSON, so that memory stays small."""
LIGHT_ROWS = 50_000
"""Rows of one answer with few columns: MAST's own page."""

KEYS_AT_ONCE = 500
"""Keys of one count."""
_DEEPEST = 20
"""How often a part is split again that has more rows than was thought, or that the archive has no time for."""


@dataclass(frozen=True)
class QueryPart:
    """A part of a query that one answer can hold, and how many rows the archive counts in it."""

    query: Query
    rows: int


@dataclass(frozen=True)
class WholeQueries:
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
        if not total:
            return
        done = 0
        patterns = patterns_to_check(query)
        more = tuple(name for name in patterns if "*" not in columns and name not in columns)
        for table in self._proven(query, total, (*columns, *more), size):
            done += table.num_rows
            if on_part:
                on_part(done, max(total, done))
            yield _matching(table, query, patterns).drop_columns([catalog_name(name, query.kind) for name in more])

    def _proven(self, query: Query, total: int, columns: Sequence[str], size: int) -> Iterator[pa.Table]:
        """Yield the rows of all parts; in the end they must be those of the whole."""
        proofs: list[_ProvenPart] = []
        parts = self._split(query, total, size, self.cuts)
        for part, answers in self._ahead(parts, lambda part: self._prove(part, columns, size)):
            proofs.append(_proven_part(part.query, answers, self.key))
            yield from _tables(answers)
        if sum(proof.answers for proof in proofs) > 1:
            yield from self._moved(query, total, proofs, columns, size)

    def _proven_count(self, query: Query, columns: Sequence[str], size: int) -> int:
        """Return how many rows a query has that seems to have none, by a page of its rows and another count."""
        answer = self.patience.ask(lambda: self.archive.rows(query, columns, size))
        shown = int(answer.rows.num_rows) + answer.rows_aside
        return max(self.count(query), answer.total, shown)

    def _moved(
        self, query: Query, before: int, proofs: list[_ProvenPart], columns: Sequence[str], size: int
    ) -> Iterator[pa.Table]:
        """Yield those parts again between which rows moved while they were asked for.

        A row that moves into a part which was asked for already is in no answer. The archive then counts more rows in
        all, or another row took its place, and stands in two parts. If a third row was withdrawn meanwhile, neither is
        so. Yet then the archive counts other rows than ``before``, and the keys of each part are read again.

        Raises
        ------
        Incomplete
            If the parts never come to be the whole.
        """
        again = replace(self, on_aside=None)
        believed: frozenset[int] = frozenset()
        for _ in range(self.patience.attempts):
            total, found = self.count(query), sum(proof.rows for proof in proofs)
            keys, doubtful = shared([proof.keys for proof in proofs])
            if total == found and keys == believed:
                if total == before:
                    return
                doubtful = {at for at, proof in enumerate(proofs) if again._has_other_keys(proof, columns, size)}
            elif total != found:
                doubtful |= {at for at, proof in enumerate(proofs) if self.count(proof.query) != proof.rows}
            before = total
            for at in sorted(doubtful):
                part = QueryPart(proofs[at].query, proofs[at].rows)
                answers = again._prove(part, columns, size)
                proofs[at] = _proven_part(part.query, answers, self.key)
                yield from _tables(answers)
            believed = keys
        raise Incomplete(f"{query.service} counts {total} rows and gives {found} in its parts; try again later")

    def _has_other_keys(self, proof: _ProvenPart, columns: Sequence[str], size: int) -> bool:
        """Say whether a part has other keys now than when it was proven."""
        asked = (proof.key,) if proof.key else columns
        answers = self._prove(QueryPart(proof.query, proof.rows), asked, size)
        return not np.array_equal(_proven_part(proof.query, answers, self.key).keys, proof.keys)

    def _ahead(
        self, parts: Iterator[QueryPart], ask: Callable[[QueryPart], list[ArchiveAnswer]]
    ) -> Iterator[tuple[QueryPart, list[ArchiveAnswer]]]:
        """Ask for a few parts ahead of whoever takes the answers, in order."""
        with ThreadPoolExecutor(self.at_once, thread_name_prefix="archive") as pool:
            waiting: deque[tuple[QueryPart, Future[list[ArchiveAnswer]]]] = deque()
            try:
                for part in parts:
                    waiting.append((part, pool.submit(ask, part)))
                    if len(waiting) >= self.at_once:
                        first, answers = waiting.popleft()
                        yield first, answers.result()
                while waiting:
                    first, answers = waiting.popleft()
                    yield first, answers.result()
            finally:
                for _, answers in waiting:
                    answers.cancel()

    def _split(self, query: Query, total: int, size: int, cuts: Sequence[Cut]) -> Iterator[QueryPart]:
        """Yield parts of at most ``size`` rows that together are the query.

        Parts that seem empty are among them: a count of 0 alone proves nothing.
        """
        if total <= size:
            yield QueryPart(query, total)
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
                yield QueryPart(part, rows)
            elif high - low <= cut.step:
                yield from self._split(part, rows, size, rest)
            else:
                middle = low + (high - low) / 2
                upper = math.nextafter(middle, math.inf)
                left = self.count(_within(query, cut, low, middle))
                right = max(0, rows - left)  # proven with the rows
                stack += [(upper, high, right), (low, middle, left)]

    def _stretches(self, query: Query, cut: Cut, total: int) -> list[tuple[float, float, int]]:
        """Return ranges that together are all of a cut, the last first, and how many rows each has."""
        if cut.likely is None:
            return [(cut.low, cut.high, total)]
        first, last = cut.likely
        before, after = math.nextafter(first, -math.inf), math.nextafter(last, math.inf)
        ranges = ((after, cut.high), (first, last), (cut.low, before))
        return [(low, high, self.count(_within(query, cut, low, high))) for low, high in ranges]

    def _prove(self, part: QueryPart, columns: Sequence[str], size: int, depth: int = 0) -> list[ArchiveAnswer]:
        """Ask until the rows are as many as the archive counts, and each of them is known to be another."""
        query, expected = part.query, part.rows
        before: ArchiveAnswer | None = None
        for _ in range(self.patience.attempts):
            try:
                answer = self._page(query, columns, size, splits := expected > 1 and depth < _DEEPEST)
            except QueryTimeout:
                if not splits:
                    raise
                return self._deeper(query, expected, columns, min(size, expected) // 2, depth)
            rows = answer.rows.num_rows + answer.rows_aside
            if rows == expected == answer.total and self._is_sure(query, answer, before):
                if self.on_aside and answer.aside:
                    self.on_aside(answer.aside)
                return [answer]
            before, expected = answer, self.count(query)
            if expected > size:
                return self._deeper(query, expected, columns, size, depth)
        repeats = " and repeats some" if rows == expected else ""
        raise Incomplete(f"{query.service} gave {rows} rows{repeats} where it counts {expected}; try again later")

    def _page(self, query: Query, columns: Sequence[str], size: int, splits: bool) -> ArchiveAnswer:
        """Ask for a page; where fewer rows can be asked for instead, two time-outs are enough."""

        def asked() -> ArchiveAnswer:
            return self.archive.rows(query, columns, size)

        if not splits:
            return self.patience.ask(asked)
        try:
            return self.patience.ask(asked, also=())
        except QueryTimeout:
            return self.patience.ask(asked, also=())

    def _deeper(
        self, query: Query, expected: int, columns: Sequence[str], size: int, depth: int
    ) -> list[ArchiveAnswer]:
        """Prove a part by smaller ones."""
        if depth >= _DEEPEST:
            raise Incomplete(f"{query.service} counts {expected} rows where it had fewer before; try again later")
        parts = self._split(query, expected, size, self.cuts)
        return [answer for part in parts for answer in self._prove(part, columns, size, depth + 1)]

    def _is_sure(self, query: Query, answer: ArchiveAnswer, before: ArchiveAnswer | None) -> bool:
        """Say whether no row of an answer of the right length stands in the place of another.

        An answer that repeats one row has lost another. Yet the archive itself may have several rows of one key, so it
        is asked for the number of rows of just those keys. Then, and where rows have no key, the answer is believed
        once a second one agrees: of two equal rows either may be the one that is too many.
        """
        if not answer.rows_aside and (not answer.rows.num_rows or not len(repeated(answer.rows, self.key))):
            return True
        return self._has_all(query, answer) and before is not None and alike(before, answer, self.key)

    def _has_all(self, query: Query, answer: ArchiveAnswer) -> bool:
        """Say whether the archive counts as many rows of each repeated key as there are."""
        if not answer.rows.num_rows:
            return True
        keys, several = answer.rows.column(key_column(answer.rows, self.key)), repeated(answer.rows, self.key)
        groups = [several[at : at + KEYS_AT_ONCE] for at in range(0, len(several), KEYS_AT_ONCE)]
        chosen = [keys.filter(pc.is_in(folded(answer.rows, self.key), group)) for group in groups]
        return all(
            len(some) == self.count(query.having(key_column(answer.rows, self.key), *pc.unique(some).to_pylist()))
            for some in chosen
        )


@dataclass(frozen=True)
class _ProvenPart:
    """A part that was proven: its rows, the column of their keys where there are rows, and numbers for these keys."""

    query: Query
    rows: int
    key: str | None
    keys: Hashes
    answers: int


def _proven_part(query: Query, answers: Sequence[ArchiveAnswer], key: str) -> _ProvenPart:
    rows = sum(answer.rows.num_rows + answer.rows_aside for answer in answers)
    tables = [answer.rows for answer in answers]
    name = next((key_column(table, key) for table in tables if table.num_rows), None)
    return _ProvenPart(query, rows, name, hashes(tables, key), len(answers))


def _tables(answers: Sequence[ArchiveAnswer]) -> Iterator[pa.Table]:
    return (answer.rows for answer in answers if answer.rows.num_rows)


def patterns_to_check(query: Query) -> dict[str, str]:
    """Return the patterns that the archive takes for wider ones, by column.

    To it ``_`` stands for any character and ``[...]`` for any of several; to a user they are characters.
    """
    patterns = {str(one["paramName"]): str(one["freeText"]) for one in query.filters if one.get("freeText")}
    return {name: pattern for name, pattern in patterns.items() if "_" in pattern or "[" in pattern}


def _matching(table: pa.Table, query: Query, patterns: Mapping[str, str]) -> pa.Table:
    """Return the rows that match the patterns as they are meant."""
    for name, pattern in patterns.items():
        values = table.column(catalog_name(name, query.kind))
        if pa.types.is_string(values.type):
            meant = pattern.replace("\\", "\\\\").replace("_", "\\_")
            table = table.filter(pc.match_like(values, meant, ignore_case=True))
    return table


def _within(query: Query, cut: Cut, low: float, high: float) -> Query:
    return query.having(cut.column, {"min": low, "max": high})
