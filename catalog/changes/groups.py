"""Changes in groups: one line for everything that changed in the same way."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb

from catalog.store.sql import columns_of, literal, quoted

_WHATS = ("file", "product", "observation")
_TARGETS, _VALUES, _SUBGROUPS, _COLUMNS = 3, 2, 6, 6
"""How many targets, values, subgroups and columns a line names before it only counts the others."""


@dataclass(frozen=True)
class Move:
    """An old and a new value of one column, and how many rows of the group changed from one to the other."""

    column: str
    old: str | None
    new: str | None
    count: int


@dataclass(frozen=True)
class Group:
    """Rows that changed in the same way.

    Attributes
    ----------
    what, kind : str
        As in the rows.
    change : str
        A word for people: reprocessed, made public, new, withdrawn and so on.
    subgroup : str
        The suffix of their file names, like x1dints; empty for observations.
    count : int
        How many files, observations or products these are.
    told_as_files : int
        How many of them are products whose file has a row of its own.
    searches : tuple of str
        The searches whose runs found them.
    targets : tuple of str
        The most frequent targets.
    more_targets : int
        How many other targets there are.
    moved : tuple of Move
        Old and new values that tell what the change means.
    columns : dict
        How many rows differ in each column.
    """

    what: str
    kind: str
    change: str
    subgroup: str
    count: int
    told_as_files: int = 0
    searches: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    more_targets: int = 0
    moved: tuple[Move, ...] = ()
    columns: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the group as JSON's types, with the line that describes it."""
        moved = [{"column": m.column, "from": m.old, "to": m.new, "count": m.count} for m in self.moved]
        return {
            "what": self.what,
            "kind": self.kind,
            "change": self.change,
            "subgroup": self.subgroup,
            "count": self.count,
            "searches": list(self.searches),
            "targets": list(self.targets),
            "moved": moved,
            "columns": self.columns,
            "text": GroupLine.of([self], self.count).text,
        }


def read_groups(connection: duckdb.DuckDBPyConnection) -> list[Group]:
    """Gather the temporary table ``net`` into groups, the largest first; files before products and observations."""
    connection.execute(_GROUPED)
    targets, more = _targets(connection)
    differs = connection.execute("SELECT EXISTS (FROM grouped WHERE kind = 'changed')").fetchone() == (True,)
    moved, columns = (_moves(connection), _columns(connection)) if differs else ({}, {})
    groups = [
        Group(
            what=what,
            kind=kind,
            change=change,
            subgroup=subgroup,
            count=count,
            told_as_files=told,
            searches=tuple(sorted(name for name in searches if name is not None)),
            targets=targets.get(number, ()),
            more_targets=more.get(number, 0),
            moved=moved.get(number, ()),
            columns=columns.get(number, {}),
        )
        for number, what, kind, change, subgroup, count, told, searches in connection.execute(_ROWS).fetchall()
    ]
    return sorted(groups, key=lambda group: (_WHATS.index(group.what), -group.count, group.change, group.subgroup))


_GROUPED = """
    CREATE OR REPLACE TEMP TABLE grouped AS
    SELECT dense_rank() OVER (ORDER BY what, kind, change, subgroup) AS number, what, kind, change, subgroup, key,
        search, columns, moved, what = 'product'
            AND regexp_extract(key, '[^/]*$') IN (SELECT key FROM net WHERE what = 'file') AS told
    FROM net
"""
_ROWS = """
    SELECT number, what, kind, change, subgroup, count(DISTINCT key), count(DISTINCT key) FILTER (told),
        list(DISTINCT search)
    FROM grouped GROUP BY number, what, kind, change, subgroup
"""


def _targets(connection: duckdb.DuckDBPyConnection) -> tuple[dict[int, tuple[str, ...]], dict[int, int]]:
    """Return the most frequent targets of each group, and the number of its other targets."""
    parts = []
    for what, table, key, column in (
        ("file", "file_version", "filename", "targname"),
        ("observation", "observation_version", "obs_id", "target_name"),
    ):
        name = next(
            (column_name for column_name in columns_of(connection, table) if column_name.lower() == column), None
        )
        if name is not None:
            parts.append(
                f"""SELECT g.number, g.key, v.target FROM grouped g JOIN (
                        SELECT {key} AS key, arg_max({quoted(name)}, since_run)::VARCHAR AS target FROM {table}
                        WHERE {key} IN (SELECT key FROM grouped WHERE what = {literal(what)}) GROUP BY 1
                    ) v ON v.key = g.key WHERE g.what = {literal(what)} AND v.target <> ''"""
            )
    if not parts:
        return {}, {}
    rows = connection.execute(
        f"""WITH counted AS (
                SELECT number, target, count(DISTINCT key) AS files FROM ({" UNION ALL ".join(parts)}) GROUP BY ALL
            ), ranked AS (
                SELECT *, row_number() OVER (PARTITION BY number ORDER BY files DESC, target) AS place,
                    count(*) OVER (PARTITION BY number) AS targets FROM counted
            )
            SELECT number, list(target ORDER BY place), any_value(targets) FROM ranked WHERE place <= {_TARGETS}
            GROUP BY number"""
    ).fetchall()
    return {n: tuple(names) for n, names, _ in rows}, {n: targets - len(names) for n, names, targets in rows}


