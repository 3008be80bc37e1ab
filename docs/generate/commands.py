"""The page of commands, from the command line's own description of itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer.main
from catalog.cli.examples import EXAMPLES, MAIN, SEE_ALSO
from catalog.cli.main import COMMANDS, application

from .markdown import code, plain, table


def commands() -> str:
    """Return a section for each command: usage, arguments, options and examples."""
    app: Any = typer.main.get_command(application())
    parts = ["## Before every command\n", _parameters(app), f"```text\n{_as_written(MAIN)}\n```\n"]
    return "\n".join([*parts, *(_section(name, app.commands[name]) for name in COMMANDS)])


def _section(name: str, command: Any) -> str:
    text = plain(_as_written(command.help or ""))
    parts = [f"## mastlake {name}\n", text + "\n", _usage(name, command), _parameters(command)]
    if name in EXAMPLES:
        lines = [f"# {why}\n$ {words}" for why, words in EXAMPLES[name]]
        parts.append("```text\n" + "\n".join(lines) + "\n```\n")
    if name in SEE_ALSO:
        others = [f"[{other}](#mastlake-{other})" for other in SEE_ALSO[name].split(", ")]
        parts.append(f"See also {', '.join(others)}.\n")
    return "\n".join(parts)


def _usage(name: str, command: Any) -> str:
    words = [_argument(one) for one in command.params if one.param_type_name == "argument"]
    return f"```text\nmastlake {' '.join([name, *words, '[OPTIONS]'])}\n```\n"


def _argument(parameter: Any) -> str:
    name = str(parameter.metavar or parameter.name.upper())
    return name if parameter.required or name.startswith("[") else f"[{name}]"


def _parameters(command: Any) -> str:
    rows = [_row(parameter) for parameter in command.params if not getattr(parameter, "hidden", False)]
    return table(["", "value", "meaning"], rows) if rows else ""


def _row(parameter: Any) -> list[str]:
    is_argument = parameter.param_type_name == "argument"
    names = [_argument(parameter)] if is_argument else parameter.opts
    value = "" if is_argument or getattr(parameter, "is_flag", False) or parameter.count else _value(parameter)
    meaning = plain(parameter.help or "")
    default = parameter.default
    if isinstance(default, (int, float, str, Path)) and not isinstance(default, bool) and default not in ("", 0):
        meaning += f" Default: `{default}`."
    if getattr(parameter, "envvar", None):
        meaning += f" Environment: `{parameter.envvar}`."
    return [", ".join(map(code, names)), code(value), meaning]


def _value(parameter: Any) -> str:
    """Return what stands after an option: what its author wrote, or the word for its type."""
    kind = str(parameter.type.name)
    words = {"str": "TEXT", "int": "NUMBER", "int range": "NUMBER", "float": "NUMBER"}
    return str(parameter.metavar or words.get(kind.lower(), kind.upper()))


def _as_written(text: str) -> str:
    return re.sub(r"\x08\n?", "", text).strip()
