"""``mastlake.toml``: searches, destinations and defaults, beside the catalog and in the user's configuration folder.

::

    server = "https://mast.stsci.edu"    # what --server would say
    dest = "data"                        # where sync puts files; relative to this file

    [sync]                               # any command's options, by their long names
    jobs = 4
    limit-rate = "20M"

    [searches.soss]                      # `mastlake harvest` runs these besides the saved ones
    instrument = "niriss"
    criteria = ["category=COM,ERS", "exp_type=NIS_SOSS", "tsovisit=T", "date_obs_mjd=2022-06-01..2022-08-04"]
    dest = "data/soss"

What is given on the command line counts before all this, and so do ``MASTLAKE_...`` variables. The file beside the
catalog counts before the user's, but may say less: see `catalog.config.trust`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from catalog.config.trust import is_within, may_set, user_folder
from catalog.errors import UsageError
from catalog.vocabulary.search import Search

FILENAME = "mastlake.toml"
KEYS: Mapping[str, str] = MappingProxyType(
    {
        "server": "the archive's address, as after --server",
        "dest": "the folder in which sync puts files; a relative path starts from the folder of this file",
        "searches": "a table for each search, [searches.NAME]; mastlake harvest runs them with the saved ones",
    }
)
"""What can stand at the top of the file, besides a table for each command."""
KEYS_OF_SEARCH: Mapping[str, str] = MappingProxyType(
    {
        "instrument": "niriss, nircam, nirspec, miri, fgs, guidestar, several with commas, or all",
        "observations": "true: this is a search for CAOM observations, and has no instrument",
        "criteria": "a list of criteria, each written as after -k",
        "cone": "with observations = true: RA,DEC,RADIUS as after --cone",
        "dest": "the folder for files of this search",
    }
)
"""What can stand in the table of a search."""
_NONE: Mapping[str, Any] = MappingProxyType({})
_MOST_BYTES = 1 << 20
"""A settings file is written by a person; one that is longer is something else."""


class BadSettings(UsageError):
    """``mastlake.toml`` is no TOML, or says what is not understood."""


@dataclass(frozen=True)
class DeclaredSearch:
    """A search that the file describes.

    Attributes
    ----------
    search : Search
        Its name and criteria, checked as if they were typed.
    dest : Path or None
        Where its files go.
    """

    search: Search
    dest: Path | None


@dataclass(frozen=True)
class Defaults:
    """What the file says; nothing, where there is none.

    Attributes
    ----------
    path : Path
        Where it lies, or would.
    server : str or None
        The archive's address.
    dest : Path or None
        Where files go.
    searches : mapping of str to DeclaredSearch
        By name, in the file's order.
    commands : mapping of str to mapping
        Options by command, with underscores in their names.
    users : bool
        Whether it is the user's own file, and not one that came with a folder.
    outside : frozenset of Path
        Destinations among these that lie outside of the file's folder, and are not the user's own words.
    """

    path: Path
    server: str | None = None
    dest: Path | None = None
    searches: Mapping[str, DeclaredSearch] = field(default_factory=dict)
    commands: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    users: bool = False
    outside: frozenset[Path] = frozenset()

    def option(self, command: str, name: str) -> Any:
        """Return what the file says of an option of a command; None where it does not say."""
        return self.commands.get(command, _NONE).get(name)

    def destination(self, search: str | None) -> Path | None:
        """Return where files of a search go, or of anything; None where the file does not say.

        Raises
        ------
        BadSettings
            For a folder that a file which came with a folder cannot name.
        """
        own = self.searches.get(search or "")
        said = self.option("sync", "dest")
        dest = own.dest if own is not None and own.dest is not None else Path(said) if said else self.dest
        if dest is not None and dest in self.outside:
            raise outside_refused(self.path, dest)
        return dest

    def before(self, other: Defaults) -> Defaults:
        """Return what both say, where this one counts before the other; options of commands are left to `cli`."""
        return replace(
            self,
            server=self.server or other.server,
            dest=self.dest or other.dest,
            searches={**other.searches, **self.searches},
            outside=self.outside | other.outside,
        )


def read_user_defaults() -> Defaults:
    """Read the user's own file.

    Raises
    ------
    BadSettings, UnknownKeyword, BadValue
        As `read_defaults`.
    """
    return _read(user_folder() / FILENAME, users=True)


def read_defaults(catalog: Path) -> Defaults:
    """Read the file beside a catalog.

    Parameters
    ----------
    catalog : Path
        The catalog file; it need not be there.

    Raises
    ------
    BadSettings
        If the file is no TOML, or a value is not of its kind; names what is wrong.
    UnknownKeyword, BadValue
        For a search's criteria, as on the command line.
    """
    return _read(catalog.parent / FILENAME, users=False)


def _read(path: Path, users: bool) -> Defaults:
    try:
        if path.exists() and not path.is_file():
            raise BadSettings(f"{path} is no file of text; move it away")
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
        text = raw.decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return Defaults(path, users=users)
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"cannot read {path}: {getattr(error, 'strerror', None) or 'it is not UTF-8'}") from error
    if len(raw) > _MOST_BYTES:
        raise BadSettings(f"{path} is longer than {_MOST_BYTES:,} bytes, so it is no file of settings; move it away")
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadSettings(f"{path} is not TOML: {error}") from error
    found = _defaults(path, table)
    if users:
        return replace(found, users=True)
    named = {found.dest, *(one.dest for one in found.searches.values())} - {None}
    return replace(found, outside=frozenset(one for one in named if one and not is_within(path.parent, one)))


def read_both(catalog: Path) -> tuple[Defaults, bool]:
    """Read the user's own file and the one beside a catalog, and let each say what it may.

    Parameters
    ----------
    catalog : Path
        The catalog file; it need not be there.

    Returns
    -------
    defaults : Defaults
        Of both; the file beside the catalog counts first.
    server_is_users : bool
        False where only the file beside the catalog names the server.

    Raises
    ------
    BadSettings, UnknownKeyword, BadValue
        As `read_defaults`.
    """
    users, folders = read_user_defaults(), read_defaults(catalog)
    commands = {command: dict(options) for command, options in users.commands.items()}
    outside: set[Path] = set()
    for command, options in folders.commands.items():
        for option, value in options.items():
            is_allowed = may_set(option, value, folders.path.parent)
            if is_allowed or option == "dest":  # one that is refused is told when it would be used
                commands.setdefault(command, {})[option] = value
            if option == "dest" and not is_allowed:
                outside.add(Path(str(value)))
    both = folders.before(users)
    server_is_users = both.server is None or both.server == users.server
    return replace(both, commands=commands, outside=both.outside | outside), server_is_users


def outside_refused(path: Path, dest: Path) -> BadSettings:
    """Return the error for a folder that a folder's file may not name."""
    return BadSettings(
        f"{path} names the folder {dest}, which is not within its own; a file that comes with a folder cannot do that. "
        f"Say it on the command line, or in {user_folder() / FILENAME}"
    )


