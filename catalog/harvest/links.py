"""From files to CAOM: the observations they lead to, and the products of these.

Three ways are taken, since no one of them finds all: the ids that file names give; and for files that no product
row lists then, the observations of their program with the same number in it. An observation found in the second
way counts only if its products list one of the files.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from catalog.archive.answer import Answer
from catalog.archive.client import Archive
from catalog.archive.retry import Patience
from catalog.errors import ArchiveError, Incomplete, Overloaded, QueryTimeout, Unreachable
from catalog.harvest.reconcile import FILES_IN, PRESENT_IN, TOUCHED_IN
from catalog.store.database import Database
from catalog.store.schema import columns_of
from catalog.store.spool import Spool

OBSERVATIONS_IN = "observations_in"
PRODUCTS_IN = "products_in"
READ_IN = "read_in"

IDS_AT_ONCE = 1000
PROGRAMS_AT_ONCE = 20
FIRST_BATCH, LARGEST_BATCH = 16, 128
LOST_IN_A_ROW = 3
"""Observations lost to an unreachable archive, one after the other, before the harvest is given up."""

OnDone = Callable[[str, int, int], None]


@dataclass
class Pace:
    """How many observations one product query asks for: half after a failure, more after each success."""

    size: int = FIRST_BATCH
    ceiling: int = LARGEST_BATCH

    def slower(self, failed: int) -> None:
        """Ask for half as many, and for a while not for as many as failed."""
        self.size, self.ceiling = max(1, failed // 2), max(1, failed - 1)

    def faster(self) -> None:
        """Ask for half as many again, up to a ceiling that rises slowly."""
        self.ceiling = min(LARGEST_BATCH, self.ceiling + 1)
        self.size = min(self.ceiling, self.size + max(1, self.size // 2))


@dataclass
class Walk:
    """One walk from files to products.

    Attributes
    ----------
    database : Database
        For what is known already; opened for moments.
    archive : Archive
        Whom to ask.
    spool : Spool
        Has the files; gets observations and products.
    instrument : str
        Of the search.
    full : bool
        Ask for everything, or only for what was touched.
    on_done : callable
        Called with what is asked, how many are done, and how many there are.
    failures : dict
        Observations (obs_id) whose products could not be had, and why.
    """

    database: Database
    archive: Archive
    patience: Patience
    spool: Spool
    instrument: str
    full: bool
    on_done: OnDone
    failures: dict[str, str] = field(default_factory=dict)
    _numbers: dict[str, str] = field(default_factory=dict)  # obs_id -> obsid, as of now
    _pace: Pace = field(default_factory=Pace)
    _lost_in_a_row: int = 0

    def go(self) -> None:
        """Spool observations and products, and note what could not be had in `failures`."""
        with self._files() as connection:
            ids = [row[0] for row in connection.execute(_IDS).fetchall()]
            wider = self._all_ids(connection) if not self.full and ids else ids
        if not self.full and len(wider) <= IDS_AT_ONCE:  # one question for all costs no more than one for some
            ids = wider
        if not ids:
            return
        self._observations(ids)
        self._products(self._worth_reading())
        self._by_program()

    def _files(self) -> _Files:
        return _Files(self)

    def _all_ids(self, connection: duckdb.DuckDBPyConnection) -> list[str]:
        return [row[0] for row in connection.execute(_IDS.replace("walked", "present")).fetchall()]

    def _observations(self, ids: Sequence[str]) -> None:
        for start in range(0, len(ids), IDS_AT_ONCE):
            chunk = list(ids[start : start + IDS_AT_ONCE])
            answer = self._whole(partial(self.archive.observations, obs_id=chunk, obs_collection="JWST"))
            self._keep(answer.rows)
            self.on_done("observations", min(start + IDS_AT_ONCE, len(ids)), len(ids))

    def _whole(self, question: Callable[[], Answer]) -> Answer:
        answer = self.patience.ask(question)
        if answer.total > answer.rows.num_rows:
            raise Incomplete(f"{answer.total} rows do not fit one answer of {answer.rows.num_rows}")
        return answer

    def _keep(self, observations: pa.Table) -> None:
        if observations.num_rows:
            rows = _identified(observations)
            self.spool.add(OBSERVATIONS_IN, rows)
            self._numbers |= dict(zip(rows.column("obs_id").to_pylist(), _texts(rows.column("obsid")), strict=True))

    def _worth_reading(self) -> list[str]:
        """Return the observations whose products may have changed: touched, or with a row that differs."""
        if self.full or not self.spool.rows(OBSERVATIONS_IN):
            return list(self._numbers)
        with self._files() as connection:
            self.spool.offer(connection, OBSERVATIONS_IN)
            known = {name.lower() for name in columns_of(connection, "observation_version")}
            shared = [c for c in self.spool.schema(OBSERVATIONS_IN).names if c.lower() in known and c != "staged_row"]
            differs = " OR ".join(f'o."{c}" IS DISTINCT FROM v."{c}"' for c in shared)
            rows = connection.execute(
                f"""SELECT DISTINCT o.obs_id FROM observations_in o
                    LEFT JOIN observation_version v ON v.obs_id = o.obs_id AND v.until_run IS NULL
                    WHERE v.obs_id IS NULL OR apt_observation(o.obs_id) IN (SELECT touched FROM touched_in)
                       OR o.obs_id IN (SELECT key FROM pending WHERE what = 'products') OR {differs}"""
            ).fetchall()
        return sorted(row[0] for row in rows)

    def _products(self, obs_ids: Sequence[str], keep: Callable[[pa.Table], None] | None = None) -> None:
        """Read products in batches that shrink when the archive runs out of time, and grow again."""
        left = deque(obs_ids)
        while left:
            batch = [left.popleft() for _ in range(min(self._pace.size, len(left)))]
            try:
                rows = self._ask_products(batch)
            except ArchiveError as error:
                if len(batch) > 1:
                    self._pace.slower(len(batch))
                    left.extendleft(reversed(batch))
                else:
                    self._give_up(batch[0], error)
                continue
            (keep or self._keep_products)(rows)
            self.spool.add(READ_IN, pa.table({"obs_id": batch}))
            self._pace.faster()
            self._lost_in_a_row = 0
            self.on_done("products", len(obs_ids) - len(left), len(obs_ids))

    def _give_up(self, obs_id: str, error: ArchiveError) -> None:
        """Go on without one observation's products, unless the archive itself is gone."""
        self._lost_in_a_row += 1
        if isinstance(error, Unreachable | Overloaded) and self._lost_in_a_row >= LOST_IN_A_ROW:
            raise error
        self.failures[obs_id] = str(error)

    def _ask_products(self, batch: Sequence[str]) -> pa.Table:
        """Return the products of a batch, each with the observation that lists it (``parent``)."""
        parents = {self._numbers[obs_id]: obs_id for obs_id in batch}

        def question() -> Answer:
            return self.archive.products(list(parents))

        # A batch that runs out of time is made smaller at once; a single observation is asked again instead.
        patience = replace(self.patience, attempts=min(2, self.patience.attempts)) if len(batch) > 1 else self.patience
        answer = patience.ask(question, also=() if len(batch) > 1 else (QueryTimeout,))
        if answer.total > answer.rows.num_rows:
            raise Incomplete(f"{answer.total} products do not fit one answer of {answer.rows.num_rows}")
        if not answer.rows.num_rows:
            return answer.rows
        names = [parents.get(number) for number in _texts(answer.rows.column("parent_obsid"))]
        rows = answer.rows.append_column("parent", pa.array(names, pa.string()))
        return rows.filter(pc.is_valid(rows.column("parent")))

    def _keep_products(self, rows: pa.Table) -> None:
        if rows.num_rows:
            self.spool.add(PRODUCTS_IN, rows.append_column("data_uri", rows.column("dataURI")))

    def _by_program(self) -> None:
        """Ask for the observations of a program that file names do not give."""
        with self._files() as connection:
            has_products = self.spool.offer(connection, PRODUCTS_IN)
            unlinked = connection.execute(_UNLINKED if has_products else _ALL_UNLINKED).fetchall()
        if not unlinked:
            return
        wanted = {apt for _, apt, _ in unlinked}
        names = {filename for filename, _, _ in unlinked}
        programs = sorted({program for _, _, program in unlinked if program})
        for start in range(0, len(programs), PROGRAMS_AT_ONCE):
            candidates = self._candidates(programs[start : start + PROGRAMS_AT_ONCE], wanted)
            self._products_of_candidates(candidates, names)
            self.on_done("programs", min(start + PROGRAMS_AT_ONCE, len(programs)), len(programs))

    def _candidates(self, programs: Sequence[str], wanted: set[str]) -> pa.Table:
        answer = self._whole(
            lambda: self.archive.observations(
                proposal_id=list(programs),
                instrument_name=f"{_caom_instrument(self.instrument)}*",
                obs_collection="JWST",
            )
        )
        fits = [
            obs_id is not None and obs_id not in self._numbers and _apt_observation(obs_id) in wanted
            for obs_id in answer.rows.column("obs_id").to_pylist()
        ]
        return answer.rows.filter(pa.array(fits, pa.bool_()))

    def _products_of_candidates(self, candidates: pa.Table, names: set[str]) -> None:
        """Keep those candidates whose products list a file that nothing listed so far."""
        rows = _identified(candidates)
        obs_ids = rows.column("obs_id").to_pylist()
        self._numbers |= dict(zip(obs_ids, _texts(rows.column("obsid")), strict=True))
        listing: set[str] = set()

        def keep(products: pa.Table) -> None:
            if products.num_rows:
                hit = pc.is_in(products.column("productFilename"), pa.array(sorted(names), pa.string()))
                listing.update(products.filter(hit).column("parent").to_pylist())
                mine = pc.is_in(products.column("parent"), pa.array(sorted(listing), pa.string()))
                self._keep_products(products.filter(mine))

        self._products(obs_ids, keep)
        kept = rows.filter(pc.is_in(rows.column("obs_id"), pa.array(sorted(listing), pa.string())))
        if kept.num_rows:
            self.spool.add(OBSERVATIONS_IN, kept)


