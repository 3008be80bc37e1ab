"""What a sync would do, item by item, with the reason. Nothing here reaches the network or the disk.

A plan compares three tables: what is selected, what the catalog says was fetched, and what the destination
holds. It is one SQL statement over them, so that a million items cost about what joining them costs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from catalog.errors import UsageError
from catalog.store.database import quiet
from catalog.sync.names import FLAT, PLAIN, RESERVED, Template, refusal_of_path

ACTIONS = ("present", "check", "fetch", "resume", "replace", "out of reach")
"""``check``: on disk, but not as the catalog last saw it, so its bytes are read before anything is fetched."""
TO_DO = ("check", "fetch", "resume", "replace")

_SELECTED = ("data_uri", "filename", "size", "checksum", "program", "obs_id", '"dataRights"', "release_at")


@dataclass(frozen=True, slots=True)
class Item:
    """One product of a plan.

    Parameters
    ----------
    data_uri, filename : str
        What it is; the uri is empty where the catalog knows none.
    path : str
        Where it is, or will be; absolute.
    size, checksum : int or None, str or None
        As the archive lists it.
    action, reason : str
        What is to be done, and why.
    have : int
        Bytes of it already in an unfinished file.
    program : str or None
        Of the observers who may read it while it is exclusive.
    release_at : datetime or None
        When it becomes public (UTC).
    exclusive : bool
        Whether it needs a token now.
    """

    data_uri: str
    filename: str
    path: str
    size: int | None
    checksum: str | None
    action: str
    reason: str
    have: int = 0
    program: str | None = None
    release_at: dt.datetime | None = None
    exclusive: bool = False


@dataclass(frozen=True)
class Tally:
    """How many items share an action and how many bytes the archive lists for them."""

    items: int = 0
    bytes: int = 0


@dataclass(frozen=True, repr=False)
class Plan:
    """What a sync would do.

    Parameters
    ----------
    dest : Path
        Absolute.
    tallies : dict
        By action.
    rows : pyarrow.Table
        One row an item that is not present, with the fields of `Item`.
    needed_bytes : int
        Disk space that applying it takes.
    free_bytes : int or None
        Disk space there is.
    notes : tuple of str
        What a reader of the plan should know.
    doubt : bool
        Whether the archive's checksums are taken for no MD5.
    """

    dest: Path
    tallies: dict[str, Tally]
    rows: pa.Table
    needed_bytes: int
    free_bytes: int | None = None
    notes: tuple[str, ...] = ()
    doubt: bool = False

    def __repr__(self) -> str:
        kinds = [f"{action} {t.items:,} ({t.bytes:,} bytes)" for action, t in self.tallies.items() if t.items]
        return f"<Plan of {self.selected:,} products in {self.dest}: {', '.join(kinds) or 'nothing to do'}>"

    @property
    def selected(self) -> int:
        """How many items there are in all."""
        return sum(tally.items for tally in self.tallies.values())

    def items(self, *actions: str) -> Iterator[Item]:
        """Iterate over the items that are not present, or over those of some actions."""
        for batch in self.rows.to_batches(max_chunksize=1000):
            for row in batch.to_pylist():
                if not actions or row["action"] in actions:
                    yield Item(**row)

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as JSON's types, item by item."""
        words = {a.replace(" ", "_"): {"items": t.items, "bytes": t.bytes} for a, t in self.tallies.items()}
        items = [
            {
                "action": item.action,
                "filename": item.filename,
                "data_uri": item.data_uri or None,
                "path": item.path,
                "size": item.size,
                "have": item.have,
                "reason": item.reason,
            }
            for item in self.items()
        ]
        needs = {"needed_bytes": self.needed_bytes, "free_bytes": self.free_bytes}
        notes = list(self.notes)
        return {"dest": str(self.dest), "selected": self.selected, **words, **needs, "notes": notes, "items": items}


