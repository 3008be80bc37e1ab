"""From mastlake.toml to defaults of commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from catalog.config.settings import BothFiles, Defaults

_FILENAME = "mastlake.toml"


@dataclass(frozen=True)
class FoundDefaults:
    """What the user's file and the folder's file say together.

    Attributes
    ----------
    defaults : Defaults
        The settings of both files.
    options : dict
        The defaults of each command, by the names of its parameters.
    server_is_users : bool
        False if only the folder's file names the server.
    ignored : tuple of str
        A line for each option of the current command that the folder's file may not set.
    """

    defaults: Defaults
    options: dict[str, dict[str, Any]]
    server_is_users: bool
    ignored: tuple[str, ...]


def find_defaults(catalog: Path, context: typer.Context) -> FoundDefaults | None:
    """Read the user's file and the one beside a catalog; return None if there is neither.

    Raises
    ------
    BadSettings
        If something in a file cannot be understood.
    """
    from catalog.config.trust import user_folder

    if not (catalog.parent / _FILENAME).exists() and not (user_folder() / _FILENAME).exists():
        return None
    from catalog.config.settings import read_both

    files = read_both(catalog)
    parameters = _parameters(files)
    merged = files.merged()
    options = {
        command: {
            parameters[command, option].name: _value(parameters[command, option], value)
            for option, value in given.items()
        }
        for command, given in merged.commands.items()
    }
    return FoundDefaults(merged, options, files.server_is_users, tuple(_ignored(files, context.invoked_subcommand)))


def _ignored(files: BothFiles, current: str | None) -> list[str]:
    return [
        f"mastlake: ignored {option} of [{command}] in {files.folders.path}, which comes with the folder; "
        f"say --{option.replace('_', '-')}, or put it into {files.users.path}"
        for command, option in files.ignored
        if command == current
    ]


def _parameters(files: BothFiles) -> Mapping[tuple[str, str], Any]:
    """Return the parameter of each command and option in the files.

    Raises
    ------
    BadSettings
        If there is no such command or option; the error names the nearest one.
    """
    commands = _all_commands() if files.users.commands or files.folders.commands else {}
    named: dict[tuple[str, str], Any] = {}
    for defaults in (files.users, files.folders):
        for command, options in defaults.commands.items():
            _require(command, list(commands), f"{defaults.path} has a table [{command}], which is no command")
            parameters = {
                _without_dashes(text): parameter for parameter in commands[command].params for text in parameter.opts
            }
            for option in options:
                _require(
                    option, list(parameters), f"{defaults.path}: [{command}] says {option}, which is no option of it"
                )
                named[command, option] = parameters[option]
    return named


def _value(parameter: Any, value: Any) -> Any:
    """Return a value as its parameter takes it: one that takes several values gets a list."""
    takes_several = bool(getattr(parameter, "multiple", False)) or parameter.nargs == -1
    return [value] if takes_several and not isinstance(value, list) else value


def _all_commands() -> dict[str, Any]:
    """Return every command; the process may have only the one that it runs."""
    from .main import application

    return dict(getattr(typer.main.get_command(application()), "commands", {}))


def _without_dashes(option: str) -> str:
    return option.lstrip("-").replace("-", "_")


def _require(word: str, existing: list[str], problem: str) -> None:
    """Raise an error with the nearest existing word, if the word is none of them."""
    from catalog.config.settings import BadSettings
    from catalog.text import nearest

    if word in existing:
        return
    near = nearest(word, existing)
    raise BadSettings(problem + (f"; did you mean {near}?" if near else ""))
