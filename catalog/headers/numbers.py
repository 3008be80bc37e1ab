"""Numbers for labels and cards, so that the catalog stores each distinct card once."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from catalog.headers.batch import Label

_REMEMBERED = 50_000
_NEAR = 64
"""How many of the newest files have their cards loaded for the next run."""


class CardNumbers:
    """Numbers of labels and cards, so that each distinct one is stored once.

    There are few labels, and all are remembered. Of the cards, only those that were seen lately are remembered, since
    many values belong to one file alone. A card that was forgotten is stored again, which costs a few bytes.
    """

    def __init__(self) -> None:
        self._labels: dict[Label, int] = {}
        self._recent: dict[str, int] = {}
        self._older: dict[str, int] = {}
        self._loaded = False

    def begin(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Load the numbers that are in the catalog and not known here yet."""
        highest = len(self._labels) and max(self._labels.values())
        rows = connection.execute(
            "SELECT keyword, kind, comment, label_id FROM card_label WHERE label_id > ?", [highest]
        ).fetchall()
        self._labels.update({(keyword, kind, comment): label for keyword, kind, comment, label in rows})
        self._next_label = _highest(connection, "card_label", "label_id") + 1
        self._next_card = _highest(connection, "card_value", "card_id") + 1
        if not self._loaded:
            self._load(connection)
            self._loaded = True

    def _load(self, connection: duckdb.DuckDBPyConnection) -> None:
        rows = connection.execute(
            """SELECT label_id, text, card_id FROM card_value WHERE card_id IN (
                   SELECT unnest(cards) FROM hdu_header WHERE file_id > (SELECT max(file_id) - ? FROM hdu_header))""",
            [_NEAR],
        ).fetchall()
        self._recent = {_key(label, text): card for label, text, card in rows}

    def labels(self, labels: Sequence[Label]) -> tuple[NDArray[np.int32], list[int]]:
        """Return the numbers of labels, and the positions of those that are new."""
        numbers, new = np.empty(len(labels), np.int32), []
        for place, label in enumerate(labels):
            number = self._labels.setdefault(label, self._next_label)
            if number == self._next_label:
                self._next_label += 1
                new.append(place)
            numbers[place] = number
        return numbers, new

    def cards(
        self, label: NDArray[np.int32], text: pa.StringArray, shared: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
        """Return the numbers of distinct cards, and the positions of those that are new.

        Parameters
        ----------
        label : ndarray of int32, shape (cards,)
            The number of the label of each card.
        text : pyarrow.StringArray, length cards
            The values of the cards.
        shared : ndarray of bool, shape (cards,)
            Which of them other files may have; the others count as new without being looked up.
        """
        places = np.flatnonzero(shared)
        keys = _keys(label[places], text.take(pa.array(places)))
        recent, older = self._recent.get, self._older.get
        numbers = np.zeros(len(label), np.int64)
        numbers[places] = [recent(key) or older(key) or 0 for key in keys]
        new = np.flatnonzero(numbers == 0)
        numbers[new] = np.arange(self._next_card, self._next_card + len(new), dtype=np.int64)
        self._next_card += len(new)
        self._recent.update(zip(keys, numbers[places].tolist(), strict=True))
        if len(self._recent) > _REMEMBERED:
            self._older, self._recent = self._recent, {}
        return numbers, new


def _keys(label: NDArray[np.int32], text: pa.StringArray) -> list[str]:
    joined = pc.binary_join_element_wise(pc.cast(pa.array(label), pa.string()), pc.fill_null(text, "\0"), "\t")
    return [str(key) for key in joined.to_pylist()]


def _key(label: int, text: str | None) -> str:
    return f"{label}\t{chr(0) if text is None else text}"


def _highest(connection: duckdb.DuckDBPyConnection, table: str, column: str) -> int:
    row = connection.execute(f"SELECT max({column}) FROM {table}").fetchone()
    return int(row[0]) if row and row[0] is not None else 0
