"""Gaps after a harvest: questions that the archive did not answer, and rows that cannot be kept."""

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
class UnansweredQuestion:
    """A question that the archive did not answer; the next harvest asks it again.

    Attributes
    ----------
    what : str
        ``products`` of an observation, an ``observation`` by its id, or the observations of a ``program``.
    key : str
        The observation's obs_id, or the program's number.
    reason : str
        Why there is no answer, in one line.
    """

    what: Asked
    key: str
    reason: str

    @property
    def name(self) -> str:
        """The question in words."""
        if self.what == "products":
            return f"products of {self.key}"
        return f"{'observations of ' if self.what == 'program' else ''}{self.what} {self.key}"


@dataclass(frozen=True)
class RowsSetAside:
    """Rows of the archive that cannot be kept, because they do not tell what they are rows of.

    Attributes
    ----------
    what : str
        file, observation, product or column.
    reason : str
        The reason why the rows cannot be kept.
    rows : int
        How many rows there are.
    """

    what: str
    reason: str
    rows: int


class Shortfall:
    """Collects unanswered questions and rows that are set aside; several threads may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: dict[tuple[str, str], UnansweredQuestion] = {}
        self._aside: Counter[tuple[str, str]] = Counter()

    def fail(self, what: Asked, key: str, reason: object) -> None:
        """Note a question without an answer."""
        with self._lock:
            self._failures[what, key] = UnansweredQuestion(what, key, str(reason))

    def note(self, aside: Iterable[Unkept]) -> None:
        """Note what was set aside while an answer was read."""
        for unkept in aside:
            self.set_aside(unkept.what, unkept.reason, 1)

    def set_aside(self, what: str, reason: str, rows: int) -> None:
        """Note rows that are not kept."""
        with self._lock:
            self._aside[what, reason] += rows

    @property
    def failures(self) -> tuple[UnansweredQuestion, ...]:
        """All questions without an answer."""
        return tuple(self._failures.values())

    @property
    def aside(self) -> tuple[RowsSetAside, ...]:
        """The rows that were set aside, with the reasons."""
        return tuple(RowsSetAside(what, reason, rows) for (what, reason), rows in self._aside.items() if rows)

    def lacks_rows(self, what: str) -> bool:
        """Say whether any row was set aside; it may be the row of anything that seems to be gone."""
        return any(kind == what and rows for (kind, _), rows in self._aside.items())

    def named(self, rows: pa.Table, what: str, *keys: str) -> pa.Table:
        """Return the rows that have a text in each key column; the others are set aside.

        Parameters
        ----------
        rows : pyarrow.Table
            The rows as the archive sent them.
        what : str
            The kind of a row.
        *keys : str
            The columns that each row needs.
        """
        for key in keys:
            if key not in rows.column_names:
                self.set_aside(what, f"without a column {key}", rows.num_rows)
                return rows.slice(0, 0)
            column = rows.column(key)
            valid = pc.is_valid(column)
            if pa.types.is_string(column.type):
                valid = pc.and_kleene(valid, pc.not_equal(column, ""))
            with_key = rows.filter(valid)
            self.set_aside(what, f"without a value of {key}", rows.num_rows - with_key.num_rows)
            rows = with_key
        return rows