class _Files:
    """A connection with the relations ``present`` (files the search matches) and ``walked`` (those to walk from)."""

    def __init__(self, walk: Walk) -> None:
        self.walk = walk

    def __enter__(self) -> duckdb.DuckDBPyConnection:
        self.opened = self.walk.database.read()
        connection = self.opened.__enter__()
        spool = self.walk.spool
        listed = PRESENT_IN if spool.offer(connection, PRESENT_IN) else FILES_IN
        if spool.offer(connection, FILES_IN) or listed == PRESENT_IN:
            connection.execute(f"CREATE TEMP VIEW present AS SELECT DISTINCT filename FROM {listed}")
        else:
            connection.execute("CREATE TEMP VIEW present AS SELECT NULL::VARCHAR AS filename WHERE false")
        if not spool.offer(connection, TOUCHED_IN):
            connection.execute("CREATE TEMP TABLE touched_in (touched VARCHAR)")
        touched = "" if self.walk.full else "WHERE apt_observation(filename) IN (SELECT touched FROM touched_in)"
        connection.execute(f"CREATE TEMP VIEW walked AS SELECT filename FROM present {touched}")
        return connection

    def __exit__(self, *error: object) -> None:
        self.opened.__exit__(None, None, None)


_IDS = """
    SELECT DISTINCT unnest([regexp_replace(filename, '_[^_]*$', ''), file_id(filename)]) AS id FROM walked ORDER BY id
"""
_ALL_UNLINKED = "SELECT filename, apt_observation(filename), program_of(filename) FROM walked"
_UNLINKED = f"""
    {_ALL_UNLINKED} ANTI JOIN (SELECT productFilename AS filename FROM products_in) USING (filename)
"""


def _apt_observation(name: str) -> str:
    """Do what the SQL macro of this name does."""
    head = name.split("_", 1)[0]
    return f"{head[:7]}-o{head[7:10]}" if len(head) == 13 and head[2:].isdigit() else head


def _caom_instrument(instrument: str) -> str:
    return "FGS" if instrument == "guidestar" else instrument.upper()


def _identified(observations: pa.Table) -> pa.Table:
    """Drop rows without an id or number: planned ones may have none."""
    valid = pc.and_(pc.is_valid(observations.column("obs_id")), pc.is_valid(observations.column("obsid")))
    return observations.filter(valid)


def _texts(column: pa.ChunkedArray) -> list[str]:
    return list(column.cast(pa.string()).to_pylist())
