"""Read cards of the usual forms, thousands at a time.

A small automaton steps through the 70 columns behind the keyword, in all cards at once. With one table look-up for each
column, it tells strings from numbers, booleans and undefined values, and finds where value and comment begin and end.
Cards that it does not accept with certainty are left to `catalog.fits.cards`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from catalog.fits.blocks import CARD_SIZE
from catalog.fits.cards import Kind

_FIRST = 10  # the column after the value indicator
_DIGITS = "0123456789"
_PRINTABLE = "".join(map(chr, range(32, 127)))
_RULES: dict[str, dict[str, str]] = {  # in the order of a card: before the value, inside it, after it, in the comment
    "lead": {
        " ": "lead",
        "'": "opened",
        "TF": "boolean",
        "+-": "sign",
        _DIGITS: "integer",
        ".": "dot",
        "/": "undefined/",
    },
    "opened": {_PRINTABLE: "text", ":": "colon", "'": "empty"},
    "text": {_PRINTABLE: "text", ":": "colon", "'": "closed"},
    "colon": {_PRINTABLE: "text", ":": "colon", "'": "closed", " ": "refused"},  # perhaps a record-valued card
    "closed": {" ": "closed_", "/": "text/"},
    "empty": {" ": "empty_", "/": "empty/"},
    "boolean": {" ": "boolean_", "/": "boolean/"},
    "sign": {_DIGITS: "integer", ".": "dot"},
    "integer": {_DIGITS: "integer", ".": "number", "E": "exponent", " ": "integer_", "/": "integer/"},
    "dot": {_DIGITS: "number"},
    "number": {_DIGITS: "number", "E": "exponent", " ": "number_", "/": "number/"},
    "exponent": {_DIGITS: "power", "+-": "signed"},
    "signed": {_DIGITS: "power"},
    "power": {_DIGITS: "power", " ": "number_", "/": "number/"},
    "closed_": {" ": "closed_", "/": "text/"},
    "empty_": {" ": "empty_", "/": "empty/"},
    "boolean_": {" ": "boolean_", "/": "boolean/"},
    "integer_": {" ": "integer_", "/": "integer/"},
    "number_": {" ": "number_", "/": "number/"},
    "undefined/": {_PRINTABLE: "undefined/"},
    "text/": {_PRINTABLE: "text/"},
    "empty/": {_PRINTABLE: "empty/", "'": "refused"},  # a second string could make the first one longer
    "boolean/": {_PRINTABLE: "boolean/"},
    "integer/": {_PRINTABLE: "integer/"},
    "number/": {_PRINTABLE: "number/"},
    "refused": {},
}
_STATES = list(_RULES)
_LEAD, _BEHIND, _COMMENT = (_STATES.index(state) for state in ("lead", "closed_", "undefined/"))
_ENDS: dict[str, Kind] = {
    "lead": "undefined",
    "closed": "text",
    "empty": "text",
    "boolean": "boolean",
    "integer": "integer",
    "number": "number",
    "power": "number",
    "undefined": "undefined",
    "text": "text",
}
KINDS: tuple[Kind, ...] = (
    "text",
    "boolean",
    "integer",
    "number",
    "complex",
    "undefined",
    "commentary",
    "unreadable",
)
_REFUSED = 255
_COMMENTARY = np.frombuffer(b"COMMENT HISTORY         ", np.uint64)
_SPECIAL = np.frombuffer(b"CONTINUEHIERARCHEND     ", np.uint64)


@dataclass(frozen=True)
class Readings:
    """The contents of a set of cards, with one entry for each card.

    Attributes
    ----------
    kind : ndarray of uint8, shape (cards,)
        Index into `KINDS`; 255 if the card is left to `catalog.fits.cards`.
    text : pyarrow.StringArray, length cards
        The value; null if it is undefined or was not read.
    comment_at : ndarray of uint8, shape (cards,)
        The column of the comment's slash; 80 if there is no comment.
    """

    kind: NDArray[np.uint8]
    text: pa.StringArray
    comment_at: NDArray[np.uint8]


@lru_cache(maxsize=1)
def _transitions() -> NDArray[np.uint8]:
    """Return the transition table: its entry at state times 256 plus byte is the next state."""
    table = np.full((len(_STATES), 256), _STATES.index("refused"), np.uint8)
    for state, rules in _RULES.items():
        for characters, target in rules.items():
            for character in characters:
                table[_STATES.index(state), ord(character)] = _STATES.index(target)
    return table.ravel()


@lru_cache(maxsize=1)
def _kind_of_state() -> NDArray[np.uint8]:
    kinds = np.full(len(_STATES), _REFUSED, np.uint8)
    for number, state in enumerate(_STATES):
        if state in ("text", "opened", "colon", "sign", "dot", "exponent", "signed", "refused"):
            continue
        stem = state.rstrip("/_")
        kinds[number] = KINDS.index("text" if stem == "empty" else _ENDS[stem])
    return kinds


def _keyword_table() -> NDArray[np.bool_]:
    table = np.zeros(256, bool)
    table[[ord(c) for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"]] = True
    return table


_KEYWORD_BYTE = _keyword_table()


def read(rows: NDArray[np.uint8]) -> Readings:
    """Read cards that stand alone, without CONTINUE cards behind them.

    Parameters
    ----------
    rows : ndarray of uint8, shape (cards, 80)
        The bytes of the cards.
    """
    parts = [_read(rows[start : start + 8192]) for start in range(0, len(rows), 8192)]
    if not parts:
        return Readings(np.empty(0, np.uint8), pa.array([], pa.string()), np.empty(0, np.uint8))
    return Readings(
        np.concatenate([part.kind for part in parts]),
        pa.concat_arrays([part.text for part in parts]),
        np.concatenate([part.comment_at for part in parts]),
    )


def _read(rows: NDArray[np.uint8]) -> Readings:
    columns = np.ascontiguousarray(rows.T)
    states = _run(columns[_FIRST:])
    commentary = _is_commentary(rows, columns)
    kind = _kind_of_state()[states[-1]]
    kind[~_is_standard(rows, columns)] = _REFUSED
    kind[commentary] = KINDS.index("commentary")
    begin = _FIRST + _count(states == _LEAD)
    end = _FIRST + _count(states < _BEHIND)
    comment_at = CARD_SIZE - _count(states >= _COMMENT)
    quoted = kind == KINDS.index("text")
    begin += quoted
    end -= quoted
    begin[commentary], end[commentary], comment_at[commentary] = 8, CARD_SIZE, CARD_SIZE
    nothing = (kind == KINDS.index("undefined")) | (kind == _REFUSED)
    return Readings(kind, _slices(rows, begin, end, nothing), comment_at)


def _count(marked: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Count the marked columns of each card."""
    total: NDArray[np.uint8] = np.add.reduce(marked.view(np.uint8), axis=0, dtype=np.uint8)
    return total


