"""The limits of a ``mastlake.toml`` that came with a folder which was cloned, downloaded or shared.

Such a file is data. It can say what to ask, how much and how fast. It cannot name a file or folder outside of its own
folder, cannot confirm anything for a person, and cannot send a token anywhere. The user's own file, in the user's
configuration folder, may set every option.
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
"""Options that a folder's file may set, by their long names. All other options, also new ones, are ignored there."""

WITHIN = frozenset({"dest", "folders", "keep_old"})
"""Options that name folders; a folder's file may set them to its own folder and to folders inside it."""


def user_folder() -> Path:
    """Return the folder of the user's own settings and tokens; it need not exist."""
    from catalog.cache import config_folder

    return config_folder()


def is_within(folder: Path, path: Path) -> bool:
    """Say whether a path is a folder or inside it, after all links have been followed."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # links that form a loop
        return False


def may_set(option: str, value: Any, folder: Path) -> bool:
    """Say whether a folder's file may give an option this value.

    Parameters
    ----------
    option : str
        The option's long name, with underscores.
    value : str, number, bool or list
        The value in the file.
    folder : Path
        The folder of the file.

    Examples
    --------
    >>> may_set("jobs", 4, Path()), may_set("output", ".bashrc", Path())
    (True, False)
    >>> may_set("dest", "data", Path()), may_set("dest", "../data", Path())
    (True, False)
    """
    if option in WITHIN:
        values = value if isinstance(value, list) else [value]
        return all(is_within(folder, folder / str(path)) for path in values)
    return option in MAY_SET
