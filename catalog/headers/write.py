"""Write what was read from files into the catalog, in one transaction for each batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from catalog.headers.batch import Cards, Label
from catalog.headers.columns import header_columns, wanted_keywords
from catalog.headers.extract import Extract
from catalog.headers.numbers import CardNumbers
from catalog.headers.walk import MovedFile
from catalog.inodes import signed
from catalog.store.database import columns_of, quoted
from catalog.store.history.header_rows import HeaderTable, add_keywords, add_rows
from catalog.store.history.keyword_differences import keep_differences
from catalog.store.history.local_files import keep_moves, keep_read
from catalog.store.history.verdicts import keep_verdicts
from catalog.store.schema.migrate import make_views_of_headers

_FEW = 64
"""With so few files, every card is looked up; with more files, only the cards that several of them have."""


@dataclass(frozen=True)
class Written:
    """How many HDUs and cards of a batch were stored."""

    hdus: int
    cards: int


@dataclass(frozen=True)
class _Gathered:
    """Batches joined into one; ``file`` counts through all of them."""

    paths: list[str]
    files: pa.Table
    findings: pa.Table
    keywords: pa.Table
    hdus: pa.Table


def write_extracts(
    connection: duckdb.DuckDBPyConnection,
    batches: Sequence[tuple[Sequence[str], Extract]],
    numbers: CardNumbers,
    now: datetime,
) -> Written:
    """Store what was read from some batches of files.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection in a transaction that may write.
    batches : sequence of tuple
        The files, in the order given to `catalog.headers.extract.extract`, and what was read.
    numbers : CardNumbers
        The numbers of this run; its method `begin` was called in this transaction.
    now : datetime
        The time in UTC, without a zone.
    """
    gathered = _gather(batches)
    file_ids, fresh = keep_read(connection, gathered.paths, gathered.files, now)
    _insert_by_file(connection, "header_finding", gathered.findings, file_ids, fresh)
    _write_keywords(connection, gathered.keywords, file_ids, fresh)
    keep_differences(connection, "SELECT file_id FROM touched")
    keep_verdicts(connection, "SELECT file_id FROM touched")
    lists = _write_cards(connection, [extract for _, extract in batches], numbers, fresh)
    hdus, _ = _of_fresh(gathered.hdus, file_ids, fresh)
    if hdus.num_rows:
        add_rows(connection, "hdu_header", hdus.append_column("cards", lists), _HDU_COLUMNS)
    return Written(gathered.hdus.num_rows, sum(len(extract.cards.code) for _, extract in batches))


def _gather(batches: Sequence[tuple[Sequence[str], Extract]]) -> _Gathered:
    sizes = [len(paths) for paths, _ in batches]
    return _Gathered(
        [path for batch, _ in batches for path in batch],
        pa.concat_tables([extract.files for _, extract in batches]),
        _joined_tables([extract.findings for _, extract in batches], sizes),
        _joined_tables(
            [extract.keywords.table(size) for (_, extract), size in zip(batches, sizes, strict=True)], sizes
        ),
        _joined_tables([extract.hdus for _, extract in batches], sizes),
    )


def _joined_tables(tables: Sequence[pa.Table], sizes: Sequence[int]) -> pa.Table:
    """Join tables, and count their files through."""
    counted, before = [], 0
    for table, size in zip(tables, sizes, strict=True):
        place = table.column_names.index("file")
        counted.append(table.set_column(place, "file", pc.add(table["file"], before)))
        before += size
    return pa.concat_tables(counted, promote_options="default")


def _of_fresh(
    rows: pa.Table, file_ids: NDArray[np.int64], fresh: NDArray[np.bool_]
) -> tuple[pa.Table, NDArray[np.bool_]]:
    """Give rows the ids of their files, and keep the rows of fresh files."""
    place = rows["file"].to_numpy()
    kept = fresh[place]
    rows = rows.set_column(rows.column_names.index("file"), "file_id", pa.array(file_ids[place]))
    return (rows if kept.all() else rows.filter(pa.array(kept))), kept


def _insert_by_file(
    connection: duckdb.DuckDBPyConnection,
    table: HeaderTable,
    rows: pa.Table,
    file_ids: NDArray[np.int64],
    fresh: NDArray[np.bool_],
) -> None:
    rows, _ = _of_fresh(rows, file_ids, fresh)
    if rows.num_rows:
        add_rows(connection, table, rows)


def _write_keywords(
    connection: duckdb.DuckDBPyConnection, keywords: pa.Table, file_ids: NDArray[np.int64], fresh: NDArray[np.bool_]
) -> None:
    rows, _ = _of_fresh(keywords, file_ids, fresh)
    if not rows.num_rows:
        return
    present = set(rows.column_names) & set(wanted_keywords())
    expressions = [
        f"{c.expression(present)} AS {quoted(c.name)}" for c in header_columns() if c.fits_keyword in present
    ]
    add_rows(connection, "local_header", rows, ", ".join(["file_id", *expressions]))


def _write_cards(
    connection: duckdb.DuckDBPyConnection,
    extracts: Sequence[Extract],
    numbers: CardNumbers,
    fresh: NDArray[np.bool_],
) -> pa.ChunkedArray:
    """Store the new labels and cards; return a list of card numbers for each HDU of a fresh file."""
    words: list[Label] = []
    label_ids: list[int] = []
    values, lists = [], []
    before = 0
    for extract in extracts:
        here = fresh[before : before + extract.files.num_rows]
        before += len(here)
        cards = extract.cards if here.all() else _only(extract.cards, here[extract.hdus["file"].to_numpy()])
        labels, new_labels = numbers.labels(cards.labels)
        words += [cards.labels[place] for place in new_labels]
        label_ids += labels[new_labels].tolist()
        label = labels[cards.label]
        shared = np.bincount(cards.code, minlength=len(label)) > (1 if len(here) > _FEW else 0)
        card, new = numbers.cards(label, cards.text, shared)
        values.append(_value_rows(card, label, cards.text, new))
        lists.append(pa.ListArray.from_arrays(pa.array(cards.first, pa.int32()), pa.array(card[cards.code])))
    if words:
        columns = {name: [word[n] for word in words] for n, name in enumerate(("keyword", "kind", "comment"))}
        add_rows(connection, "card_label", pa.table({"label_id": pa.array(label_ids, pa.int32()), **columns}))
    add_rows(connection, "card_value", pa.concat_tables(values))
    return pa.chunked_array(lists, pa.list_(pa.int64()))


def _value_rows(
    card: NDArray[np.int64], label: NDArray[np.int32], text: pa.StringArray, new: NDArray[np.intp]
) -> pa.Table:
    texts = text if len(new) == len(text) else text.take(pa.array(new))
    return pa.table({"card_id": card[new], "label_id": label[new], "text": texts})


def _only(cards: Cards, marked: NDArray[np.bool_]) -> Cards:
    """Return the cards of some HDUs, without cards that only other HDUs have."""
    sizes = np.diff(cards.first)
    code = cards.code[np.repeat(marked, sizes)]
    used = np.zeros(len(cards.label), bool)
    used[code] = True
    code = (np.cumsum(used, dtype=np.int32) - 1)[code]
    first = np.concatenate([[0], np.cumsum(sizes[marked])])
    return Cards(cards.labels, cards.label[used], cards.text.filter(pa.array(used)), code, first)


_HDU_COLUMNS = """
    file_id, hdu, coalesce(EXTNAME, CASE WHEN hdu = 0 THEN 'PRIMARY' ELSE '' END) AS name,
    coalesce(TRY_CAST(EXTVER AS INTEGER), 1) AS version,
    CASE WHEN ZIMAGE = 'T' THEN 'COMPRESSED' WHEN XTENSION IS NOT NULL THEN XTENSION
         WHEN GROUPS = 'T' AND hdu = 0 THEN 'GROUPS' WHEN hdu = 0 THEN 'PRIMARY' ELSE '' END AS type,
    TRY_CAST(BITPIX AS INTEGER) AS bitpix, shape, header_at, data_at, data_size, cards
