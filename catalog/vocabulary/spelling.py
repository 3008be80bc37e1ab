"""The catalog's spelling of the columns of an answer, and the way back to the archive's own spelling.

A column of the archive can have any text as its name. The catalog cannot have all of these names: DuckDB takes no
empty name and no null character, ignores the case of ASCII letters in names, and some names are the catalog's own.
So the catalog changes such a name to a spelling from which the archive's name can be recovered:

- A name of letters, digits and other visible characters stays as it is. So far, all names of MAST are like that.
- A quote, a percent sign, a character that is not printable, and an upper-case letter beyond ASCII are percent-encoded
  as in an address (RFC 3986): a line break is ``%0A``.
- The empty name is ``%``.
- If names differ only in case, one of them stays as it is: the one that the dictionary has, or else the first one in
  the order of code points. All letters of the others are percent-encoded.
- A name that is one of the catalog's own gets a prefix, ``si_`` in files and ``caom_`` in observations and products. A
  name that begins with such a prefix and goes on as one of the catalog's own gets the prefix too.

`sent_name` returns the archive's name. The comment of each such column tells it as well.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from urllib.parse import unquote

Kind = str
"""The kind of a row: ``file``, ``observation`` or ``product``."""

ODD_CELLS = "odd_cells"
"""The catalog's column for values that their own column cannot hold."""
EMPTY = "%"
LONGEST_NAME = 1000
"""The most characters that the name of a column can have."""
MOST_COLUMNS = 2000
"""The most columns that one answer can have; MAST's widest answer has some 220."""

_STAGED = {"staged_row", "staged_hash", "__filename", "__fragment_index", "__batch_index", "__last_in_fragment"}
_EVERYWHERE = {"mission", "since_run", "until_run", "row_hash", "rowid", ODD_CELLS} | _STAGED
_IN_FILES = {"obs_id", "instrument", "checked_run", "footprint", "file_id"}
_IN_FILES |= {"staged_obs_id", "staged_footprint", "staged_instrument"}
_IN_FILES |= {"data_uri", "file_size", "is_stale", "ingest_mjd"}  # second names of columns in the view `files`
OWN_NAMES: Mapping[Kind, frozenset[str]] = {
    "file": frozenset(_EVERYWHERE | _IN_FILES),
    "observation": frozenset(_EVERYWHERE),
    "product": frozenset(_EVERYWHERE | {"data_uri", "filename", "parent"}),
}
"""Names, in lower case, that the catalog never gives to a column of the archive."""
_PREFIXES: Mapping[Kind, str] = {"file": "si_", "observation": "caom_", "product": "caom_"}


def catalog_names(names: Sequence[str], kind: Kind, preferred: Collection[str] = ()) -> list[str]:
    r"""Return the catalog's names of the columns of one answer. No two of them differ only in case.

    Parameters
    ----------
    names : sequence of str
        The archive's names, all different.
    kind : str
        A noun for one row.
    preferred : collection of str
        If names differ only in case, one that is in this collection stays as it is.

    Examples
    --------
    >>> catalog_names(["exp_type", "obs_id", "Exp_Type", "", "a\nb"], "file", {"exp_type"})
    ['exp_type', 'si_obs_id', '%45%78%70_%54%79%70%65', '%', 'a%0Ab']
    """
    simple = {name: catalog_name(name, kind) for name in names}
    first: dict[str, str] = {}
    for name in sorted(simple, key=lambda name: (name not in preferred, name)):
        first.setdefault(simple[name].lower(), name)
    winners = set(first.values())
    return [simple[name] if name in winners else _all_encoded(name) for name in names]


def catalog_name(name: str, kind: Kind) -> str:
    """Return the catalog's name of a column, if no other name of its answer differs from it only in case.

    Examples
    --------
    >>> catalog_name("obs_id", "file"), catalog_name("obs_id", "observation"), catalog_name("si_obs_id", "file")
    ('si_obs_id', 'obs_id', 'si_si_obs_id')
    """
    spelled = "".join(c if _is_plain(c) else _encoded(c) for c in name) or EMPTY
    return _PREFIXES[kind] + spelled if _is_own(spelled, kind) else spelled


def sent_name(kept: str, kind: Kind) -> str:
    r"""Return the archive's own name of a column.

    Examples
    --------
    >>> sent_name("si_obs_id", "file"), sent_name("a%0Ab", "product"), sent_name("%", "file")
    ('obs_id', 'a\nb', '')
    """
    bare = kept.removeprefix(_PREFIXES[kind])
    if bare != kept and _is_own(bare, kind):
        kept = bare
    return "" if kept == EMPTY else unquote(kept, errors="surrogatepass")


def too_many(names: Iterable[str], preferred: Collection[str] = ()) -> list[str]:
    """Return the names of columns that the catalog does not keep: too long ones, and those beyond the most columns."""
    ordered = sorted(names, key=lambda name: name not in preferred)
    short = [name for name in ordered if len(name) <= LONGEST_NAME]
    return [name for name in ordered if len(name) > LONGEST_NAME] + short[MOST_COLUMNS:]


def _is_own(spelled: str, kind: Kind) -> bool:
    own, prefix = spelled.lower(), _PREFIXES[kind]
    while own not in OWN_NAMES[kind]:
        if not own.startswith(prefix):
            return False
        own = own.removeprefix(prefix)
    return True


def _is_plain(character: str) -> bool:
    return character.isprintable() and character not in '%"' and (character.isascii() or character.lower() == character)


def _encoded(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode(errors="surrogatepass"))


def _all_encoded(name: str) -> str:
    return "".join(_encoded(c) if re.match("[A-Za-z]", c) or not _is_plain(c) else c for c in name)
