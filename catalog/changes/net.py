"""The net effect of several runs, with one row for everything that changed.

There are two sources. The table `changes` says what came to a search and what left it; several such events of one row
count as one. The version tables say which values differ between the beginning and the end: a row that changed twice is
compared from the oldest to the newest version, and a row that changed back has not changed.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from catalog.changes.span import Span
from catalog.store.duckdb_file import dialect_of
from catalog.store.history.versions import FILES, OBSERVATIONS, PRODUCTS, Versions
from catalog.store.sql import columns_of, literal, quoted


@dataclass(frozen=True)
class ComparedTable:
    """The columns of a version table that tell a person what a change means; their names are in lower case.

    Attributes
    ----------
    versions : Versions
        The table.
    told : tuple of str
        Columns whose old and new values are written out.
    reprocessed : tuple of str
        If one of these columns differs, the bytes were made again.
    access : str
        The column that says who may read the product or file.
    exclusive : str
        A condition on ``b``, the new version: only the observers may read it.
    release : str
        The column with the date of release.
    numbers : tuple of str
        The archive's own numbers, whose changes mean nothing.
    """

    versions: Versions
    told: tuple[str, ...]
    reprocessed: tuple[str, ...]
    access: str
    exclusive: str
    release: str
    numbers: tuple[str, ...] = ()


COMPARED = (
    ComparedTable(
        FILES,
        ("cal_ver", "crds_ctx"),
        ("checksum", "cal_ver", "crds_ctx", "date"),
        "isrestricted",
        'TRY_CAST(b."isRestricted" AS BOOLEAN)',
        "publicreleasedate",
        ("archivefileid", "filesetid"),
    ),
    ComparedTable(
        OBSERVATIONS,
        ("dataproduct_type", "calib_level"),
        (),
        "datarights",
        "upper(b.\"dataRights\") <> 'PUBLIC'",
        "t_obs_release",
        ("obsid", "objid"),
    ),
    ComparedTable(
        PRODUCTS,
        ("prvversion",),
        ("prvversion",),
        "datarights",
        "upper(b.\"dataRights\") <> 'PUBLIC'",
        "",
        ("obsid",),
    ),
)


def make_net(connection: duckdb.DuckDBPyConnection, span: Span) -> None:
    """Make the temporary table ``net``: one row for each thing that changed.

    Its columns are ``what``, ``key``, ``kind``, ``run`` (the newest run that changed it), ``search`` (the search of
    that run), ``change`` (a word for people), ``subgroup``, ``columns`` (those that differ), ``moved`` (old and new
    values to write out), ``old_row`` and ``new_row`` (rows of the version table, if the kind is changed).
    """
    connection.execute(_NET.format(row=dialect_of(connection).row_type))
    _make_members(connection, span)
    _note_presence(connection, span)
    for compared in COMPARED:
        if span.what in (None, compared.versions.what):
            _note_differences(connection, compared, span)
    if span.local:
        connection.execute(_ONLY_LOCAL)


_NET = """
    CREATE OR REPLACE TEMP TABLE net (
        what VARCHAR, key VARCHAR, kind VARCHAR, run INTEGER, search VARCHAR, change VARCHAR, subgroup VARCHAR,
        columns VARCHAR[], moved STRUCT(name VARCHAR, old VARCHAR, new VARCHAR)[], old_row {row}, new_row {row})
"""
_SUBGROUP = "lower(regexp_extract({}, '_([A-Za-z0-9-]+)[.][A-Za-z.]+$', 1))"
"""SQL of the suffix of a file name, like x1dints."""

_ONLY_LOCAL = """
    DELETE FROM net WHERE what = 'observation'
    OR (what = 'file' AND key NOT IN (SELECT filename FROM local_files))
    OR (what = 'product' AND regexp_extract(key, '[^/]*$') NOT IN (SELECT filename FROM local_files))
