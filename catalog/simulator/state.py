"""The present state of the archive: its tables, its epoch, and edits by hand."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catalog.missions import JWST
from catalog.simulator.archive_tables import ArchiveOptions, build_archive
from catalog.simulator.bodies import other_body, science_bodies
from catalog.simulator.caom import OBSERVATION_TYPES, PRODUCT_TYPES
from catalog.simulator.columns import column_types, fixed_values
from catalog.simulator.filters import WhereClause
from catalog.simulator.fits import Body, BodyCache
from catalog.simulator.product_lists import ProductLists, read_product_lists

FileNumbers = Sequence[int] | npt.NDArray[np.int64]
Digests = Literal["true", "nominal"]
DEFAULT_MAX_OBSIDS = 50
_URI = "mast:JWST/product/"
_CACHED_BYTES = 256_000_000
_SERVED = 4096


class ArchiveState:
    """The tables of an archive and their history. One thread at a time reads or changes it, with both cores for DuckDB.

    Parameters
    ----------
    options : ArchiveOptions
        The properties of the archive.
    digests : {'true', 'nominal'}
        ``true``: a row's ``checksum`` is the MD5 of the bytes that are served. It is computed when a row with it is
        first asked for, so the files of that answer are made once. ``nominal``: digests are made up, so that a million
        rows cost nothing; downloads do not match them.
    """

    def __init__(self, options: ArchiveOptions, digests: Digests) -> None:
        self.options = options
        self.digests = digests
        self.lock = threading.RLock()
        self.max_obsids: int | None = DEFAULT_MAX_OBSIDS
        self.con: duckdb.DuckDBPyConnection
        self.generation = 0
        self.rebuild()

    def rebuild(self) -> None:
        """Go back to epoch 0, and forget everything since then."""
        with self.lock:
            self.con = build_archive(self.options)
            self.epoch = 0
            self.edits = 0
            self.made_from: dict[tuple[str, int], dict[str, object]] = {}
            self._types = {f"si_{name}": column_types(name) for name in JWST.services} | {
                "observation": dict(OBSERVATION_TYPES), "product": dict(PRODUCT_TYPES)}  # fmt: skip
            self._constants = {f"si_{name}": fixed_values(self.con, name) for name in JWST.services}
            self._edited: dict[str, set[str]] = {}
            self._bodies = BodyCache(_CACHED_BYTES)
            self._served: dict[str, ServedFile] = {}
            self.touched()

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Keep other threads from changing the archive, and yield its connection."""
        with self.lock:
            yield self.con

    def touched(self) -> None:
        """Note that rows changed: missing digests must be computed again, and cached answers are invalid."""
        self.generation += 1
        self._served.clear()
        self._product_lists: ProductLists | None = None
        if self.digests == "nominal":
            for name in JWST.services:
                self.con.execute(
                    f"UPDATE si_{name} SET checksum = md5(concat(_file, '|', _version, '|', $seed))"
                    " WHERE checksum IS NULL",
                    {"seed": self.options.seed},
                )

    @property
    def product_lists(self) -> ProductLists:
        """The product lists as they are now; they are read when a list is first asked for after a change."""
        with self.lock:
            if self._product_lists is None:
                self._product_lists = read_product_lists(self.con)
            return self._product_lists

    def types(self, table: str) -> dict[str, str]:
        """Return a table's columns, in order, with their types in ``fields``."""
        return self._types[table]

    def constants(self, table: str) -> Mapping[str, str]:
        """Return the columns that have the same value in all rows, as JSON."""
        return self._constants.get(table, {})

    @contextmanager
    def numbers(self, files: FileNumbers) -> Iterator[str]:
        """Yield SQL that stands for the numbers of some files, for ``_file IN ...``."""
        self.con.register("numbered", pa.table({"number": pa.array(files, pa.int64())}))
        try:
            yield "(SELECT number FROM numbered)"
        finally:
            self.con.unregister("numbered")

    def not_constant(self, table: str, column: str) -> None:
        """Note that a column can differ from row to row from now on."""
        self._constants.get(table, {}).pop(column, None)
        self._edited.setdefault(table, set()).add(column)

    def edited(self, table: str) -> set[str]:
        """Return the columns that have values which the simulator did not make."""
        return self._edited.get(table, set())

    def ensure_digests(
        self, con: duckdb.DuckDBPyConnection, table: str, params: Mapping[str, Any], condition: WhereClause
    ) -> None:
        """Compute the digests that an answer will show, if they are not known yet."""
        if self.digests == "nominal":
            return
        columns = str(params.get("columns") or "*").lower()
        filtered = any(str(each.get("paramName")).lower() == "checksum" for each in params.get("filters") or [])
        if "count_big" in columns and not filtered:
            return
        if "*" in columns or "checksum" in columns or filtered:
            where, bound = ("NOT _gone", {}) if filtered else (condition.sql, condition.parameters)
            self._fill_digests(con, table, where, bound)

    def _fill_digests(
        self, con: duckdb.DuckDBPyConnection, table: str, where: str, parameters: Mapping[str, object]
    ) -> None:
        due = con.execute(
            f"SELECT _file, _version FROM {table} WHERE checksum IS NULL AND {where} ORDER BY _file", parameters
        ).fetchall()
        for at in range(0, len(due), 500):
            versions = dict(due[at : at + 500])
            numbers = list(versions)
            originals = {number: self.made_from.get((table, number), {}) for number in numbers}
            bodies = science_bodies(con, table, numbers, originals)
            for number, body in bodies.items():
                self._bodies.keep((table, number, versions[number]), body)
            con.register("computed", pa.table({
                "number": list(bodies), "digest": [body.digest() for body in bodies.values()]}))  # fmt: skip
            con.execute(f"UPDATE {table} SET checksum = c.digest FROM computed c WHERE _file = c.number")
            con.unregister("computed")

    def find_file(self, uri: str) -> ServedFile | None:
        """Return the file for a data URI; None if there is none."""
        if not uri.lower().startswith(_URI.lower()):
            return None
        name = uri[len(_URI) :]
        with self.lock:
            if name not in self._served:
                served = self._look_up(name)
                if served is None:
                    return None
                if len(self._served) >= _SERVED:
                    self._served.clear()
                self._served[name] = served
            return self._served[name]

    def _look_up(self, name: str) -> ServedFile | None:
        row = self.con.execute(
            "SELECT _file, _instrument, _unit FROM product WHERE filename = $name AND NOT _gone LIMIT 1", {"name": name}
        ).fetchone()
        if row is None:
            return None
        file_no, instrument, unit = row
        if file_no is not None:
            return self._science_file(name, f"si_{instrument}", int(file_no), self._exclusive(unit))
        body = other_body(self.con, name)
        return None if body is None else ServedFile(name, body, self._exclusive(unit), _tag(name, 0), None)

    def _exclusive(self, unit: int) -> bool:
        rights = self.con.execute('SELECT "dataRights" FROM observation WHERE _unit = $unit', {"unit": unit}).fetchone()
        return rights is not None and rights[0] == "EXCLUSIVE_ACCESS"

    def _science_file(self, name: str, table: str, file_no: int, exclusive: bool) -> ServedFile | None:
        row = self.con.execute(f"SELECT _version FROM {table} WHERE _file = $file_no", {"file_no": file_no}).fetchone()
        if row is None:
            return None
        key = (table, file_no, int(row[0]))
        body = self._bodies.get(key)
        if body is None:
            made_from = {file_no: self.made_from.get((table, file_no), {})}
            body = science_bodies(self.con, table, [file_no], made_from)[file_no]
            self._bodies.keep(key, body)
        return ServedFile(name, body, exclusive, _tag(name, key[2]), (table, file_no))

    def another_version(self, served: ServedFile) -> Body:
        """Return the bytes that another processing of a file could give."""
        if served.row is None:
            return served.body
        table, file_no = served.row
        with self.lock:
            return science_bodies(self.con, table, [file_no], {}, later=1)[file_no]


@dataclass(frozen=True)
class ServedFile:
    """One version of a file, ready to be sent.

    Attributes
    ----------
    exclusive : bool
        True if it needs a token.
    tag : str
        The tag of this version, for ETag and If-Range.
    row : tuple of str and int, or None
        The table and the number of a searchable file.
    """

    name: str
    body: Body
    exclusive: bool
    tag: str
    row: tuple[str, int] | None


def _tag(name: str, version: int) -> str:
    return hashlib.blake2b(f"{name}|{version}".encode(), digest_size=8).hexdigest()
