"""What a harvest could not have: questions that the archive did not answer, and rows that cannot be kept."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from catalog.archive.answer import SetAside as Unkept

Asked = Literal["products", "observation", "program"]


@dataclass(frozen=True)
class Failure:
    """A question that the archive did not answer; the next harvest asks it again.

    Attributes
    ----------
    what : str
        ``products`` of an observation, an ``observation`` by its id, or the observations of a ``program``.
    key : str
        The observation's obs_id, or the program's number.
    reason : str
        Why, in one line.
    """

    what: Asked
    key: str
    reason: str

    @property
    def name(self) -> str:
        """What was asked for, in words."""
        if self.what == "products":
            return f"products of {self.key}"
        return f"{'observations of ' if self.what == 'program' else ''}{self.what} {self.key}"


@dataclass(frozen=True)
class SetAside:
    """Rows of the archive that cannot be kept, because nothing tells what they are rows of.

    Attributes
    ----------
    what : str
        file, observation, product or column.
    reason : str
        What is wrong with them.
    rows : int
        How many.
    """

    what: str
    reason: str
    rows: int


class Shortfall:
    """Collects failures, and rows that are set aside; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: dict[tuple[str, str], Failure] = {}
        self._aside: Counter[tuple[str, str]] = Counter()

    def fail(self, what: Asked, key: str, reason: object) -> None:
        """Note a question that stays without an answer."""
        with self._lock:
            self._failures[what, key] = Failure(what, key, str(reason))

    def note(self, aside: Iterable[Unkept]) -> None:
        """Note what the reading of an answer set aside."""
        for one in aside:
            self.set_aside(one.what, one.reason, 1)

    def set_aside(self, what: str, reason: str, rows: int) -> None:
        """Note rows that are not kept."""
        with self._lock:
            self._aside[what, reason] += rows

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Every question without an answer."""
        return tuple(self._failures.values())

    @property
    def aside(self) -> tuple[SetAside, ...]:
        """What was set aside, and why."""
        return tuple(SetAside(what, reason, rows) for (what, reason), rows in self._aside.items() if rows)

    def lacks_rows(self, what: str) -> bool:
        """Say whether some row was set aside: it may be that of anything which seems to be gone."""
        return any(kind == what and rows for (kind, _), rows in self._aside.items())

    def named(self, rows: pa.Table, what: str, *keys: str) -> pa.Table:
        """Return the rows that have a text in each key column; the others are set aside.

        Parameters
        ----------
        rows : pyarrow.Table
            As the archive sent them.
        what : str
            What they are rows of.
        *keys : str
            Columns that each row needs.
        """
        for key in keys:
            if key not in rows.column_names:
                self.set_aside(what, f"without a column {key}", rows.num_rows)
                return rows.slice(0, 0)
            column = rows.column(key)
            valid = pc.is_valid(column)
            if pa.types.is_string(column.type):
                valid = pc.and_kleene(valid, pc.not_equal(column, ""))
            kept = rows.filter(valid)
            self.set_aside(what, f"without a value of {key}", rows.num_rows - kept.num_rows)
            rows = kept
        return rows
