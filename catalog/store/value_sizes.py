"""Refuse statements that would make too large a value, as their text shows: DuckDB makes each value in one piece.

DuckDB limits the memory of its tables, but not that of a single value. A call like ``repeat('x', 2000000000)`` goes
beyond the limit, and DuckDB hears no interrupt while it makes the value. So a statement whose constants ask for such a
value is refused before it runs. If only running it shows the size, `catalog.store.work` watches the memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from catalog.store.statements import NotProven

MOST_BYTES = 256 << 20
_NUMBER_BYTES = 8
_LENGTH_AT = {"repeat": 1, "lpad": 1, "rpad": 1, "list_resize": 1, "array_resize": 1, "bitstring": 1}
"""For each function, the position of the argument that gives the length of the value."""
_STEPS = frozenset({"range", "generate_series"})
_PER_ITEM = {"list_resize": _NUMBER_BYTES, "array_resize": _NUMBER_BYTES, "bitstring": 1 / 8}


def refuse_large_values(tree: Any) -> None:
    """Check every call of a statement that has constants as arguments.

    Parameters
    ----------
    tree : object
        The result of `catalog.store.statements.tree_of`.

    Raises
    ------
    NotProven
        If a call makes a value of more than `MOST_BYTES`.
    """
    for call in _calls(tree):
        try:
            size = _size(call)
        except RecursionError:
            raise NotProven("the statement is nested too deeply") from None
        if size > MOST_BYTES:
            raise NotProven(
                f"{call['function_name']}() would make one value of {size:,.0f} bytes, and {MOST_BYTES:,} are the most"
                "; ask for less, or in steps"
            )


def _calls(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield the calls that make a value. A call in the place of a table makes row after row, and is left out."""
    nodes = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, dict):
            if node.get("class") == "FUNCTION":
                yield node
            if node.get("type") == "TABLE_FUNCTION":
                nodes += node["function"]["children"]
            else:
                nodes += node.values()
        elif isinstance(node, list):
            nodes += node


def _size(node: Any) -> float:
    """Return the size in bytes of an expression's value as its constants tell it; 0 if they do not."""
    value = _constant(node)
    if isinstance(value, str):
        return len(value.encode(errors="replace"))
    if not isinstance(node, dict) or node.get("class") != "FUNCTION":
        return 0
    name, arguments = str(node["function_name"]).lower(), node["children"]
    if name in _STEPS:
        return _steps([_number(argument) for argument in arguments]) * _NUMBER_BYTES
    at = _LENGTH_AT.get(name)
    if at is None or len(arguments) <= at:
        return 0
    length = _number(arguments[at]) or 0
    return length * (max(1, _size(arguments[0])) if name == "repeat" else _PER_ITEM.get(name, 1))


def _steps(numbers: list[float | None]) -> float:
    """Return how many numbers a range has; 0 if its ends are not constants."""
    if not numbers or None in numbers:
        return 0
    constants = [number for number in numbers if number is not None]
    start, stop, step = (
        (0, constants[0], 1) if len(constants) == 1 else (constants[0], constants[1], (*constants[2:], 1)[0])
    )
    return max(0, (stop - start) / step) if step else 0


def _number(node: Any) -> float | None:
    """Return the number that a constant is, also after a cast, or as product, sum or difference of constants."""
    value = _constant(node)
    if isinstance(value, int | float):
        return value
    if isinstance(node, dict) and node.get("class") == "CAST":
        return _number(node["child"])
    if isinstance(node, dict) and node.get("class") == "FUNCTION" and len(node["children"]) == 2:
        return _calculated(str(node["function_name"]), *map(_number, node["children"]))
    return None


def _calculated(operator: str, left: float | None, right: float | None) -> float | None:
    if left is None or right is None:
        return None
    try:
        return {"*": left * right, "+": left + right, "-": left - right}.get(operator)
    except OverflowError:
        return None


def _constant(node: Any) -> Any:
    """Return the value of a constant; None for a null and for any other node."""
    if not isinstance(node, dict) or node.get("class") != "CONSTANT":
        return None
    value = node["value"].get("value")
    return None if isinstance(value, bool) or node["value"]["type"]["id"] == "DECIMAL" else value
