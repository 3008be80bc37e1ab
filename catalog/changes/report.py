"""Changes as a page to read or to mail: text, Markdown or HTML.

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
    from xml.etree.ElementTree import Element  # a page on the terminal does not need it

LINES = 15
"""How many lines there are for one kind of thing; further groups are counted together."""
ROWS = 100
"""How many rows the table at the end of a report has."""

_HEADINGS = {"file": "Files", "product": "Other products", "observation": "Observations"}


@dataclass(frozen=True)
class Section:
    """A heading and the lines below it."""

    heading: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """The contents of a report, before they have a form. Names and values in it come from outside.

    Attributes
    ----------
    title, summary : str
        The first two lines.
    sections : tuple of Section
        One for each kind of thing.
    rows : tuple of (str, str, str)
        The kind of change, the changed row, and the old and new values.
    more : int
        How many rows the page leaves out.
    hint : str
        How to see these rows.
    """

    title: str
    summary: str
    sections: tuple[Section, ...]
    rows: tuple[tuple[str, str, str], ...] = ()
    more: int = 0
    hint: str = ""


def sections(changes: Changes) -> Iterator[Section]:
    """Put the lines of changes under headings, and only count the lines that a page has no room for."""
    all_lines = changes.lines()
    for what, heading in _HEADINGS.items():
        lines = [line for line in all_lines if line.what == what]
        texts = [line.text for line in lines[:LINES]]
        if left := lines[LINES:]:
            texts.append(f"{sum(line.count for line in left):,} more in {plural(len(left), 'other group')}")
        if texts:
            yield Section(heading, tuple(texts))
    if changes.again:
        texts = [
            f"{output.filename}: {plural(len(output.inputs), 'input')} stale"
            + (", and a sync renews the file itself" if output.listed else "")
            for output in changes.again[:LINES]
        ]
        if left_out := len(changes.again) - LINES:
            texts += [f"{left_out:,} more"] if left_out > 0 else []
        yield Section("Reduce these again, because inputs on this disk are stale", tuple(texts))


def report_of(reported: Changes, title: str, failures: Sequence[str] = ()) -> Report:
    """Make the page of a report.

    Parameters
    ----------
    reported : Changes
        The changes to report.
    title : str
        The first line of the report.
    failures : sequence of str
        The failures; they come first.
    """
    parts = [Section("Could not be done", tuple(failures))] if failures else []
    parts += sections(reported) if reported else [Section("Nothing changed", ())]
    total = sum(group.count for group in reported.groups)
    rows = (
        tuple((f"{change.what} {change.kind}", change.key, change.told_values()) for change in islice(reported, ROWS))
        if total
        else ()
    )
    hint = f"mastlake changes -v --since {reported.since}"
    return Report(title, reported.summary(), tuple(parts), rows, max(0, total - len(rows)), hint)


def as_text(made: Report) -> str:
    """Write a report as plain text."""
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
    """Write a report as Markdown (CommonMark, with GitHub's tables)."""
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
    """Escape text so that Markdown shows it as it is, even if it contains HTML."""
    text = harmless(text).replace("&", "&amp;").replace("<", "&lt;").replace("->", "→").replace(">", "&gt;")
    text = re.sub(r"([\\`*\[\]|~#!])", r"\\\1", text)
    text = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)
    text = re.sub(r"(?i)\b(https?|ftp|mailto)(:)|(www)(\.)", r"\1\3&#8203;\2\4", text)  # makes no link of a text
    return re.sub(r"^(\d+)([.)])", r"\1\\\2", re.sub(r"^([-+])", r"\\\1", text))


_CSS = (
    "body{font-family:sans-serif;max-width:60em;margin:1em auto;padding:0 1em;color:#222}"
    "h1{font-size:1.3em}h2{font-size:1.05em;margin-bottom:.3em}ul{margin-top:.3em}"
    "table{border-collapse:collapse;font-size:.85em}td,th{border-bottom:1px solid #ccc;padding:.2em .6em;"
    "text-align:left;vertical-align:top;overflow-wrap:anywhere}"
)


def as_html(made: Report) -> str:
    """Write a report as HTML that loads nothing, so that it can be mailed."""
    from xml.etree import ElementTree

    html = ElementTree.Element("html", lang="en")
    head, body = ElementTree.SubElement(html, "head"), ElementTree.SubElement(html, "body")
    ElementTree.SubElement(head, "meta", charset="utf-8")
    _put(head, "title", made.title)
    ElementTree.SubElement(head, "style").text = _CSS  # it is not escaped, and has no text from outside
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
    """Refuse the path of a report whose ending stands for no form.

    Raises
    ------
    UsageError
        The error names all endings.
    """
    if path.suffix.lower() not in _FORMS:
        raise UsageError(f"--report {path.name!r}: its ending says the form, and must be .txt, .md or .html")


def write_report(path: Path, made: Report) -> None:
    """Write a report in the form that the path's ending stands for, whole or not at all.

    Raises
    ------
    UsageError
        If the ending stands for no form.
    DiskError
        If the file cannot be written.
    """
    check_ending(path)
    text = _FORMS[path.suffix.lower()](made)
    from catalog.atomic_file import put_in_place

    with put_in_place(path) as sink:
        sink.write(text.encode())
