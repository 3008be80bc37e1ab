"""Errors that DuckDB and Arrow raise about a question, in one line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import duckdb

from catalog.errors import CatalogError, UsageError
from catalog.store.faults import damaged, is_interrupt, reason, removed_rows, rows_removed
from catalog.store.lakes.server_faults import server_fault


class BadQuery(UsageError):
    """The SQL is not one read-only statement, or DuckDB does not understand it."""


@contextmanager
def explained() -> Iterator[None]:
    """Turn DuckDB's errors about a statement into one line; some come through Arrow while rows are read."""
    try:
        yield
    except (duckdb.InterruptException, RuntimeError) as error:
        if not is_interrupt(error):
            raise
        raise KeyboardInterrupt from None  # DuckDB turned it into an error of its own
    except duckdb.OutOfMemoryException as error:
        raise CatalogError("the question needs more memory than it may use; ask for less, or in steps") from error
    except Exception as error:
        if rows_removed(str(error)):
            raise removed_rows("the lake", str(error)) from error
        _explain(error)


def _explain(error: Exception) -> NoReturn:
    if fault := server_fault(error, "the catalog"):
        raise fault from error
    if isinstance(error, duckdb.IOException):
        lost = damaged(error, "the catalog")
        raise lost or CatalogError(f"the answer cannot be worked out: {reason(str(error))}") from error
    if not isinstance(error, (duckdb.Error, *_arrow_errors())):
        raise error
    from catalog.questions.column_hints import meant

    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines_without_place = [line for line in lines if not line.startswith(("LINE ", "^", "CREATE "))]
    raise BadQuery(" ".join(lines_without_place[:3]) + meant(str(error))) from error


def _arrow_errors() -> tuple[type[Exception], ...]:
    """Return the errors of Arrow, if Arrow is imported."""
    return (sys.modules["pyarrow"].ArrowException,) if "pyarrow" in sys.modules else ()
