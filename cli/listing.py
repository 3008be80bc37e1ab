"""Lists of Python values that a command prints: on the screen or in any format, with the same options everywhere."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from catalog.text import plural

from .answer_output import form_of
from .printing import json_text, note, put_table

if TYPE_CHECKING:
    import pyarrow as pa
    import typer


@dataclass(frozen=True)
class ListingOptions:
    """What the options of a list ask for.

    Attributes
    ----------
    form : str
        ``table``, ``json``, or another of `catalog.answers.formats.FORMATS`.
    output : Path or None
        The file; None for stdout.
    limit : int or None
        The most rows to return.
    """

    form: str
    output: Path | None
    limit: int | None

    @property
    def is_table(self) -> bool:
        """Whether the list goes to the screen."""
        return self.form == "table"

    @property
    def is_json(self) -> bool:
        """Whether one JSON value is asked for."""
        return self.form == "json"


def listing_options(
    context: typer.Context, form: str | None, output: Path | None, json: bool, limit: int | None = None
) -> ListingOptions:
    """Read the options of a list.

    Raises
    ------
    UsageError
        If the format is unknown, if there are two formats, or for a table in a file.
    """
    return ListingOptions(form_of(form, output, json, context), output, limit)


def put_list(
    asked: ListingOptions,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    objects: Callable[[], Sequence[Mapping[str, Any]]],
    noun: str,
    *,
    names: Sequence[str] = (),
    wrap: Sequence[str] = (),
) -> None:
    """Write a list where it was asked for, and say what was left out.

    Parameters
    ----------
    asked : ListingOptions
        The values of the options.
    columns, rows, wrap
        Those of the table on the screen; see `put_table`.
    objects : callable
        Returns all rows with everything that is known about them, for all other formats.
    noun : str
        The word for one row, in messages.
    names : sequence of str
        The names of the objects' members, in case there are no rows.
    """
    if asked.is_table:
        if rows:
            put_table(columns, rows[: asked.limit], wrap=wrap)
        tell_cut(asked, len(rows), noun)
        return
    objects_of_rows = objects()
    if asked.is_json:
        put_object(asked, list(objects_of_rows[: asked.limit]))
    elif asked.form == "jsonl":
        _write_lines(asked, objects_of_rows[: asked.limit], noun)
    else:
        _write(asked, _arrow(objects_of_rows[: asked.limit], names), noun)
    tell_cut(asked, len(objects_of_rows), noun)


def put_arrow(asked: ListingOptions, table: pa.Table, noun: str) -> None:
    """Write rows of Arrow where they were asked for, in any format but a table on the screen."""
    from catalog.answers.formats import objects

    rows = table if asked.limit is None else table.slice(0, asked.limit)
    if asked.is_json:
        put_object(asked, list(objects(rows.to_reader())))
    else:
        _write(asked, rows, noun)
    tell_cut(asked, table.num_rows, noun)


def tell_cut(asked: ListingOptions, count: int, noun: str) -> None:
    """Say that there are more rows than were asked for."""
    if asked.limit is not None and count > asked.limit:
        note(f"the first {asked.limit:,} of {plural(count, noun)}; --limit shows more")


def put_object(asked: ListingOptions, value: Any) -> None:
    """Print one JSON value, or write it to the file that was asked for."""
    with text_output(asked) as sink:
        sink.write(json_text(value))
    if asked.output is not None:
        note(f"written to {asked.output}")


@contextmanager
def text_output(asked: ListingOptions) -> Iterator[IO[str]]:
    """Open what was asked for as text: stdout, or a file that is put in place when it is whole."""
    if asked.output is None:
        yield sys.stdout
        return
    from catalog.atomic_file import put_in_place

    with put_in_place(asked.output) as file:
        sink = io.TextIOWrapper(file, encoding="utf-8", newline="\n")
        yield sink
        sink.flush()
        sink.detach()


def _write_lines(asked: ListingOptions, rows: Sequence[Mapping[str, Any]], noun: str) -> None:
    import msgspec

    with text_output(asked) as sink:
        for row in rows:
            sink.write(msgspec.json.encode(row).decode() + "\n")
    if asked.output is not None:
        note(f"{plural(len(rows), noun)} in {asked.output}")


def _write(asked: ListingOptions, rows: pa.Table, noun: str) -> None:
    from catalog.answers.formats import checked_format, write, write_file

    form = checked_format(asked.form)
    reader = rows.to_reader()
    if asked.output is None:
        write(reader, form, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    else:
        count = write_file(reader, form, asked.output)
        note(f"{plural(count, noun)} in {asked.output}")


def _arrow(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> pa.Table:
    """Return rows as Arrow; lists and objects in a cell become JSON, which every format can hold."""
    import pyarrow as pa

    if not rows:
        return pa.table({name: pa.array([], pa.string()) for name in names})
    table = pa.Table.from_pylist([{name: _cell(value) for name, value in row.items()} for row in rows])
    empty = [number for number, field in enumerate(table.schema) if pa.types.is_null(field.type)]
    for number in empty:
        table = table.set_column(number, table.column_names[number], table.column(number).cast(pa.string()))
    return table


def _cell(value: Any) -> Any:
    if not isinstance(value, Mapping | list | tuple):
        return value
    import msgspec

    return msgspec.json.encode(value).decode()