"""


def _make_members(connection: duckdb.DuckDBPyConnection, span: Span) -> None:
    """Make the temporary table ``member``: what the search matched or led to at any time between the runs."""
    connection.execute("CREATE OR REPLACE TEMP TABLE member (what VARCHAR, key VARCHAR)")
    if span.search is None:
        return
    then = "since_run <= $until AND (until_run IS NULL OR until_run > $since)"
    connection.execute(
        f"""INSERT INTO member
            WITH observation AS (
                SELECT DISTINCT obs_id FROM search_observation_membership WHERE search = $search AND {then}
            )
            SELECT DISTINCT 'file', filename FROM search_file_membership WHERE search = $search AND {then}
            UNION ALL SELECT 'observation', obs_id FROM observation
            UNION ALL SELECT DISTINCT 'product', data_uri FROM observation_product_link
            WHERE obs_id IN (SELECT obs_id FROM observation) AND {then}""",
        {"search": span.search, "since": span.since, "until": span.until},
    )


_PRESENCE = """CREATE OR REPLACE TEMP TABLE presence AS
    WITH ran AS (
        SELECT run, search, search IN (SELECT search FROM search_file_membership) AS of_files,
            run IN (
                SELECT min(n.run) FROM search_edit e JOIN runs n ON n.search = e.search AND n.run > e.run
                WHERE e.act = 'edited' GROUP BY e.search, e.run) AS edited
        FROM runs WHERE run > $since AND run <= $until
    ), told AS (
        SELECT c.run, c.kind, c.what, c.key, r.search, r.edited,
            CASE WHEN c.what = 'file' OR (c.what = 'observation' AND NOT r.of_files) THEN r.search END AS scope
        FROM changes c JOIN ran r USING (run)
        WHERE c.run > $since AND c.run <= $until AND c.kind <> 'changed' AND ($what IS NULL OR c.what = $what)
    ), net_of AS (
        SELECT what, key, scope, arg_min(kind, run) AS first, arg_max(kind, run) AS last,
            max(run) AS run, arg_max(search, run) AS search, arg_max(edited, run) AS edited
        FROM told
        WHERE $search IS NULL OR scope = $search
           OR (scope IS NULL AND (what, key) IN (SELECT (what, key) FROM member))
        GROUP BY what, key, scope
    )
    SELECT what, key, run, search, scope, edited, CASE WHEN first = 'withdrawn' THEN 'withdrawn'
        WHEN last = 'withdrawn' THEN 'came and went' ELSE first END AS kind
    FROM net_of WHERE first <> 'withdrawn' OR last = 'withdrawn'"""


def _note_presence(connection: duckdb.DuckDBPyConnection, span: Span) -> None:
    """Note what came and what left. Files, and observations of observation searches, are noted for each search."""
    connection.execute(
        _PRESENCE,
        {"since": span.since, "until": span.until, "what": span.what, "search": span.search},
    )
    for compared in COMPARED:
        _note_presence_of(connection, compared, span)


def _note_presence_of(connection: duckdb.DuckDBPyConnection, compared: ComparedTable, span: Span) -> None:
    """Note which files, observations or products came, and which left."""
    table, key, what = compared.versions.table, compared.versions.key, compared.versions.what
    connection.execute(
        f"""INSERT INTO net
            WITH here AS (SELECT * FROM presence WHERE what = {literal(what)}),
            known AS (
                SELECT {key} AS key, bool_or(since_run <= $since AND coalesce(until_run > $since, true)) AS before,
                    bool_or(since_run <= $until AND coalesce(until_run > $until, true)) AS after
                FROM {table} WHERE {key} IN (SELECT key FROM here WHERE scope IS NOT NULL) GROUP BY 1
            )
            SELECT {literal(what)}, h.key, h.kind, h.run, h.search,
                CASE WHEN h.edited AND h.kind IN ('new', 'returned')
                        THEN 'new to ' || h.search || ', which was edited'
                     WHEN h.edited AND h.kind = 'withdrawn' THEN 'left by ' || h.search || ', which was edited'
                     WHEN h.kind IN ('new', 'returned') AND k.before THEN 'new to ' || h.scope || ', known before'
                     WHEN h.kind = 'withdrawn' AND k.after
                        THEN 'no longer in ' || h.scope || ', still in the catalog'
                     ELSE h.kind END,
                {_SUBGROUP.format("h.key")}, [], [], NULL, NULL
            FROM here h LEFT JOIN known k ON k.key = h.key""",
        {"since": span.since, "until": span.until},
    )


def _note_differences(connection: duckdb.DuckDBPyConnection, compared: ComparedTable, span: Span) -> None:
    """Note what was there at the beginning and at the end, and differs."""
    if span.since == 0:  # at the beginning there was nothing
        return
    table, key, what = compared.versions.table, compared.versions.key, literal(compared.versions.what)
    row = dialect_of(connection).row
    columns = _pair_versions(connection, compared, span)
    if not columns:
        return
    tests = ", ".join(_if_differs(name, literal(name)) for name in columns)
    by_name = {name.lower(): name for name in columns}
    shown_columns = [by_name[name] for name in compared.told if name in by_name]
    moved = ", ".join(_if_differs(name, _move(name)) for name in shown_columns)
    connection.execute(
        f"""INSERT INTO net
            WITH differing AS (
                SELECT p.*, list_filter([{tests}], lambda c: c IS NOT NULL) AS columns,
                    list_filter([{moved}], lambda m: m IS NOT NULL) AS moved,
                    {_word(compared, by_name)} AS access
                FROM pair p JOIN {table} a ON {row("a", key)} = p.old_row JOIN {table} b ON {row("b", key)} = p.new_row
            ), named AS (SELECT *, list_transform(columns, lambda c: lower(c)) AS lower_names FROM differing)
            SELECT {what}, d.key, 'changed', d.run, coalesce($search, r.search),
                concat_ws(', ', {_processing(compared)}, access,
                    CASE WHEN access IS NULL AND NOT list_has_any(lower_names, {list(compared.reprocessed)}::VARCHAR[])
                    THEN CASE WHEN list_has_all({list(compared.numbers)}::VARCHAR[], lower_names) THEN 'renumbered'
                              ELSE 'changed' END END),
                {_SUBGROUP.format("d.key")}, d.columns, d.moved, d.old_row, d.new_row
            FROM named d JOIN runs r ON r.run = d.run
            ANTI JOIN (SELECT key, search FROM net WHERE what = {what} AND kind IN ('new', 'returned')) n
                ON n.key = d.key AND n.search = $search
            WHERE len(d.columns) > 0""",
        {"search": span.search},
    )


def _pair_versions(connection: duckdb.DuckDBPyConnection, compared: ComparedTable, span: Span) -> dict[str, str]:
    """Make the temporary table ``pair``: the version at the beginning and the version at the end of each changed row.

    Returns the columns, with their types, in which the two versions of a pair can differ; none if there is no pair.
    """
    table, key, what = compared.versions.table, compared.versions.key, compared.versions.what
    only = f"AND {key} IN (SELECT key FROM member WHERE what = {literal(what)})" if span.search is not None else ""
    bounds = {"since": span.since, "until": span.until}
    row = dialect_of(connection).row
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE pair AS
            WITH opened AS (
                SELECT DISTINCT {key} AS key FROM {table} WHERE since_run > $since AND since_run <= $until {only}
            )
            SELECT o.key, {row("a", key)} AS old_row, {row("b", key)} AS new_row, b.since_run AS run FROM opened o
            JOIN {table} a ON a.{key} = o.key AND a.since_run <= $since AND coalesce(a.until_run > $since, true)
            JOIN {table} b ON b.{key} = o.key AND b.since_run <= $until AND coalesce(b.until_run > $until, true)""",
        bounds,
    )
    has_pairs = connection.execute("SELECT EXISTS (FROM pair)").fetchone() == (True,)
    return comparable_columns(connection, compared.versions, bounds) if has_pairs else {}


