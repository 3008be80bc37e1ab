"""MAST's answers as Arrow: typed columns, and beside them every odd cell and every row that cannot be kept.

If all cells fit their columns, Arrow reads the rows (`rows`) without a Python object for each cell. If one cell does
not fit, all cells are read one by one (`cells`), so that nothing else is lost. An odd cell is null in its column, and
its text is in the row's ``odd_cells``. A row that is no object, or has no key, is set aside.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from catalog.archive.cells import ARROW, NOTHING, Cells, read_cells
from catalog.archive.columns import NEEDED, Column, columns_of_answer, empty_kind, holds_without_fields, key_of
from catalog.archive.envelope import Envelope, completed_envelope, read_count, total_rows
from catalog.archive.rows import Uneven, read_evenly, times
from catalog.archive.scan import NotJson, decoded_body, list_elements, object_members, valid_unicode
from catalog.errors import Garbled
from catalog.vocabulary.spelling import ODD_CELLS, Kind, catalog_name

__all__ = ["ArchiveAnswer", "SetAside", "read_answer", "read_count"]

_FIRST_ROW = 1 << 20  # the first row ends within so many bytes
_MOST_SHOWN = 10_000  # how many characters of a row that is set aside are kept


@dataclass(frozen=True)
class SetAside:
    """A row or a column of an answer that is not kept.

    Attributes
    ----------
    what : str
        ``file``, ``observation`` or ``product`` for a row; ``column`` for a column.
    reason : str
        Why, in words.
    text : str
        The row as it came, cut if it is too long; or the name of the column.
    """

    what: str
    reason: str
    text: str


@dataclass(frozen=True)
class ArchiveAnswer:
    """One page of rows.

    Attributes
    ----------
    rows : pyarrow.Table
        Typed columns: booleans as bool, dates as timestamps (UTC), numbers as int64 and float64, text as string.
        Columns have the catalog's spelling (`catalog.vocabulary.spelling`). If any cell is odd, the column
        ``odd_cells`` has the text of each odd cell of a row, as a JSON object by column.
    total : int
        How many rows the question has in all, by the answer's own paging.
    aside : tuple of SetAside
        Rows and columns that are not kept.
    odd : mapping
        The number of odd cells in each column that has any.
    """

    rows: pa.Table
    total: int
    aside: tuple[SetAside, ...] = ()
    odd: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows_aside(self) -> int:
        """How many rows were set aside."""
        return sum(aside.what != "column" for aside in self.aside)


def read_answer(
    body: bytes | Envelope, kind: Kind = "file", *, whole: bool = False, asked: Sequence[str] = ()
) -> ArchiveAnswer:
    """Read a completed answer's rows.

    Parameters
    ----------
    body : bytes or Envelope
        The body, or the envelope that `completed_envelope` returned.
    kind : str
        The kind of the rows: ``file``, ``observation`` or ``product``.
    whole : bool
        Whether all columns were asked for. Then the columns that the catalog needs must be there.
    asked : sequence of str
        Columns that were asked for by name. If an answer lacks one that is no key, the column has no values.

    Raises
    ------
    QueryTimeout, Refused, Garbled
        See `completed_envelope`; also if the rows are no list, or have no key.
    """
    envelope = completed_envelope(body)
    data = bytes(envelope.data) if not envelope.strict else memoryview(envelope.data)
    if bytes(data[:1]) != b"[":
        raise Garbled("the archive's answer has no list of rows")
    read = _read_evenly(envelope, data, kind) or _read_by_cell(envelope, bytes(data), kind)
    columns, cells, aside, sent = read
    keyed = _without_keyless(columns, cells, aside, kind, (whole or bool(asked)) and sent > 0)
    rows = pa.table(dict(zip([c.kept for c in columns], [column_cells.values for column_cells in cells], strict=True)))
    odd = {c.kept: len(column_cells.odd) for c, column_cells in zip(columns, cells, strict=True) if column_cells.odd}
    if odd:
        rows = rows.append_column(ODD_CELLS, _odd_cells(columns, cells, rows.num_rows))
    if keyed is not None:
        rows = rows.filter(keyed)
    rows = _with_columns(rows, (*NEEDED[kind], *asked) if whole else asked, kind)
    return ArchiveAnswer(rows, total_rows(envelope, sent), tuple(aside), odd)


def _with_columns(rows: pa.Table, names: Iterable[str], kind: Kind) -> pa.Table:
    """Add the named columns that an answer does not have."""
    present = {name.lower() for name in rows.column_names}
    for name in names:
        kept = catalog_name(name, kind)
        if kept.lower() not in present:
            rows = rows.append_column(kept, pa.nulls(rows.num_rows, ARROW[holds_without_fields(name, kind)]))
    return rows


_Read = tuple[list[Column], list[Cells], list[SetAside], int]


def _read_evenly(envelope: Envelope, data: bytes | memoryview, kind: Kind) -> _Read | None:
    """Read rows whose cells all fit; return None for other rows."""
    if not envelope.strict:
        return None
    columns, refused = columns_of_answer(envelope.fields, _first_names(data), kind)
    if refused:
        return None
    try:
        rows = read_evenly(data, columns)
    except Uneven:
        return None
    cells = [Cells(_of_empty(rows.column(column.sent), column, kind)) for column in columns]
    return columns, cells, [], rows.num_rows


def _first_names(data: bytes | memoryview) -> list[str]:
    """Return the names in the first row, of which there can be more than fields."""
    head = bytes(data[1:_FIRST_ROW])
    try:
        return [name for name, _ in object_members(decoded_body(head[: head.find(b"}") + 1]))]
    except NotJson:
        return []


def _of_empty(values: pa.ChunkedArray, column: Column, kind: Kind) -> pa.ChunkedArray:
    """Return a text column without values as the type that it may have: without values, its own type tells nothing."""
    if values.null_count == len(values):
        holds = empty_kind(column, kind)
        return pa.chunked_array([pa.nulls(len(values), ARROW[holds] if holds else pa.null())])
    if column.perhaps_time and pa.types.is_string(values.type):
        try:
            return times(values)
        except Uneven:
            return pa.chunked_array([_perhaps_times(values.to_pylist())])
    return values


def _perhaps_times(texts: Sequence[str | None]) -> pa.Array:
    cells = read_cells([text if text is None else json.dumps(text) for text in texts], "time", strict=True)
    return pa.array(texts, pa.string()) if cells.odd else cells.values


def _read_by_cell(envelope: Envelope, data: bytes, kind: Kind) -> _Read:
    """Read rows of which some cells or rows are odd."""
    aside: list[SetAside] = []
    rows: list[dict[str, list[str]]] = []
    try:
        for text in list_elements(decoded_body(data)):
            row = _row(text) if text.startswith("{") else None
            if row is None:
                aside.append(SetAside(kind, "the row is no object", valid_unicode(text)[:_MOST_SHOWN]))
            else:
                rows.append(row)
    except NotJson:
        raise Garbled("the archive's answer has no list of rows") from None
    names = dict.fromkeys(name for row in rows for name in row)
    columns, refused = columns_of_answer(envelope.fields, names, kind)
    aside += [
        SetAside("column", "its name is too long, or there are too many", valid_unicode(name)) for name in refused
    ]
    cells = [_column_of(rows, column, kind) for column in columns]
    return columns, cells, aside, len(rows) + sum(item.what != "column" for item in aside)


def _row(text: str) -> dict[str, list[str]] | None:
    row: dict[str, list[str]] = {}
    try:
        for name, token in object_members(text):
            row.setdefault(name, []).append(token)
    except NotJson:
        return None
    return row


def _column_of(rows: Sequence[dict[str, list[str]]], column: Column, kind: Kind) -> Cells:
    texts = [row.get(column.sent) for row in rows]
    tokens = [values[-1] if values else None for values in texts]
    if all(token in NOTHING for token in tokens):
        holds = empty_kind(column, kind)
        return Cells(pa.nulls(len(tokens), ARROW[holds] if holds else pa.null()))
    cells = read_cells(tokens, column.holds, column.strict, column.bounds)
    if column.perhaps_time:
        timed = read_cells(tokens, "time", strict=True)
        cells = cells if 2 * len(timed.odd) > len(tokens) else timed
    for row, values in enumerate(texts):
        if values and len(set(values)) > 1:  # a member is repeated: the last one counts, as for any reader of JSON
            cells.odd[row] = ", ".join(valid_unicode(value) for value in values)
    return cells


def _without_keyless(
    columns: Sequence[Column], cells: Sequence[Cells], aside: list[SetAside], kind: Kind, needed: bool
) -> pa.Array | None:
    """Set rows without a key aside; return the numbers of the other rows, or None for all rows."""
    sent = key_of([column.sent for column in columns], kind)
    if sent is None:
        if needed:
            raise Garbled(f"the archive's answer names no {kind}: it has no column {key_of_kind(kind)}")
        return None
    at = next(number for number, column in enumerate(columns) if column.sent == sent)
    values = cells[at].values
    keyed = pc.fill_null(pc.greater(pc.utf8_length(values.cast(pa.string())), 0), False)
    if pc.all(keyed, min_count=0).as_py():
        return None
    for row in pc.indices_nonzero(pc.invert(keyed)).to_pylist():
        shown_cells = {
            column.kept: column_cells.odd.get(row, column_cells.values[row].as_py())
            for column, column_cells in zip(columns, cells, strict=True)
        }
        text = json.dumps({name: value for name, value in shown_cells.items() if value is not None}, default=str)
        aside.append(SetAside(kind, f"the row has no {sent}", text[:_MOST_SHOWN]))
    return keyed


def key_of_kind(kind: Kind) -> str:
    """Return the column that names a row of this kind."""
    return {"file": "filename", "observation": "obs_id", "product": "dataURI"}[kind]


def _odd_cells(columns: Sequence[Column], cells: Sequence[Cells], rows: int) -> pa.Array:
    """Return the odd cells of each row, as a JSON object of their texts by column."""
    by_row: dict[int, dict[str, str]] = {}
    for column, column_cells in zip(columns, cells, strict=True):
        for row, text in column_cells.odd.items():
            by_row.setdefault(row, {})[column.kept] = text
    texts = [json.dumps(by_row[row], ensure_ascii=False) if row in by_row else None for row in range(rows)]
    return pa.array(texts, pa.string())
