"""Write what was read of files into the catalog, in one transaction a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from catalog.headers.columns import header_columns, wanted_keywords
from catalog.headers.extract import Extract
from catalog.headers.walk import Moved
from catalog.store.database import quoted
from catalog.store.schema import columns_of, make_views

_REMEMBERED = 150_000
_NEAR = 64
"""So many of the newest files lend their cards to the next run."""


class CardNumbers:
    """Numbers of labels and cards, so that each distinct one is stored once.

    Labels are few, and all of them are remembered. Of the cards, those that were met lately are: values that
    belong to one file alone come and go. A card that was forgotten is stored again, which costs a few bytes.
    """

    def __init__(self) -> None:
        self._labels: dict[tuple[str, str, str], int] = {}
        self._recent: dict[str, int] = {}
        self._older: dict[str, int] = {}
        self._loaded = False

    def begin(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Learn what is in the catalog and not yet known here."""
        known = len(self._labels) and max(self._labels.values())
        rows = connection.execute(
            "SELECT keyword, kind, comment, label_id FROM card_label WHERE label_id > ?", [known]
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

    def labels(self, labels: Sequence[tuple[str, str, str]]) -> tuple[NDArray[np.int32], list[int]]:
        """Return the numbers of labels, and the places of those that are new."""
        numbers, new = np.empty(len(labels), np.int32), []
        for place, label in enumerate(labels):
            number = self._labels.setdefault(label, self._next_label)
            if number == self._next_label:
                self._next_label += 1
                new.append(place)
            numbers[place] = number
        return numbers, new

    def cards(self, label: NDArray[np.int32], text: pa.StringArray) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
        """Return the numbers of distinct cards, and the places of those that are new."""
        keys = pc.binary_join_element_wise(
            pc.cast(pa.array(label), pa.string()), pc.fill_null(text, "\0"), "\t"
        ).to_pylist()
        recent, older = self._recent.get, self._older.get
        numbers = np.array([recent(key) or older(key) or 0 for key in keys], np.int32)
        new = np.flatnonzero(numbers == 0)
        numbers[new] = np.arange(self._next_card, self._next_card + len(new), dtype=np.int32)
        self._next_card += len(new)
        self._recent.update(zip(keys, numbers.tolist(), strict=True))
        if len(self._recent) > _REMEMBERED:
            self._older, self._recent = self._recent, {}
        return numbers, new


def _key(label: int, text: str | None) -> str:
    return f"{label}\t{chr(0) if text is None else text}"


def _highest(connection: duckdb.DuckDBPyConnection, table: str, column: str) -> int:
    row = connection.execute(f"SELECT max({column}) FROM {table}").fetchone()
    return int(row[0]) if row and row[0] is not None else 0


@dataclass(frozen=True)
class Written:
    """What a batch came to: HDUs and cards stored."""

    hdus: int
    cards: int


def write_extract(
    connection: duckdb.DuckDBPyConnection,
    paths: Sequence[str],
    extract: Extract,
    numbers: CardNumbers,
    now: datetime,
) -> Written:
    """Store what was read of a batch of files.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        In a transaction that may write.
    paths : sequence of str
        The files, as they were given to `catalog.headers.extract.extract`.
    extract : Extract
        What was read.
    numbers : CardNumbers
        Of this run; `begin` was called in this transaction.
    now : datetime
        UTC, without zone.
    """
    file_ids, fresh = _write_files(connection, paths, extract.files, now)
    _insert_by_file(connection, "header_finding", extract.findings, file_ids, fresh)
    _write_keywords(connection, extract.keywords, file_ids, fresh)
    _write_hdus(connection, extract, numbers, file_ids, fresh)
    return Written(extract.hdus.num_rows, len(extract.cards.code))


def _write_files(
    connection: duckdb.DuckDBPyConnection, paths: Sequence[str], files: pa.Table, now: datetime
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Store the rows of files; return each one's id, and whether its headers are to be stored with it."""
    read = files.append_column("path", pa.array(paths, pa.string()))
    connection.register("read", read.append_column("file", pa.array(np.arange(len(paths)))))
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE staged AS
        SELECT r.*, l.file_id AS known, l.data_uri, coalesce(l.indexed, false) AS indexed,
               l.file_id IS NOT NULL
                   AND (r.size IS NULL OR (r.size, r.mtime_ns, r.inode) = (l.size, l.mtime_ns, l.inode)) AS same,
               CASE WHEN same THEN l.file_id
                    ELSE (SELECT coalesce(max(file_id), 0) FROM local_file_version) + r.file + 1 END AS file_id
        FROM read r LEFT JOIN local_files l USING (path)
        """
    )
    connection.unregister("read")
    connection.execute(
        """
        UPDATE local_file_version v SET until_at = ? FROM staged s
        WHERE v.file_id = s.known AND v.until_at IS NULL AND NOT s.same AND v.path = s.path
        """,
        [now],
    )
    connection.execute("""
        UPDATE local_file_version v
        SET indexed = s.unread IS NULL, problem = coalesce(s.unread, s.problem),
            checksum = coalesce(s.checksum, v.checksum)
        FROM staged s WHERE v.file_id = s.known AND v.until_at IS NULL AND s.same
    """)
    connection.execute(
        """
        INSERT INTO local_file_version
        SELECT file_id, path, parse_filename(path), coalesce(size, 0), coalesce(mtime_ns, 0), coalesce(inode, 0),
               checksum, data_uri, unread IS NULL, coalesce(unread, problem), ?, NULL
        FROM staged WHERE NOT same
        """,
        [now],
    )
    rows = connection.execute("SELECT file_id, unread IS NULL AND NOT (same AND indexed) FROM staged ORDER BY file")
    columns = rows.fetchnumpy()
    connection.execute("DROP TABLE staged")
    return np.asarray(columns["file_id"]), np.asarray(list(columns.values())[1], bool)


def _of_fresh(
    rows: pa.Table, file_ids: NDArray[np.int64], fresh: NDArray[np.bool_]
) -> tuple[pa.Table, NDArray[np.bool_]]:
    """Give rows the ids of their files, and keep those of fresh files."""
    place = rows["file"].to_numpy()
    kept = fresh[place]
    rows = rows.set_column(rows.column_names.index("file"), "file_id", pa.array(file_ids[place]))
    return (rows if kept.all() else rows.filter(pa.array(kept))), kept


def _insert_by_file(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    rows: pa.Table,
    file_ids: NDArray[np.int64],
    fresh: NDArray[np.bool_],
) -> None:
    rows, _ = _of_fresh(rows, file_ids, fresh)
    if rows.num_rows:
        _insert(connection, table, rows)


def _insert(connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table, select: str = "*") -> None:
    connection.register("rows", rows)
    connection.execute(f"INSERT INTO {table} BY NAME SELECT {select} FROM rows")
    connection.unregister("rows")


def _write_keywords(
    connection: duckdb.DuckDBPyConnection, keywords: pa.Table, file_ids: NDArray[np.int64], fresh: NDArray[np.bool_]
) -> None:
    rows, _ = _of_fresh(keywords, file_ids, fresh)
    if not rows.num_rows:
        return
    present = set(rows.column_names) & set(wanted_keywords())
    chosen = [f"{c.expression(present)} AS {quoted(c.name)}" for c in header_columns() if c.fits_keyword in present]
    _insert(connection, "local_header", rows, ", ".join(["file_id", *chosen]))


def _write_hdus(
    connection: duckdb.DuckDBPyConnection,
    extract: Extract,
    numbers: CardNumbers,
    file_ids: NDArray[np.int64],
    fresh: NDArray[np.bool_],
) -> None:
    if not extract.hdus.num_rows or not fresh.any():
        return
    cards = extract.cards
    labels, new_labels = numbers.labels(cards.labels)
    if new_labels:
        words = [cards.labels[place] for place in new_labels]
        columns = {name: [word[n] for word in words] for n, name in enumerate(("keyword", "kind", "comment"))}
        _insert(connection, "card_label", pa.table({"label_id": labels[new_labels], **columns}))
    label = labels[cards.label]
    card, new = numbers.cards(label, cards.text)
    rows = {"card_id": card[new], "label_id": label[new], "text": cards.text.take(pa.array(new))}
    _insert(connection, "card_value", pa.table(rows))
    lists = pa.ListArray.from_arrays(pa.array(cards.first, pa.int32()), pa.array(card[cards.code]))
    hdus, _ = _of_fresh(extract.hdus.append_column("cards", lists), file_ids, fresh)
    _insert(connection, "hdu_header", hdus, _HDU_COLUMNS)


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
    file_ids, fresh = _write_files(connection, paths, files, now)
    _insert_by_file(connection, "association_member", members, file_ids, fresh)


def ensure_columns(connection: duckdb.DuckDBPyConnection) -> None:
    """Give `headers` a column for every keyword of the archive that headers have."""
    present = columns_of(connection, "local_header")
    known = {name.lower() for name in present}
    missing = {c.name: c.type for c in header_columns() if c.name.lower() not in known}
    if not missing:
        return
    if connection.execute("SELECT 1 FROM local_header LIMIT 1").fetchone():
        for name, kind in missing.items():
            connection.execute(f"ALTER TABLE local_header ADD COLUMN {quoted(name)} {kind}")
    else:  # hundreds of columns one by one would take seconds
        columns = ", ".join(f"{quoted(name)} {kind}" for name, kind in {**present, **missing}.items())
        connection.execute(f"CREATE OR REPLACE TABLE local_header ({columns})")
    make_views(connection)


def write_moves(
    connection: duckdb.DuckDBPyConnection, moved: Sequence[Moved], gone: Sequence[int], now: datetime
) -> None:
    """Close the versions of files that are gone, and give those that moved a version at their new path."""
    moves = pa.table(
        {
            "file_id": pa.array([move.file_id for move in moved], pa.int64()),
            "path": pa.array([move.now for move in moved], pa.string()),
            "mtime_ns": pa.array([_status(move.now)[0] for move in moved], pa.int64()),
            "inode": pa.array([_status(move.now)[1] for move in moved], pa.int64()),
        }
    )
    connection.register("moves", moves)
    connection.register("gone", pa.table({"file_id": pa.array([*gone], pa.int64())}))
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE arrived AS
        SELECT v.* REPLACE (m.path AS path, parse_filename(m.path) AS filename, m.mtime_ns AS mtime_ns,
                            m.inode AS inode, CAST(? AS TIMESTAMP) AS since_at)
        FROM local_file_version v JOIN moves m USING (file_id) WHERE v.until_at IS NULL
        """,
        [now],
    )
    connection.execute(
        """
        UPDATE local_file_version SET until_at = ?
        WHERE until_at IS NULL AND file_id IN (SELECT file_id FROM moves UNION ALL SELECT file_id FROM gone)
        """,
        [now],
    )
    connection.execute("INSERT INTO local_file_version SELECT * FROM arrived")
    connection.execute("DROP TABLE arrived")
    connection.unregister("moves")
    connection.unregister("gone")


def _status(path: str) -> tuple[int, int]:
    import os

    status = os.stat(path)  # noqa: PTH116  # as in the walk
    return status.st_mtime_ns, status.st_ino if status.st_ino < 1 << 63 else status.st_ino - (1 << 64)
