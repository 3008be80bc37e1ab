"""The table of errors and exit codes, from the classes."""

from __future__ import annotations

import inspect

from mastlake import MastlakeError
from mastlake import errors as module

from .markdown import code, plain, table


def errors() -> str:
    """Return a row for each error that a user can cause or mend, in the order of the module."""
    classes = [one for one in vars(module).values() if inspect.isclass(one) and issubclass(one, MastlakeError)]
    rows = [
        [code(one.__name__), code(one.__bases__[0].__name__), str(one.exit_code), _first_line(one)] for one in classes
    ]
    return table(["error", "is a", "exit code", "meaning"], rows)


def _first_line(error: type[MastlakeError]) -> str:
    return plain(inspect.cleandoc(error.__doc__ or "").partition("\n\n")[0])
