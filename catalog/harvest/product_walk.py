"""From a search to CAOM: the observations to which it leads, and their products.

An observation search names its observations itself. From files, there are several ways to observations, because none of
them finds all. First, the ids in the names of files are asked for. Then, for files that no product list has, the
observations of their program with the same number are asked for; such an observation counts only if its products list
one of the files. An incremental walk finds the same observations: it asks for the ids of all files and for the
observations that the search had, and reads again only the product lists that may have moved (`stale`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from catalog.archive.client import Archive
from catalog.archive.partition import WholeQueries
from catalog.archive.retry import Patience
from catalog.harvest.ingests import GUIDE_STARS, Ingests, offer_ingests
from catalog.harvest.observations import IDS_AT_ONCE, ObservationReader, among
from catalog.harvest.pages import rows_that_include
from catalog.harvest.products import PRODUCTS_IN, READ_IN, ProductReader
from catalog.harvest.reconcile import FILES_IN, PRESENT_IN
from catalog.harvest.shortfall import Shortfall
from catalog.harvest.stale import OBSERVATIONS_IN, OTHERS_IN, product_lists_to_read
from catalog.missions import JWST
from catalog.store.database import Database
from catalog.store.history.row_order import in_storage_order
from catalog.store.history.versions import OBSERVATIONS
from catalog.store.spool import Spool
from catalog.store.sql import columns_of
from catalog.vocabulary.search import Search

OnDone = Callable[[str, int, int], None]


@dataclass
class ProductWalk:
    """One walk from a search to its products.

    Attributes
    ----------
    database : Database
        The catalog, for what is known already; it is opened for moments only.
    archive : Archive
        The archive to ask.
    patience : Patience
        How long to ask again.
    spool : Spool
        The spool that has the files; it gets the observations and products.
    search : Search
        The search where the walk begins.
    full : bool
        Read all product lists, and not only those that may have moved.
    shortfall : Shortfall
        Gets the questions without an answer, and the rows that cannot be kept.
    on_done : callable
        Called with what is asked for, how many are done, and how many there are.
    thorough : bool
        Look also for changes that leave no trace. A walk on which something else moved always does so.
    """

    database: Database
    archive: Archive
    patience: Patience
    spool: Spool
    search: Search
    full: bool
    shortfall: Shortfall
    on_done: OnDone
    thorough: bool = True
    _found: set[str] = field(default_factory=set)  # obs_ids that the archive has
    _vanished: set[str] = field(default_factory=set)  # obs_ids that the search had, and the archive no longer has
    _members: list[str] = field(default_factory=list)  # obs_ids to which the search leads, by the catalog

    def __post_init__(self) -> None:
        on_products = partial(self.on_done, "products")
        self.products = ProductReader(self.archive, self.patience, self.spool, on_products, self.shortfall)
        self.observations = ObservationReader(self.archive, self.patience, self.shortfall, self.on_done)
        self.ingests = Ingests(self.archive, self.patience, self.spool)

    def from_files(self, moved: bool) -> None:
        """Spool the observations and products to which the spooled files lead.

        Parameters
        ----------
        moved : bool
            Whether any of the files has moved.
        """
        self.thorough = self.thorough or moved
        with self._catalog_with_present_files() as connection:
            ids = [row[0] for row in connection.execute(_IDS).fetchall()]
            programs = [row[0] for row in connection.execute(_PROGRAMS).fetchall()]
        if not ids:
            return
        self._load_members()
        self._trace_files(programs)
        self._observations_of(ids, programs)
        to_read = self._to_read(programs)
        self.products.read([obs_id for obs_id in self.products.known() if obs_id in to_read])
        self._by_other_ways(to_read)

    def from_observations(self) -> None:
        """Spool the observations that an observation search matches, and the products that may have moved."""
        self._load_members()
        for part in self._matches():
            self._keep(self.observations.identified(part))
        self._vanished = self._gone()
        to_read = self._to_read(self._trace_observations())
        self.products.read([obs_id for obs_id in self.products.known() if obs_id in to_read])

    def _matches(self) -> Iterator[pa.Table]:
        whole = WholeQueries(self.archive, self.patience, "obs_id", JWST.observation_cuts, on_aside=self.shortfall.note)
        query, on_part = self.archive.query(self.search), partial(self.on_done, "observations")
        if self.full:
            return whole.rows(query, on_part=on_part)
        return rows_that_include(whole, query, ("*",), self._members, on_part)

    def _trace_files(self, programs: Sequence[str]) -> None:
        """Ask when files of the programs were ingested; a search for whole programs has already listed them."""
        own = self.search.instruments
        keywords = {criterion.keyword for criterion in self.search.criteria}
        if keywords <= {"program"} and len(own) == 1:
            with self._catalog_with_present_files() as connection:
                files = connection.execute(_LISTED).to_arrow_table()
            self.ingests.take(own[0], files, programs if keywords else None)
        else:
            for instrument in own:
                self.ingests.ask(instrument, programs)
        if GUIDE_STARS in own and "fgs" not in own:
            self.ingests.ask("fgs", programs)

    def _trace_observations(self) -> list[str]:
        """Ask when the files of the observations' programs and instruments were ingested; return the programs."""
        with self.database.read() as connection:
            if not self.spool.offer(connection, OBSERVATIONS_IN):
                return []
            have = set(columns_of(connection, OBSERVATIONS_IN))
            if not {"instrument_name", "proposal_id"} <= have:
                return []
            pairs = connection.execute(_PROGRAMS_OF_INSTRUMENTS).fetchall()
        for instrument in sorted({instrument for instrument, _ in pairs}):
            self.ingests.ask(instrument, [program for name, program in pairs if name == instrument])
        return sorted({program for _, program in pairs})

    def _observations_of(self, ids: Sequence[str], programs: Sequence[str]) -> None:
        """Spool the observations that have the ids of files; put those aside that the search reached in another way."""
        by_name = set(ids)
        by_other_ways = set() if self.full else set(self._members) - by_name
        for rows in self._observations_by_id_or_program([*ids, *sorted(by_other_ways)], programs):
            self._keep(rows.filter(among(rows, by_name)))
            reached = rows.filter(among(rows, by_other_ways))
            if reached.num_rows:
                self.spool.add(OTHERS_IN, in_storage_order(reached, OBSERVATIONS))
                self._found.update(reached.column("obs_id").to_pylist())
        self._vanished = self._gone()

    def _gone(self) -> set[str]:
        """Return the observations that the search had and that the archive no longer has.

        An observation may only seem to be gone because its row was set aside. So the archive is asked to count the rows
        of these ids; an id that it counts is noted as unanswered.
        """
        missing = set(self._members) - self._found - {failure.key for failure in self.shortfall.failures}
        if missing and self.shortfall.lacks_rows("observation"):
            for obs_id in self.observations.counted(sorted(missing)):
                self.shortfall.fail("observation", obs_id, "no row of the archive's answer has its id and its number")
                missing.remove(obs_id)
        return missing

    def _observations_by_id_or_program(self, ids: Sequence[str], programs: Sequence[str]) -> Iterator[pa.Table]:
        """Yield observations: with one question if it can hold all ids, else all observations of the programs."""
        expected = bool(self._members)
        if len(ids) <= IDS_AT_ONCE:
            yield from self.observations.by_id(ids, expected)
            return
        answered: set[str] = set()
        for rows in self._of_programs(programs):
            answered.update(rows.column("obs_id").to_pylist())
            yield rows
        yield from self.observations.by_id(sorted(set(self._members) - answered), expected)

    def _of_programs(self, programs: Sequence[str]) -> Iterator[pa.Table]:
        """Yield all observations of the programs with the instruments of the search."""
        for instrument in dict.fromkeys(map(_caom_instrument, self.search.instruments)):
            yield from self.observations.by_program(programs, instrument)

    def _keep(self, rows: pa.Table) -> None:
        if rows.num_rows:
            self.spool.add(OBSERVATIONS_IN, in_storage_order(rows, OBSERVATIONS))
            self._found.update(rows.column("obs_id").to_pylist())
            self.products.know(rows)

    def _load_members(self) -> None:
        with self.database.read() as connection:
            query = "SELECT obs_id FROM search_observations WHERE search = ? ORDER BY obs_id"
            self._members = [row[0] for row in connection.execute(query, [self.search.name]).fetchall()]

    def _to_read(self, programs: Sequence[str]) -> set[str]:
        """Return the observations whose products may have changed; in a full harvest, all observations.

        Guide stars are checked, and some lists are read in turn, if something moved or the walk is thorough.
        """
        if not (self.full or self.thorough):
            with self._catalog_with_present_files() as connection:
                touched = self._touched(connection)
                to_read = product_lists_to_read(connection, self.spool, self._vanished, in_turn=False)
            if not touched and not to_read:
                return set()
            self.thorough = True
        if GUIDE_STARS not in self.search.instruments:
            self.ingests.ask(GUIDE_STARS, programs)
        if self.full:
            return self._found
        with self._catalog_with_present_files() as connection:
            offer_ingests(connection, self.spool)
            return product_lists_to_read(connection, self.spool, self._vanished, in_turn=True)

    def _by_other_ways(self, to_read: set[str]) -> None:
        """Look for other observations that list files which the observations with the files' own ids do not list."""
        with self._catalog_with_present_files() as connection:
            unlinked = self._unlinked(connection)
            if not unlinked:
                return
            others, listed = self._others_that_list(connection, {name for name, _, _ in unlinked}, to_read)
            touched = self._touched(connection)
        names = {name for name, _, _ in unlinked}
        self._keep(others.filter(pc.invert(among(others, to_read))))
        listed |= self._products_of_candidates(others.filter(among(others, to_read)), names)
        unread = [
            (apt, program)
            for name, apt, program in unlinked
            if apt in touched or (self.thorough and name not in listed)
        ]
        programs = sorted({program for _, program in unread if program})
        numbers = {apt for apt, _ in unread}
        for rows in self._of_programs(programs):
            self._products_of_candidates(self._candidates(rows, numbers), names)

    def _unlinked(self, connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str | None]]:
        """Return the files that no observation with a file's id lists, with their numbers and programs."""
        listing = ["SELECT NULL::VARCHAR AS filename WHERE false"]
        if self.spool.offer(connection, PRODUCTS_IN):
            listing.append(f"SELECT productFilename::VARCHAR FROM {PRODUCTS_IN}")
        if not self.full and "productFilename" in columns_of(connection, "product_version"):
            read = (
                f"SELECT obs_id FROM {READ_IN}" if self.spool.offer(connection, READ_IN) else "SELECT NULL WHERE false"
            )
            unanswered = [f.key for f in self.shortfall.failures if f.what == "observation"]
            current = pa.table({"obs_id": pa.array([*self.products.known(), *unanswered], pa.string())})
            connection.register("current_observations", current)
            listing.append(_LISTED_BEFORE.format(read=read))
        query = f"{_FILES} ANTI JOIN ({' UNION ALL '.join(listing)}) USING (filename) ORDER BY filename"
        return connection.execute(query).fetchall()

    def _others_that_list(
        self, connection: duckdb.DuckDBPyConnection, names: set[str], to_read: set[str]
    ) -> tuple[pa.Table, set[str]]:
        """Return other observations that list one of the files or must be read again, and the files that they list."""
        if not self.spool.offer(connection, OTHERS_IN):
            return pa.table({"obs_id": pa.array([], pa.string()), "obsid": pa.array([], pa.string())}), set()
        rows = connection.execute(f"SELECT * EXCLUDE (staged_row) FROM {OTHERS_IN}").to_arrow_table()
        connection.register("unlinked_names", pa.table({"filename": _array(names)}))
        listing = connection.execute(_OTHERS_LISTING).fetchall()
        fresh = {obs_id for obs_id, _ in listing} - to_read
        rows_to_write = rows.filter(among(rows, fresh | to_read))
        return rows_to_write, {name for obs_id, name in listing if obs_id in fresh}

    def _touched(self, connection: duckdb.DuckDBPyConnection) -> set[str]:
        """Return the numbers of which files or observations came, went or moved since the last run of the search."""
        if self.full:
            return set()
        offer_ingests(connection, self.spool)
        moved = {row[0] for row in connection.execute(_TOUCHED, [self.search.name]).fetchall()}
        appeared = set(self.products.known()) - set(self._members)
        return moved | {_apt_observation(name) for name in appeared | self._vanished}

    def _candidates(self, rows: pa.Table, numbers: set[str]) -> pa.Table:
        """Return the observations with one of the numbers whose products were not asked for yet."""
        asked_for = set(self.products.known())
        fits = [
            obs_id not in asked_for and _apt_observation(obs_id) in numbers
            for obs_id in rows.column("obs_id").to_pylist()
        ]
        return rows.filter(pa.array(fits, pa.bool_()))

    def _products_of_candidates(self, rows: pa.Table, names: set[str]) -> set[str]:
        """Keep the observations whose products list one of the files; return the files that they list."""
        if not rows.num_rows:
            return set()
        self.products.know(rows)
        listing: set[str] = set()
        listed: set[str] = set()

        def keep(products: pa.Table) -> set[str]:
            if products.num_rows:
                hits = products.filter(among(products, names, "productFilename"))
                listing.update(hits.column("parent").to_pylist())
                listed.update(hits.column("productFilename").cast(pa.string()).to_pylist())
                self.products.keep(products.filter(among(products, listing, "parent")))
            return listing

        ids = rows.column("obs_id").to_pylist()
        self.products.read(ids, keep)
        unanswered = {failure.key for failure in self.shortfall.failures if failure.what == "products"}
        listing |= unanswered & set(ids) & set(self._members)  # without an answer, their lists count as unchanged
        rows_to_write = rows.filter(among(rows, listing))
        if rows_to_write.num_rows:
            self.spool.add(OBSERVATIONS_IN, in_storage_order(rows_to_write, OBSERVATIONS))
        return listed

    @contextmanager
    def _catalog_with_present_files(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the catalog with one more relation, ``present``: the files that the search matches."""
        with self.database.read() as connection:
            has_files = self.spool.offer(connection, FILES_IN)
            listed = PRESENT_IN if self.spool.offer(connection, PRESENT_IN) else FILES_IN if has_files else None
            columns = columns_of(connection, listed) if listed else {}
            ingest = JWST.ingest_column if JWST.ingest_column in columns else "NULL::DOUBLE"
            present = f"SELECT filename, {ingest} AS ingest_mjd FROM {listed}" if listed else _NO_FILES
            connection.execute(f"CREATE OR REPLACE TEMP VIEW present AS {present}")
            yield connection


_NO_FILES = "SELECT ''::VARCHAR AS filename, NULL::DOUBLE AS ingest_mjd WHERE false"
_LISTED = "SELECT DISTINCT filename, ingest_mjd::DOUBLE AS ingest_mjd FROM present"
_IDS = """
    SELECT DISTINCT unnest([regexp_replace(filename, '_[^_]*$', ''), file_id(filename)]) AS id FROM present ORDER BY id
"""
_PROGRAMS = """
    SELECT DISTINCT program_of(filename) AS program FROM present WHERE program_of(filename) IS NOT NULL ORDER BY program
"""
_PROGRAMS_OF_INSTRUMENTS = f"""
    SELECT DISTINCT lower(split_part(instrument_name::VARCHAR, '/', 1)) AS instrument,
           coalesce(program_of(obs_id), proposal_id::VARCHAR) AS program
    FROM {OBSERVATIONS_IN} WHERE instrument IS NOT NULL AND program IS NOT NULL ORDER BY ALL
"""
_FILES = """
    SELECT DISTINCT filename, apt_observation(filename) AS observation, program_of(filename) AS program FROM present
"""
_LISTED_BEFORE = """
    SELECT p.productFilename::VARCHAR FROM observation_product_link l
    JOIN product_version p ON p.data_uri = l.data_uri AND p.until_run IS NULL
    WHERE l.until_run IS NULL AND l.obs_id IN (SELECT obs_id FROM current_observations) AND l.obs_id NOT IN ({read})
"""
_OTHERS_LISTING = f"""
    SELECT DISTINCT l.obs_id, p.productFilename::VARCHAR FROM observation_product_link l
    JOIN product_version p ON p.data_uri = l.data_uri AND p.until_run IS NULL
    WHERE l.until_run IS NULL AND l.obs_id IN (SELECT obs_id FROM {OTHERS_IN})
      AND p.productFilename::VARCHAR IN (SELECT filename FROM unlinked_names)
"""
_TOUCHED = """
    SELECT observation FROM mark_moved
    UNION SELECT observation FROM ingest_mark
          WHERE since_run > (SELECT coalesce(max(run), 0) FROM runs WHERE search = ?)
"""


def _array(names: set[str]) -> pa.Array:
    return pa.array(sorted(names), pa.string())


def _apt_observation(name: str) -> str:
    """Do the same as the SQL macro of this name."""
    head = name.split("_", 1)[0]
    return f"{head[:7]}-o{head[7:10]}" if len(head) == 13 and head[2:].isdigit() else head


def _caom_instrument(instrument: str) -> str:
    return "FGS" if instrument == "guidestar" else instrument.upper()
