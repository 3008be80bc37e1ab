"""Split a search so that every answer is complete, and prove this by counts and keys.

The archive promises no order of rows, so pages of one question can lose and repeat rows. So a question is asked only
in one page. A question with more rows, or for which the archive runs out of time, is split by ranges of a column, and
each part is checked against ``COUNT_BIG(*)``. In the end, all parts together must have the rows of the whole.
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
"""The most rows of one answer with all columns: some 40 MB of JSON, so that memory stays small."""
LIGHT_ROWS = 50_000
"""The most rows of one answer with few columns: the size of MAST's own page."""

KEYS_AT_ONCE = 500
"""How many keys one count asks for."""
_DEEPEST = 20
"""How often a part can be split again, because it has more rows than expected or the archive runs out of time."""


@dataclass(frozen=True)
class QueryPart:
    """A part of a query that one answer can hold, and the archive's count of its rows."""

    query: Query
    rows: int


@dataclass(frozen=True)
class WholeQueries:
    """Asks whole queries.

    Attributes
    ----------
    archive : Archive
        The archive to ask.
    patience : Patience
        How long to ask again.
    key : str
        The column that names a row.
    cuts : sequence of Cut
        The columns by which a query that is too large can be split.
    at_once : int
        How many answers are asked for at the same time.
    on_aside : callable, optional
        Called with what an answer set aside, once the answer is proven whole; by any thread.
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
        """Yield all rows of a query in parts; each part is proven complete.

        Parameters
        ----------
        query, columns
            As for `Archive.rows`.
        limit : int, optional
            The most rows of a part.
        on_part : callable, optional
            Called with the number of rows so far, and of all rows.

        Raises
        ------
        Incomplete
            If answers and counts do not agree, even after asking again.
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
        """Yield the rows of all parts; in the end these must be the rows of the whole."""
        proofs: list[_ProvenPart] = []
        parts = self._split(query, total, size, self.cuts)
        for part, answers in self._ahead(parts, lambda part: self._prove(part, columns, size)):
            proofs.append(_proven_part(part.query, answers, self.key))
            yield from _tables(answers)
        if sum(proof.answers for proof in proofs) > 1:
            yield from self._parts_that_moved(query, total, proofs, columns, size)

    def _proven_count(self, query: Query, columns: Sequence[str], size: int) -> int:
        """Return the rows of a query that seems to have none: ask for a page of its rows and for another count."""
        answer = self.patience.ask(lambda: self.archive.rows(query, columns, size))
        shown = int(answer.rows.num_rows) + answer.rows_aside
        return max(self.count(query), answer.total, shown)

    def _parts_that_moved(
        self, query: Query, before: int, proofs: list[_ProvenPart], columns: Sequence[str], size: int
    ) -> Iterator[pa.Table]:
        """Yield again the parts between which rows moved while the parts were asked for.

        A row that moves into a part which was already read is in no answer. Then the archive counts more rows in all.
        Or another row moved in the other direction, and is in two parts. If a third row was withdrawn at the same time,
        neither shows; but then the count differs from ``before``, and the keys of all parts are read again.

        Raises
        ------
        Incomplete
            If the parts never agree with the whole.
        """
        again = replace(self, on_aside=None)
        believed: frozenset[int] = frozenset()
        for _ in range(self.patience.attempts):
            total, proven = self.count(query), sum(proof.rows for proof in proofs)
            keys, doubtful = shared([proof.keys for proof in proofs])
            if total == proven and keys == believed:
                if total == before:
                    return
                doubtful = {at for at, proof in enumerate(proofs) if again._has_other_keys(proof, columns, size)}
            elif total != proven:
                doubtful |= {at for at, proof in enumerate(proofs) if self.count(proof.query) != proof.rows}
            before = total
            for at in sorted(doubtful):
                part = QueryPart(proofs[at].query, proofs[at].rows)
                answers = again._prove(part, columns, size)
                proofs[at] = _proven_part(part.query, answers, self.key)
                yield from _tables(answers)
            believed = keys
        raise Incomplete(f"{query.service} counts {total} rows and gives {proven} in its parts; try again later")

    def _has_other_keys(self, proof: _ProvenPart, columns: Sequence[str], size: int) -> bool:
        """Say whether a part has other keys now than when it was proven."""
        asked = (proof.key,) if proof.key else columns
        answers = self._prove(QueryPart(proof.query, proof.rows), asked, size)
        return not np.array_equal(_proven_part(proof.query, answers, self.key).keys, proof.keys)

    def _ahead(
        self, parts: Iterator[QueryPart], ask: Callable[[QueryPart], list[ArchiveAnswer]]
    ) -> Iterator[tuple[QueryPart, list[ArchiveAnswer]]]:
        """Ask for a few parts in advance; yield the answers in order."""
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

        Parts that seem to be empty are included, since a count of 0 alone proves nothing.
        """
        if total <= size:
            yield QueryPart(query, total)
            return
        if not cuts:
            raise Incomplete(
                f"{total} rows of {query.service} cannot be told apart by any range; the archive's page is {size}"
            )
        cut, rest = cuts[0], cuts[1:]
        covered = self.count(_query_within(query, cut, cut.low, cut.high))
        if covered != total and covered != (total := self.count(query)):  # nulls are in no range
            yield from self._split(query, total, size, rest)
            return
        stack = self._stretches(query, cut, total)
        while stack:
            low, high, rows = stack.pop()
            part = _query_within(query, cut, low, high)
            if rows <= size:
                yield QueryPart(part, rows)
            elif high - low <= cut.step:
                yield from self._split(part, rows, size, rest)
            else:
                middle = low + (high - low) / 2
                upper = math.nextafter(middle, math.inf)
                left = self.count(_query_within(query, cut, low, middle))
                right = max(0, rows - left)  # checked when the rows are proven
                stack += [(upper, high, right), (low, middle, left)]

    def _stretches(self, query: Query, cut: Cut, total: int) -> list[tuple[float, float, int]]:
        """Return ranges that together cover a cut, the last range first, each with its number of rows."""
        if cut.likely is None:
            return [(cut.low, cut.high, total)]
        first, last = cut.likely
        before, after = math.nextafter(first, -math.inf), math.nextafter(last, math.inf)
        ranges = ((after, cut.high), (first, last), (cut.low, before))
        return [(low, high, self.count(_query_within(query, cut, low, high))) for low, high in ranges]

    def _prove(self, part: QueryPart, columns: Sequence[str], size: int, depth: int = 0) -> list[ArchiveAnswer]:
        """Ask until there are as many rows as the archive counts, and all of them are known to be different."""
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
        raise Incomplete(f"{query.service} gave {rows} rows{repeats} but counts {expected}; try again later")

    def _page(self, query: Query, columns: Sequence[str], size: int, splits: bool) -> ArchiveAnswer:
        """Ask for a page; if fewer rows could be asked for instead, give up after two time-outs."""

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
        """Prove a part by proving smaller parts."""
        if depth >= _DEEPEST:
            raise Incomplete(f"{query.service} counts {expected} rows, but counted fewer before; try again later")
        parts = self._split(query, expected, size, self.cuts)
        return [answer for part in parts for answer in self._prove(part, columns, size, depth + 1)]

    def _is_sure(self, query: Query, answer: ArchiveAnswer, before: ArchiveAnswer | None) -> bool:
        """Say whether an answer of the right length surely has no row in the place of another.

        An answer that repeats one row has lost another. But the archive itself may have several rows with one key, so
        it is asked to count the rows of these keys. If the count agrees, or if rows have no key, the answer is accepted
        once a second answer agrees with it: of two equal rows, either could be the wrong one.
        """
        if not answer.rows_aside and (not answer.rows.num_rows or not len(repeated(answer.rows, self.key))):
            return True
        return self._has_all(query, answer) and before is not None and alike(before, answer, self.key)

    def _has_all(self, query: Query, answer: ArchiveAnswer) -> bool:
        """Say whether the archive counts as many rows with each repeated key as the answer has."""
        if not answer.rows.num_rows:
            return True
        keys, several = answer.rows.column(key_column(answer.rows, self.key)), repeated(answer.rows, self.key)
        groups = [several[at : at + KEYS_AT_ONCE] for at in range(0, len(several), KEYS_AT_ONCE)]
        keys_of_groups = [keys.filter(pc.is_in(folded(answer.rows, self.key), group)) for group in groups]
        return all(
            len(some) == self.count(query.having(key_column(answer.rows, self.key), *pc.unique(some).to_pylist()))
            for some in keys_of_groups
        )


@dataclass(frozen=True)
class _ProvenPart:
    """A proven part: its rows, the column of their keys if there are rows, and a hash of each key."""

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
    """Return the patterns that the archive understands as wider ones, by column.

    For the archive, ``_`` stands for any character and ``[...]`` for one of several; a user means the characters.
    """
    patterns = {
        str(written["paramName"]): str(written["freeText"]) for written in query.filters if written.get("freeText")
    }
    return {name: pattern for name, pattern in patterns.items() if "_" in pattern or "[" in pattern}


def _matching(table: pa.Table, query: Query, patterns: Mapping[str, str]) -> pa.Table:
    """Return the rows that match the patterns as the user means them."""
    for name, pattern in patterns.items():
        values = table.column(catalog_name(name, query.kind))
        if pa.types.is_string(values.type):
            meant = pattern.replace("\\", "\\\\").replace("_", "\\_")
            table = table.filter(pc.match_like(values, meant, ignore_case=True))
    return table


def _query_within(query: Query, cut: Cut, low: float, high: float) -> Query:
    return query.having(cut.column, {"min": low, "max": high})
