"""Decide what a sync would do. Nothing here reaches the network or the disk.

A decision compares three things: what is selected, what the catalog has about the files at these paths (with the
verdict on each, see `catalog.store.history.verdicts`), and what the destination has. A million items that are present
cost about as much as joining them: the first statements read only the columns that tell whether an item is present, and
only the other items are then compared in full.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from catalog.defaults import TEMPLATE
from catalog.errors import UsageError
from catalog.store.access import exclusive
from catalog.store.duckdb_file import quiet
from catalog.sync.names import PLAIN, RESERVED, Template, refusal_of_path
from catalog.sync.plan import ACTIONS, TO_DO, Plan, PlanOptions, Rows, Tally

Look = Callable[[list[str]], tuple[pa.Table, pa.Table]]
"""Lists folders of the destination, as `catalog.sync.disk.listing` does."""
FindProblems = Callable[[Iterable[str]], Iterator[tuple[str, str]]]
"""Finds paths where no file can be put, and why: `catalog.sync.destination_places.DestinationPlaces.problems`."""

_SELECTED = ("data_uri", "filename", "size", "checksum", "program", "obs_id", '"dataRights"', "release_at")


def plan(
    selected: pa.Table,
    local: pa.Table,
    disk: pa.Table,
    parts: pa.Table,
    *,
    dest: Path,
    template: str = TEMPLATE,
    has_token: bool = False,
    now: dt.datetime | None = None,
    free_bytes: int | None = None,
    renew_modified: bool = False,
) -> Plan:
    """Decide what to do with each selected product.

    Parameters
    ----------
    selected : pyarrow.Table
        ``data_uri``, ``filename``, ``size``, ``checksum``, ``program``, ``obs_id``, ``dataRights``,
        ``release_at``, and the other fields of the template.
    local : pyarrow.Table
        ``path`` (absolute), ``size``, ``mtime_ns``, ``checksum``: as the catalog last saw the file. ``state`` (null if
        current), ``reason``, ``archived``: its verdict. ``fetched_checksum``: MD5 of the bytes that a sync put there.
    disk, parts : pyarrow.Table
        The result of `catalog.sync.disk.listing`.
    dest : Path
        The absolute path below which files lie as the template says.
    template : str
        See `catalog.sync.names.Template`.
    has_token : bool
        Whether exclusive products can be asked for.
    now : datetime, optional
        The present time, UTC without a zone, with which release dates are compared.
    free_bytes : int, optional
        Free disk space at the destination, which the plan tells.
    renew_modified : bool
        Whether a person's own bytes are replaced too.

    Raises
    ------
    UsageError
        If two products would have the same path.
    """
    options = PlanOptions(dest, Template(template), has_token, now, free_bytes, renew_modified)
    with duckdb.connect(config={"preserve_insertion_order": False}) as connection:
        quiet(connection)
        connection.register("selected", selected)
        connection.register("local", local)
        connection.execute("CREATE TEMP TABLE former (filename VARCHAR, checksum VARCHAR)")
        return decide(connection, Rows("selected"), options, lambda folders: (disk, parts))


def decide(
    connection: duckdb.DuckDBPyConnection,
    selected: Rows,
    options: PlanOptions,
    look: Look,
    problems: FindProblems = lambda paths: iter(()),
) -> Plan:
    """Make the plan, from what is selected, from relations of the connection, and from what is on disk.

    The relations are ``local`` (see `plan`) and ``former`` (``filename`` and ``checksum`` of the archive's versions).
    """
    folder = options.template.folder_sql()
    words = {"folder": folder, "path": "filename" if options.template.flat else f"{folder} || '/' || filename"}
    values = {**selected.values, "root": f"{options.dest}/"}
    folder_column = "" if options.template.flat else f"{folder} AS folder, "
    query = _HELD.format(path=words["path"], kept=folder_column, selected=selected.undated or selected.sql)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE held AS {query}", values)
    _refuse_collisions(connection, selected, folder)
    sizes = _look(connection, options.template, look)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE rest AS {_REST.format(same=_SAME if sizes else 'true')}")
    ((present, size, others),) = connection.execute(_PRESENT).fetchall()
    tallies = dict.fromkeys(ACTIONS, Tally()) | {"present": Tally(present, size)}
    rest = selected.sql if others else f"(FROM {selected.sql} LIMIT 0)"
    values |= {"now": options.now or dt.datetime.now(dt.UTC).replace(tzinfo=None), "has_token": options.has_token}
    values |= {"renew_modified": options.renew_modified}
    query = _DECISIONS.format(**words, selected=rest, columns=", ".join(_SELECTED), plain=PLAIN, reserved=RESERVED)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE decisions AS {query}", values)
    _refuse_places(connection, problems)
    for action, items, size in connection.execute(_TALLIES).fetchall():
        tallies[action] = Tally(items, size)
    rows = connection.execute(_WORK).to_arrow_table()
    needed = connection.execute(_NEEDED).fetchone()
    left = tuple(options.dest / str(path) for (path,) in connection.execute(_LEFTOVERS).fetchall())
    return Plan(options.dest, tallies, rows, int(needed[0]) if needed else 0, options.free_bytes, leftovers=left)


def _refuse_places(connection: duckdb.DuckDBPyConnection, problems: FindProblems) -> None:
    """Mark items out of reach if something that stays is in their place on disk."""
    paths = connection.execute("SELECT path FROM decisions WHERE action IN (SELECT unnest(?))", [list(TO_DO)])
    if refused := list(problems(path for (path,) in paths.fetchall())):
        path, reason = zip(*refused, strict=True)
        connection.register("refused", pa.table({"path": path, "reason": reason}))
        connection.execute(
            """UPDATE decisions SET action = 'out of reach', reason = refused.reason
               FROM refused WHERE refused.path = decisions.path"""
        )


def _look(connection: duckdb.DuckDBPyConnection, template: Template, look: Look) -> bool:
    """Register the contents of the folders of ``held`` as ``disk`` and ``parts``, and the folders that cannot be used.

    Returns whether the listing has sizes.
    """
    folders = [""]
    if not template.flat:
        query = "SELECT DISTINCT folder FROM held ORDER BY folder"
        folders = [str(folder) for (folder,) in connection.execute(query).fetchall()]
    disk, parts = look(folders)
    connection.register("disk", disk)
    connection.register("parts", parts)
    bad = [[folder] for folder in folders if folder and refusal_of_path(folder)]
    connection.execute("CREATE OR REPLACE TEMP TABLE refused_folders (folder VARCHAR)")
    if bad:
        connection.executemany("INSERT INTO refused_folders VALUES (?)", bad)
    return bool(disk["size"].null_count < disk.num_rows)


def _refuse_collisions(connection: duckdb.DuckDBPyConnection, selected: Rows, folder: str) -> None:
    """Refuse two products with the same path, also if the paths differ only in the case of letters."""
    places = np.sort(connection.execute("SELECT place FROM held").fetchnumpy()["place"])  # quicker than DISTINCT
    if not (places[1:] == places[:-1]).any():
        return
    row = connection.execute(
        f"""SELECT {folder} || '/' || any_value(filename), min(data_uri), max(data_uri) FROM {selected.sql}
            GROUP BY {folder}, lower(filename) HAVING count(*) > 1 ORDER BY 1 LIMIT 1""",
        dict(selected.values),
    ).fetchone()
    if row is not None:
        path = row[0].removeprefix("/")
        raise UsageError(
            f"{row[1]} and {row[2]} would both be {path}; give a --template with {{obs_id}} or {{program}}"
        )


_SEEN = """
    SELECT substr(path, length($root) + 1) AS path, size, mtime_ns, checksum, state, reason, archived, fetched_checksum
    FROM local WHERE starts_with(path, $root)
"""
"""Paths relative to the destination: they are half as long as absolute ones, so joining them takes less time."""

_HELD = f"""
    SELECT s.path, {{kept}}s.size, s.checksum IS NOT NULL AS has_checksum,
        hash(lower(s.path)) AS place, l.size AS seen_size, l.mtime_ns AS seen_ns,
        l.path IS NOT NULL AND l.state IS NULL AND (s.checksum IS NULL OR s.checksum = l.checksum) AS agreed
    FROM (SELECT *, {{path}} AS path FROM {{selected}}) s LEFT JOIN ({_SEEN}) l ON l.path = s.path
"""
"""The catalog's facts about each item. This needs no disk, so disk and catalog are read at the same time."""

_REST = """
    SELECT h.path, h.size, h.has_checksum
    FROM held h LEFT JOIN disk d ON d.path = h.path
    WHERE NOT coalesce(agreed AND d.path IS NOT NULL AND {same}, false)
"""
"""The items that are not present."""

_SAME = "(d.size IS NULL OR (d.size = seen_size AND d.mtime_ns = seen_ns))"

_LEFTOVERS = "SELECT path FROM parts SEMI JOIN held USING (path) ANTI JOIN rest USING (path)"
"""Unfinished files whose finished files are present."""

_PRESENT = """
    SELECT h.items - r.items, (h.bytes - r.bytes)::BIGINT, r.items
    FROM (SELECT count(*) AS items, coalesce(sum(size), 0) AS bytes FROM held) h,
        (SELECT count(*) AS items, coalesce(sum(size), 0) AS bytes FROM rest) r
"""

_DECISIONS = (
    r"""
    WITH placed AS (
        SELECT {columns}, {folder} AS folder, {path} AS path FROM {selected}
    ), here AS (
        SELECT d.path, coalesce(d.size, l.size) AS size, l.size AS seen_size, l.mtime_ns AS seen_ns, l.state, l.reason,
            coalesce(l.archived, l.path IS NOT NULL AND l.state IS NULL) AS archived, l.fetched_checksum,
            l.path IS NOT NULL AND (d.size IS NULL OR (d.size = l.size AND d.mtime_ns = l.mtime_ns)) AS known
        FROM (FROM disk SEMI JOIN rest USING (path)) d LEFT JOIN ("""
    + _SEEN
    + r""") l ON l.path = d.path
    ), judging AS (
        SELECT s.*, h.path IS NOT NULL AS on_disk, h.size AS old_size, h.seen_size, h.seen_ns, h.state, h.known,
            h.reason AS verdict, h.archived, h.fetched_checksum,
            CASE WHEN p.uri = s.data_uri AND p.length IS NOT DISTINCT FROM s.size
                AND p.checksum IS NOT DISTINCT FROM s.checksum THEN p.have ELSE 0 END AS have,
            """
    + exclusive('s."dataRights"', "s.release_at", now="$now")
    + r""" AS exclusive
        FROM (FROM placed SEMI JOIN rest USING (path)) s
        LEFT JOIN here h ON h.path = s.path
        LEFT JOIN parts p ON p.path = s.path
    ), wanted AS (
        SELECT *, CASE
            WHEN NOT on_disk AND have > 0 THEN 'resume'
            WHEN NOT on_disk THEN 'fetch'
            WHEN known AND state IN ('stale', 'corrupt') THEN 'replace'
            WHEN known AND state = 'modified' THEN CASE WHEN $renew_modified THEN 'replace' ELSE 'modified' END
            ELSE 'check' END AS want
        FROM judging
    ), judged AS (
        SELECT *, CASE
            WHEN data_uri IS NULL THEN 'the catalog knows no file or product of this name'
            WHEN NOT regexp_full_match(filename, '{plain}') OR regexp_full_match(filename, '{reserved}')
                OR ends_with(filename, '.') OR folder IN (SELECT folder FROM refused_folders)
                THEN 'its name cannot be that of a file here'
            WHEN exclusive AND NOT $has_token AND want NOT IN ('check', 'modified')
                THEN 'exclusive to program ' || coalesce(program, 'unknown')
                    || coalesce(' until ' || strftime(release_at, '%Y-%m-%d'), '') || '; needs a token'
            END AS obstacle
        FROM wanted
    )
    SELECT CASE WHEN obstacle IS NULL THEN want ELSE 'out of reach' END AS action, data_uri, filename,
        $root || path AS path, size, checksum, have, old_size, program, release_at, exclusive, seen_size, seen_ns,
        state, coalesce(archived, false) AS archived, fetched_checksum,
        CASE
            WHEN obstacle IS NOT NULL THEN obstacle
            WHEN want = 'fetch' THEN 'not on disk'
            WHEN want = 'resume' THEN have || ' of ' || coalesce(size::VARCHAR, '?') || ' bytes are here'
            WHEN want = 'check' AND known AND verdict IS NOT NULL THEN state || ': ' || verdict
            WHEN want = 'check' THEN 'on disk, but not as the catalog last saw it'
            ELSE state || ': ' || verdict
            END AS reason
    FROM judged
"""
)

_TALLIES = "SELECT action, count(*), coalesce(sum(size), 0)::BIGINT FROM decisions GROUP BY action"

_WORK = """
    WITH once AS (
        SELECT filename, list(DISTINCT checksum ORDER BY checksum) AS former
        FROM former SEMI JOIN (FROM decisions WHERE action IN ('check', 'replace')) USING (filename) GROUP BY filename
    )
    SELECT coalesce(data_uri, '') AS data_uri, filename, path, size, checksum, action, reason, have, program,
        release_at, exclusive, seen_size, seen_ns, state, archived,
        list_distinct(list_concat(former, [x for x in [fetched_checksum] if x IS NOT NULL])) AS former
    FROM decisions LEFT JOIN once USING (filename) ORDER BY size DESC NULLS FIRST, filename
"""

_NEEDED = """
    SELECT coalesce(sum(CASE action
        WHEN 'fetch' THEN coalesce(size, 0)
        WHEN 'resume' THEN greatest(coalesce(size, 0) - have, 0)
        WHEN 'replace' THEN greatest(coalesce(size, 0) - coalesce(old_size, 0), 0) END), 0)::BIGINT
        + coalesce(max(CASE WHEN action = 'replace' THEN coalesce(size, 0) END), 0)::BIGINT
    FROM decisions
"""
