"""Plans of syncs, item by item, with reasons; the module `decisions` makes them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.sync.names import Template

if TYPE_CHECKING:
    import pyarrow as pa

ACTIONS = ("present", "check", "fetch", "resume", "replace", "modified", "out of reach")
"""``check``: the file is on disk but not as the catalog last saw it, so its bytes are read before anything is fetched.
``modified``: the bytes on disk are a person's own, and stay."""
TO_DO = ("check", "fetch", "resume", "replace")


@dataclass(frozen=True, slots=True)
class Item:
    """One product of a plan.

    Parameters
    ----------
    data_uri, filename : str
        The product; the uri is empty if the catalog has none.
    path : str
        The absolute path where the file is, or will be.
    size, checksum : int or None, str or None
        The size and the checksum that the archive lists for it.
    action, reason : str
        The action, and the reason for it.
    have : int
        How many of its bytes are in an unfinished file already.
    program : str or None
        The program whose observers may read it while it is exclusive.
    release_at : datetime or None
        When it becomes public (UTC).
    exclusive : bool
        Whether it needs a token now.
    seen : tuple of int or None
        Size and modification time (ns) of the file on disk when the catalog last read it.
    state : str or None
        The verdict on that file; None if it is current, or not known.
    archived : bool
        Whether the bytes on disk, as the catalog last saw them, are a version that the archive had.
    former : tuple of str
        The MD5s of all versions of the file that the archive had, as far as the catalog knows.
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
    seen: tuple[int, int] | None = None
    state: str | None = None
    archived: bool = False
    former: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tally:
    """How many items have the same action, and how many bytes the archive lists for them."""

    items: int = 0
    bytes: int = 0


@dataclass(frozen=True, repr=False)
class Plan:
    """The work of a sync, before it is done.

    Parameters
    ----------
    dest : Path
        The destination, an absolute path.
    tallies : dict
        A `Tally` for each action.
    rows : pyarrow.Table
        One row for each item that is not present, with the fields of `Item`.
    needed_bytes : int
        How much disk space it takes to apply the plan.
    free_bytes : int or None
        How much disk space is free.
    notes : tuple of str
        Remarks for a reader of the plan.
    run : int
        The newest run of the catalog when the plan was made.
    leftovers : tuple of Path
        Final paths of unfinished files that are no longer needed; applying the plan removes them.
    """

    dest: Path
    tallies: dict[str, Tally]
    rows: pa.Table
    needed_bytes: int
    free_bytes: int | None = None
    notes: tuple[str, ...] = ()
    run: int = 0
    leftovers: tuple[Path, ...] = ()

    def __repr__(self) -> str:
        kinds = [f"{action} {t.items:,} ({t.bytes:,} bytes)" for action, t in self.tallies.items() if t.items]
        return f"<Plan of {self.selected:,} products in {self.dest}: {', '.join(kinds) or 'nothing to do'}>"

    @property
    def selected(self) -> int:
        """How many items the plan has in all."""
        return sum(tally.items for tally in self.tallies.values())

    @property
    def shortage(self) -> str | None:
        """Why nothing of the plan can be applied: the disk has too little space. None if it has enough."""
        if self.free_bytes is None or self.needed_bytes <= self.free_bytes:
            return None
        return f"{self.dest} has {self.free_bytes:,} bytes free, {self.needed_bytes:,} are needed"

    def items(self, *actions: str) -> Iterator[Item]:
        """Iterate over the items of the plan that are not present.

        Parameters
        ----------
        *actions : str
            Only items with these actions, such as ``"fetch"`` and ``"replace"``.

        Yields
        ------
        Item
            One file: what will be done with it, and why.

        Examples
        --------
        >>> plan = catalog.plan("soss", subgroups="X1DINTS", dest=folder)
        >>> len(list(plan.items("fetch"))) == plan.selected
        True
        """
        for batch in self.rows.to_batches(max_chunksize=1000):
            for row in batch.to_pylist():
                if not actions or row["action"] in actions:
                    size, mtime_ns = row.pop("seen_size"), row.pop("seen_ns")
                    row["seen"] = None if size is None else (size, mtime_ns)
                    row["former"] = tuple(row["former"] or ())
                    yield Item(**row)

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as JSON's types.

        Returns
        -------
        dict
            The object that ``mastlake sync --dry-run --json`` prints: counts and bytes of each action, and ``items``.

        Examples
        --------
        >>> plan = catalog.plan("soss", subgroups="X1DINTS", dest=folder)
        >>> plan.as_dict()["fetch"]["items"] == len(plan.as_dict()["items"])
        True
        """
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


@dataclass(frozen=True)
class Rows:
    """A table or a query in parentheses, and the values that are bound in it.

    Parameters
    ----------
    sql : str
        SQL for all columns.
    values : mapping
        Values by name.
    undated : str
        SQL for the same rows without ``release_at``, if that is cheaper.
    """

    sql: str
    values: Mapping[str, object] = field(default_factory=dict)
    undated: str = ""


@dataclass(frozen=True)
class PlanOptions:
    """The destination and the conditions of a plan; see `catalog.sync.decisions.plan`."""

    dest: Path
    template: Template
    has_token: bool = False
    now: dt.datetime | None = None
    free_bytes: int | None = None
    renew_modified: bool = False
