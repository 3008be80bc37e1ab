"""Docstrings of the public API say everything that a caller needs, in numpydoc's sections."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from numpydoc.docscrape import NumpyDocString

import catalog


def callables() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every function of the package, and every method that its own classes define."""
    for name in catalog.__all__:
        thing = getattr(catalog, name)
        if inspect.isclass(thing):
            for member, method in inspect.getmembers(thing, inspect.isroutine):
                if not member.startswith("_") and str(getattr(method, "__module__", "")).startswith("catalog"):
                    yield f"{name}.{member}", method
        elif inspect.isroutine(thing):
            yield name, thing


CALLABLES = dict(callables())


def documented(doc: NumpyDocString) -> set[str]:
    names = [parameter.name for section in ("Parameters", "Other Parameters") for parameter in doc[section]]
    return {name.strip("* ") for each in names for name in each.split(",")}


@pytest.mark.parametrize("name", CALLABLES)
def test_a_docstring_names_each_parameter_the_result_and_an_example(name: str) -> None:
    function = CALLABLES[name]
    doc = NumpyDocString(inspect.getdoc(function) or "")
    signature = inspect.signature(function)
    assert " ".join(doc["Summary"])
    assert documented(doc) == set(signature.parameters) - {"self", "cls"}
    has_result = signature.return_annotation not in (None, "None", inspect.Signature.empty)
    assert bool(doc["Returns"] or doc["Yields"]) == has_result
    assert doc["Examples"]
