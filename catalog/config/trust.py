"""What a ``mastlake.toml`` may do that came with a folder: one that was cloned, downloaded or shared.

Such a file is data. It can say what to ask, and how much and how fast. It cannot name a file or a folder outside of its
own folder, cannot confirm anything in place of a person, and cannot send a token anywhere. The user's own file, in the
user's configuration folder, may do all that an option may do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

MAY_SET = frozenset(
    {
        "ask", "cone", "dataproduct", "deep", "dry_run", "explain", "extension", "files", "footprint", "format", "full",
        "guide_stars", "hdu", "instrument", "jobs", "json", "k", "keyword", "level", "limit", "limit_rate", "local",
        "max_size", "name", "names", "observations", "pattern", "pi", "port", "program", "release", "search", "seed",
        "show", "since", "source", "sql", "state", "subgroup", "target", "template", "time_limit", "type", "until",
        "verify", "watch", "what", "why", "with_inputs",
    }
)  # fmt: skip
"""Options that a folder's file may set, by their long names; any other, also a future one, is ignored there."""

WITHIN = frozenset({"dest", "folders", "keep_old"})
"""Options that name folders, which a folder's file may set to itself and to folders within it."""


def user_folder() -> Path:
    """Return the folder of the user's own settings and tokens; it need not be there."""
    from catalog.cache import config_folder

    return config_folder()


def is_within(folder: Path, path: Path) -> bool:
    """Say whether a path is a folder or lies in it, after every link has been followed."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a loop of links
        return False


def may_set(option: str, value: Any, folder: Path) -> bool:
    """Say whether a folder's file may give an option this value.

    Parameters
    ----------
    option : str
        Its long name, with underscores.
    value : str, number, bool or list
        As the file says.
    folder : Path
        Where the file lies.

    Examples
    --------
    >>> may_set("jobs", 4, Path()), may_set("output", ".bashrc", Path())
    (True, False)
    >>> may_set("dest", "data", Path()), may_set("dest", "../data", Path())
    (True, False)
    """
    if option in WITHIN:
        values = value if isinstance(value, list) else [value]
        return all(is_within(folder, folder / str(one)) for one in values)
    return option in MAY_SET
