"""The list of laws: what tests hold for all inputs that they can think of, in the words of the tests themselves."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from .markdown import plain

TESTS = Path(__file__).parents[2] / "tests"


def laws() -> str:
    """Return a heading for each module of tests with laws, in the order of their names, and a line for each law."""
    parts = [_of_module(path) for path in sorted(TESTS.rglob("test_*.py"))]
    return "\n".join(part for part in parts if part)


def _of_module(path: Path) -> str:
    module = ast.parse(path.read_text())
    lines = [line for node in module.body for line in _of_node(node)]
    if not lines:
        return ""
    about = plain((ast.get_docstring(module) or "").partition("\n\n")[0].replace("\n", " "))
    where = path.relative_to(TESTS.parent).as_posix()
    return f"## {_title(path)}\n\n{about}\n\n" + "\n".join(lines) + f"\n\n*In `{where}`.*\n"


def _of_node(node: ast.stmt) -> Iterator[str]:
    """Yield a line for each law of a function or a class."""
    if isinstance(node, ast.FunctionDef) and any("given" in _decorators(each) for each in _with_inner(node)):
        yield f"- {_sentence(node.name.removeprefix('test_'))}"
    if isinstance(node, ast.ClassDef):
        if any("StateMachine" in ast.unparse(base) for base in node.bases):
            about = plain((ast.get_docstring(node) or "").partition("\n\n")[0].replace("\n", " "))
            yield f"- {about} Whatever the order:"
            methods = [each for each in node.body if isinstance(each, ast.FunctionDef)]
            held = [each for each in methods if "invariant" in _decorators(each) or _asserts(each)]
            yield from (f"  - {_sentence(each.name)}" for each in held)
        else:
            yield from (line for inner in node.body for line in _of_node(inner))


def _with_inner(function: ast.FunctionDef) -> Iterator[ast.FunctionDef]:
    """Yield a test and the functions inside it: a law that needs fixtures is inside the test that has them."""
    yield from (each for each in ast.walk(function) if isinstance(each, ast.FunctionDef))


def _decorators(function: ast.FunctionDef) -> set[str]:
    calls = [each.func if isinstance(each, ast.Call) else each for each in function.decorator_list]
    return {ast.unparse(call).rpartition(".")[2] for call in calls}


def _asserts(function: ast.FunctionDef) -> bool:
    """Say whether a rule of a state machine proves something, and does not only change something."""
    is_rule = "rule" in _decorators(function)
    return is_rule and any(isinstance(each, ast.Assert) for each in ast.walk(function))


def _title(path: Path) -> str:
    return path.stem.removeprefix("test_").replace("_", " ").capitalize()


def _sentence(name: str) -> str:
    return plain(name.replace("_", " ").capitalize()) + "."
