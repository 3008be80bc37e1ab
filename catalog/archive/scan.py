r"""Cut JSON into the texts of its parts, if a strict reader cannot read it.

If one value of an answer is no JSON (``NaN``, a text that is not UTF-8, a line break within a text), thousands of other
rows are still right. So objects and lists are cut at their brackets and commas, and each value stays the text that
came. Nesting needs no stack: a value is skipped by counting its brackets.

`decoded_body` turns bytes that are no UTF-8 into lone surrogates. `valid_unicode` writes these as ``\xff``, which in
JSON is no escape sequence, so it cannot be mistaken for another text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # surrogates that stand for no byte
_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_SCALAR = re.compile(r'[^ \t\r\n,:{}\[\]"]+')
_MEMBER = re.compile(
    r'[ \t\r\n]*("[^"\\]*(?:\\.[^"\\]*)*")[ \t\r\n]*:[ \t\r\n]*'
    r'("[^"\\]*(?:\\.[^"\\]*)*"|[^ \t\r\n,:{}\[\]"]+)[ \t\r\n]*([,}])',
    re.DOTALL,
)
_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]', re.DOTALL)


class NotJson(Exception):
    """The text has no end, or something else where a value, a comma or a bracket should be."""


def decoded_body(body: bytes) -> str:
    """Decode a body, without a byte order mark; no byte is lost."""
    return body.removeprefix(b"\xef\xbb\xbf").decode(errors="surrogateescape")


def valid_unicode(text: str) -> str:
    r"""Return the text as valid Unicode: bytes that were not UTF-8 as ``\xff``, other lone surrogates as ``\ud800``.

    Examples
    --------
    >>> valid_unicode(decoded_body(b'"\xffa"'))
    '"\\xffa"'
    >>> valid_unicode("a\ud800")
    'a\\ud800'
    """
    if text.isascii():
        return text
    spelled = _NO_BYTE.sub(lambda surrogate: f"\\u{ord(surrogate[0]):04x}", text)
    return spelled.encode(errors="surrogateescape").decode(errors="backslashreplace")


def object_members(text: str, start: int = 0) -> Iterator[tuple[str, str]]:
    """Yield name and text of each member of an object; only space may follow the object.

    Raises
    ------
    NotJson
        If the object is not whole.
    """
    at = _after_bracket(text, start, "{")
    if _after_space(text, at) == "}":
        return _require_end(text, _space(text, at) + 1)
    while True:
        simple = _MEMBER.match(text, at)
        if simple:
            token, value, ending = simple.groups()
            at = simple.end()
        else:
            token, value, at = _member(text, at)
            ending = text[at - 1]
        yield text_of(token) if "\\" in token else token[1:-1], value
        if ending == "}":
            return _require_end(text, at)


def _member(text: str, at: int) -> tuple[str, str, int]:
    """Return name and value of a member that the simple pattern does not match, and the position after its end."""
    at = _space(text, at)
    name = _STRING.match(text, at)
    if name is None:
        raise NotJson("a member has no name")
    at = _space(text, name.end())
    if text[at : at + 1] != ":":
        raise NotJson("a member has no value")
    first, end = _value(text, at + 1)
    at = _space(text, end)
    if text[at : at + 1] not in (",", "}"):
        raise NotJson("a comma is missing")
    return name[0], text[first:end], at + 1


def list_elements(text: str, start: int = 0) -> Iterator[str]:
    """Yield the text of each element of a list; only space may follow the list.

    Raises
    ------
    NotJson
        If the list is not whole.
    """
    at = _after_bracket(text, start, "[")
    if _after_space(text, at) == "]":
        return _require_end(text, _space(text, at) + 1)
    while True:
        first, end = _value(text, at)
        yield text[first:end]
        at = _space(text, end)
        if text[at : at + 1] == "]":
            return _require_end(text, at + 1)
        if text[at : at + 1] != ",":
            raise NotJson("a comma is missing")
        at += 1


def text_of(token: str) -> str:
    """Return the text that a JSON string stands for; line breaks and bytes that are no UTF-8 are allowed in it.

    Raises
    ------
    NotJson
        If an escape sequence is wrong.
    """
    if "\\" not in token:
        return token[1:-1]
    try:
        return str(json.loads(token, strict=False))
    except ValueError as error:
        raise NotJson("a text has an invalid escape sequence") from error


def _space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _after_space(text: str, at: int) -> str:
    at = _space(text, at)
    return text[at : at + 1]


def _after_bracket(text: str, start: int, bracket: str) -> int:
    at = _space(text, start)
    if text[at : at + 1] != bracket:
        raise NotJson(f"{bracket} is missing")
    return at + 1


def _require_end(text: str, at: int) -> None:
    if _space(text, at) != len(text):
        raise NotJson("something follows the end")


def _value(text: str, at: int) -> tuple[int, int]:
    """Return where the next value begins and ends."""
    at = _space(text, at)
    token = _STRING.match(text, at) or _SCALAR.match(text, at)
    if token:
        return at, token.end()
    if text[at : at + 1] not in ("{", "["):
        raise NotJson("a value is missing")
    depth = 0
    for bracket in _BRACKET.finditer(text, at):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(bracket[0], 0)
        if not depth:
            return at, bracket.end()
    raise NotJson("a bracket is never closed")