def _moves(connection: duckdb.DuckDBPyConnection) -> dict[int, tuple[Move, ...]]:
    rows = connection.execute(
        """SELECT number, move.name, move.old, move.new, count(DISTINCT key) AS n
           FROM (SELECT number, key, unnest(moved) AS move FROM grouped)
           GROUP BY ALL ORDER BY number, move.name, n DESC, move.old, move.new"""
    ).fetchall()
    moves_by_group: dict[int, list[Move]] = {}
    for number, *values in rows:
        moves_by_group.setdefault(number, []).append(Move(*values))
    return {number: tuple(moves) for number, moves in moves_by_group.items()}


def _columns(connection: duckdb.DuckDBPyConnection) -> dict[int, dict[str, int]]:
    rows = connection.execute(
        """SELECT number, name, count(*) AS n FROM (SELECT number, unnest(columns) AS name FROM grouped)
           GROUP BY ALL ORDER BY number, n DESC, name"""
    ).fetchall()
    counts: dict[int, dict[str, int]] = {}
    for number, name, count in rows:
        counts.setdefault(number, {})[name] = count
    return counts


@dataclass(frozen=True)
class GroupLine:
    """Groups that differ only in their subgroup, as one line.

    Attributes
    ----------
    what : str
        file, product or observation.
    count : int
        How many files, products or observations these are.
    text : str
        The line as plain text; it has names from outside.
    """

    what: str
    count: int
    text: str

    @classmethod
    def of(cls, groups: Sequence[Group], count: int) -> GroupLine:
        """Describe groups that differ only in their subgroup."""
        first = groups[0]
        kinds = [group for group in groups if group.subgroup]
        head = f"{count:,} "
        if len(groups) == 1:
            head += f"{first.subgroup} {first.change}" if first.subgroup else first.change
        else:
            head += first.change
        parts = [head, *_moves_as_text(first.moved)]
        if first.change == "changed" and first.columns:
            parts.append(f"in {_few(list(first.columns), _COLUMNS, 'column')}")
        text = ", ".join(parts)
        if len(groups) > 1:
            counts = [
                f"{group.count - group.told_as_files:,} {group.subgroup or 'others'}" for group in kinds or groups
            ]
            text += f": {_few(counts, _SUBGROUPS, 'kind')}"
        targets = list(dict.fromkeys(target for group in groups for target in group.targets))
        more = max(group.more_targets for group in groups) + max(0, len(targets) - _TARGETS)
        if targets:
            text += f" (of {_few(targets[:_TARGETS], _TARGETS, 'target', more)})"
        return cls(first.what, count, text)


def lines(groups: Iterable[Group]) -> Iterator[GroupLine]:
    """Describe groups, the largest first; a product is left out if its file has been described already."""
    alike: dict[object, list[Group]] = {}
    for group in groups:
        if group.count > group.told_as_files:
            columns = tuple(group.columns) if group.change == "changed" else ()
            alike.setdefault((group.what, group.kind, group.change, *_moves_as_text(group.moved), columns), []).append(
                group
            )
    described = [
        GroupLine.of(several, sum(each.count - each.told_as_files for each in several)) for several in alike.values()
    ]
    yield from sorted(described, key=lambda line: (_WHATS.index(line.what), -line.count))


def _moves_as_text(moves: Sequence[Move]) -> list[str]:
    """Write old and new values, column by column: ``CAL_VER 1.5.3 -> 1.8.2``."""
    by_column: dict[str, list[Move]] = {}
    for move in moves:
        by_column.setdefault(move.column, []).append(move)
    return [
        f"{column.upper()} {_values(move.old for move in several)} -> {_values(move.new for move in several)}"
        for column, several in by_column.items()
    ]


def _values(values: Iterable[str | None]) -> str:
    """Write one or two values; of more values, the lowest and the highest.

    Examples
    --------
    >>> _values(["1.8.2"]), _values(["1.10.1", "1.5.3", "1.8.2"])
    ('1.8.2', '1.5.3 to 1.10.1 (3 values)')
    """
    distinct = sorted({"nothing" if value is None else value for value in values}, key=_natural)
    if len(distinct) <= _VALUES:
        return " or ".join(distinct)
    return f"{distinct[0]} to {distinct[-1]} ({len(distinct):,} values)"


def _natural(text: str) -> list[tuple[int, str]]:
    """Return a sort key that puts 1.8.2 before 1.10.1."""
    return [(int(part), "") if part.isascii() and part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]


def _few(names: Sequence[str], most: int, noun: str, more: int = 0) -> str:
    """Write the first names, and count the others.

    Examples
    --------
    >>> _few(["a", "b", "c"], 2, "target")
    'a, b and 1 more target'
    """
    left = len(names) - most + more if len(names) > most else more
    tail = f" and {left:,} more {noun}{'' if left == 1 else 's'}" if left > 0 else ""
    return ", ".join(names[:most]) + tail
