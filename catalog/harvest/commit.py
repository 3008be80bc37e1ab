"""The last second of a harvest: one transaction merges what was spooled, and moves the cursor."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from catalog.harvest.ingests import offer_ingests
from catalog.harvest.outcome import Harvested, searched_for, summary
from catalog.harvest.products import PARTLY_IN, PRODUCTS_IN, READ_IN
from catalog.harvest.reconcile import FILES_IN, HELD_IN, MOVED_IN, PARTS_IN
from catalog.harvest.stale import OBSERVATIONS_IN
from catalog.missions import JWST
from catalog.store.database import columns_of, literal
from catalog.store.history.comparison import Comparison, compare_versions
from catalog.store.history.footprints import number_files
from catalog.store.history.keyword_differences import compared_columns, keep_differences_of_run
from catalog.store.history.links import close_files, close_observations, link_files, place_files
from catalog.store.history.merge import (
    OBSERVATION_PRODUCTS,
    SEARCH_FILES,
    SEARCH_OBSERVATIONS,
    close_replaced,
    merge_links,
    merge_versions,
    open_versions,
)
from catalog.store.history.run_notes import keep_marks, note_changes, note_pending, note_readings, note_set_aside
from catalog.store.history.runs import Run, keep_cursors, next_run, record_run, save_search
from catalog.store.history.verdicts import keep_verdicts_of_run
from catalog.store.history.versions import FILES, OBSERVATIONS, PRODUCTS, Versions
from catalog.store.schema.migrate import make_views
from catalog.store.spool import Spool


def commit(connection: duckdb.DuckDBPyConnection, spool: Spool, harvested: Harvested) -> Run:
    """Merge what was spooled.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection in a transaction; all of this is kept, or nothing.
    spool : Spool
        The rows.
    harvested : Harvested
        The kind of the rows, and their source.

    Returns
    -------
    Run
        The run as it was recorded.
    """
    search = harvested.search
    pa.default_memory_pool().release_unused()  # merging does not need the memory that reading took
    save_search(connection, search)
    run = next_run(connection)
    compared_before = compared_columns(connection)
    offered = {
        name: spool.offer(connection, name) for name in (FILES_IN, MOVED_IN, OBSERVATIONS_IN, PRODUCTS_IN, READ_IN)
    }
    if _merge_all(connection, spool, offered, harvested, run):
        make_views(connection)
    moved = connection.execute(f"{_MOVED} UNION ALL {_FILES_MOVED}").fetchone() is not None
    if moved:
        close_files(connection, run, _FILES_TOUCHED)
    keep_marks(connection, run)
    read = "SELECT obs_id FROM read_in" if offered[READ_IN] else "SELECT NULL WHERE false"
    note_readings(connection, run, read)
    note_set_aside(connection, run, [(aside.what, aside.reason, aside.rows) for aside in harvested.aside])
    failures = [(failure.what, failure.key, failure.reason) for failure in harvested.failures]
    note_pending(connection, run, search.name, failures, read)
    if moved:
        note_changes(connection, run, search.name, *searched_for(search))
        link_files(connection, run)
        keep_differences_of_run(connection, compared_before, run)
        keep_verdicts_of_run(connection, run)
        number_files(connection, run)
    result = summary(connection, harvested, run)
    record_run(connection, result)
    if JWST.ingest_column in columns_of(connection, "file_version"):
        keep_cursors(connection, search.name, JWST.ingest_column)
    return result


def _merge_all(
    connection: duckdb.DuckDBPyConnection, spool: Spool, offered: dict[str, bool], harvested: Harvested, run: int
) -> bool:
    """Merge the rows of each kind, and return whether a table has new columns."""
    offer_ingests(connection, spool)
    files = compare_versions(connection, FILES, spool.staged(FILES_IN), run) if offered[FILES_IN] else None
    grown = [
        files.grown if files else _nothing_merged(connection, FILES),
        _merge_observations(connection, spool, offered, harvested, run),
        _merge_products(connection, spool, offered, run),
    ]
    if connection.execute(_MOVED).fetchone() is not None:
        close_observations(connection, run, _OBSERVATIONS_TOUCHED, "SELECT key FROM product_merge")
    _merge_files(connection, spool, files, harvested, run)  # after these, so that each row goes in with its links
    return any(grown)


def _merge_files(
    connection: duckdb.DuckDBPyConnection, spool: Spool, files: Comparison | None, harvested: Harvested, run: int
) -> None:
    if files is not None:
        close_replaced(connection, FILES, run, read_again="checked_run")
        _open_files(connection, spool, files, harvested, run)
    name = literal(harvested.search.name)
    now, scope = "SELECT NULL, NULL WHERE false", f"search = {name}"
    if harvested.full and files is not None:
        now = f"SELECT {name}, filename FROM {FILES_IN}"
    elif spool.rows(MOVED_IN):  # a light row whose whole row had gone when it was asked for is no file
        moved = f"SELECT filename FROM {MOVED_IN}"
        held = f"SELECT filename FROM file_version WHERE until_run IS NULL AND filename IN ({moved})"
        now = f"SELECT {name}, filename FROM {MOVED_IN} WHERE joined AND filename IN ({held})"
        scope += f" AND filename IN ({moved})"
    elif not harvested.full:
        scope = "false"
    if spool.offer(connection, HELD_IN):
        scope = f"({scope}) AND filename NOT IN (SELECT filename FROM {HELD_IN})"
    merge_links(connection, SEARCH_FILES, now, scope, run)


def _open_files(
    connection: duckdb.DuckDBPyConnection, spool: Spool, files: Comparison, harvested: Harvested, run: int
) -> None:
    if files.opens:
        staged, parts = spool.staged(FILES_IN), PARTS_IN if spool.offer(connection, PARTS_IN) else None
        beside = place_files(connection, staged, files.columns, parts)
        constants: dict[str, object] = {"instrument": harvested.search.instrument, "checked_run": run}
        open_versions(connection, FILES, staged, files, run, constants, beside)


def _merge_observations(
    connection: duckdb.DuckDBPyConnection, spool: Spool, offered: dict[str, bool], harvested: Harvested, run: int
) -> bool:
    name = literal(harvested.search.name)
    if offered[OBSERVATIONS_IN]:
        grown = merge_versions(connection, OBSERVATIONS, spool.staged(OBSERVATIONS_IN), run, {})
        now = f"SELECT {name}, obs_id FROM {OBSERVATIONS_IN}"
    else:
        grown = _nothing_merged(connection, OBSERVATIONS)
        now = "SELECT NULL, NULL WHERE false"
    unanswered = pa.table({"key": pa.array([failure.key for failure in harvested.failures], pa.string())})
    connection.register("unanswered", unanswered)
    held = f"SELECT obs_id FROM {OBSERVATIONS_IN}" if offered[OBSERVATIONS_IN] else "SELECT NULL WHERE false"
    doubted = (
        "obs_id IN (SELECT key FROM unanswered) OR coalesce(program_of(obs_id), '') IN (SELECT key FROM unanswered)"
    )
    scope = f"search = {name} AND (obs_id IN ({held}) OR NOT ({doubted}))"
    merge_links(connection, SEARCH_OBSERVATIONS, now, scope, run)
    return grown


def _merge_products(connection: duckdb.DuckDBPyConnection, spool: Spool, offered: dict[str, bool], run: int) -> bool:
    if offered[PRODUCTS_IN]:
        _choose_products(connection)
        grown = merge_versions(connection, PRODUCTS, spool.staged(PRODUCTS_IN, "product_rows"), run, {})
        now = f"SELECT parent, data_uri FROM {PRODUCTS_IN}"
    else:
        grown = _nothing_merged(connection, PRODUCTS)
        now = "SELECT NULL, NULL WHERE false"
    scope = "obs_id IN (SELECT obs_id FROM read_in)" if offered[READ_IN] else "false"
    if spool.offer(connection, PARTLY_IN):  # observations of whose product lists a row was set aside
        now += f""" UNION SELECT obs_id, data_uri FROM observation_product_link
                    WHERE until_run IS NULL AND obs_id IN (SELECT obs_id FROM {PARTLY_IN})"""
    merge_links(connection, OBSERVATION_PRODUCTS, now, scope, run)
    return grown


def _choose_products(connection: duckdb.DuckDBPyConnection) -> None:
    """Keep one row for each product: several observations can list it, and their rows can differ.

    The row of the first owner (lowest ``obs_id``) counts: as the owner lists it, or else as the first observation
    (lowest ``obs_id``) lists it. So the choice does not depend on which observations this run asked for. If the first
    owner was not asked for, its row is kept as long as it lists the product and a search leads to it.
    """
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE chosen_product AS
            SELECT data_uri, min({_rank("obs_id", "parent")}) AS first FROM {PRODUCTS_IN} GROUP BY data_uri"""
    )
    if "obs_id" in columns_of(connection, "product_version"):
        connection.execute(
            f"""DELETE FROM chosen_product WHERE data_uri IN (
                SELECT c.data_uri FROM chosen_product c
                JOIN product_version v ON v.data_uri = c.data_uri AND v.until_run IS NULL
                JOIN observation_product_link l ON l.data_uri = c.data_uri AND l.until_run IS NULL
                SEMI JOIN (SELECT obs_id FROM search_observation_membership WHERE until_run IS NULL) m
                    ON m.obs_id = l.obs_id
                ANTI JOIN (SELECT obs_id FROM read_in) r ON r.obs_id = l.obs_id
                WHERE {_rank("v.obs_id", "l.obs_id")} < c.first)"""
        )
    connection.execute(
        f"""CREATE OR REPLACE TEMP VIEW product_rows AS
            SELECT p.* EXCLUDE (parent, parent_obsid) FROM {PRODUCTS_IN} p SEMI JOIN chosen_product c
                ON c.data_uri = p.data_uri AND c.first = {_rank("p.obs_id", "p.parent")}"""
    )


