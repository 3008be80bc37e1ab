"""The prompt of ``mastlake sql``: one question after another, with history, completion and paging."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.lexers import PygmentsLexer
from pygments.lexers.sql import SqlLexer

from catalog.errors import MastlakeError
from catalog.text import plural

from .answer_output import SHOWN, form_of, put_answer
from .printing import harmless_lines, page_table, put_paged, say

if TYPE_CHECKING:
    from catalog.api.catalog import Catalog
    from catalog.api.question import Question

HELP = """\
A question ends with a semicolon, or with an empty line: SELECT count(*) FROM files;
.tables           the views, tables and macros there are, and what they hold
.columns NAME     the columns of one
.save FILE        the last question's whole answer in a file: .csv .json .jsonl .parquet .vot .ecsv
.help             this
.quit             or Ctrl-D
Tab completes names, columns, and values within quotes after a column; the up arrow brings back earlier questions.
"""

_VALUE = re.compile(r"(\w+)\)?\s*(?:=|<>|!=|I?LIKE|IN\s*\([^)]*)\s*'([^']*)$", re.IGNORECASE)
_AFTER_FROM = re.compile(r"(?:\b(?:FROM|JOIN|DESCRIBE|SUMMARIZE|TABLE)|^\.columns)\s+\w*$", re.IGNORECASE)
_OF_TABLE = re.compile(r"(\w+)\.(\w*)$")


class SqlCompleter(Completer):
    """Completes tables after FROM, columns of the named tables, values after a column, and the words of SQL.

    Parameters
    ----------
    lake : Catalog
        Asked once for its tables, columns and functions, and for the values of a column when these are needed.
    """

    def __init__(self, lake: Catalog) -> None:
        self._lake = lake
        self._names = lake.sql_names()
        self._values: dict[str, list[str]] = {}

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """Offer words that fit before the cursor."""
        before = document.text_before_cursor
        if value := _VALUE.search(before):
            yield from _starting(self._values_of(value[1]), value[2])
        elif of_table := _OF_TABLE.search(before):
            yield from _starting(self._names.columns.get(of_table[1].lower(), []), of_table[2])
        else:
            word = document.get_word_before_cursor(pattern=re.compile(r"[\w.]+"))
            if _AFTER_FROM.search(before):
                yield from _starting(sorted(self._names.columns), word)
            elif word:
                named = [name for name in self._names.columns if re.search(rf"\b{re.escape(name)}\b", document.text)]
                columns = {column: None for name in named or ["files"] for column in self._names.columns.get(name, [])}
                yield from _starting([*columns, *self._names.keywords, *self._names.functions], word)

    def _values_of(self, column: str) -> list[str]:
        if column not in self._values:
            try:
                counts = self._lake.keyword_values(column, most=200).values
            except MastlakeError:
                counts = ()
            self._values[column] = [str(value) for value, _ in counts]
        return self._values[column]


def _starting(words: Iterable[str], begun: str) -> Iterator[Completion]:
    for word in words:
        if word.lower().startswith(begun.lower()):
            yield Completion(word, start_position=-len(begun))


def converse(lake: Catalog) -> None:
    """Ask for questions and answer them, until the end of the input.

    Raises
    ------
    CatalogError
        If there is no catalog, or it cannot be read.
    """
    session: PromptSession[str] = PromptSession(
        history=_history(),
        auto_suggest=AutoSuggestFromHistory(),
        completer=SqlCompleter(lake),
        complete_while_typing=False,
        lexer=PygmentsLexer(SqlLexer),
        multiline=True,
        key_bindings=_keys(),
        prompt_continuation=lambda width, number, wrapped: " " * (width - 2) + "> ",
    )
    say(f"{lake.name}, read-only; .help says more")
    last = ""
    while True:
        try:
            text = session.prompt("mastlake> ").strip()
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        if text in (".quit", ".exit", "quit", "exit"):
            return
        try:
            last = _answer(lake, text, last)
        except MastlakeError as error:
            say(f"mastlake: {error}")
        except KeyboardInterrupt:
            say("interrupted")


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        """Send the text if it is a whole question; otherwise begin a new line."""
        buffer = event.current_buffer
        if _is_whole(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n")

    return keys


def _is_whole(text: str) -> bool:
    stripped = text.strip()
    first = stripped.lower()
    return not stripped or stripped.endswith(";") or first.startswith((".", "quit", "exit")) or text.endswith("\n")


def _history() -> History:
    """Keep questions from one day to the next, if there is a place for them."""
    path = Path(typer.get_app_dir("mastlake")) / "sql_history"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(path))


def _answer(lake: Catalog, text: str, last: str) -> str:
    """Answer one question or command, and return the question that is now the last one."""
    command, _, rest = text.partition(" ")
    if not text:
        return last
    if command == ".help":
        typer.echo(HELP, nl=False)
    elif command == ".tables":
        _show(lake.ask_tables())
    elif command == ".columns":
        _show(lake.ask_columns(rest.strip() or "files"))
    elif command == ".save":
        _save(lake, last, rest.strip())
    elif command.startswith("."):
        say(f"no command {command}; .help lists them")
    else:
        _show(lake.ask(text))
        return text
    return last


def _save(lake: Catalog, last: str, name: str) -> None:
    from catalog.errors import UsageError

    if not last:
        raise UsageError("there is no question yet whose answer could be saved")
    if not name:
        raise UsageError(".save takes a file name that ends in .csv, .json, .jsonl, .parquet, .vot or .ecsv")
    put_answer(lake.ask(last), form_of(None, Path(name)), Path(name).expanduser())


def _show(question: Question) -> None:
    columns, rows, more = question.first_rows(SHOWN)
    if columns == ["explain_key", "explain_value"]:
        put_paged(harmless_lines("".join(str(plan) for _, plan in rows)))
        return
    page_table(columns, rows)
    say(plural(len(rows), "row") + (" shown of more; .save FILE writes them all" if more else ""))
