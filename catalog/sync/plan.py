"""What a sync would do, item by item, with the reason. Nothing here reaches the network or the disk.

A plan compares three tables: what is selected, what the catalog says was fetched, and what the destination
holds. A million items that are present cost about what joining them costs: the first statements read only the
columns that tell whether an item is present, and the others are looked at in full afterwards.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from catalog.errors import UsageError
from catalog.store.database import quiet
from catalog.sync.names import FLAT, PLAIN, RESERVED, Template, refusal_of_path

ACTIONS = ("present", "check", "fetch", "resume", "replace", "out of reach")
"""``check``: on disk, but not as the catalog last saw it, so its bytes are read before anything is fetched."""
TO_DO = ("check", "fetch", "resume", "replace")

Look = Callable[[list[str]], tuple[pa.Table, pa.Table]]
"""Lists folders of the destination, as `catalog.sync.disk.listing` does."""

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
    """

    dest: Path
    tallies: dict[str, Tally]
    rows: pa.Table
    needed_bytes: int
    free_bytes: int | None = None
    notes: tuple[str, ...] = ()

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
        ``path`` (absolute), ``size``, ``mtime_ns``, ``checksum``, ``problem``: what the catalog last saw.
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
    with duckdb.connect(config={"preserve_insertion_order": False}) as connection:
        quiet(connection)
        connection.register("selected", selected)
        connection.register("local", local)
        return decide(connection, Rows("selected"), aim, lambda folders: (disk, parts))


@dataclass(frozen=True)
class Rows:
    """A table or a query in parentheses, and the values it is bound to.

    Parameters
    ----------
    sql : str
        Of all columns.
    values : mapping
        By name.
    undated : str
        The same rows without ``release_at``, where that makes them cheaper.
    """

    sql: str
    values: Mapping[str, object] = field(default_factory=dict)
    undated: str = ""


@dataclass(frozen=True)
class Aim:
    """Where to, and under which conditions; see `plan`."""

    dest: Path
    template: Template
    has_token: bool = False
    now: dt.datetime | None = None
    free_bytes: int | None = None


def decide(connection: duckdb.DuckDBPyConnection, selected: Rows, aim: Aim, look: Look) -> Plan:
    """Make the plan of what is selected, of a connection's relation ``local``, and of what is found on disk."""
    folder = aim.template.folder_sql()
    words = {"folder": folder, "path": "filename" if aim.template.flat else f"{folder} || '/' || filename"}
    values = {**selected.values, "root": f"{aim.dest}/"}
    kept = "" if aim.template.flat else f"{folder} AS folder, "
    query = _HELD.format(path=words["path"], kept=kept, selected=selected.undated or selected.sql)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE held AS {query}", values)
    _refuse_collisions(connection, selected, folder)
    sizes = _look(connection, aim.template, look)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE rest AS {_REST.format(same=_SAME if sizes else 'true')}")
    ((present, size, left),) = connection.execute(_PRESENT).fetchall()
    tallies = dict.fromkeys(ACTIONS, Tally()) | {"present": Tally(present, size)}
    rest = selected.sql if left else f"(FROM {selected.sql} LIMIT 0)"
    values |= {"now": aim.now or dt.datetime.now(dt.UTC).replace(tzinfo=None), "has_token": aim.has_token}
    query = _DECISIONS.format(**words, selected=rest, columns=", ".join(_SELECTED), plain=PLAIN, reserved=RESERVED)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE decisions AS {query}", values)
    for action, items, size in connection.execute(_TALLIES).fetchall():
        tallies[action] = Tally(items, size)
    rows = connection.execute(_WORK).to_arrow_table()
    needed = connection.execute(_NEEDED).fetchone()
    return Plan(aim.dest, tallies, rows, int(needed[0]) if needed else 0, aim.free_bytes)


