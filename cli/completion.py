"""What the shell offers after the tab key: searches, keywords and their values, targets, files.

A completion must be quick and must not disturb: it waits for no lock, and offers nothing if it cannot know.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from catalog.api.places import is_published, known_places, settings_beside
from catalog.defaults import CATALOG

if TYPE_CHECKING:
    from catalog.api.catalog import Catalog

Offer = list[tuple[str, str]]
"""Candidates, each with a short explanation, which some shells show."""

_MOST = 200
_WAIT = 0.2
_BREAKS = frozenset("=:")
"""Characters at which bash breaks a word; they are in criteria, and in the addresses of catalogs."""


def _lake(context: typer.Context) -> Catalog:
    """Return the catalog that the typed words name; it waits for no lock."""
    from catalog.api.catalog import Catalog
    from catalog.errors import MastlakeError

    try:
        return Catalog.once(_named(context), wait=_WAIT, offline=True, local=_local(context))
    except MastlakeError:  # nothing is published there, or was pulled yet
        return Catalog.once(Path(os.devnull) / "none")


def _path(context: typer.Context) -> Path:
    """Return the file beside which mastlake.toml is."""
    return settings_beside(_named(context))


def _local(context: typer.Context) -> str | os.PathLike[str] | None:
    """Return the file of local files that the typed words or mastlake.toml name."""
    from catalog.config.settings import read_both

    if not is_published(_named(context)):
        return None
    said = context.find_root().params.get("local_catalog") or os.environ.get("MASTLAKE_LOCAL_CATALOG")
    return read_both(_path(context)).merged().local_file(said)


def _named(context: typer.Context) -> str:
    return str(context.find_root().params.get("catalog") or os.environ.get("MASTLAKE_CATALOG") or CATALOG)


def searches(context: typer.Context, incomplete: str) -> Offer:
    """Offer saved searches, and those that mastlake.toml describes."""
    return _starting({**_declared(context), **_lake(context).completions("searches")}, incomplete)


def _declared(context: typer.Context) -> dict[str, str]:
    from catalog.config.settings import read_defaults
    from catalog.errors import MastlakeError

    try:
        declared = read_defaults(_path(context)).searches
    except MastlakeError:
        return {}
    return {name: search.search.instrument or "observations" for name, search in declared.items()}


def places(incomplete: str) -> Offer:
    """Offer catalog files, folders, and addresses from which a catalog was pulled before."""
    return list(known_places(incomplete).items())[:_MOST]


def instruments(incomplete: str) -> Offer:
    """Offer instruments that have a keyword search, also after a comma."""
    from catalog.api.types import JWST

    before, comma, last = incomplete.lower().rpartition(",")
    candidates = [
        instrument
        for instrument in (*JWST.services, *(() if comma else ("all",)))
        if instrument not in before.split(",")
    ]
    return [(f"{before}{comma}{name}", word) for name, word in _starting(dict.fromkeys(candidates, ""), last)]


def formats(incomplete: str) -> Offer:
    """Offer the formats of an answer."""
    candidates = ("table", "csv", "json", "jsonl", "parquet", "votable", "ecsv")
    return _starting(dict.fromkeys(candidates, ""), incomplete)


def keywords(context: typer.Context, incomplete: str) -> Offer:
    """Offer the names of keywords."""
    return _starting({keyword.name: keyword.meaning or "" for keyword in _lake(context).keywords()}, incomplete)


def criteria(context: typer.Context, incomplete: str) -> Offer:
    """Offer ``keyword=value``: first the keyword, then its values, and after a comma the next value."""
    name, equals, typed = incomplete.partition("=")
    if not equals:
        return _criteria_begun(context, name)
    before, comma, last = typed.rpartition(",")
    head = f"{name}={before}{comma}"
    taken = {word.strip().lower() for word in before.split(",")}
    values = {value: meaning for value, meaning in _values(context, name).items() if value.lower() not in taken}
    return [(f"{head}{value}", meaning) for value, meaning in _in_typed_case(values, last)]


def _criteria_begun(context: typer.Context, begun: str) -> Offer:
    """Offer keywords with an equals sign; a single one with its values, so that the shell adds no space."""
    instrument = context.params.get("instrument")
    candidates = {
        keyword.name: keyword.meaning or ""
        for keyword in _lake(context).keywords(instrument=None if instrument is None else str(instrument))
        if keyword.name.startswith(begun)
    }
    if len(candidates) != 1:
        return [(f"{name}=", meaning) for name, meaning in list(candidates.items())[:_MOST]]
    (name,) = candidates
    values = list(_values(context, name).items())
    if not values:
        return [(f"{name}=", candidates[name]), (f"{name}=..", "")]
    return [(f"{name}={value}", meaning) for value, meaning in values]


def _values(context: typer.Context, name: str) -> dict[str, str]:
    """Return the values that a keyword can have, each with how many files of the catalog have it."""
    lake = _lake(context)
    word = next((keyword for keyword in lake.keywords(name) if keyword.name == name), None)
    if word is None:
        return {}
    present = {_value_text(word.kind, value): count for value, count in lake.value_counts(word.name).items()}
    if word.kind == "boolean":
        present = {value: present.get(value, "") for value in ("T", "F")}
    return {**present, **{value: "" for value in word.allowed if value not in present}}


def _value_text(kind: str, value: str) -> str:
    if kind == "boolean":
        return "T" if value in ("t", "true") else "F"
    return f'"{value}"' if "," in value else value


def targets(context: typer.Context, incomplete: str) -> Offer:
    """Offer the names of harvested targets."""
    return _in_typed_case(_lake(context).completions("targets"), incomplete)


def fits_files(context: typer.Context, incomplete: str) -> Offer:
    """Offer FITS files in the typed folder, and names of the catalog's local files."""
    from catalog.api.types import FITS_ENDINGS

    folder, _, begun = incomplete.rpartition("/")
    here = sorted(Path(folder or ".").glob(f"{begun}*")) if not begun.startswith("*") else []
    offered = {
        f"{folder}/{entry.name}" if folder else entry.name: ""
        for entry in here[:_MOST]
        if entry.name.lower().endswith((*FITS_ENDINGS, ".ecsv")) and not entry.name.startswith(".")
    }
    offered |= {f"{folder}/{entry.name}/" if folder else f"{entry.name}/": "" for entry in here if _is_folder(entry)}
    if not folder:
        offered |= _lake(context).completions("local files", begun)
    return _starting(offered, incomplete)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".") and any(path.glob("*.fits"))


