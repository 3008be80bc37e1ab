"""How names and values get into SQL: bound, or through `catalog.store.sql`, and in no other way."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.store.sql import literal, quoted

ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    path
    for room in ("catalog", "cli", "migrations")
    for path in (ROOT / room).rglob("*.py")
    if "simulator" not in path.parts
)
"""The built-in archive is left out: all that it makes SQL of is its own."""
SQL = re.compile(
    r"\b(SELECT|FROM|WHERE|INSERT INTO|UPDATE|DELETE FROM|CREATE|ALTER|DROP|COMMENT ON|CASE WHEN|THEN|END AS"
    r"|IS (NOT )?DISTINCT FROM|IS NOT NULL|COPY|ATTACH|SET|UNION|JOIN|ORDER BY|GROUP BY|CAST|TRY_CAST)\b|::[A-Z]+"
)
VALUE = "\0"
"""Stands for whatever an expression puts into a text."""
CONSTANT = re.compile(r"_?[A-Z][A-Z0-9_]*")


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield every text that is put together from pieces, with `VALUE` for those pieces that are no constants."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.JoinedStr | ast.BinOp | ast.Call)
            and (text := written(node)) is not None
            and VALUE in text
        ):
            yield node.lineno, text


def written(node: ast.AST) -> str | None:
    """Return the text that an expression makes; None for what makes no text."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr():
            return "".join(written(one) or VALUE for one in node.values)
        case ast.FormattedValue(value=ast.Name(id=name)) if CONSTANT.fullmatch(name):
            return "1"
        case ast.BinOp(op=ast.Add()):
            left, right = written(node.left), written(node.right)
            return None if left is None and right is None else (left or VALUE) + (right or VALUE)
        case ast.BinOp(op=ast.Mod(), left=template) | ast.Call(func=ast.Attribute(attr="format", value=template)):
            found = written(template)
            return None if found is None else re.sub(r"%[sdr]|\{\w*\}", VALUE, found)
    return None


def between_quotes(text: str) -> bool:
    """Say whether a value stands between quotes in SQL."""
    quote = ""
    for character in text:
        if quote and character == VALUE:
            return True
        if character == quote:
            quote = ""
        elif not quote and character in "'\"":
            quote = character
    return False


def quoting_by_themselves(source: str) -> list[int]:
    """Return the lines on which SQL is made with a value between quotes."""
    found = texts(ast.parse(source))
    return [line for line, text in found if SQL.search(text.replace(VALUE, " ")) and between_quotes(text)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_statement_puts_a_value_between_quotes_by_itself(path: Path) -> None:
    if path.name == "sql.py":
        return
    assert quoting_by_themselves(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        """f'SELECT "{c}" FROM t'""",
        """f"CASE WHEN a THEN '{c}' END" """,
        """' OR o."' + c + '" IS DISTINCT FROM v.x'""",
        """"SELECT '{}' FROM t".format(c)""",
        """"SELECT '%s' FROM t" % c""",
        """f"COMMENT ON VIEW v IS 'the {c}'" """,
    ],
)
def test_each_way_of_quoting_by_oneself_is_found(source: str) -> None:
    assert quoting_by_themselves(source) == [1]


@pytest.mark.parametrize(
    "source", ["""f"no file named '{name}'" """, """f"SELECT {quoted(c)} FROM t WHERE a = 'b'" """]
)
def test_messages_and_quoted_names_are_not(source: str) -> None:
    assert quoting_by_themselves(source) == []


@pytest.mark.long
@given(st.text())
def test_any_text_comes_back_from_sql_as_it_is(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    with duckdb.connect() as connection:
        assert connection.execute(f"SELECT {literal(text)}").fetchone() == (text,)


@pytest.mark.long
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_any_name_without_a_null_character_is_a_name_in_sql(name: str) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE t ({quoted(name)} INTEGER)")
        assert connection.execute("DESCRIBE t").fetchall()[0][0] == name


def test_a_null_character_in_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="null character"):
        quoted("a\0b")
