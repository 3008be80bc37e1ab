"""``mastlake.toml``: searches, destinations and defaults, beside the catalog and in the user's configuration folder.

::

    server = "https://mast.stsci.edu"    # what --server would say
    dest = "data"                        # where sync puts files; relative to this file
    local-catalog = "files.duckdb"       # what --local-catalog would say; relative to this file

    [sync]                               # any command's options, by their long names
    jobs = 4
    limit-rate = "20M"

    [searches.soss]                      # `mastlake harvest` runs these besides the saved ones
    instrument = "niriss"
    criteria = ["category=COM,ERS", "exp_type=NIS_SOSS", "tsovisit=T", "date_obs_mjd=2022-06-01..2022-08-04"]
    dest = "data/soss"

The command line counts first, then ``MASTLAKE_...`` variables, then the file beside the catalog, then the user's file.
The file beside the catalog may set fewer options than the user's: see `catalog.config.trust`.
"""

from __future__ import annotations

import os
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
        "local-catalog": "the file that notes your local files beside a published catalog, as after --local-catalog",
        "searches": "a table for each search, [searches.NAME]; mastlake harvest runs them with the saved ones",
    }
)
"""The keys at the top of the file; beside these there can be a table for each command."""
KEYS_OF_SEARCH: Mapping[str, str] = MappingProxyType(
    {
        "instrument": "niriss, nircam, nirspec, miri, fgs, guidestar, several with commas, or all",
        "observations": "true: this is a search for CAOM observations, and has no instrument",
        "criteria": "a list of criteria, each written as after -k",
        "cone": "with observations = true: RA,DEC,RADIUS as after --cone",
        "dest": "the folder for files of this search",
    }
)
"""The keys in the table of a search."""
_NONE: Mapping[str, Any] = MappingProxyType({})
_MOST_BYTES = 1 << 20
"""The largest size of the file: people write it, so a longer file is something else."""


class BadSettings(UsageError):
    """``mastlake.toml`` is no TOML, or has something that cannot be understood."""


@dataclass(frozen=True)
class DeclaredSearch:
    """A search that the file describes.

    Attributes
    ----------
    search : Search
        The search, with its criteria checked as if they were typed.
    dest : Path or None
        The folder for its files.
    """

    search: Search
    dest: Path | None


@dataclass(frozen=True)
class Defaults:
    """The contents of one file; if there is no file, they are empty.

    Attributes
    ----------
    path : Path
        The path of the file, even if it does not exist.
    server : str or None
        The archive's address.
    dest : Path or None
        The folder for files.
    local_catalog : Path or None
        The file with the local files beside a published catalog.
    searches : mapping of str to DeclaredSearch
        Searches by name, in the order of the file.
    commands : mapping of str to mapping
        Options by command; their names have underscores.
    users : bool
        Whether this is the user's own file, and not one that came with a folder.
    outside : frozenset of Path
        The paths that are outside of the folder with which the file came.
    """

    path: Path
    server: str | None = None
    dest: Path | None = None
    local_catalog: Path | None = None
    searches: Mapping[str, DeclaredSearch] = field(default_factory=dict)
    commands: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    users: bool = False
    outside: frozenset[Path] = frozenset()

    def option(self, command: str, name: str) -> Any:
        """Return the file's value for an option of a command; None if it has none."""
        return self.commands.get(command, _NONE).get(name)

    def destination(self, search: str | None) -> Path | None:
        """Return the folder for files of a search, or for all files; None if the file does not say.

        Raises
        ------
        BadSettings
            If the file came with a folder and names a folder outside of it.
        """
        own = self.searches.get(search or "")
        said = self.option("sync", "dest")
        dest = own.dest if own is not None and own.dest is not None else Path(said) if said else self.dest
        if dest is not None and dest in self.outside:
            raise outside_refused(self.path, dest)
        return dest

    def local_file(self, said: str | os.PathLike[str] | None) -> str | os.PathLike[str] | None:
        """Return the file with the local files beside a published catalog; None if nothing names one.

        Parameters
        ----------
        said : str or path-like, optional
            What the user said, which counts first.

        Raises
        ------
        BadSettings
            If the file came with a folder and names a path outside of it.
        """
        if said or self.local_catalog is None:
            return said
        if self.local_catalog in self.outside:
            raise outside_refused(self.path, self.local_catalog, "the file")
        return self.local_catalog


def read_user_defaults() -> Defaults:
    """Read the user's own file.

    Raises
    ------
    BadSettings, UnknownKeyword, BadValue
        As for `read_defaults`.
    """
    return _read(user_folder() / FILENAME, users=True)


def read_defaults(catalog: Path) -> Defaults:
    """Read the file beside a catalog.

    Parameters
    ----------
    catalog : Path
        The catalog file; it need not exist.

    Raises
    ------
    BadSettings
        If the file is no TOML, or a value is of the wrong kind; the error says what is wrong.
    UnknownKeyword, BadValue
        If the criteria of a search are wrong, as on the command line.
    """
    return _read(catalog.parent / FILENAME, users=False)


