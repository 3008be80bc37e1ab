"""Whether a file can be put at its place: asked by the plan, and again by each transfer.

The plan tells what a sync will do, so both must decide alike. Between them the disk can change; what counts then is
what the transfer finds.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from catalog.errors import DiskError
from catalog.sync.names import part_path, refusal, within


@dataclass(frozen=True)
class Places:
    """The places below a destination.

    Parameters
    ----------
    root : Path
        The destination, absolute.
    catalog : Path, optional
        The catalog in use. Neither it nor what lies beside it under names that begin with its own (the write-ahead
        log, locks, the spool) is replaced by a product.
    """

    root: Path
    catalog: Path | None = None

    def problem(self, path: Path) -> str | None:
        """Say why a file cannot be put at a path; None: it can."""
        if reason := refusal(path.name):
            return f"its name cannot be that of a file here: {reason}"
        if self._is_catalogs(path):
            return f"{path} is mastlake's own, and is not replaced by a product of that name"
        return _problem_of_folder(path.parent, self.root) or _problem_of_file(path)

    def problems(self, paths: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Iterate over those of many paths that have a problem, with the problem; each folder is looked at once."""
        known: dict[str, str | None] = {}
        for path in paths:
            folder, _, name = path.rpartition("/")
            if folder not in known:
                known[folder] = _problem_of_folder(Path(folder), self.root)
            there = os.path.lexists(path) or os.path.lexists(f"{folder}/.{name}.part")
            reason = self.problem(Path(path)) if there or self._has_catalogs_name(name) else known[folder]
            if reason:
                yield path, reason

    def _has_catalogs_name(self, name: str) -> bool:
        if self.catalog is None:
            return False
        mine = self.catalog.name.lower()
        return name.lower() == mine or name.lower().startswith((f"{mine}.", f"{mine}-"))

    def _is_catalogs(self, path: Path) -> bool:
        if self.catalog is None:
            return False
        if self._has_catalogs_name(path.name) and path.parent.resolve() == self.catalog.parent.resolve():
            return True
        try:
            return path.samefile(self.catalog)
        except OSError:
            return False

    def make_folder(self, folder: Path) -> None:
        """Make a folder for files.

        Raises
        ------
        DiskError
            Where a link on the way leads out of the destination, or there is a file; nothing is made then.
        """
        if reason := _problem_of_folder(folder, self.root):
            raise DiskError(reason)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise DiskError(f"{folder} is no folder; it is left as it is") from error


def refuse_no_folder(path: Path, what: str) -> None:
    """Refuse a path at which no folder can be, because there is a file at it or on the way to it.

    Raises
    ------
    DiskError
        Names the file, and what to name instead.
    """
    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise DiskError(f"{there} is no folder; name another {what}")


def _problem_of_folder(folder: Path, root: Path) -> str | None:
    there = folder
    while not there.exists() and there != root and not there.is_symlink():
        there = there.parent
    if not within(there, root):
        return f"{folder} leads out of {root} by a link"
    if there.exists() and not there.is_dir():
        return f"{there} is no folder; it is left as it is"
    return None


def _problem_of_file(path: Path) -> str | None:
    """Say why what has a file's name, or that of its unfinished bytes, is in the way."""
    if path.exists() and not path.is_file():
        return f"{path} is a folder, or no regular file; it is left as it is"
    part = part_path(path)
    try:
        kind = part.lstat().st_mode
    except OSError:
        return None
    return None if stat.S_ISREG(kind) else f"{part} is a link, a folder or a pipe; remove it"
