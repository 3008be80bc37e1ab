"""From mastlake.toml to defaults of commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from catalog.settings import Defaults


def default_map(defaults: Defaults, context: typer.Context) -> dict[str, dict[str, Any]]:
    """Return each command's defaults by the names of its parameters.

    Raises
    ------
    BadSettings
        For a command or an option that there is not, with the nearest that there is.
    """
    commands: dict[str, Any] = getattr(context.command, "commands", {})
    found: dict[str, dict[str, Any]] = {}
    for name, options in defaults.commands.items():
        _known(name, list(commands), f"{defaults.path} has a table [{name}], which is no command")
        parameters = {_bare(option): one for one in commands[name].params for option in one.opts}
        found[name] = {}
        for option, value in options.items():
            _known(option, list(parameters), f"{defaults.path}: [{name}] says {option}, which is no option of it")
            one = parameters[option]
            several = bool(getattr(one, "multiple", False)) or one.nargs == -1
            found[name][one.name] = [value] if several and not isinstance(value, list) else value
    return found


def _bare(option: str) -> str:
    return option.lstrip("-").replace("-", "_")


def _known(word: str, there_are: list[str], wrong: str) -> None:
    from catalog.keywords import nearest
    from catalog.settings import BadSettings

    if word in there_are:
        return
    near = nearest(word, there_are)
    raise BadSettings(wrong + (f"; did you mean {near}?" if near else ""))
