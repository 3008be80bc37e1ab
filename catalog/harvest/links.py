"""From a search to CAOM: its observations, and the products of these.

An advanced search names its observations itself. From files three ways lead to them, since no one of them finds
all: the ids that file names give; and for files that no product row lists then, the observations of their program
with the same number in it. An observation found in the second way counts only if its products list one of the files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from catalog.archive.answer import Answer
from catalog.archive.client import Archive
from catalog.archive.partition import OBSERVATION_CUTS, Whole
from catalog.archive.retry import Patience
from catalog.errors import Incomplete
from catalog.harvest.products import PRODUCTS_IN, ProductReader
from catalog.harvest.reconcile import FILES_IN, PRESENT_IN, TOUCHED_IN, WALKED_IN
from catalog.search import Search
from catalog.store.database import Database
from catalog.store.history import differing_columns
from catalog.store.layout import in_storage_order
from catalog.store.spool import Spool
from catalog.store.versions import OBSERVATIONS

OBSERVATIONS_IN = "observations_in"

IDS_AT_ONCE = 1000
FILES_OF_IDS = 10 * IDS_AT_ONCE
"""So many files hardly ever give fewer ids than one question can hold."""
PROGRAMS_AT_ONCE = 20

OnDone = Callable[[str, int, int], None]


@dataclass
class Walk:
    """One walk from a search to products.

    Attributes
    ----------
    database : Database
        For what is known already; opened for moments.
    archive : Archive
        Whom to ask.
    patience : Patience
        How long to go on.
    spool : Spool
        Has the files; gets observations and products.
    search : Search
        Where it starts.
    full : bool
        Ask for everything, or only for what was touched.
    on_done : callable
        Called with what is asked, how many are done, and how many there are.
    """

    database: Database
    archive: Archive
    patience: Patience
    spool: Spool
    search: Search
    full: bool
    on_done: OnDone

    def __post_init__(self) -> None:
        self.products = ProductReader(self.archive, self.patience, self.spool, partial(self.on_done, "products"))

    @property
    def failures(self) -> dict[str, str]:
        """Observations (obs_id) whose products could not be had, and why."""
        return self.products.failures

    def from_files(self) -> None:
        """Spool the observations and products that the spooled files lead to."""
        with self._known() as connection:
            ids = [row[0] for row in connection.execute(f"{_IDS} ORDER BY id").fetchall()]
            if ids and not self.full and self.spool.rows(PRESENT_IN) <= FILES_OF_IDS:
                wider = self._all_ids(connection)
                ids = wider if len(wider) <= IDS_AT_ONCE else ids  # one question for all costs no more than for some
        if not ids:
            return
        self._observations(ids)
        self.products.read(self._worth_reading())
        self._by_program()

    def from_observations(self) -> None:
        """Spool the observations that an advanced search matches, and the products of those that differ."""
        whole = Whole(self.archive, self.patience, "obsid", OBSERVATION_CUTS)
        for rows in whole.rows(self.archive.query(self.search), on_part=partial(self.on_done, "observations")):
            self._keep(rows)
        self.products.read(self._worth_reading())

    def _all_ids(self, connection: duckdb.DuckDBPyConnection) -> list[str]:
        """Return the ids that all file names give, and of the observations known by other ways.

        Of touched observations the other ways are gone again, so these are left to that.
        """
        query = f"""
            {_IDS.replace("walked", "present")} UNION
            SELECT obs_id FROM search_observations
            WHERE search = ? AND NOT EXISTS (FROM touched_in WHERE touched = apt_observation(obs_id))
            ORDER BY id
        """
        return [row[0] for row in connection.execute(query, [self.search.name]).fetchall()]

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
            rows = _identified(observations.select([c for c in observations.column_names if c != _DISTANCE]))
            self.spool.add(OBSERVATIONS_IN, in_storage_order(rows, OBSERVATIONS))
            self.products.know(rows)

    def _worth_reading(self) -> list[str]:
        """Return the observations whose products may have changed: touched, or with a row that differs."""
        if self.full or not self.spool.rows(OBSERVATIONS_IN):
            return self.products.known()
        with self._known() as connection:
            self.spool.offer(connection, OBSERVATIONS_IN)
            differs = "".join(f" OR {test}" for test in differing_columns(connection, OBSERVATIONS_IN, OBSERVATIONS))
            rows = connection.execute(
                f"""SELECT DISTINCT o.obs_id FROM observations_in o
                    LEFT JOIN observation_version v ON v.obs_id = o.obs_id AND v.until_run IS NULL
                    WHERE v.obs_id IS NULL OR apt_observation(o.obs_id) IN (SELECT touched FROM touched_in)
                       OR o.obs_id IN (SELECT key FROM pending WHERE what = 'products') {differs}"""
            ).fetchall()
        return sorted(row[0] for row in rows)

    def _by_program(self) -> None:
        """Ask for the observations of a program that file names do not give."""
        with self._known() as connection:
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
                instrument_name=f"{_caom_instrument(self.search)}*",
                obs_collection="JWST",
            )
        )
        known = set(self.products.known())
        fits = [
            obs_id is not None and obs_id not in known and _apt_observation(obs_id) in wanted
            for obs_id in answer.rows.column("obs_id").to_pylist()
        ]
        return answer.rows.filter(pa.array(fits, pa.bool_()))

    def _products_of_candidates(self, candidates: pa.Table, names: set[str]) -> None:
        """Keep those candidates whose products list a file that nothing listed so far."""
        rows = _identified(candidates)
        self.products.know(rows)
        listing: set[str] = set()

        def keep(products: pa.Table) -> None:
            if products.num_rows:
                hit = pc.is_in(products.column("productFilename"), pa.array(sorted(names), pa.string()))
                listing.update(products.filter(hit).column("parent").to_pylist())
                mine = pc.is_in(products.column("parent"), pa.array(sorted(listing), pa.string()))
                self.products.keep(products.filter(mine))

        self.products.read(rows.column("obs_id").to_pylist(), keep)
        kept = rows.filter(pc.is_in(rows.column("obs_id"), pa.array(sorted(listing), pa.string())))
        if kept.num_rows:
            self.spool.add(OBSERVATIONS_IN, in_storage_order(kept, OBSERVATIONS))

    @contextmanager
    def _known(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the catalog with three relations more.

        ``present`` are the files that the search matches, ``walked`` those to walk from, and ``touched_in`` the
        observations (in the program's own numbers) that files have changed in.
        """
        with self.database.read() as connection:
            has_files = self.spool.offer(connection, FILES_IN)
            listed = PRESENT_IN if self.spool.offer(connection, PRESENT_IN) else FILES_IN if has_files else None
            present = f"SELECT DISTINCT filename FROM {listed}" if listed else "SELECT '' AS filename WHERE false"
            connection.execute(f"CREATE TEMP VIEW present AS {present}")
            if not self.spool.offer(connection, TOUCHED_IN):
                connection.execute("CREATE TEMP TABLE touched_in (touched VARCHAR)")
            walked = "present" if self.full else WALKED_IN
            if not self.full and not self.spool.offer(connection, WALKED_IN):
                connection.execute(f"CREATE TEMP TABLE {WALKED_IN} (filename VARCHAR)")
            connection.execute(f"CREATE TEMP VIEW walked AS SELECT filename FROM {walked}")
            yield connection


_DISTANCE = "distance"
"""A column of the question, not of the observation: how far from the cone's axis it is."""

_IDS = """
    SELECT DISTINCT unnest([regexp_replace(filename, '_[^_]*$', ''), file_id(filename)]) AS id FROM walked
"""
_ALL_UNLINKED = "SELECT filename, apt_observation(filename), program_of(filename) FROM walked"
_UNLINKED = f"""
    {_ALL_UNLINKED} ANTI JOIN (SELECT productFilename AS filename FROM products_in) USING (filename)
"""


def _apt_observation(name: str) -> str:
    """Do what the SQL macro of this name does."""
    head = name.split("_", 1)[0]
    return f"{head[:7]}-o{head[7:10]}" if len(head) == 13 and head[2:].isdigit() else head


def _caom_instrument(search: Search) -> str:
    return "FGS" if search.instrument == "guidestar" else str(search.instrument).upper()


def _identified(observations: pa.Table) -> pa.Table:
    """Drop rows without an id or number: planned ones may have none."""
    valid = pc.and_(pc.is_valid(observations.column("obs_id")), pc.is_valid(observations.column("obsid")))
    return observations.filter(valid)