def plan(
    selected: pa.Table,
    local: pa.Table,
    disk: pa.Table,
    parts: pa.Table,
    *,
    dest: Path,
    template: str = FLAT,
    has_token: bool = False,
    now: dt.datetime | None = None,
    free_bytes: int | None = None,
) -> Plan:
    """Decide what to do with each selected product.

    Parameters
    ----------
    selected : pyarrow.Table
        ``data_uri``, ``filename``, ``size``, ``checksum``, ``program``, ``obs_id``, ``dataRights``,
        ``release_at``, and what else the template names.
    local : pyarrow.Table
        ``path``, ``size``, ``mtime_ns``, ``checksum``, ``problem``: what the catalog last saw.
    disk, parts : pyarrow.Table
        As `catalog.sync.disk.listing` returns them.
    dest : Path
        Absolute; files lie under it as the template says.
    template : str
        See `catalog.sync.names.Template`.
    has_token : bool
        Whether exclusive products can be asked for.
    now : datetime, optional
        UTC, naive; what release dates are compared with.
    free_bytes : int, optional
        Disk space at the destination, to be told with the plan.

    Raises
    ------
    UsageError
        Where two products would have one path.
    """
    aim = Aim(dest, Template(template), has_token, now, free_bytes)
    tables = {"selected": selected, "local": local, "disk": disk, "parts": parts}
    with duckdb.connect(config={"preserve_insertion_order": False}) as connection:
        quiet(connection)
        for name, table in tables.items():
            connection.register(name, table)
        return decide(connection, Rows("selected"), aim)


@dataclass(frozen=True)
class Rows:
    """A table or a query in parentheses, and the values it is bound to."""

    sql: str
    values: Mapping[str, object] = field(default_factory=dict)

    def folders(self, connection: duckdb.DuckDBPyConnection, template: Template) -> list[str]:
        """List the folders, relative to the destination, that files of these rows would lie in."""
        if template.flat:
            return [""]
        query = f"SELECT DISTINCT {template.folder_sql()} FROM {self.sql}"
        return [str(folder) for (folder,) in connection.execute(query, dict(self.values)).fetchall()]


@dataclass(frozen=True)
class Aim:
    """Where to, and under which conditions; see `plan`."""

    dest: Path
    template: Template
    has_token: bool = False
    now: dt.datetime | None = None
    free_bytes: int | None = None


def decide(connection: duckdb.DuckDBPyConnection, selected: Rows, aim: Aim) -> Plan:
    """Make the plan of a connection's relations ``local``, ``disk`` and ``parts``, and of what is selected."""
    bad = [[folder] for folder in selected.folders(connection, aim.template) if folder and refusal_of_path(folder)]
    connection.execute("CREATE OR REPLACE TEMP TABLE refused_folders (folder VARCHAR)")
    if bad:
        connection.executemany("INSERT INTO refused_folders VALUES (?)", bad)
    connection.execute(f"CREATE OR REPLACE TEMP VIEW here AS {_HERE}")
    words = {"selected": selected.sql, "folder": aim.template.folder_sql(), "columns": ", ".join(_SELECTED)}
    query = _DECISIONS.format(**words, plain=PLAIN, reserved=RESERVED)
    moment = aim.now or dt.datetime.now(dt.UTC).replace(tzinfo=None)
    values = {**selected.values, "root": f"{aim.dest}/", "now": moment, "has_token": aim.has_token}
    connection.execute(f"CREATE OR REPLACE TEMP TABLE decisions AS {query}", values)
    _refuse_collisions(connection, selected, aim.template.folder_sql())
    tallies = dict.fromkeys(ACTIONS, Tally())
    for action, items, size in connection.execute(_TALLIES).fetchall():
        tallies[action] = Tally(items, size)
    rows = connection.execute(_WORK).to_arrow_table()
    needed = connection.execute(_NEEDED).fetchone()
    return Plan(aim.dest, tallies, rows, int(needed[0]) if needed else 0, aim.free_bytes)


def _refuse_collisions(connection: duckdb.DuckDBPyConnection, selected: Rows, folder: str) -> None:
    """Refuse two products of one path, also where only the case of letters tells them apart."""
    total = connection.execute("SELECT count(place), count(DISTINCT place) FROM decisions").fetchone()
    if total is None or total[0] == total[1]:
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


_HERE = """
    SELECT d.path, coalesce(d.size, l.size) AS size, l.checksum,
        l.path IS NOT NULL AND l.problem IS NULL
            AND (d.size IS NULL OR (d.size = l.size AND d.mtime_ns = l.mtime_ns)) AS known
    FROM disk d LEFT JOIN local l ON l.path = d.path
"""

