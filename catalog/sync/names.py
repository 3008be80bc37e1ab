"""The path of a product below the destination, and the names that are refused.

Names come from the archive, so none is trusted. A path is made of parts. A part that could lead out of the destination,
or that has a special meaning for some file system, is refused and not changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from catalog.defaults import TEMPLATE
from catalog.errors import UsageError

FIELDS = ("program", "obs_id", "filename", "level", "type", "subgroup", "dataproduct")
PLAIN = r"[A-Za-z0-9_][A-Za-z0-9._+=@,~-]{0,199}"
"""Parts that are fine unless `RESERVED` matches; other parts are checked one by one."""
RESERVED = (
    r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?|mastlake\.toml|.*\.(duckdb|ducklake)([.-].*)?|.*\.part(\.json)?"
)
"""Names to which Windows gives a special meaning, and mastlake's own names: its settings, catalogs and the files beside
them (write-ahead log, spool), and unfinished files."""

_PLAIN = re.compile(PLAIN)
_RESERVED = re.compile(RESERVED)
_COLUMNS = {
    "program": "program",
    "obs_id": "obs_id",
    "level": "calib_level",
    "type": '"productType"',
    "subgroup": '"productSubGroupDescription"',
    "dataproduct": "dataproduct_type",
}


def refusal(part: str) -> str | None:
    """Say why a name cannot be one part of a path; None if it can.

    Examples
    --------
    >>> refusal("jw01366003001_04101_00001-seg001_nrs1_uncal.fits")
    >>> refusal("..")
    'it starts with a dot'
    """
    if _PLAIN.fullmatch(part) and not _RESERVED.fullmatch(part) and not part.endswith("."):
        return None
    rules = {
        "it is empty": not part.strip(),
        "it holds a path separator": "/" in part or "\\" in part,
        "it starts with a dot": part.startswith("."),
        "it starts with a dash": part.startswith("-"),
        "it holds control or unprintable characters": not part.isprintable(),
        "it ends with a dot": part.endswith("."),
        "it is a reserved name, of the system or of mastlake itself": _RESERVED.fullmatch(part) is not None,
        "it is too long": len(part) > 200,
    }
    return next((reason for reason, broken in rules.items() if broken), "it holds characters that are refused")


def refusal_of_path(relative: str) -> str | None:
    """Say why a relative path, or a folder, cannot be used; None if it can."""
    return next((reason for part in relative.split("/") if (reason := refusal(part))), None)


@dataclass(frozen=True)
class Template:
    """How files lie below the destination: folders of literal text and fields, and ``{filename}`` at the end.

    Parameters
    ----------
    text : str
        A text like ``{program}/{obs_id}/{filename}``.

    Raises
    ------
    UsageError
        If it is absolute, leads upwards, has an unknown field, or does not end in ``{filename}``.
    """

    text: str

    def __post_init__(self) -> None:
        *folders, last = self.text.split("/")
        if last != TEMPLATE:
            raise UsageError(f"the template {self.text!r} must end in {TEMPLATE}, as its own part")
        for folder in folders:
            bare = re.sub(r"\{[a-z_]+\}", "x", folder)
            if "{" in bare or "}" in bare or refusal(bare):
                raise UsageError(f"the template's folder {folder!r} cannot be used")
            for field in re.findall(r"\{([a-z_]+)\}", folder):
                if field == "filename":
                    raise UsageError(f"the template's {TEMPLATE} can only be its last part")
                if field not in _COLUMNS:
                    raise UsageError(f"the template's {{{field}}} is none of {', '.join(FIELDS)}")

    @property
    def flat(self) -> bool:
        """Whether all files lie in the destination itself."""
        return self.text == TEMPLATE

    def folder_sql(self) -> str:
        """Return an SQL expression of the folder of a selected row; all text in it that is the user's is quoted."""
        folder = self.text.removesuffix(TEMPLATE).rstrip("/")
        pieces = []
        for piece in re.split(r"(\{[a-z_]+\})", folder):
            if piece.startswith("{"):
                pieces.append(f"coalesce(CAST({_COLUMNS[piece[1:-1]]} AS VARCHAR), 'unknown')")
            elif piece:
                pieces.append("'" + piece.replace("'", "''") + "'")
        return " || ".join(pieces) or "''"

    def folder(self, values: Mapping[str, object]) -> str:
        """Return the folder of one row from the values of its fields."""
        folder = self.text.removesuffix(TEMPLATE).rstrip("/")
        return re.sub(r"\{([a-z_]+)\}", lambda m: str(values.get(m[1]) or "unknown"), folder)


def within(folder: Path, root: Path) -> bool:
    """Whether a folder is the root or below it, after all links have been followed."""
    return folder.resolve().is_relative_to(root.resolve())


def part_path(final: Path) -> Path:
    """Return the path at which the bytes of a file are collected until they are proven."""
    return final.with_name(f".{final.name}.part")


def identity_path(final: Path) -> Path:
    """Return the path of the note that says which version those bytes are of."""
    return final.with_name(f".{final.name}.part.json")
