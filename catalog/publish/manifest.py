"""What a published folder says of itself: the pointer ``LATEST``, and a manifest for each run.

Both are data of others when they are read: every name, number and checksum is judged before it is used.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from catalog.errors import CatalogTooNew, NotACatalog

LATEST = "LATEST"
FORM = 1
"""The version of this format; a manifest of a higher one is refused."""
LICENCE = (
    "What the archive says of its files and observations is public: cite MAST and the programs as "
    "https://archive.stsci.edu/publishing/data-use asks for."
)
LEFT_OUT = "Paths, headers and verdicts of the publisher's own files are left out, and no token is in the catalog."
MOST_BYTES = 1 << 40
MOST_STRETCHES = 64
_LATER: dict[str, Any] = {"patches": 0, "opening": [], "blocks": ""}
"""What the first manifests did not have."""
_NAME = re.compile(r"run-(\d{6,9})\.json")


@dataclass(frozen=True)
class Manifest:
    """What is known of one published catalog.

    Attributes
    ----------
    form : int
        The version of this format.
    run : int
        The newest run of the catalog.
    run_ended_at : str
        When that run ended, UTC.
    history : str
        A checksum of the numbers and times of all its runs: it tells this catalog from others.
    file : str
        The name of the catalog file, beside the manifest.
    size : int
        Its bytes.
    sha256 : str
        Its checksum.
    schema : str
        The revision of the tables.
    storage : str
        The version of DuckDB's storage format.
    duckdb, mastlake : str
        The versions that wrote it.
    published_at : str
        When it was published, UTC.
    rows : dict
        The number of rows of each table.
    licence, left_out : str
        What may be done with it, and what it does not have.
    patches : int
        How many times in a row the file was made from the one before it.
    opening : list of list of int
        The stretches of blocks that are read whenever the file is opened: the first block and the one after the last.
    blocks : str
        The marks of its blocks (see `catalog.publish.blocks`); empty if they are not known. Marks that are not those of
        a file of this size are ignored.
    """

    run: int
    run_ended_at: str
    history: str
    file: str
    size: int
    sha256: str
    schema: str
    storage: str
    duckdb: str
    mastlake: str
    published_at: str
    rows: dict[str, int]
    licence: str = LICENCE
    left_out: str = LEFT_OUT
    form: int = FORM
    patches: int = 0
    opening: list[list[int]] = field(default_factory=list)
    blocks: str = ""

    @property
    def name(self) -> str:
        """The name of the manifest's own file."""
        return manifest_name(self.run)

    def to_json(self) -> bytes:
        """Return the manifest as the text of its file."""
        import json

        return json.dumps(asdict(self), indent=2).encode() + b"\n"


def manifest_name(run: int) -> str:
    """Return the name of the manifest of a run."""
    return f"run-{run:06}.json"


def catalog_filename(run: int) -> str:
    """Return the name of the catalog file of a run."""
    return f"run-{run:06}.duckdb"


def parquet_name(run: int) -> str:
    """Return the name of the folder of a run's Parquet files."""
    return f"run-{run:06}.parquet"


_MEND = "whoever publishes there can write the name of the newest run-*.json into it"


def no_manifest(name: str, where: str) -> NotACatalog:
    """Return the error for a manifest that ``LATEST`` names, and that is not there."""
    return NotACatalog(f"{where} has no {name}, which {LATEST} names; {_MEND}, or remove {LATEST} and publish again")


def named_by(latest: bytes, where: str) -> str:
    """Return the name of the manifest that ``LATEST`` points to.

    Raises
    ------
    NotACatalog
        If it is no such name.
    """
    text = latest[:100].decode("ascii", "replace").strip()
    match = _NAME.fullmatch(text)
    if match is None or len(latest) > 100 or text != manifest_name(int(match[1])):
        raise NotACatalog(f"{where} has a file {LATEST} that names no published catalog; {_MEND}")
    return text


def parse_manifest(text: bytes, name: str, where: str) -> Manifest:
    """Read a manifest that somebody else may have written.

    Parameters
    ----------
    text : bytes
        Its content.
    name : str
        The name that ``LATEST`` gave; the file's name and the run must agree with it.
    where : str
        The folder or address, for messages.

    Raises
    ------
    CatalogTooNew
        If a newer mastlake wrote it.
    NotACatalog
        If anything in it cannot be, such as another name than the run's.
    """
    import json

    wrong = NotACatalog(f"{where} has a manifest {name} that cannot be right; ask whoever publishes there")
    try:
        said: Any = json.loads(text)
        given = {**_LATER, **{one.name: said[one.name] for one in fields(Manifest) if one.name not in _LATER}}
        given |= {name: said[name] for name in _LATER if name in said}
    except (ValueError, LookupError, TypeError, RecursionError):
        raise wrong from None
    if _is_count(given["form"]) and given["form"] > FORM:
        raise CatalogTooNew(f"{where} was published by a newer mastlake; upgrade it")
    if not _is_right(given, name):
        raise wrong
    return Manifest(**given)


def _is_right(given: dict[str, Any], name: str) -> bool:
    run, size, rows = given["run"], given["size"], given["rows"]
    if not (_is_count(run) and _is_count(size) and 0 < run < 10**9 and 0 < size <= MOST_BYTES):
        return False
    if not (isinstance(rows, dict) and all(isinstance(one, str) and _is_count(rows[one]) for one in rows)):
        return False
    if not (_is_count(given["patches"]) and isinstance(given["blocks"], str) and _are_stretches(given["opening"])):
        return False
    texts = set(given) - {"run", "size", "rows", "form", "patches", "opening", "blocks"}
    return (
        given["form"] == FORM
        and all(isinstance(given[one], str) and len(given[one]) <= 1000 for one in texts)
        and given["file"] == catalog_filename(run)
        and name == manifest_name(run)
        and re.fullmatch("[0-9a-f]{64}", given["sha256"]) is not None
    )


def _are_stretches(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= MOST_STRETCHES
        and all(isinstance(one, list) and len(one) == 2 and all(map(_is_count, one)) for one in value)
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
