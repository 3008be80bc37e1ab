"""The command ``mastlake``: its global options, and the list of commands.

Nothing heavy is imported here or at the top of a command's file, so ``mastlake --help`` answers at once.
"""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module
from typing import Annotated, Any, NoReturn, cast

import typer

from catalog._version import __version__
from catalog.api.catalog_base import Server
from catalog.api.places import settings_beside
from catalog.defaults import CATALOG, LOCAL_CATALOG, SERVER
from catalog.errors import MastlakeError, UsageError
from catalog.process import exit as leaving
from catalog.process.unwanted_imports import leave_out
from catalog.text import harmless

from .completion import complete_in_bash, completing, places
from .defaults import find_defaults
from .examples import MAIN, as_written, give_examples
from .options import Settings
from .printing import hush, say

COMMANDS = {
    "demo": "demo", "harvest": "harvest", "searches": "searches", "runs": "searches", "changes": "changes",
    "diff": "changes", "sql": "sql", "find": "find", "products": "products", "sync": "sync", "script": "script",
    "index": "index", "status": "status", "outdated": "outdated", "forget": "forget", "inputs": "inputs",
    "outputs": "outputs", "keywords": "keywords", "plot": "plot", "preview": "preview", "sky": "sky",
    "timeline": "timeline", "serve": "serve", "publish": "publish", "clone": "publish",
    "shared": "shared", "copy": "lakes", "upkeep": "lakes", "login": "login",
    "simulate": "simulate",
}  # fmt: skip
"""Commands in the order of the help, each with its module."""
INTERRUPTED = 130
_WITH_VALUE = ("--catalog", "--server", "--local-catalog")
_FLAGS = ("-v", "-vv", "--verbose", "-q", "-qq", "--quiet")


def _version(given: bool) -> None:
    if given:
        typer.echo(f"mastlake {__version__}")
        raise typer.Exit


