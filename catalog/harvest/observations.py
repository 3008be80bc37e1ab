"""Ask CAOM for the observations that files lead to: by their ids, or, for many, by program."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from catalog.archive.client import Archive, Query
from catalog.archive.partition import Whole
from catalog.archive.retry import Patience
from catalog.errors import ArchiveError
from catalog.harvest.halving import Halving, ask, whole
from catalog.harvest.shortfall import Shortfall
from catalog.missions import JWST
from catalog.vocabulary.search import CAOM

IDS_AT_ONCE = 1000
PROGRAMS_AT_ONCE = 20
_JWST = Query(CAOM, ({"paramName": "obs_collection", "values": [JWST.collection], "separator": ";"},))
"""Written as astroquery writes it, which would ask for the column configuration first."""

OnDone = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ObservationReader:
    """Asks for observations; ids and programs without an answer are noted as failures.

    Attributes
    ----------
    archive : Archive
        Whom to ask.
    patience : Patience
        How long to go on.
    shortfall : Shortfall
        Gets what the archive did not answer, and rows that name no observation.
    on_done : callable
        Called with what is asked, how many are done, and how many there are.
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
            Some may name no observation.
        expected : bool
            The catalog knows observations among them, so that an answer without rows is asked for twice.
        """

        def asked(chunk: Sequence[str]) -> pa.Table:
            rows = self._of_ids(chunk)
            return rows if rows.num_rows or not expected else self._of_ids(chunk)

        def lost(obs_id: str, error: ArchiveError) -> None:
            self.shortfall.fail("observation", obs_id, error)

        halving = Halving(asked, lost)
        for start in range(0, len(ids), IDS_AT_ONCE):
            chunk = ids[start : start + IDS_AT_ONCE]
            for rows in halving.answers(chunk, IDS_AT_ONCE, lambda done: None):
                yield identified(rows)
            self.on_done("observations", min(start + IDS_AT_ONCE, len(ids)), len(ids))

    def by_program(self, programs: Sequence[str], instrument: str) -> Iterator[pa.Table]:
        """Yield all observations of programs with one of CAOM's instruments."""

        def asked(chunk: Sequence[str]) -> list[pa.Table]:
            query = _JWST.having("proposal_id", *chunk).like("instrument_name", f"{instrument}%")
            answer = ask(self.patience, lambda: self.archive.rows(query), len(chunk) > 1)
            if answer.total == answer.rows.num_rows + answer.rows_aside:
                self.shortfall.note(answer.aside)
                return [answer.rows]
            parts = Whole(self.archive, self.patience, "obsid", JWST.observation_cuts, on_aside=self.shortfall.note)
            return list(parts.rows(query))

        def lost(program: str, error: ArchiveError) -> None:
            self.shortfall.fail("program", program, error)

        halving = Halving(asked, lost)
        for start in range(0, len(programs), PROGRAMS_AT_ONCE):
            chunk = programs[start : start + PROGRAMS_AT_ONCE]
            for parts in halving.answers(chunk, PROGRAMS_AT_ONCE, lambda done: None):
                yield from map(identified, parts)
            self.on_done("programs", min(start + PROGRAMS_AT_ONCE, len(programs)), len(programs))

    def _of_ids(self, ids: Sequence[str]) -> pa.Table:
        answer = ask(
            self.patience,
            lambda: whole(self.archive.rows(_JWST.having("obs_id", *ids))),
            len(ids) > 1,
        )
        self.shortfall.note(answer.aside)
        return answer.rows


DISTANCE = "distance"
"""A column of the question, not of the observation: how far from the cone's axis it is."""


def identified(rows: pa.Table) -> pa.Table:
    """Return the rows of observations that have an id and a number, without the column `DISTANCE`."""
    if not rows.num_rows or not {"obs_id", "obsid"} <= set(rows.column_names):
        return rows.slice(0, 0)
    valid = pc.and_(pc.is_valid(rows.column("obs_id")), pc.is_valid(rows.column("obsid")))
    return rows.select([c for c in rows.column_names if c != DISTANCE]).filter(valid)


def among(rows: pa.Table, ids: pa.Array) -> pa.BooleanArray:
    """Say for each row whether its ``obs_id`` is one of some ids."""
    return pc.is_in(rows.column("obs_id").cast(pa.string()), ids)