def _read(path: Path, users: bool) -> Defaults:
    try:
        if path.exists() and not path.is_file():
            raise BadSettings(f"{path} is not a text file; move it away")
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
    defaults = _defaults(path, table)
    if users:
        return replace(defaults, users=True)
    named = {defaults.dest, defaults.local_catalog, *(declared.dest for declared in defaults.searches.values())}
    outside = frozenset(each for each in named if each and not is_within(path.parent, each))
    return replace(defaults, outside=outside)


@dataclass(frozen=True)
class BothFiles:
    """The user's own file, and the one that came with the catalog's folder.

    Attributes
    ----------
    users, folders : Defaults
        The settings of each file.
    """

    users: Defaults
    folders: Defaults

    @property
    def ignored(self) -> list[tuple[str, str]]:
        """Commands and their options that the folder's file may not set."""
        return [
            (command, option)
            for command, options in self.folders.commands.items()
            for option, value in options.items()
            if option != "dest" and not self._may_set(option, value)
        ]

    @property
    def server_is_users(self) -> bool:
        """False if only the folder's file names the server."""
        server = self.folders.server or self.users.server
        return server is None or server == self.users.server

    def merged(self) -> Defaults:
        """Return what both files say. The folder's file counts first, as far as it may set an option.

        A destination that it may not set is kept, and marked as outside: it is an error only when it is used.
        """
        commands = {command: dict(options) for command, options in self.users.commands.items()}
        outside = self.users.outside | self.folders.outside
        ignored = set(self.ignored)
        for command, options in self.folders.commands.items():
            for option, value in options.items():
                if (command, option) in ignored:
                    continue
                commands.setdefault(command, {})[option] = value
                if not self._may_set(option, value):
                    outside |= {Path(str(value))}
        return replace(
            self.folders,
            server=self.folders.server or self.users.server,
            dest=self.folders.dest or self.users.dest,
            local_catalog=self.folders.local_catalog or self.users.local_catalog,
            searches={**self.users.searches, **self.folders.searches},
            commands=commands,
            outside=outside,
        )

    def _may_set(self, option: str, value: Any) -> bool:
        return may_set(option, value, self.folders.path.parent)


def read_both(catalog: Path) -> BothFiles:
    """Read the user's own file and the one beside a catalog.

    Parameters
    ----------
    catalog : Path
        The catalog file; it need not exist.

    Raises
    ------
    BadSettings, UnknownKeyword, BadValue
        As for `read_defaults`.
    """
    return BothFiles(read_user_defaults(), read_defaults(catalog))


def outside_refused(path: Path, named: Path, what: str = "the folder") -> BadSettings:
    """Return the error for a path that the file may not name."""
    return BadSettings(
        f"{path} names {what} {named}, which is not within its own; a file that comes with a folder cannot do that. "
        f"Say it on the command line, or in {user_folder() / FILENAME}"
    )


def _defaults(path: Path, table: dict[str, Any]) -> Defaults:
    searches = _kind(path, table, "searches", dict, "a table like [searches.soss]") or _NONE
    commands: dict[str, Mapping[str, Any]] = {}
    for name, value in table.items():
        if name in KEYS:
            continue
        if not isinstance(value, dict):
            raise BadSettings(f"{path} says {name}; at its top stand {', '.join(KEYS)} and a table for each command")
        commands[name] = {option.replace("-", "_"): given for option, given in value.items()}
        for option in ("dest", "keep_old"):
            if isinstance(given := commands[name].get(option), str):
                commands[name] = {**commands[name], option: str(path.parent / given)}
    return Defaults(
        path=path,
        server=_kind(path, table, "server", str, "an address in quotes"),
        dest=_path(path, table, "dest"),
        local_catalog=_path(path, table, "local-catalog", expected="a file in quotes"),
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
    written = [str(criterion) for criterion in criteria]
    if _kind(path, table, "observations", bool, "true or false", where):
        search = Search.observations(name, written, cone)
    else:
        instrument = _kind(path, table, "instrument", str, "a name like niriss", where)
        if instrument is None:
            raise BadSettings(f'{path}: {where} needs instrument = "niriss" or the like, or observations = true')
        if cone is not None:
            raise BadSettings(f"{path}: {where} has a cone, which only a search with observations = true knows")
        search = Search.parse(name, instrument, written)
    return DeclaredSearch(search, _path(path, table, "dest", where))


def _kind(path: Path, table: Mapping[str, Any], key: str, kind: type, expected: str, where: str = "its top") -> Any:
    value = table.get(key)
    if value is not None and not isinstance(value, kind):
        raise BadSettings(f"{path}: {key} in {where} must be {expected}, not {value!r}")
    return value


def _path(
    path: Path, table: Mapping[str, Any], key: str, where: str = "its top", expected: str = "a folder in quotes"
) -> Path | None:
    """Return a path that the file names, which is relative to the file."""
    value = _kind(path, table, key, str, expected, where)
    if value is not None and ("\0" in value or (not value and key != "dest")):
        raise BadSettings(f"{path}: {key} in {where} must be {expected}, not {value!r}")
    return None if value is None else path.parent / os.path.expanduser(value)  # noqa: PTH111 (an unknown user stays a name)