def _rank(owner: str, parent: str) -> str:
    """Return SQL that ranks the rows of a product: by owner, then those of the owner's list before others."""
    owner = f"coalesce({owner}::VARCHAR, '')"
    return f"struct_pack(owner := {owner}, by_another := {owner} <> {parent}, parent := {parent})"


def _nothing_merged(connection: duckdb.DuckDBPyConnection, versions: Versions) -> bool:
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {versions.what}_merge (key VARCHAR, fresh BOOLEAN, differing VARCHAR[])"
    )
    return False


_MOVED = " UNION ALL ".join(
    [
        *(
            f"(SELECT 1 FROM {what}_merge WHERE fresh OR differing IS NOT NULL LIMIT 1)"
            for what in ("file", "observation", "product")
        ),
        *(f"(SELECT 1 FROM {links.table}_merge LIMIT 1)" for links in (SEARCH_OBSERVATIONS, OBSERVATION_PRODUCTS)),
    ]
)
_FILES_MOVED = f"(SELECT 1 FROM {SEARCH_FILES.table}_merge LIMIT 1)"
"""Both find a row if a run opened or closed anything. If not, nothing that depends on rows and links changed."""

_FILES_TOUCHED = """
    SELECT key FROM file_merge
    UNION ALL SELECT "right" FROM search_file_membership_merge WHERE kind = 'withdrawn'
"""
_OBSERVATIONS_TOUCHED = """
    SELECT key FROM observation_merge
    UNION ALL SELECT "right" FROM search_observation_membership_merge WHERE kind = 'withdrawn'
    UNION ALL SELECT "left" FROM observation_product_link_merge
"""
"""Only rows that a run read or unlinked can have lost their last link."""
