"""Places of published catalogs that are known without asking anybody; this module imports nothing heavy."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from pathlib import Path

from catalog.cache import folder as cache_folder
from catalog.publish.manifest import LATEST

ADDRESS = "ADDRESS"
"""The name of the file in the cache that says where a catalog was pulled from."""
_MOST = 1000


def known_places(begun: str) -> dict[str, str]:
    """Return folders and catalog files whose names begin so, and addresses from which a catalog was pulled before.

    Parameters
    ----------
    begun : str
        The beginning of the name, with folders.

    Returns
    -------
    dict of str to str
        Names, and what each is; a folder ends with a slash.
    """
    head, slash, rest = begun.rpartition("/")
    places: dict[str, str] = {}
    with suppress(OSError):
        for path in sorted(islice(Path(head or slash or ".").iterdir(), _MOST)):
            if not path.name.startswith(rest) or (path.name.startswith(".") and not rest):
                continue
            if path.is_dir():
                places[f"{head}{slash}{path.name}/"] = (
                    "a published catalog" if (path / LATEST).is_file() else "a folder"
                )
            elif path.suffix == ".duckdb":
                places[f"{head}{slash}{path.name}"] = "a catalog file"
    for path in cache_folder().glob(f"published/*/{ADDRESS}"):
        with suppress(OSError, UnicodeDecodeError):
            places[path.read_text().strip()] = "pulled before"
    return {name: what for name, what in places.items() if name.startswith(begun)}
