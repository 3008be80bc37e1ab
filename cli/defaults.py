"""From mastlake.toml to defaults of commands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from catalog.config.settings import Defaults

_FILENAME = "mastlake.toml"


@dataclass(frozen=True)
class FoundDefaults:
    """What the user's file and the folder's say together.

    Attributes
    ----------
    defaults : Defaults
        Of both.
    options : dict
        Each command's defaults, by the names of its parameters.
    server : str or None
        The archive's address, where the user's own file names it.
    ignored : tuple of str
        A line for each option of the command at hand that the folder's file may not set.
    """

    defaults: Defaults
    options: dict[str, dict[str, Any]]
    server: str | None
    ignored: tuple[str, ...]


def find_defaults(catalog: Path, context: typer.Context) -> FoundDefaults | None:
    """Read the user's file and the one beside a catalog; None where there is neither.

    Raises
    ------
    BadSettings
        For what is not understood.
    """
    from catalog.config.trust import user_folder

    if not (catalog.parent / _FILENAME).exists() and not (user_folder() / _FILENAME).exists():
        return None
    from catalog.config.settings import read_defaults, read_user_defaults

    users, folders = read_user_defaults(), read_defaults(catalog)
    options, ignored = default_map(users, context), []
    outside: set[Path] = set()
    for command, given in default_map(folders, context).items():
        for parameter, (option, value) in given.items():
            if _is_allowed(folders, option, value):
                options.setdefault(command, {})[parameter] = (option, value)
            elif option == "dest":
                options.setdefault(command, {})[parameter] = (option, value)
                outside.add(Path(str(value)))
            elif command == context.invoked_subcommand:
                ignored.append(
                    f"mastlake: ignored {option} of [{command}] in {folders.path}, which comes with the folder; "
                    f"say --{option.replace('_', '-')}, or put it into {users.path}"
                )
    both = folders.before(users)
    return FoundDefaults(
        replace(both, outside=both.outside | outside),
        {command: {name: value for name, (_, value) in given.items()} for command, given in options.items()},
        users.server,
        tuple(ignored),
    )


def _is_allowed(folders: Defaults, option: str, value: Any) -> bool:
    from catalog.config.trust import may_set

    return may_set(option, value, folders.path.parent)


def default_map(defaults: Defaults, context: typer.Context) -> dict[str, dict[str, tuple[str, Any]]]:
    """Return each command's defaults by the names of its parameters: the option as it is written, and its value.

    Raises
    ------
    BadSettings
        For a command or an option that there is not, with the nearest that there is.
    """
    commands = _all_commands() if defaults.commands else {}
    found: dict[str, dict[str, tuple[str, Any]]] = {}
    for name, options in defaults.commands.items():
        _known(name, list(commands), f"{defaults.path} has a table [{name}], which is no command")
        parameters = {_bare(option): one for one in commands[name].params for option in one.opts}
        found[name] = {}
        for option, value in options.items():
            _known(option, list(parameters), f"{defaults.path}: [{name}] says {option}, which is no option of it")
            one = parameters[option]
            several = bool(getattr(one, "multiple", False)) or one.nargs == -1
            found[name][one.name] = (option, [value] if several and not isinstance(value, list) else value)
    return found


def _all_commands() -> dict[str, Any]:
    """Return every command, of which the process may have only the one that it runs."""
    from .main import application

    return dict(getattr(typer.main.get_command(application()), "commands", {}))


def _bare(option: str) -> str:
    return option.lstrip("-").replace("-", "_")


def _known(word: str, there_are: list[str], wrong: str) -> None:
    from catalog.config.settings import BadSettings
    from catalog.text import nearest

    if word in there_are:
        return
    near = nearest(word, there_are)
    raise BadSettings(wrong + (f"; did you mean {near}?" if near else ""))
