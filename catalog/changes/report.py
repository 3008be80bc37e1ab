"""Changes as a page that can be read at once and mailed: text, Markdown or HTML.

Names of targets, files and values come from outside, so each form escapes them in its own way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.changes import Changes
from catalog.errors import UsageError
from catalog.text import harmless, plural

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element  # a page on the terminal needs none

LINES = 15
"""Lines of one kind of thing; further groups are counted together."""
ROWS = 100
"""Rows in the table at the end of a report."""

_HEADINGS = {"file": "Files", "product": "Other products", "observation": "Observations"}


@dataclass(frozen=True)
class Section:
    """A heading and the lines below it."""

    heading: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """What a report says, before it has a form; it may hold anything that names and values from outside hold.

    Attributes
    ----------
    title, summary : str
        The first two lines.
    sections : tuple of Section
        One for each kind of thing.
    rows : tuple of (str, str, str)
        What was done, to what, and from which to which value.
    more : int
        Rows that the page leaves out.
    hint : str
        How to see these.
    """

    title: str
    summary: str
    sections: tuple[Section, ...]
    rows: tuple[tuple[str, str, str], ...] = ()
    more: int = 0
    hint: str = ""


def sections(found: Changes) -> Iterator[Section]:
    """Put the lines of changes under headings, and count together what is beyond a page."""
    told = found.lines()
    for what, heading in _HEADINGS.items():
        lines = [line for line in told if line.what == what]
        texts = [line.text for line in lines[:LINES]]
        if left := lines[LINES:]:
            texts.append(f"{sum(line.count for line in left):,} more in {plural(len(left), 'other group')}")
        if texts:
            yield Section(heading, tuple(texts))
    if found.again:
        texts = [
            f"{one.filename}: {plural(len(one.inputs), 'input')} stale"
            + (", and a sync renews the file itself" if one.listed else "")
            for one in found.again[:LINES]
        ]
        if left_out := len(found.again) - LINES:
            texts += [f"{left_out:,} more"] if left_out > 0 else []
        yield Section("To be reduced again, because inputs on this disk are stale", tuple(texts))


def report_of(found: Changes, title: str, failures: Sequence[str] = ()) -> Report:
    """Make the page of a report.

    Parameters
    ----------
    found : Changes
        What to tell.
    title : str
        Its first line.
    failures : sequence of str
        What could not be done, which comes first.
    """
    parts = [Section("Could not be done", tuple(failures))] if failures else []
    parts += sections(found) if found else [Section("Nothing changed", ())]
    total = sum(group.count for group in found.groups)
    rows = tuple((f"{one.what} {one.kind}", one.key, one.told_values()) for one in islice(found, ROWS)) if total else ()
    hint = f"mastlake changes -v --since {found.since}"
    return Report(title, found.summary(), tuple(parts), rows, max(0, total - len(rows)), hint)


def as_text(made: Report) -> str:
    """Write a page as plain text."""
    lines = [harmless(made.title), harmless(made.summary)]
    for section in made.sections:
        lines += ["", harmless(section.heading), *(f"  {harmless(line)}" for line in section.lines)]
    if made.rows:
        lines += ["", "One by one"]
        lines += [
            f"  {harmless(done)}: {harmless(name)}" + (f": {harmless(v)}" if v else "") for done, name, v in made.rows
        ]
    if made.more:
        lines += [f"  {made.more:,} more: {made.hint}"]
    return "\n".join(lines) + "\n"


def as_markdown(made: Report) -> str:
    """Write a page as Markdown (CommonMark, with GitHub's tables)."""
    lines = [f"# {_marked(made.title)}", "", _marked(made.summary)]
    for section in made.sections:
        lines += ["", f"## {_marked(section.heading)}", "", *(f"- {_marked(line)}" for line in section.lines)]
    if made.rows:
        lines += ["", "## One by one", "", "| what | name | from -> to |", "|---|---|---|"]
        lines += [f"| {' | '.join(_marked(cell) for cell in row)} |" for row in made.rows]
    if made.more:
        lines += ["", f"{made.more:,} more: `{made.hint}`"]
    return "\n".join(lines) + "\n"


def _marked(text: str) -> str:
    """Escape text so that Markdown shows it as it is, HTML in it included."""
    text = harmless(text).replace("&", "&amp;").replace("<", "&lt;").replace("->", "→").replace(">", "&gt;")
    text = re.sub(r"([\\`*\[\]|~#!])", r"\\\1", text)
    text = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)
    text = re.sub(r"(?i)\b(https?|ftp|mailto)(:)|(www)(\.)", r"\1\3&#8203;\2\4", text)  # no link that nobody meant
    return re.sub(r"^(\d+)([.)])", r"\1\\\2", re.sub(r"^([-+])", r"\\\1", text))


_CSS = (
    "body{font-family:sans-serif;max-width:60em;margin:1em auto;padding:0 1em;color:#222}"
    "h1{font-size:1.3em}h2{font-size:1.05em;margin-bottom:.3em}ul{margin-top:.3em}"
    "table{border-collapse:collapse;font-size:.85em}td,th{border-bottom:1px solid #ccc;padding:.2em .6em;"
    "text-align:left;vertical-align:top;overflow-wrap:anywhere}"
)


def as_html(made: Report) -> str:
    """Write a page as HTML that loads nothing, so that it can be mailed."""
    from xml.etree import ElementTree

    html = ElementTree.Element("html", lang="en")
    head, body = ElementTree.SubElement(html, "head"), ElementTree.SubElement(html, "body")
    ElementTree.SubElement(head, "meta", charset="utf-8")
    _put(head, "title", made.title)
    ElementTree.SubElement(head, "style").text = _CSS  # no text from outside: it is not escaped here
    _put(body, "h1", made.title)
    _put(body, "p", made.summary)
    for section in made.sections:
        _put(body, "h2", section.heading)
        several = ElementTree.SubElement(body, "ul")
        for line in section.lines:
            _put(several, "li", line)
    if made.rows:
        _put(body, "h2", "One by one")
        table = ElementTree.SubElement(body, "table")
        for tag, cells in (("th", ("what", "name", "from -> to")), *(("td", row) for row in made.rows)):
            table_row = ElementTree.SubElement(table, "tr")
            for cell in cells:
                _put(table_row, tag, cell)
    if made.more:
        _put(body, "p", f"{made.more:,} more: {made.hint}")
    return "<!DOCTYPE html>\n" + ElementTree.tostring(html, encoding="unicode", method="html") + "\n"


def _put(parent: Element, tag: str, text: str) -> None:
    from xml.etree import ElementTree

    ElementTree.SubElement(parent, tag).text = harmless(text).replace("->", "→")


_FORMS = {
    ".txt": as_text,
    ".text": as_text,
    ".md": as_markdown,
    ".markdown": as_markdown,
    ".html": as_html,
    ".htm": as_html,
}


def check_ending(path: Path) -> None:
    """Refuse a report whose ending names no form.

    Raises
    ------
    UsageError
        It names the endings that there are.
    """
    if path.suffix.lower() not in _FORMS:
        raise UsageError(f"--report {path.name!r}: its ending says the form, and must be .txt, .md or .html")


def write_report(path: Path, made: Report) -> None:
    """Write a page in the form that the file's ending names, whole or not at all.

    Raises
    ------
    UsageError
        For an ending that names no form.
    DiskError
        If the file cannot be written.
    """
    check_ending(path)
    text = _FORMS[path.suffix.lower()](made)
    from catalog.atomic_file import put_in_place

    with put_in_place(path) as sink:
        sink.write(text.encode())
