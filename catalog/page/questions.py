"""The SQL page, sealed like ``mastlake sql``; completion for it; and exports of a choice of files."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from typing import IO, Any

import msgspec
from starlette.responses import Response, StreamingResponse

from catalog.answers.formats import FORMATS, write
from catalog.errors import MastlakeError, UsageError
from catalog.page.answer import Asked, Page, WayBack, in_python, json_ready
from catalog.page.criteria import read_state
from catalog.page.missing import NoSuchPage

_USUAL, _MOST = 200, 5000
_IN_MEMORY = 8 << 20
_PIECE = 1 << 16
_EXAMPLE = "SELECT targname, exp_type, count(*) AS files\nFROM files\nGROUP BY ALL\nORDER BY files DESC"
_TYPES = {"csv": "text/csv", "json": "application/json", "jsonl": "application/x-ndjson",
          "parquet": "application/vnd.apache.parquet", "votable": "application/x-votable+xml",
          "ecsv": "text/plain"}  # fmt: skip
_ENDINGS = {"votable": "vot"}


def sql_page(asked: Asked) -> Page:
    """Make the SQL page, with the answer to the statement in the address."""
    statement = asked.parameter("sql").strip()
    limit = asked.number("limit", _USUAL, 1, _MOST)
    facts: dict[str, Any] = {"sql": statement, "limit": limit, "columns": [], "rows": [], "more": False, "error": None}
    status = 200
    if statement:
        try:
            with asked.lake.ask(statement).stream(limit + 1) as batches:
                rows = json_ready(_rows(batches))
                facts |= {"columns": batches.schema.names, "rows": rows[:limit], "more": len(rows) > limit}
        except MastlakeError as error:
            facts["error"], status = str(error), 400 if isinstance(error, UsageError) else 503
    way = WayBack(_command(statement), "", in_python(f"found = lake.sql({statement!r})")) if statement else WayBack()
    drawn = {"example": _EXAMPLE, "seconds": asked.seconds, "forms": FORMATS, "most": _MOST}
    return Page("sql.html", "SQL", facts, way, drawn, status)


def _rows(batches: Any) -> list[list[Any]]:
    """Return rows as lists, since names of columns may be repeated."""
    from catalog.answers.portable_columns import jsonable, portable_columns, python_values, small

    rows: list[list[Any]] = []
    for batch in small(portable_columns(batches, "objects")):
        columns = [python_values(column, "lossy") for column in batch.columns]
        rows += [[jsonable(value) for value in values] for values in zip(*columns, strict=True)]
    return rows


def _command(statement: str) -> str:
    import shlex

    return f"mastlake sql {shlex.quote(statement)}"


def export(asked: Asked) -> Response:
    """Answer with the chosen files, or the rows of a statement, in a format of another tool."""
    form = str(asked.request.path_params["form"])
    statement = asked.parameter("sql").strip()
    if form not in (*FORMATS, "uris", "script"):
        raise NoSuchPage(f"there is no format {form}; there are {', '.join((*FORMATS, 'uris', 'script'))}")
    if not statement:
        statement = asked.lake.chosen_sql(read_state(asked.request.query_params.multi_items()).choice)
    if form == "script":
        text = asked.lake.script(sql=statement)
        return _download(iter([text.encode()]), "mastlake.sh", "text/x-shellscript")
    if form == "uris":
        statement = f"SELECT data_uri FROM ({statement}) WHERE data_uri IS NOT NULL"
    sink: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed after it was sent
    try:
        with asked.lake.stream(statement) as rows:
            if form == "uris":
                for batch in rows:
                    sink.writelines(f"{uri}\n".encode() for uri in batch.column(0).to_pylist() if "\n" not in str(uri))
            else:
                write(rows, form, sink)  # type: ignore[arg-type]
    except BaseException:
        sink.close()
        raise
    sink.seek(0)
    name = "mastlake-uris.txt" if form == "uris" else f"mastlake.{_ENDINGS.get(form, form)}"
    return _download(_pieces(sink), name, _TYPES.get(form, "text/plain"))


def _pieces(sink: IO[bytes]) -> Iterator[bytes]:
    with sink:
        while piece := sink.read(_PIECE):
            yield piece


def _download(pieces: Iterator[bytes], name: str, kind: str) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(pieces, media_type=kind, headers=headers)


_WORD = re.compile(r"[A-Za-z_][\w]*$")
_WORDS = ("SELECT", "FROM", "WHERE", "GROUP BY ALL", "ORDER BY", "LIMIT", "COUNT(*)", "JOIN", "USING", "DISTINCT",
          "BETWEEN", "ILIKE", "IS NOT NULL", "DESCRIBE")  # fmt: skip


def completion_answer(asked: Asked) -> Response:
    """Answer with words that begin like the text before the cursor: views, columns, words of SQL."""
    begun = _WORD.search(asked.parameter("text"))
    words: list[dict[str, str]] = []
    if begun is not None:
        names = asked.lake.sql(_NAMES, [begun[0] + "%"]).rows.to_pylist()
        words = [{"word": each["name"], "what": each["what"]} for each in names]
        words += [
            {"word": sql_word, "what": ""} for sql_word in _WORDS if sql_word.lower().startswith(begun[0].lower())
        ]
    body = {"begin": len(asked.parameter("text")) - len(begun[0]) if begun else -1, "words": words[:20]}
    return Response(msgspec.json.encode(body), media_type="application/json")


_NAMES = """
    SELECT DISTINCT name, what FROM (
        SELECT view_name AS name, 'view' AS what FROM duckdb_views() WHERE NOT internal
        UNION ALL SELECT table_name, 'table' FROM duckdb_tables() WHERE NOT internal
        UNION ALL SELECT column_name, 'column of files' FROM (DESCRIBE files)
        UNION ALL SELECT column_name, 'column of products' FROM (DESCRIBE products)
        UNION ALL SELECT column_name, 'column of observations' FROM (DESCRIBE observations)
    ) WHERE name ILIKE ? ORDER BY what = 'table', length(name), name LIMIT 20
"""
