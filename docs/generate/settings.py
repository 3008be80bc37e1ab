"""The tables of settings, from the code that reads ``mastlake.toml`` and from the options of the commands."""

from __future__ import annotations

from typing import Any

import typer.main
from catalog.cli.main import COMMANDS, application

from catalog.config.settings import KEYS, KEYS_OF_SEARCH
from catalog.config.trust import MAY_SET, WITHIN

from .markdown import code, plain, table


def settings() -> str:
    """Return a table of the keys at the top, of a search, and of each command."""
    app: Any = typer.main.get_command(application())
    tables = [(name, _options(app.commands[name])) for name in COMMANDS]
    return "\n".join(
        [
            "## At the top\n",
            table(["key", "meaning"], [[code(key), plain(meaning)] for key, meaning in KEYS.items()]),
            "## In `[searches.NAME]`\n",
            table(["key", "meaning"], [[code(key), plain(meaning)] for key, meaning in KEYS_OF_SEARCH.items()]),
            "## In a table of a command's name\n",
            *(_section(name, rows) for name, rows in tables if rows),
        ]
    )


def _section(name: str, rows: list[list[str]]) -> str:
    return f"### [{name}]\n\n" + table(["key", "beside the catalog", "meaning"], rows)


def _options(command: Any) -> list[list[str]]:
    return [
        [code(_key(parameter)), _trusted(_key(parameter)), plain(parameter.help or "")]
        for parameter in command.params
        if parameter.param_type_name == "option" and not getattr(parameter, "hidden", False)
    ]


def _key(option: Any) -> str:
    return str(max(option.opts, key=len)).lstrip("-")


def _trusted(key: str) -> str:
    name = key.replace("-", "_")
    return "within its folder" if name in WITHIN else "yes" if name in MAY_SET else "ignored"