def comparable_columns(
    connection: duckdb.DuckDBPyConnection, versions: Versions, bounds: dict[str, int]
) -> dict[str, str]:
    """Return the archive's columns, with their types, that can differ between the two versions of a row.

    Reading a wide table costs as much as the columns that are read. So only columns are read that a run noted as
    differing. A run does not note them if its search saw the row for the first time; then all columns are compared.
    """
    have = {
        name: kind
        for name, kind in columns_of(connection, versions.table).items()
        if name.lower() not in (*versions.own, versions.key)
    }
    row = connection.execute(
        f"""WITH noted AS (
                SELECT key, columns FROM changes
                WHERE run > $since AND run <= $until AND kind = 'changed' AND what = {literal(versions.what)})
            SELECT (SELECT list(DISTINCT name) FROM (SELECT unnest(columns) AS name FROM noted)),
                   EXISTS (FROM pair WHERE key NOT IN (SELECT key FROM noted))""",
        bounds,
    ).fetchone()
    noted, incomplete = row or (None, True)
    return have if incomplete else {name: kind for name, kind in have.items() if name in set(noted or ())}


def _if_differs(name: str, value: str) -> str:
    return f"CASE WHEN a.{quoted(name)} IS DISTINCT FROM b.{quoted(name)} THEN {value} END"


def _move(name: str) -> str:
    column = quoted(name)
    return f"{{'name': {literal(name)}, 'old': CAST(a.{column} AS VARCHAR), 'new': CAST(b.{column} AS VARCHAR)}}"


def _word(compared: ComparedTable, by_name: dict[str, str]) -> str:
    """Write an expression that says how access to a row changed; null if it did not."""
    cases = []
    if compared.access in by_name:
        column = quoted(by_name[compared.access])
        cases.append(
            f"""WHEN a.{column} IS DISTINCT FROM b.{column}
                THEN CASE WHEN {compared.exclusive} THEN 'made exclusive' ELSE 'made public' END"""
        )
    if compared.release in by_name:
        column = quoted(by_name[compared.release])
        cases.append(f"WHEN a.{column} IS DISTINCT FROM b.{column} THEN 'release date moved'")
    if "isstale" in by_name and compared.versions is FILES:
        column = quoted(by_name["isstale"])
        cases.append(
            f"""WHEN a.{column} IS DISTINCT FROM b.{column}
                THEN CASE WHEN b.{column} THEN 'marked as stale' ELSE 'no longer marked as stale' END"""
        )
    return f"CASE {' '.join(cases)} END" if cases else "NULL::VARCHAR"


def _processing(compared: ComparedTable) -> str:
    if not compared.reprocessed:
        return "NULL::VARCHAR"
    return f"CASE WHEN list_has_any(lower_names, {list(compared.reprocessed)}::VARCHAR[]) THEN 'reprocessed' END"