def previewed(context: typer.Context, incomplete: str) -> Offer:
    """Offer searches, and observations that have a preview."""
    return searches(context, incomplete) + list(_lake(context).completions("previews", incomplete).items())


def product_types(context: typer.Context, incomplete: str) -> Offer:
    """Offer product types, also after a comma."""
    return _values_offered(context, "productType", ("SCIENCE", "INFO", "AUXILIARY", "PREVIEW", "THUMBNAIL"), incomplete)


def subgroups(context: typer.Context, incomplete: str) -> Offer:
    """Offer product subgroups, also after a comma."""
    return _values_offered(context, "productSubGroupDescription", (), incomplete)


def dataproducts(context: typer.Context, incomplete: str) -> Offer:
    """Offer kinds of data product, also after a comma."""
    return _values_offered(context, "dataproduct_type", ("image", "spectrum", "cube", "timeseries"), incomplete)


def levels(incomplete: str) -> Offer:
    """Offer calibration levels, also after a comma."""
    before, comma, last = incomplete.rpartition(",")
    return [(f"{before}{comma}{level}", "") for level in ("1", "2", "3") if level.startswith(last)]


def _values_offered(context: typer.Context, column: str, usual: tuple[str, ...], incomplete: str) -> Offer:
    before, comma, last = incomplete.rpartition(",")
    present = _lake(context).value_counts(column, "products")
    taken = before.split(",")
    values = {value: word for value, word in {**dict.fromkeys(usual, ""), **present}.items() if value not in taken}
    return [(f"{before}{comma}{value}", word) for value, word in _in_typed_case(values, last)]


def _starting(offered: Mapping[str, str], begun: str) -> Offer:
    return [(name, word) for name, word in offered.items() if name.startswith(begun)][:_MOST]


def _in_typed_case(offered: Mapping[str, str], begun: str) -> Offer:
    """Offer candidates that begin with the typed text; typed letters keep their case, since values ignore case."""
    fitting = [(value, word) for value, word in offered.items() if value.lower().startswith(begun.lower())]
    return [(begun + value[len(begun) :], word) for value, word in fitting][:_MOST]


def completing(environment: Mapping[str, str]) -> bool:
    """Say whether bash asks for a completion; its words must be joined first."""
    return environment.get("_MASTLAKE_COMPLETE") == "complete_bash" and "COMP_WORDS" in environment


def complete_in_bash(application: Callable[[], object], environment: MutableMapping[str, str]) -> None:
    """Answer bash, which breaks words at ``=`` and ``:``, and expects only the piece after it.

    Parameters
    ----------
    application : callable
        Answers for whole words.
    environment : mapping
        It has ``COMP_WORDS`` and ``COMP_CWORD``, which are replaced by whole words.
    """
    pieces = environment["COMP_WORDS"].split("\n")
    at = min(int(environment["COMP_CWORD"]), len(pieces) - 1)
    words, current, before = whole_words(pieces, at)
    environment["COMP_WORDS"], environment["COMP_CWORD"] = "\n".join(_quoted(word) for word in words), str(current)
    answer = io.StringIO()
    try:
        with redirect_stdout(answer):
            application()
    finally:
        lines = answer.getvalue().splitlines()
        sys.stdout.write("".join(f"{line.removeprefix(before)}\n" for line in lines))


def _quoted(word: str) -> str:
    """Return a word in a form that is split into the same word again; the shell's own quotes stay."""
    return word or "''"


def whole_words(pieces: list[str], at: int) -> tuple[list[str], int, str]:
    """Join words that bash broke at ``=`` and ``:``.

    Parameters
    ----------
    pieces : list of str
        The pieces, as bash has them.
    at : int
        The number of the piece with the cursor.

    Returns
    -------
    words : list of str
        Whole words, up to the one with the cursor.
    current : int
        The number of the word with the cursor.
    before : str
        The part of that word before the cursor's piece.

    Examples
    --------
    >>> whole_words(["mastlake", "find", "-k", "exp_type", "=", "NIS"], 5)
    (['mastlake', 'find', '-k', 'exp_type=NIS'], 3, 'exp_type=')
    """
    words: list[str] = []
    before = ""
    joining = False
    for place, piece in enumerate(pieces[: at + 1]):
        breaks = bool(piece) and set(piece) <= _BREAKS
        if words and (breaks or joining):
            before = words[-1] + (piece if place == at and breaks else "")
            words[-1] += piece
        else:
            before = ""
            words.append(piece)
        joining = breaks
    return words, len(words) - 1, before
