"""When the files of each observation were ingested: this shows that the archive processed them again.

The rows of an observation and of its products do not tell when the archive processed it again, and product lists are
long. The keyword services tell it: every file has a time of ingest, and lists of names and times are short. All files
of one number in a program (``jw02734-o001``) make one mark. If the mark is new or differs from before, the product
lists with products of that number are read again. `ingest_mark` keeps the marks. `product_reading` has the run in which
each observation's products were last read, so that searches which share observations do not hide changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import duckdb
import pyarrow as pa

from catalog.archive.client import Archive, Query
from catalog.archive.partition import LIGHT_ROWS, WholeQueries
from catalog.archive.repeats import is_plainly_whole, key_column
from catalog.archive.retry import Patience
from catalog.errors import ArchiveError, OutOfTime, QueryTimeout, Refused
from catalog.harvest.halving import Halving, ask
from catalog.missions import JWST
from catalog.store.spool import Spool

INGESTS_IN = "ingests_in"
TRACED_IN = "traced_in"
GUIDE_STARS = "guidestar"
PROGRAMS_OF_A_LIST = 100
"""For how many programs one question lists the files."""


class _NoListsError(Exception):
    """The archive refuses such lists, even for few programs."""


@dataclass
class Ingests:
    """Spools the files with their times of ingest, and the programs for which these are known.

    Attributes
    ----------
    archive : Archive
        The archive to ask.
    patience : Patience
        How long to ask again.
    spool : Spool
        Gets `INGESTS_IN` (instrument, filename, ingest_mjd) and `TRACED_IN` (instrument, program; a null stands for all
        programs).
    """

    archive: Archive
    patience: Patience
    spool: Spool

    def take(self, instrument: str, files: pa.Table, programs: Iterable[str] | None) -> None:
        """Use a list of files that was read already.

        Parameters
        ----------
        instrument : str
            The instrument of the files.
        files : pyarrow.Table
            All files of the programs, with the columns ``filename`` and ``ingest_mjd``.
        programs : iterable of str, optional
            The programs; None stands for all.
        """
        if files.num_rows:
            self.spool.add(INGESTS_IN, files.append_column("instrument", pa.array([instrument] * files.num_rows)))
        self._note(instrument, [None] if programs is None else programs)

    def ask(self, instrument: str, programs: Sequence[str]) -> None:
        """Ask for all files of some programs. Programs without an answer have no trace in this run.

        There is little patience for guide stars: without their list, the product lists of their exposures are read.

        Raises
        ------
        ArchiveError
            If the archive does not answer anything.
        """
        if instrument not in JWST.services or not programs:
            return
        guides = instrument == GUIDE_STARS
        patience = replace(self.patience, attempts=min(2, self.patience.attempts)) if guides else self.patience

        def listed(chunk: Sequence[str]) -> None:
            try:
                files = self._list(instrument, chunk, patience)
            except QueryTimeout:
                raise
            except Refused as error:  # it would refuse fewer programs as well
                raise _NoListsError from error
            self.take(instrument, files, chunk)

        def untraced(program: str, error: ArchiveError) -> None:
            """Leave a program without a trace, so that its product lists are read again."""

        try:
            Halving(listed, untraced).answers(programs, PROGRAMS_OF_A_LIST, lambda done: None)
        except _NoListsError:
            return
        except OutOfTime:
            raise
        except ArchiveError:
            if not guides:
                raise

    def _list(self, instrument: str, programs: Sequence[str], patience: Patience) -> pa.Table:
        name = JWST.filename_column(instrument)
        query, columns = Query(JWST.services[instrument]).having("program", *programs), (name, JWST.ingest_column)
        answer = ask(patience, lambda: self.archive.rows(query, columns, LIGHT_ROWS), len(programs) > 1)
        parts = [answer.rows]
        if not is_plainly_whole(answer, name):
            parts = list(WholeQueries(self.archive, patience).rows(query, columns))
        return (
            pa.concat_tables([_with_our_names(part, name) for part in parts])
            if parts
            else _with_our_names(answer.rows, name)
        )

    def _note(self, instrument: str, programs: Iterable[str | None]) -> None:
        names = list(programs)
        if names:
            columns = {"instrument": pa.array([instrument] * len(names)), "program": pa.array(names, pa.string())}
            self.spool.add(TRACED_IN, pa.table(columns))


def _with_our_names(rows: pa.Table, name: str) -> pa.Table:
    """Return the rows of a list with our names of columns and their types."""
    if not rows.num_rows:
        return pa.table({"filename": pa.array([], pa.string()), "ingest_mjd": pa.array([], pa.float64())})
    try:
        ingest = rows.column(JWST.ingest_column).cast(pa.float64())
    except (KeyError, pa.ArrowInvalid) as error:
        raise Refused(f"the archive lists files without a time of ingest: {error}") from error
    filename = rows.column(key_column(rows, name)).cast(pa.string())
    return pa.table({"filename": filename, "ingest_mjd": ingest}).filter(filename.is_valid())


def offer_ingests(connection: duckdb.DuckDBPyConnection, spool: Spool) -> None:
    """Make three temporary tables: the traced programs, their present marks, and the marks that moved.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection to the catalog.
    spool : Spool
        The spool that `Ingests` filled.

    Notes
    -----
    ``traced`` has instrument and program. ``mark_now`` has instrument, program, observation (its number in the program)
    and mark. ``mark_moved`` has the rows of it that differ from `ingest_mark`; the mark is null if no file is left.
    """
    listed, traced = spool.offer(connection, INGESTS_IN), spool.offer(connection, TRACED_IN)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE traced AS {_TRACED if traced else _NONE_TRACED}")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE mark_now AS {_MARKS if listed else _NO_MARKS}")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE mark_moved AS {_MOVED}")


_NONE_TRACED = "SELECT NULL::VARCHAR AS instrument, NULL::VARCHAR AS program WHERE false"
_TRACED = f"SELECT DISTINCT instrument, program FROM {TRACED_IN}"
_NO_MARKS = """
    SELECT NULL::VARCHAR AS instrument, NULL::VARCHAR AS program, NULL::VARCHAR AS observation, NULL::BIGINT AS mark
    WHERE false
"""
_MARKS = f"""
    SELECT instrument, program_of(filename) AS program, apt_observation(filename) AS observation,
           CAST(bit_xor(md5_number_lower(filename || '|' || coalesce(ingest_mjd::VARCHAR, '')) >> 1) AS BIGINT) AS mark
    FROM (SELECT DISTINCT instrument, filename, ingest_mjd FROM {INGESTS_IN}) f
    WHERE EXISTS (FROM traced t WHERE t.instrument = f.instrument
                  AND (t.program IS NULL OR t.program = program_of(f.filename)))
    GROUP BY ALL
"""
_MOVED = """
    SELECT coalesce(n.instrument, k.instrument) AS instrument, coalesce(n.program, k.program) AS program,
           coalesce(n.observation, k.observation) AS observation, n.mark
    FROM mark_now n FULL JOIN (
        SELECT instrument, program, observation, mark FROM ingest_mark m
        WHERE EXISTS (FROM traced t WHERE t.instrument = m.instrument
                      AND (t.program IS NULL OR t.program = m.program))
    ) k ON k.instrument = n.instrument AND k.observation = n.observation
    WHERE n.mark IS DISTINCT FROM k.mark
"""
