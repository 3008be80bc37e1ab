"""Read the products of observations, in batches of a size that the archive can answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from catalog.archive.answer import ArchiveAnswer
from catalog.archive.client import Archive
from catalog.archive.retry import Patience
from catalog.errors import ArchiveError, Garbled, Incomplete, OutOfTime, Overloaded, Unreachable
from catalog.harvest.halving import LOST_IN_A_ROW, ask, whole_answer
from catalog.harvest.shortfall import Shortfall
from catalog.store.spool import Spool

PRODUCTS_IN = "products_in"
READ_IN = "read_in"
PARTLY_IN = "partly_in"
"""Observations in whose lists some row was set aside: their former products may still be in the list."""

_NEEDED = ("obs_id", "parent_obsid", "productFilename")
"""Columns by which products are told apart and linked. If an answer lacks one, it gets the column without values."""

Keep = Callable[[pa.Table], set[str] | None]

FIRST_BATCH, LARGEST_BATCH = 16, 128
STEADY = 8
AGREEING = 4
"""How many answers must be the same if rows of an answer are repeated, or are no rows of products."""
AT_ONCE = 2
"""How many batches are asked for at the same time."""


@dataclass
class BatchSize:
    """How many observations one product query asks for: half after a failure, more after each success.

    A size that failed is not tried again soon. First, sizes return to the middle between the size that succeeded and
    the one that failed. From there they rise by one in every `STEADY` successes, or sooner while they are small.
    """

    size: int = FIRST_BATCH
    ceiling: int = LARGEST_BATCH
    _largest: int = 0  # the largest size that has succeeded
    _steady: int = 0  # successes at the largest size

    def slower(self, failed: int) -> None:
        """Ask for half as many, and for some time not for as many as failed."""
        self._largest = min(self._largest, failed - 1)
        self.ceiling = max(1, min(self.ceiling, (self._largest + failed) // 2))
        self.size, self._steady = max(1, min(self.size, failed // 2, self.ceiling)), 0

    def faster(self, succeeded: int) -> None:
        """Ask for half as many more, up to a limit that rises slowly."""
        self._largest = max(self._largest, succeeded)
        self._steady += succeeded >= self.ceiling
        if self._steady >= min(STEADY, self.ceiling) and self.ceiling < LARGEST_BATCH:
            self.ceiling, self._steady = self.ceiling + 1, 0
        self.size = min(self.ceiling, self.size + max(1, self.size // 2))


@dataclass
class ProductReader:
    """Spools the products of observations.

    Attributes
    ----------
    archive : Archive
        The archive to ask.
    patience : Patience
        How long to ask again.
    spool : Spool
        Gets the rows, each with the observation that lists it (``parent``), and the observations that were read.
    on_done : callable
        Called with the number of observations that are read, and with their total number.
    shortfall : Shortfall
        Gets the observations whose products could not be read, and the rows that cannot be kept.
    """

    archive: Archive
    patience: Patience
    spool: Spool
    on_done: Callable[[int, int], None]
    shortfall: Shortfall
    _numbers: dict[str, str] = field(default_factory=dict)  # the present obsid of each obs_id
    _pace: BatchSize = field(default_factory=BatchSize)
    _partly: set[str] = field(default_factory=set)  # obs_ids in whose lists some row was set aside
    _lost_in_a_row: int = 0

    def know(self, observations: pa.Table) -> None:
        """Learn the archive's numbers of observations from their rows."""
        numbers = text_column(observations.column("obsid"))
        names = observations.column("obs_id").to_pylist()
        self._numbers |= {name: number for name, number in zip(names, numbers, strict=True) if number is not None}

    def known(self) -> list[str]:
        """Return the observations whose numbers are known."""
        return list(self._numbers)

    def read(self, obs_ids: Sequence[str], keep: Keep | None = None) -> None:
        """Read products in batches; a batch is halved when the archive runs out of time, and grows again later.

        Parameters
        ----------
        obs_ids : sequence of str
            Observations whose numbers are known.
        keep : callable, optional
            Gets the rows instead of the spool, and returns the observations whose rows it kept. The products of the
            others count as not read, so that the notes of other searches about them stay.

        Raises
        ------
        Unreachable, Overloaded
            If the archive itself cannot be reached.
        """
        left = deque(obs_ids)
        flying: dict[Future[pa.Table], list[str]] = {}
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="products") as pool:
            try:
                while left or flying:
                    while left and len(flying) < AT_ONCE:
                        batch = [left.popleft() for _ in range(min(self._pace.size, len(left)))]
                        flying[pool.submit(self._ask, batch)] = batch
                    for done in wait(flying, return_when=FIRST_COMPLETED).done:
                        left.extendleft(reversed(self._settle(done, flying.pop(done), keep or self.keep)))
                    self.on_done(len(obs_ids) - len(left) - sum(map(len, flying.values())), len(obs_ids))
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def keep(self, rows: pa.Table) -> None:
        """Spool product rows of all observations that were asked for."""
        rows = self.shortfall.named(rows, "product", "dataURI")
        if rows.num_rows:
            self.spool.add(PRODUCTS_IN, rows.append_column("data_uri", rows.column("dataURI").cast(pa.string())))

    def _settle(self, done: Future[pa.Table], batch: list[str], keep: Keep) -> list[str]:
        """Take the result of a batch; return the observations that must be asked for again."""
        try:
            rows = done.result()
        except OutOfTime:
            raise
        except ArchiveError as error:
            if len(batch) > 1:
                self._pace.slower(len(batch))
                return batch
            self._give_up(batch[0], error)
            return []
        read_whole = keep(rows)
        read = batch if read_whole is None else [obs_id for obs_id in batch if obs_id in read_whole]
        if read:
            self.spool.add(READ_IN, pa.table({"obs_id": read}))
        if partly := sorted(self._partly.intersection(read)):
            self.spool.add(PARTLY_IN, pa.table({"obs_id": partly}))
            self._partly.difference_update(partly)
        self._pace.faster(len(batch))
        self._lost_in_a_row = 0
        return []

    def _give_up(self, obs_id: str, error: ArchiveError) -> None:
        """Continue without the products of one observation; raise the error if the archive itself cannot be reached."""
        self._lost_in_a_row += 1
        if isinstance(error, Unreachable | Overloaded) and self._lost_in_a_row >= LOST_IN_A_ROW:
            raise error
        self.shortfall.fail("products", obs_id, error)

    def _ask(self, batch: list[str]) -> pa.Table:
        """Return the products of a batch, each with the observation that lists it (``parent``).

        A batch that runs out of time, or whose rows do not tell their observation, is made smaller at once; a batch of
        one observation is asked for again instead.
        """
        parents = {self._numbers[obs_id]: obs_id for obs_id in batch}
        several = len(batch) > 1
        answer = ask(self.patience, lambda: self._whole_answer(list(parents)), several)
        if answer.rows_aside:
            self._partly.update(batch)
        if not answer.rows.num_rows:
            self.shortfall.note(answer.aside)
            return answer.rows
        names = [parents.get(number or "") for number in _parents(answer.rows)]
        if several and None in names:
            raise Garbled("the archive lists products of observations that the harvest did not ask for")
        self.shortfall.note(answer.aside)
        if not any(names):  # only one observation was asked for, so all rows are of its list
            names = [batch[0] for _ in names]
        elif None in names:
            self._partly.update(batch)
        rows = answer.rows.append_column("parent", pa.array(names, pa.string()))
        for column in _NEEDED:
            if column not in rows.column_names:
                rows = rows.append_column(column, pa.nulls(rows.num_rows, pa.string()))
        return self._asked_for(rows)

    def _whole_answer(self, numbers: Sequence[str]) -> ArchiveAnswer:
        """Return an answer with as many rows as its paging counts, all of them different.

        The archive does not count products. So if an answer repeats a row of an observation's list, or has a row that
        cannot be kept, more answers are asked for. One without such rows is whole; if all agree, the archive has it so.
        """
        answers: list[ArchiveAnswer] = []
        for _ in range(AGREEING):
            answer = whole_answer(self.archive.products(numbers))
            if not answer.rows_aside and not _repeats(answer.rows):
                return answer
            answers.append(answer)
        if any(_as_texts(answer) != _as_texts(answers[0]) for answer in answers[1:]):
            raise Incomplete("answers of the same length list different products; try again later")
        return answers[-1]

    def _asked_for(self, rows: pa.Table) -> pa.Table:
        """Return the rows that belong to the observation that was asked for; the others are set aside."""
        own_rows = rows.filter(pc.is_valid(rows.column("parent")))
        self.shortfall.set_aside(
            "product", "of an observation that was not asked for", rows.num_rows - own_rows.num_rows
        )
        return own_rows


def _parents(rows: pa.Table) -> list[str | None]:
    """Return, for each row, the number of the observation with which it was asked for, if the row tells it."""
    if "parent_obsid" not in rows.column_names:
        return [None] * rows.num_rows
    column = rows.column("parent_obsid")
    if pa.types.is_floating(column.type):
        column = column.cast(pa.int64(), safe=False)
    return text_column(column)


def _repeats(rows: pa.Table) -> bool:
    """Say whether some product is repeated in the list of one observation."""
    names = [name for name in ("parent_obsid", "dataURI") if name in rows.column_names]
    return bool(names) and rows.num_rows > rows.group_by(names).aggregate([]).num_rows


def _as_texts(answer: ArchiveAnswer) -> list[str]:
    return sorted([repr(row) for row in answer.rows.to_pylist()] + [aside.text for aside in answer.aside])


def text_column(column: pa.ChunkedArray) -> list[str | None]:
    """Return a column of numbers or text as text."""
    return list(column.cast(pa.string()).to_pylist())
