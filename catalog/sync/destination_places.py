"""Whether a file can be put at its place. The plan checks this, and each transfer checks it again.

A plan must tell what the sync will do, so both decide by the same rules. If the disk changes in between, what the
transfer finds counts.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from catalog.errors import DiskError, UsageError
from catalog.sync.names import part_path, refusal, within
from catalog.text import harmless


@dataclass(frozen=True)
class DestinationPlaces:
    """The places below a destination.

    Parameters
    ----------
    root : Path
        The destination, an absolute path.
    catalog : Path, optional
        The catalog that is used. A product replaces neither it, nor the files beside it whose names begin with its name
        (the write-ahead log, locks, the spool).
    """

    root: Path
    catalog: Path | None = None

    def problem(self, path: Path) -> str | None:
        """Say why a file cannot be put at a path; None if it can."""
        if reason := refusal(path.name):
            return f"its name cannot be that of a file here: {reason}"
        if self._is_catalogs(path):
            return f"{path} is mastlake's own, and is not replaced by a product of that name"
        return _problem_of_folder(path.parent, self.root) or _problem_of_file(path)

    def problems(self, paths: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Yield the paths that have a problem, each with the problem; each folder is checked once."""
        problem_by_folder: dict[str, str | None] = {}
        for path in paths:
            folder, _, name = path.rpartition("/")
            if folder not in problem_by_folder:
                problem_by_folder[folder] = _problem_of_folder(Path(folder), self.root)
            there = os.path.lexists(path) or os.path.lexists(f"{folder}/.{name}.part")
            reason = self.problem(Path(path)) if there or self._has_catalogs_name(name) else problem_by_folder[folder]
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
        """Make a folder for files, and the folders above it.

        Raises
        ------
        DiskError
            If a link on the way leads out of the destination, or a file is in the way; then no folder is made.
        """
        if reason := _problem_of_folder(folder, self.root):
            raise DiskError(reason)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise DiskError(f"{folder} is no folder; it is left as it is") from error


def refuse_no_text(path: Path, what: str) -> None:
    """Refuse a path whose name is not UTF-8: the catalog could not note what lies there.

    Raises
    ------
    UsageError
        Names the path.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise UsageError(f"a {what} cannot be at {harmless(str(path))}: the name is not UTF-8") from None


def refuse_no_folder(path: Path, what: str) -> None:
    """Refuse a path at which no folder can be, because a file is at it or on the way to it.

    Raises
    ------
    DiskError
        The error names the file, and says what to give instead.
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
    """Say why the thing that has a file's name, or the name of its unfinished bytes, is in the way."""
    if path.exists() and not path.is_file():
        return f"{path} is a folder, or no regular file; it is left as it is"
    part = part_path(path)
    try:
        kind = part.lstat().st_mode
    except OSError:
        return None
    return None if stat.S_ISREG(kind) else f"{part} is a link, a folder or a pipe; remove it"
