"""The list of a run's Parquet files with a fingerprint of their rows, so that the next run writes only the others."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PARTS = "PARTS.json"
_PATH = re.compile(r"[a-z_]+/[a-z0-9_-]+\.parquet")
_SHA256, _MD5 = re.compile("[0-9a-f]{64}"), re.compile("[0-9a-f]{32}")


@dataclass(frozen=True)
class PartFile:
    """A Parquet file: its path in the folder, and its checksums. Object stores know the MD5."""

    path: str
    sha256: str
    md5: str


@dataclass(frozen=True)
class Part:
    """The rows of some programs, in one file or several.

    Attributes
    ----------
    stem : str
        How the names of its files begin.
    fingerprint : str
        A checksum of its rows and columns, and of all else that decides what is written.
    rows : int
        How many rows it has.
    files : tuple of PartFile
        Its files.
    """

    stem: str
    fingerprint: str
    rows: int
    files: tuple[PartFile, ...]


class Parts:
    """The parts of an older run, as far as their files are still what was written.

    Parameters
    ----------
    parts : list of Part
        The parts.
    is_there : callable
        Says whether a file of the older run has its checksums.
    """

    def __init__(self, parts: list[Part], is_there: Callable[[PartFile], bool]) -> None:
        self._parts = {(part.stem, part.fingerprint): part for part in parts}
        self._is_there = is_there

    def same(self, stem: str, fingerprint: str) -> Part | None:
        """Return the older part with the same rows, if its files can be used again."""
        part = self._parts.get((stem, fingerprint))
        return part if part is not None and all(map(self._is_there, part.files)) else None


def described(path: Path, folder: Path) -> PartFile:
    """Return the path and the checksums of a file."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            sha256.update(piece)
            md5.update(piece)
    return PartFile(path.relative_to(folder).as_posix(), sha256.hexdigest(), md5.hexdigest())


def to_json(parts: list[Part]) -> str:
    """Return the text of the list."""
    return json.dumps({"parts": [asdict(part) for part in parts]}, indent=1) + "\n"


def parse_parts(text: bytes) -> list[Part]:
    """Read a list that somebody else may have written; a part that cannot be right is left out.

    Examples
    --------
    >>> parse_parts(b'{"parts": [{"stem": "x", "fingerprint": "", "rows": 1, "files": [{"path": "../x"}]}]}')
    []
    """
    try:
        told = json.loads(text)["parts"] if text else []
        return [part for part in map(_part, told) if part is not None]
    except (ValueError, LookupError, TypeError, RecursionError):
        return []


def _part(told: Any) -> Part | None:
    files = tuple(PartFile(str(one["path"]), str(one["sha256"]), str(one["md5"])) for one in told["files"])
    is_right = files and all(
        _PATH.fullmatch(one.path) and _SHA256.fullmatch(one.sha256) and _MD5.fullmatch(one.md5) for one in files
    )
    return Part(str(told["stem"]), str(told["fingerprint"]), int(told["rows"]), files) if is_right else None
