"""The envelope of an answer: whether there is one, and what the archive says about the question.

An answer is one JSON object: ``status``, ``msg``, ``data`` (a list of row objects), ``fields`` (name and type of each
column) and ``paging``. The rows stay bytes here. If the envelope is strict JSON, msgspec reads it. Any other envelope
is cut at its brackets (`scan`), so that one value that is no JSON does not lose the others.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from catalog.archive.cells import NOTHING
from catalog.archive.scan import NotJson, decoded_body, list_elements, object_members, text_of, valid_unicode
from catalog.errors import Garbled, QueryTimeout, Refused

_TIMES_OUT = re.compile(r"time[d]?[ -]?out|timeout", re.IGNORECASE)
_MOST_SHOWN = 300  # how many characters of the archive's message one of our lines shows


class Field(msgspec.Struct):
    """The name and the type of one column of an answer."""

    name: str
    type: str = "string"


class Envelope(msgspec.Struct):
    """An answer whose rows are still bytes.

    Attributes
    ----------
    strict : bool
        Whether all of it, also the rows, is strict JSON.
    """

    status: str | None = None
    msg: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"[]")
    fields: list[Field] = []
    paging: dict[str, Any] | None = None
    strict: bool = True


class _AsSent(msgspec.Struct):
    status: str | None = None
    msg: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"[]")
    fields: list[Field] = []
    paging: dict[str, Any] | None = None


def read_envelope(body: bytes) -> Envelope:
    """Read an answer's envelope.

    Raises
    ------
    Garbled
        If the body is not the object of the protocol.
    """
    try:
        sent = msgspec.json.decode(body, type=_AsSent)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _read_loosely(body)
    return Envelope(sent.status, sent.msg, sent.data, sent.fields, sent.paging)


def _read_loosely(body: bytes) -> Envelope:
    try:
        parts = dict(object_members(decoded_body(body)))
    except NotJson:
        if body[:200].lstrip().lower().startswith((b"<!doctype", b"<html")):
            raise Garbled("the archive answered with an HTML page; it may be under maintenance") from None
        raise Garbled(f"the archive's answer is not whole JSON ({len(body):,} bytes)") from None
    return Envelope(
        status=_text(parts.get("status", "null")),
        msg=_text(parts.get("msg", "null")),
        data=msgspec.Raw(parts.get("data", "[]").encode(errors="surrogateescape")),
        fields=_fields(parts.get("fields", "[]")),
        paging=_paging(parts.get("paging", "null")),
        strict=False,
    )


def _text(token: str) -> str | None:
    try:
        if token.startswith('"'):
            return valid_unicode(text_of(token))
    except NotJson:
        pass
    return None if token in NOTHING else valid_unicode(token)


def _fields(token: str) -> list[Field]:
    """Return the fields that have a name; a field without a name describes no column."""
    try:
        described = [
            dict(object_members(token_of_field))
            for token_of_field in list_elements(token)
            if token_of_field.startswith("{")
        ]
    except NotJson:
        raise Garbled("the archive's answer does not say which columns it has") from None
    named = [token_of_field for token_of_field in described if token_of_field.get("name", "").startswith('"')]
    return [
        Field(_text(token_of_field["name"]) or "", _text(token_of_field.get("type", "null")) or "string")
        for token_of_field in named
    ]


def _paging(token: str) -> dict[str, Any] | None:
    if not token.startswith("{"):
        return None
    try:
        return {name: json.loads(value) for name, value in object_members(token)}
    except (NotJson, ValueError, RecursionError):
        return {"rowsFiltered": None}


def completed_envelope(body: bytes | Envelope) -> Envelope:
    """Return an answer's envelope if the archive completed the question.

    Parameters
    ----------
    body : bytes or Envelope
        The answer, or its envelope if that was read already.

    Raises
    ------
    QueryTimeout
        If the archive says that it ran out of time.
    Refused
        If it refuses for another reason.
    Garbled
        See `read_envelope`.
    """
    envelope = body if isinstance(body, Envelope) else read_envelope(body)
    if envelope.status == "COMPLETE":
        return envelope
    reason = " ".join((envelope.msg or "no reason given").split())[:_MOST_SHOWN]
    if _TIMES_OUT.search(reason):
        raise QueryTimeout(f"the archive ran out of time: {reason}")
    raise Refused(f"the archive refused: {reason}")


def total_rows(envelope: Envelope, rows: int) -> int:
    """Return how many rows the question has in all: by the paging of the answer, or else the rows that came.

    Raises
    ------
    Garbled
        If the number in the paging is no number.
    """
    total = (envelope.paging or {}).get("rowsFiltered", rows)
    if isinstance(total, str) and re.fullmatch(r"\d{1,18}", total):
        return int(total)
    if isinstance(total, bool) or not isinstance(total, int) or total < 0:
        raise Garbled("the archive's answer does not say how many rows there are")
    return total


def read_count(body: bytes | Envelope) -> int:
    """Read the answer to ``COUNT_BIG(*)``.

    Raises
    ------
    QueryTimeout, Refused, Garbled
        See `completed_envelope`; also if there is no number.
    """
    envelope = completed_envelope(body)
    try:
        (row,) = list_elements(decoded_body(bytes(envelope.data)))
        ((_, token),) = object_members(row)
        number = text_of(token) if token.startswith('"') else token
        if re.fullmatch(r"\d{1,18}", number):
            return int(number)
    except (NotJson, ValueError):
        pass
    raise Garbled("the archive's answer to a count holds no number")
