"""Ask CAOM for the observations to which files lead: by ids, or by program if there are many."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass

import pyarrow as pa

from catalog.archive.client import Archive, Query
from catalog.archive.partition import WholeQueries
from catalog.archive.repeats import is_plainly_whole
from catalog.archive.retry import Patience
from catalog.errors import ArchiveError
from catalog.harvest.halving import Halving, ask
from catalog.harvest.reconcile import names_with_rows
from catalog.harvest.shortfall import Shortfall
from catalog.missions import JWST
from catalog.vocabulary.search import CAOM

IDS_AT_ONCE = 1000
PROGRAMS_AT_ONCE = 20
_JWST = Query(CAOM, ({"paramName": "obs_collection", "values": [JWST.collection], "separator": ";"},))
"""The query as astroquery would write it; astroquery itself would ask for the column configuration first."""

OnDone = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ObservationReader:
    """Asks for observations. Ids and programs without an answer are noted as failures.

    Attributes
    ----------
    archive : Archive
        The archive to ask.
    patience : Patience
        How long to ask again.
    shortfall : Shortfall
        Gets the questions without an answer, and the rows that name no observation.
    on_done : callable
        Called with what is asked for, how many are done, and how many there are.
    """

    archive: Archive
    patience: Patience
    shortfall: Shortfall
    on_done: OnDone

    def by_id(self, ids: Sequence[str], expected: bool) -> Iterator[pa.Table]:
        """Yield the observations that have these ids.

        Parameters
        ----------
        ids : sequence of str
            The ids; some may belong to no observation.
        expected : bool
            Whether the catalog has observations with some of these ids. Then an empty answer is asked for again.
        """

        def asked(chunk: Sequence[str]) -> list[pa.Table]:
            query = _JWST.having("obs_id", *chunk)
            parts = self._rows(query, len(chunk) > 1)
            return parts if not expected or any(part.num_rows for part in parts) else self._rows(query, len(chunk) > 1)

        def lost(obs_id: str, error: ArchiveError) -> None:
            self.shortfall.fail("observation", obs_id, error)

        halving = Halving(asked, lost)
        for start in range(0, len(ids), IDS_AT_ONCE):
            chunk = ids[start : start + IDS_AT_ONCE]
            for parts in halving.answers(chunk, IDS_AT_ONCE, lambda done: None):
                yield from map(self.identified, parts)
            self.on_done("observations", min(start + IDS_AT_ONCE, len(ids)), len(ids))

    def by_program(self, programs: Sequence[str], instrument: str) -> Iterator[pa.Table]:
        """Yield all observations of the programs with one of CAOM's instruments."""

        def asked(chunk: Sequence[str]) -> list[pa.Table]:
            query = _JWST.having("proposal_id", *chunk).like("instrument_name", f"{instrument}%")
            return self._rows(query, len(chunk) > 1)

        def lost(program: str, error: ArchiveError) -> None:
            self.shortfall.fail("program", program, error)

        halving = Halving(asked, lost)
        for start in range(0, len(programs), PROGRAMS_AT_ONCE):
            chunk = programs[start : start + PROGRAMS_AT_ONCE]
            for parts in halving.answers(chunk, PROGRAMS_AT_ONCE, lambda done: None):
                yield from map(self.identified, parts)
            self.on_done("programs", min(start + PROGRAMS_AT_ONCE, len(programs)), len(programs))

    def counted(self, ids: Sequence[str]) -> list[str]:
        """Return the ids of which the archive counts rows."""
        return names_with_rows(WholeQueries(self.archive, self.patience), _JWST, "obs_id", ids)

    def identified(self, rows: pa.Table) -> pa.Table:
        """Return the rows that have an id and a number, without the column `DISTANCE`; the others are set aside."""
        if not rows.num_rows:
            return pa.table({"obs_id": pa.array([], pa.string()), "obsid": pa.array([], pa.string())})
        rows = self.shortfall.named(rows, "observation", "obs_id", "obsid")
        return rows.select([column for column in rows.column_names if column != DISTANCE])

    def _rows(self, query: Query, several: bool) -> list[pa.Table]:
        """Return all rows of a query: those of one answer if it is plainly whole, else those of proven parts."""
        answer = ask(self.patience, lambda: self.archive.rows(query), several)
        if is_plainly_whole(answer, "obsid"):
            self.shortfall.note(answer.aside)
            return [answer.rows]
        parts = WholeQueries(self.archive, self.patience, "obsid", JWST.observation_cuts, on_aside=self.shortfall.note)
        return list(parts.rows(query))


DISTANCE = "distance"
"""A column that belongs to the question and not to the observation: the distance from the axis of the cone."""


def among(rows: pa.Table, keys: Set[str], column: str = "obs_id") -> pa.BooleanArray:
    """Say for each row whether a column has one of some keys.

    `pyarrow.compute.is_in` would hash all keys for each table of rows, and both grow with the search.
    """
    return pa.array([key in keys for key in rows.column(column).cast(pa.string()).to_pylist()], pa.bool_())