def _look(connection: duckdb.DuckDBPyConnection, template: Template, look: Look) -> bool:
    """Register what the folders of ``held`` have, as ``disk`` and ``parts``, and those that cannot be used.

    Says whether the listing has sizes.
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
    """Refuse two products of one path, also where only the case of letters tells them apart."""
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
    SELECT substr(path, length($root) + 1) AS path, size, mtime_ns, checksum, problem
    FROM local WHERE starts_with(path, $root)
"""
"""Keys are relative to the destination: half as long as whole paths, they are joined in less time."""

_HELD = f"""
    SELECT s.path, {{kept}}s.size, s.checksum IS NOT NULL AS has_checksum,
        hash(lower(s.path)) AS place, l.size AS seen_size, l.mtime_ns AS seen_ns,
        l.problem IS NULL AND CASE WHEN s.checksum IS NULL THEN (l.size <> s.size) IS NOT TRUE
            ELSE s.checksum = l.checksum END AS agreed
    FROM (SELECT *, {{path}} AS path FROM {{selected}}) s LEFT JOIN ({_SEEN}) l ON l.path = s.path
"""
"""What the catalog knows of each item; it does not need the disk, so that both can be read at the same time."""

_REST = """
    SELECT h.path, h.size, h.has_checksum
    FROM held h LEFT JOIN disk d ON d.path = h.path
    WHERE NOT coalesce(agreed AND d.path IS NOT NULL AND {same}, false)
"""
"""What is not present."""

_SAME = "(d.size IS NULL OR (d.size = seen_size AND d.mtime_ns = seen_ns))"

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
        SELECT d.path, coalesce(d.size, l.size) AS size, l.checksum,
            l.path IS NOT NULL AND l.problem IS NULL
                AND (d.size IS NULL OR (d.size = l.size AND d.mtime_ns = l.mtime_ns)) AS known
        FROM (FROM disk SEMI JOIN rest USING (path)) d LEFT JOIN ("""
    + _SEEN
    + r""") l ON l.path = d.path
    ), judging AS (
        SELECT s.*, h.path IS NOT NULL AS on_disk, h.size AS old_size, h.checksum AS old_checksum, h.known,
            CASE WHEN p.uri = s.data_uri AND p.length IS NOT DISTINCT FROM s.size
                AND p.checksum IS NOT DISTINCT FROM s.checksum THEN p.have ELSE 0 END AS have,
            coalesce(upper(s."dataRights") NOT IN ('PUBLIC', ''), false)
                AND (s.release_at IS NULL OR s.release_at > $now) AS exclusive
        FROM (FROM placed SEMI JOIN rest USING (path)) s
        LEFT JOIN here h ON h.path = s.path
        LEFT JOIN parts p ON p.path = s.path
    ), wanted AS (
        SELECT *, CASE
            WHEN NOT on_disk AND have > 0 THEN 'resume'
            WHEN NOT on_disk THEN 'fetch'
            WHEN known AND checksum IS NOT NULL AND old_checksum IS NOT NULL THEN 'replace'
            WHEN old_size <> size THEN 'replace'
            ELSE 'check' END AS want
        FROM judging
    ), judged AS (
        SELECT *, CASE
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
    SELECT CASE WHEN obstacle IS NULL THEN want ELSE 'out of reach' END AS action, data_uri, filename,
        $root || path AS path, size, checksum, have, old_size, program, release_at, exclusive,
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
)

_TALLIES = "SELECT action, count(*), coalesce(sum(size), 0)::BIGINT FROM decisions GROUP BY action"

_WORK = """
    SELECT coalesce(data_uri, '') AS data_uri, filename, path, size, checksum, action, reason, have, program,
        release_at, exclusive
    FROM decisions ORDER BY size DESC NULLS FIRST, filename
"""

_NEEDED = """
    SELECT coalesce(sum(CASE action
        WHEN 'fetch' THEN coalesce(size, 0)
        WHEN 'resume' THEN greatest(coalesce(size, 0) - have, 0)
        WHEN 'replace' THEN greatest(coalesce(size, 0) - coalesce(old_size, 0), 0) END), 0)::BIGINT
        + coalesce(max(CASE WHEN action = 'replace' THEN coalesce(size, 0) END), 0)::BIGINT
    FROM decisions
"""