def _run(columns: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Step through the columns; return the state after each column, shape (70, cards)."""
    table = _transitions()
    states = np.empty(columns.shape, np.uint8)
    index = columns[0].astype(np.uint16)  # the first state has the number 0
    for number, column in enumerate(columns):
        if number:
            np.multiply(states[number - 1], 256, out=index, dtype=np.uint16)
            index += column
        np.take(table, index, out=states[number], mode="clip")
    return states


def _is_standard(rows: NDArray[np.uint8], columns: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mark the cards whose first ten bytes are a standard keyword and the value indicator."""
    good = (columns[8] == ord("=")) & (columns[9] == ord(" "))
    blank_before = np.zeros(len(rows), bool)
    good &= _KEYWORD_BYTE[columns[0]]
    for column in columns[1:8]:
        blank = column == ord(" ")
        good &= blank | (_KEYWORD_BYTE[column] & ~blank_before)
        blank_before |= blank
    heads = _heads(rows)
    for special in (*_SPECIAL, *_COMMENTARY):
        good &= heads != special
    standard: NDArray[np.bool_] = good
    return standard


def _is_commentary(rows: NDArray[np.uint8], columns: NDArray[np.uint8]) -> NDArray[np.bool_]:
    heads = _heads(rows)
    commentary: NDArray[np.bool_] = (heads == _COMMENTARY[0]) | (heads == _COMMENTARY[1]) | (heads == _COMMENTARY[2])
    printable: NDArray[np.bool_] = (columns.min(axis=0) >= 32) & (columns.max(axis=0) < 127)
    return printable & commentary


def _heads(rows: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return the first eight bytes of each card as one number."""
    return np.ascontiguousarray(rows[:, :8]).view(np.uint64).ravel()


def _slices(
    rows: NDArray[np.uint8], begin: NDArray[np.uint8], end: NDArray[np.uint8], nothing: NDArray[np.bool_]
) -> pa.StringArray:
    """Cut the bytes from ``begin`` to ``end`` out of each row, without trailing blanks; null if ``nothing`` is set."""
    end = np.where(nothing, begin, end)
    numbers = np.arange(CARD_SIZE, dtype=np.uint8)
    characters = rows[(numbers - begin[:, None]) < (end - begin)[:, None]]  # unsigned, so one comparison is enough
    offsets = np.zeros(len(rows) + 1, np.int32)
    np.cumsum(end - begin, out=offsets[1:])
    valid = pa.py_buffer(np.packbits(~nothing, bitorder="little"))
    text = pa.StringArray.from_buffers(len(rows), pa.py_buffer(offsets), pa.py_buffer(characters), valid)
    return pc.ascii_rtrim(text, characters=" ")