def _defaults(path: Path, table: dict[str, Any]) -> Defaults:
    searches = _kind(path, table, "searches", dict, "a table like [searches.soss]") or _NONE
    commands: dict[str, Mapping[str, Any]] = {}
    for name, value in table.items():
        if name in KEYS:
            continue
        if not isinstance(value, dict):
            raise BadSettings(f"{path} says {name}; at its top stand server, dest, [searches.NAME] and [COMMAND]")
        commands[name] = {option.replace("-", "_"): given for option, given in value.items()}
        for option in ("dest", "keep_old"):
            if isinstance(given := commands[name].get(option), str):
                commands[name] = {**commands[name], option: str(path.parent / given)}
    return Defaults(
        path=path,
        server=_kind(path, table, "server", str, "an address in quotes"),
        dest=_folder(path, table, "dest"),
        searches={name: _declared(path, name, value) for name, value in searches.items()},
        commands=commands,
    )


def _declared(path: Path, name: str, table: Any) -> DeclaredSearch:
    where = f"[searches.{name}]"
    if not isinstance(table, dict):
        raise BadSettings(f"{path}: {where} must be a table with instrument and criteria")
    for key in table:
        if key not in KEYS_OF_SEARCH:
            raise BadSettings(f"{path}: {where} says {key}; it can say {', '.join(KEYS_OF_SEARCH)}")
    criteria = _kind(path, table, "criteria", list, 'a list like ["exp_type=NIS_SOSS"]', where) or []
    cone = _kind(path, table, "cone", str, "RA,DEC,RADIUS in quotes", where)
    written = [str(one) for one in criteria]
    if _kind(path, table, "observations", bool, "true or false", where):
        search = Search.observations(name, written, cone)
    else:
        instrument = _kind(path, table, "instrument", str, "a name like niriss", where)
        if instrument is None:
            raise BadSettings(f'{path}: {where} needs instrument = "niriss" or the like, or observations = true')
        if cone is not None:
            raise BadSettings(f"{path}: {where} has a cone, which only a search with observations = true knows")
        search = Search.parse(name, instrument, written)
    return DeclaredSearch(search, _folder(path, table, "dest", where))


def _kind(path: Path, table: Mapping[str, Any], key: str, kind: type, wanted: str, where: str = "its top") -> Any:
    value = table.get(key)
    if value is not None and not isinstance(value, kind):
        raise BadSettings(f"{path}: {key} in {where} must be {wanted}, not {value!r}")
    return value


def _folder(path: Path, table: Mapping[str, Any], key: str, where: str = "its top") -> Path | None:
    """A folder's path, relative to the file."""
    value = _kind(path, table, key, str, "a folder in quotes", where)
    return None if value is None else path.parent / Path(value).expanduser()
