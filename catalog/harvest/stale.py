"""Which observations' product lists a harvest reads: those that may have moved, and some of the others in turn."""

from __future__ import annotations

from collections.abc import Iterable

import duckdb
import pyarrow as pa

from catalog.store.history.comparison import differing_columns
from catalog.store.history.versions import OBSERVATIONS
from catalog.store.spool import Spool
from catalog.store.sql import columns_of

OBSERVATIONS_IN = "observations_in"
OTHERS_IN = "others_in"
REREAD_FLOOR, REREAD_CEILING = 16, 128
_REREAD_SHARE = 0.01


def product_lists_to_read(
    connection: duckdb.DuckDBPyConnection, spool: Spool, vanished: Iterable[str], in_turn: bool
) -> set[str]:
    """Return the observations whose products must be read again.

    These are the observations that are new, whose row differs, or that could not be read last time; those with files of
    the same number that were ingested since their products were read; and those of whose program the archive lists no
    files. A few changes leave no trace of an ingest. So each harvest reads some of the other lists, the oldest first.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection to the catalog, after `ingests.offer_ingests`.
    spool : Spool
        The spool that has the observations, as `OBSERVATIONS_IN` and `OTHERS_IN`.
    vanished : iterable of str
        Observations that the search had and the archive no longer has. Lists that shared products with them are read,
        since the row of a shared product is that of its first owner.
    in_turn : bool
        Also read some of the other lists.

    Returns
    -------
    set of str
        The obs_ids of the observations.
    """
    offered = [name for name in (OBSERVATIONS_IN, OTHERS_IN) if spool.offer(connection, name)]
    if not offered:
        return set()
    rows = " UNION ALL BY NAME ".join(f"FROM {name}" for name in offered)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE found_now AS {rows}")
    columns = columns_of(connection, "found_now")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE asked AS {_observations_sql(columns)}")
    connection.register("vanished", pa.table({"obs_id": pa.array(list(vanished), pa.string())}))
    owners = _OWNERS if "obs_id" in columns_of(connection, "product_version") else ""
    differs = " OR ".join(["v.obs_id IS NULL", *differing_columns(connection, "found_now", OBSERVATIONS)])
    connection.execute(f"CREATE OR REPLACE TEMP TABLE to_read AS {_TO_READ.format(owners=owners, differs=differs)}")
    moved = connection.execute("FROM to_read").fetchall()
    if not in_turn:
        return {obs_id for (obs_id,) in moved}
    number = connection.execute("SELECT count(*) FROM asked").fetchone()
    share = min(REREAD_CEILING, max(REREAD_FLOOR, int((number or (0,))[0] * _REREAD_SHARE)))
    longest_ago = connection.execute(_READ_LONGEST_AGO, {"share": share}).fetchall()
    return {obs_id for (obs_id,) in moved + longest_ago}


def _observations_sql(columns: dict[str, str]) -> str:
    instrument = "lower(split_part(instrument_name::VARCHAR, '/', 1))" if "instrument_name" in columns else "NULL"
    proposal = "proposal_id::VARCHAR" if "proposal_id" in columns else "NULL"
    return f"""
        SELECT DISTINCT obs_id, {instrument} AS instrument, coalesce(program_of(obs_id), {proposal}) AS program
        FROM found_now
    """


_OWNERS = """
    UNION
    SELECT l.obs_id, apt_observation(p.obs_id) FROM observation_product_link l
    JOIN product_version p ON p.data_uri = l.data_uri AND p.until_run IS NULL
    WHERE l.until_run IS NULL AND l.obs_id IN (SELECT obs_id FROM asked)
"""
"""An observation also lists products that have other numbers: the exposures that were combined, and its guide stars."""

_TO_READ = """
    WITH number AS (SELECT obs_id, apt_observation(obs_id) AS observation FROM asked {owners}),
    moved AS (
        SELECT observation, 2147483647 AS in_run FROM mark_moved
        UNION ALL SELECT observation, since_run FROM ingest_mark
    )
    SELECT obs_id FROM asked WHERE obs_id NOT IN (SELECT obs_id FROM product_reading)
    UNION SELECT obs_id FROM number JOIN moved USING (observation) JOIN product_reading r USING (obs_id)
          WHERE in_run > r.run
    UNION SELECT obs_id FROM asked a WHERE NOT EXISTS (
          FROM traced t WHERE t.instrument = a.instrument AND (t.program IS NULL OR t.program = a.program))
    UNION SELECT key FROM pending WHERE what = 'products' AND key IN (SELECT obs_id FROM asked)
    UNION SELECT l.obs_id FROM observation_product_link l WHERE l.until_run IS NULL
          AND l.obs_id IN (SELECT obs_id FROM asked) AND l.data_uri IN (
              SELECT data_uri FROM observation_product_link
              WHERE until_run IS NULL AND obs_id IN (SELECT obs_id FROM vanished))
    UNION SELECT o.obs_id FROM found_now o
          LEFT JOIN observation_version v ON v.obs_id = o.obs_id AND v.until_run IS NULL
          WHERE {differs}
"""
_READ_LONGEST_AGO = """
    SELECT obs_id FROM asked JOIN product_reading r USING (obs_id) ANTI JOIN to_read USING (obs_id)
    ORDER BY r.run, md5(obs_id) LIMIT $share
"""
