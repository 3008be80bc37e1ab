"""Macros that call no other macro of the catalog, but only functions of DuckDB.

DuckDB looks for the macros that a macro calls in the current database. So it does not find them where the catalog
is attached to another database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import count

_TEXT = re.compile(r"('(?:[^']|'')*')")
_OPEN, _CLOSE = "([{", ")]}"


def inlined(macros: Mapping[str, str]) -> dict[str, str]:
    """Replace each call of another macro by the definition of that macro.

    Parameters
    ----------
    macros : mapping of str to str
        Expressions by ``name(parameter, ...)``; each calls only those before it. Names that their lambdas bind end
        in ``_``.

    Examples
    --------
    >>> inlined({"twice(x)": "2 * x", "four(y)": "twice(twice(y) + 1)"})["four(y)"]
    '(2 * ((2 * (y)) + 1))'
    """
    expanded: dict[str, tuple[list[str], str]] = {}
    numbers = count(1)
    definitions = {}
    for head, expression in macros.items():
        name, _, parameters = head.removesuffix(")").partition("(")
        definitions[head] = _expanded(expression, expanded, numbers)
        expanded[name] = (
            [parameter.strip() for parameter in parameters.split(",") if parameter.strip()],
            definitions[head],
        )
    return definitions


def _expanded(expression: str, expanded: Mapping[str, tuple[list[str], str]], numbers: Iterator[int]) -> str:
    if not expanded:
        return expression
    call = re.compile(rf"(?<![\w.'])({'|'.join(expanded)})\(")
    while (here := call.search(expression)) is not None:
        arguments, end = _arguments(expression, here.end())
        parameters, body = expanded[here[1]]
        values = {parameter: f"({value})" for parameter, value in zip(parameters, arguments, strict=True)}
        body = _replaced(_with_own_names(body, next(numbers)), values)
        expression = f"{expression[: here.start()]}({body}){expression[end:]}"
    return expression


def _arguments(text: str, start: int) -> tuple[list[str], int]:
    """Return the arguments of a call, which begin at a position, and the position after the call."""
    depth, at, began, arguments = 0, start, start, []
    while depth >= 0:
        if text[at] == "'":
            at = text.index("'", at + 1)
        elif text[at] in _OPEN:
            depth += 1
        elif text[at] in _CLOSE:
            depth -= 1
        if depth < 0 or (depth == 0 and text[at] == ","):
            arguments.append(text[began:at].strip())
            began = at + 1
        at += 1
    return arguments, at


def _with_own_names(body: str, number: int) -> str:
    """Number the variables of lambdas in a copy of a definition, so that copies do not share names."""
    bound = set(re.findall(r"\blambda (\w+_):", body))
    return _replaced(body, {name: f"{name.rstrip('_')}{number}_" for name in bound})


def _replaced(text: str, names: Mapping[str, str]) -> str:
    """Replace names that are not inside quotes and are not fields of a structure."""
    if not names:
        return text
    name = re.compile(rf"(?<![\w.])({'|'.join(map(re.escape, names))})(?![\w(])")
    pieces = _TEXT.split(text)
    return "".join(piece if at % 2 else name.sub(lambda m: names[m[1]], piece) for at, piece in enumerate(pieces))
