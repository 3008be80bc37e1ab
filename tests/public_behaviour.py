"""What of the public behaviour a run of the tests tried: commands, their options, and the methods of `Catalog`.

The last lines of a whole run say how much of each was tried, and name what was not. Commands that a test starts as
processes of their own are not counted; neither is a method that an abandoned process called.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import typer
from typer.core import TyperCommand

import catalog
from cli.main import COMMANDS, app

KINDS = ("commands", "options of commands", "methods of Catalog")
Tried = set[tuple[str, str]]


def public() -> dict[str, set[str]]:
    """Return the names of each kind that there are."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    options = {
        f"{name} {max(parameter.opts, key=len)}"
        for name, command in commands.items()
        for parameter in command.params
        if parameter.name != "help"
    }
    return {KINDS[0]: set(COMMANDS), KINDS[1]: options, KINDS[2]: {name for name, _ in _methods()}}


def _methods() -> Iterator[tuple[str, Any]]:
    for name, method in inspect.getmembers(catalog.Catalog):
        if not name.startswith("_") and inspect.isroutine(method):
            yield name, inspect.getattr_static(catalog.Catalog, name)


class PublicBehaviour:
    """Notes what the tests of one process try, and prints what all processes tried together."""

    def __init__(self) -> None:
        self.tried: Tried = set()

    def pytest_sessionstart(self) -> None:
        """Note each command and each method as it is run."""
        TyperCommand.invoke = self._noting_command(TyperCommand.invoke)  # type: ignore[method-assign]
        for name, method in _methods():
            if inspect.isfunction(method):
                setattr(catalog.Catalog, name, self._noting_method(name, method))
            elif isinstance(method, classmethod | staticmethod):
                setattr(catalog.Catalog, name, type(method)(self._noting_method(name, method.__func__)))

    def _noting_command(self, invoke: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(invoke)
        def noting(command: TyperCommand, context: typer.Context) -> Any:
            name = str(context.info_name)
            if context.parent is not None and name in COMMANDS:
                self.tried.add((KINDS[0], name))
                for parameter in command.params:
                    source = context.get_parameter_source(str(parameter.name))
                    if source is not None and source.name == "COMMANDLINE":
                        self.tried.add((KINDS[1], f"{name} {max(parameter.opts, key=len)}"))
            return invoke(command, context)

        return noting

    def _noting_method(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def noting(*arguments: Any, **named: Any) -> Any:
            self.tried.add((KINDS[2], name))
            return method(*arguments, **named)

        return noting

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Give the process that started this one what was tried here."""
        if (output := getattr(session.config, "workeroutput", None)) is not None:
            output["tried"] = sorted(self.tried)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what another process tried."""
        self.tried |= {tuple(each) for each in getattr(node, "workeroutput", {}).get("tried", ())}

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print what was tried, and what was left out, where all commands were tried: in a whole run."""
        if sum(kind == KINDS[0] for kind, _ in self.tried) < len(COMMANDS):
            return
        for kind, names in public().items():
            left = sorted(names - {name for which, name in self.tried if which == kind})
            line = f"{kind} tried: {len(names) - len(left)} of {len(names)}"
            terminalreporter.write_line(line + (f"; not tried: {', '.join(left)}" if left else ""))