_DECISIONS = r"""
    WITH placed AS (
        SELECT {columns}, {folder} AS folder,
            $root || CASE WHEN {folder} = '' THEN '' ELSE {folder} || '/' END || filename AS path
        FROM {selected}
    ), compared AS (
        SELECT s.*, h.path IS NOT NULL AS on_disk, h.size AS old_size, h.checksum AS old_checksum, h.known,
            CASE WHEN p.uri = s.data_uri AND p.length IS NOT DISTINCT FROM s.size
                AND p.checksum IS NOT DISTINCT FROM s.checksum THEN p.have ELSE 0 END AS have,
            coalesce(upper(s."dataRights") NOT IN ('PUBLIC', ''), false)
                AND (s.release_at IS NULL OR s.release_at > $now) AS exclusive
        FROM placed s
        LEFT JOIN here h ON h.path = s.path
        LEFT JOIN parts p ON p.path = s.path
    ), wanted AS (
        SELECT *, CASE
            WHEN NOT on_disk AND have > 0 THEN 'resume'
            WHEN NOT on_disk THEN 'fetch'
            WHEN known AND checksum IS NOT NULL AND old_checksum IS NOT NULL
                THEN CASE WHEN checksum = old_checksum THEN 'present' ELSE 'replace' END
            WHEN old_size <> size THEN 'replace'
            WHEN known AND checksum IS NULL THEN 'present'
            ELSE 'check' END AS want
        FROM compared
    ), judged AS (
        SELECT *, CASE
            WHEN want = 'present' THEN NULL
            WHEN data_uri IS NULL THEN 'the catalog knows no file or product of this name'
            WHEN NOT regexp_full_match(filename, '{plain}') OR regexp_full_match(filename, '{reserved}')
                OR ends_with(filename, '.') OR folder IN (SELECT folder FROM refused_folders)
                THEN 'its name cannot be that of a file here'
            WHEN exclusive AND NOT $has_token AND want <> 'check'
                THEN 'exclusive to program ' || coalesce(program, 'unknown')
                    || coalesce(' until ' || strftime(release_at, '%Y-%m-%d'), '') || '; needs a token'
            END AS obstacle
        FROM wanted
    )
    SELECT CASE WHEN obstacle IS NULL THEN want ELSE 'out of reach' END AS action, size,
        hash(lower(folder), lower(filename)) AS place, checksum IS NOT NULL AS has_checksum, have, old_size, exclusive,
        CASE WHEN want <> 'present' THEN program END AS program,
        CASE WHEN want <> 'present' THEN release_at END AS release_at,
        CASE WHEN want <> 'present' THEN checksum END AS checksum,
        CASE WHEN want <> 'present' THEN data_uri END AS data_uri,
        CASE WHEN want <> 'present' THEN filename END AS filename,
        CASE WHEN want <> 'present' THEN path END AS path,
        CASE
            WHEN obstacle IS NOT NULL THEN obstacle
            WHEN want = 'fetch' THEN 'not on disk'
            WHEN want = 'resume' THEN have || ' of ' || coalesce(size::VARCHAR, '?') || ' bytes are here'
            WHEN want = 'check' THEN 'on disk, but not as the catalog last saw it'
            WHEN want = 'replace' AND known AND checksum IS NOT NULL AND old_checksum IS NOT NULL
                THEN 'the archive version moved on: another checksum'
            WHEN want = 'replace' THEN 'another size: ' || old_size || ' here, ' || size || ' in the archive'
            END AS reason
    FROM judged
"""

_TALLIES = "SELECT action, count(*), coalesce(sum(size), 0)::BIGINT FROM decisions GROUP BY action"

_WORK = """
    SELECT coalesce(data_uri, '') AS data_uri, filename, path, size, checksum, action, reason, have, program,
        release_at, exclusive
    FROM decisions WHERE action <> 'present' ORDER BY size DESC NULLS FIRST, filename
"""

_NEEDED = """
    SELECT coalesce(sum(CASE action
        WHEN 'fetch' THEN coalesce(size, 0)
        WHEN 'resume' THEN greatest(coalesce(size, 0) - have, 0)
        WHEN 'replace' THEN greatest(coalesce(size, 0) - coalesce(old_size, 0), 0) END), 0)::BIGINT
        + coalesce(max(CASE WHEN action = 'replace' THEN coalesce(size, 0) END), 0)::BIGINT
    FROM decisions
"""