"""


def write_associations(
    connection: duckdb.DuckDBPyConnection, paths: Sequence[str], files: pa.Table, members: pa.Table, now: datetime
) -> None:
    """Store association files and their members."""
    file_ids, fresh = keep_read(connection, paths, files, now)
    _insert_by_file(connection, "association_member", members, file_ids, fresh)
    keep_verdicts(connection, "SELECT file_id FROM touched")


def write_others(connection: duckdb.DuckDBPyConnection, paths: Sequence[str], files: pa.Table, now: datetime) -> None:
    """Store the new state of fetched files that have no headers."""
    if paths:
        keep_read(connection, paths, files, now)
        keep_verdicts(connection, "SELECT file_id FROM touched")


def ensure_columns(connection: duckdb.DuckDBPyConnection) -> None:
    """Give `headers` a column for every keyword of the archive that headers have."""
    present = columns_of(connection, "local_header")
    existing = {name.lower() for name in present}
    missing = {c.name: c.type for c in header_columns() if c.name.lower() not in existing}
    if not missing:
        return
    add_keywords(connection, missing)
    make_views_of_headers(connection)


def write_moves(
    connection: duckdb.DuckDBPyConnection, moved: Sequence[MovedFile], gone: Sequence[int], now: datetime
) -> None:
    """Close the versions of files that are gone, and give files that moved a version at their new path."""
    if not moved and not gone:
        return
    keep_moves(connection, _as_table(moved), gone, now)
    keep_differences(connection, "SELECT file_id FROM touched")
    keep_verdicts(connection, "SELECT file_id FROM touched")


def _as_table(moved: Sequence[MovedFile]) -> pa.Table:
    """Return the files that moved, with their new paths, times and inodes."""
    statuses = [_status(move.now) for move in moved]
    return pa.table(
        {
            "file_id": pa.array([move.file_id for move in moved], pa.int64()),
            "path": pa.array([move.now for move in moved], pa.string()),
            "mtime_ns": pa.array([mtime_ns for mtime_ns, _ in statuses], pa.int64()),
            "inode": pa.array([inode for _, inode in statuses], pa.int64()),
        }
    )


def _status(path: str) -> tuple[int, int]:
    import os

    status = os.stat(path)  # noqa: PTH116  # for speed
    return status.st_mtime_ns, signed(status.st_ino)