def main(
    context: typer.Context,
    catalog: Annotated[
        str,
        typer.Option(
            "--catalog",
            envvar="MASTLAKE_CATALOG",
            metavar="PATH",
            help="The catalog file; the folder, https or s3 address where one is published; or a lake, ducklake:PATH.",
            autocompletion=places,
        ),
    ] = CATALOG,
    server: Annotated[
        str, typer.Option("--server", envvar="MASTLAKE_SERVER", metavar="URL", help="The archive's address.")
    ] = SERVER,
    local_catalog: Annotated[
        str | None,
        typer.Option(
            "--local-catalog",
            envvar="MASTLAKE_LOCAL_CATALOG",
            metavar="PATH",
            help="The file that notes your local files, beside a catalog that others published; by default "
            f"{LOCAL_CATALOG} in this folder.",
        ),
    ] = None,
    verbose: Annotated[int, typer.Option("-v", "--verbose", count=True, help="Say more.")] = 0,
    quiet: Annotated[int, typer.Option("-q", "--quiet", count=True, help="Say less: only errors.")] = 0,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """The options that every command takes."""
    hush(verbose - quiet < 0)
    try:
        context.obj = _settings(context, catalog, server, verbose - quiet, local_catalog)
    except MastlakeError as error:
        context.obj = error  # the command raises it, so that its --help is printed in any case


def _settings(context: typer.Context, catalog: str, server: str, verbosity: int, local_catalog: str | None) -> Settings:
    """Return what was said before the command, completed from ``mastlake.toml``, whose options become defaults.

    Raises
    ------
    MastlakeError
        If the server is no address, or the file cannot be understood.
    """
    said = str(getattr(context.get_parameter_source("server"), "name", "")) != "DEFAULT"
    address = Server(server)
    from_files = find_defaults(settings_beside(catalog), context)
    if from_files is None:
        return Settings(catalog, address, verbosity, local_catalog=local_catalog)
    defaults = from_files.defaults
    if not said and defaults.server is not None:
        address = Server(defaults.server)
    for line in from_files.ignored:
        say(line)
    context.default_map = from_files.options
    return Settings(catalog, address, verbosity, defaults, said or from_files.server_is_users, local_catalog)


def application(*commands: str) -> typer.Typer:
    """Return the command line with the named commands, and those in the same modules; by default, with all commands.

    Importing and describing all commands takes as long as most questions, and a process runs only one.
    """
    made = typer.Typer(
        name="mastlake",
        help="A local, queryable copy of what the JWST archive (MAST) knows, and of what lies on your disk.",
        no_args_is_help=True,
        epilog=as_written(MAIN),
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    made.callback()(main)
    for module in dict.fromkeys(COMMANDS[name] for name in commands or COMMANDS):
        import_module(f".{module}", __package__).register(made)
    give_examples(made)
    return made


def __getattr__(name: str) -> typer.Typer:
    """Make `app`, with all commands, when it is asked for."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = application()
    return cast("typer.Typer", globals()[name])


def _command_to_run(words: list[str]) -> list[str]:
    """Return the command to run, if only global options stand before it.

    Examples
    --------
    >>> _command_to_run(["--catalog", "my.duckdb", "-v", "runs"])
    ['runs']
    >>> _command_to_run(["--help", "runs"]), _command_to_run(["rnus"])
    ([], [])
    """
    rest = iter(words)
    for word in rest:
        if word in COMMANDS:
            return [word]
        if word in _WITH_VALUE:
            next(rest, None)
        elif word not in _FLAGS and not word.startswith(tuple(f"{name}=" for name in _WITH_VALUE)):
            break
    return []


def globals_first(arguments: list[str]) -> list[str]:
    """Move ``--catalog``, ``--server``, ``-v`` and ``-q`` to the front, since they may stand anywhere.

    Examples
    --------
    >>> globals_first(["status", "--catalog", "my.duckdb"])
    ['--catalog', 'my.duckdb', 'status']
    >>> globals_first(["changes", "-v"])
    ['-v', 'changes']
    """
    front: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in _WITH_VALUE:
            front += [word, *([value] if (value := next(words, None)) is not None else [])]
        elif word in _FLAGS or word.startswith(tuple(f"{name}=" for name in _WITH_VALUE)):
            front.append(word)
        else:
            rest.append(word)
    return front + rest


def refuse_empty(words: list[str]) -> None:
    """Refuse an empty value; it comes from a shell variable that is not set, and would mean everything, or this folder.

    Raises
    ------
    UsageError
        The error says after which word the empty value stands.
    """
    if any(word in _EMPTY_IS_ALL for word in words):
        return
    for before, word in zip(["mastlake", *words], words, strict=False):
        if word == "--":
            return
        bare = word.startswith("--") and word.endswith("=")
        if not word or bare:
            after = word.rstrip("=") if bare else before
            raise UsageError(f"the value after {after} is empty; give one, or leave it out")


_EMPTY_IS_ALL = ("keywords", "sql")
"""Commands that have an answer to an empty word."""
_WRONG_USAGE: Any = typer.BadParameter.__mro__[2]
"""The error that typer raises for everything that is wrong on the command line; it has no public name."""


def _tell_usage(error: Any) -> None:
    """Say in one line what is wrong, and where help is; without any words, print the help."""
    text = str(error.format_message())
    if text.startswith("Usage:"):
        sys.stderr.write(f"{text}\n")
        return
    where = getattr(getattr(error, "ctx", None), "command_path", "mastlake")
    parts = [part.strip().rstrip(".") for part in text.splitlines() if part.strip()]
    line = "; ".join([parts[0][:1].lower() + parts[0][1:], *parts[1:]]) if parts else "wrong usage"
    say(f"mastlake: {line}; see {where} --help")


def run(arguments: list[str] | None = None) -> None:
    """Run the command line; a fault that a user can mend is one line and an exit code."""
    if arguments is None:  # the process is ours
        leave_out("pandas")
        leaving.at_once = _leave_at_once
    try:
        words = globals_first(sys.argv[1:] if arguments is None else arguments)
        if completing(os.environ):
            complete_in_bash(lambda: application()(words, prog_name="mastlake"), os.environ)
        refuse_empty(words)
        code = application(*_command_to_run(words))(words, prog_name="mastlake", standalone_mode=False)
        sys.stdout.flush()
        if isinstance(code, int) and code:  # typer returns exit codes like this
            sys.exit(code)
    except MastlakeError as error:
        say(f"mastlake: {error}")
        sys.exit(error.exit_code)
    except _WRONG_USAGE as error:
        _tell_usage(error)
        sys.exit(error.exit_code)
    except typer.Abort:  # the input ended although a person was asked
        say("mastlake: nothing was answered")
        sys.exit(1)
    except BrokenPipeError:  # whatever reads stdout needs no more
        _forget_stdout()
    except OSError as error:
        _tell_of_the_disk(error)
    except (KeyboardInterrupt, SystemExit) as end:  # typer turns the first error into the second
        if isinstance(end, SystemExit) and end.code != INTERRUPTED:
            raise
        say("mastlake: interrupted; what was finished is kept")
        sys.exit(INTERRUPTED)


def _tell_of_the_disk(error: OSError) -> NoReturn:
    """Say in one line what stdout, or a path that somebody chose, is not good for; raise anything else."""
    if error.filename is None and error.errno in _UNWRITTEN:
        _forget_stdout()
        say(f"mastlake: cannot write the answer: {error.strerror}")
    elif error.filename is not None and error.errno in _UNUSABLE:
        say(f"mastlake: cannot use {harmless(os.fsdecode(error.filename))}: {error.strerror}")
    else:
        raise error
    sys.exit(1)


_UNWRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)
"""Errors of a file or a device behind stdout that can take no more."""
_UNUSABLE = (errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP, errno.ENOSPC, errno.EDQUOT)
"""Errors of a path that are faults of the path, and not of this program."""


def _forget_stdout() -> None:
    """Discard what is still to be written to stdout, so that the end of the process does not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _leave_at_once(code: int, reason: str) -> NoReturn:
    """End the process, whatever its other threads are doing."""
    from catalog.atomic_file import remove_unfinished

    remove_unfinished()
    sys.stderr.write(f"mastlake: {reason}\n")
    sys.stderr.flush()
    os._exit(code)
