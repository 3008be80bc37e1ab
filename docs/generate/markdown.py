"""Tables in Markdown, whose cells are texts that may hold anything."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; its cells are Markdown already, but for pipes and line breaks."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines) + "\n"


def plain(text: str) -> str:
    """Return a text so that Markdown shows it as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|$~])", r"\\\1", text)


def code(text: str) -> str:
    """Return a text as code; nothing for no text."""
    return f"`{text}`" if text else ""


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"(?<!\\)\|", r"\\|", text)).strip()
