"""The address of a find page as a choice of files, and the addresses of related pages."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from catalog.api.choices import DISK, FACETS, Choice, Criteria, Table, checked_facet, criterion
from catalog.errors import BadValue

SHOWN = ("targname", "exp_type", "filter", "pupil", "date_obs", "program", "productLevel", "file_size")
_NAMED = ("target", "pi", "cone", "footprint", "since", "until", "release")
_RANGES = {"ra": "targ_ra", "dec": "targ_dec"}
_OVER_ZERO = re.compile(r"\s*(\d+\.?\d*)\s*\.\.\s*(\d+\.?\d*)\s*", re.ASCII)
_PICKED = {name: f"f_{name}" for name in (*FACETS, DISK)}
_MOST = 64
"""How many parameters of one address are read."""
_LONGEST = 1000
PAGES = (25, 50, 100, 250)


def _ranges(named: Mapping[str, str]) -> tuple[str, ...]:
    """Return the ranges on the sky as criteria. One of right ascension that goes down goes over 0: 350..10."""
    ranges = {name: named[name] for name in _RANGES if name in named}
    if over := _OVER_ZERO.fullmatch(ranges.get("ra", "")):
        low, high = over.groups()
        if float(low) > float(high):
            ranges["ra"] = f"{low}..360,0..{high}"
    return tuple(f"{_RANGES[name]}={text}" for name, text in ranges.items())


@dataclass(frozen=True)
class State:
    """The state of a find page; all of it is in the address.

    Attributes
    ----------
    named : dict
        Criteria by their names on the command line.
    written : tuple of str
        Criteria ``keyword=value``.
    picked : dict
        Picked values by facet.
    columns : tuple of str
        The columns that the table shows beside ``filename``.
    sort, after : str
        As in the address: the column, with a ``-`` before it if the greatest value comes first; and the key of a page.
    limit : int
        The number of rows of a page.
    """

    named: dict[str, str] = field(default_factory=dict)
    written: tuple[str, ...] = ()
    picked: dict[str, tuple[str, ...]] = field(default_factory=dict)
    columns: tuple[str, ...] = SHOWN
    sort: str = "date_obs_mjd"
    after: str = ""
    limit: int = 50

    @property
    def choice(self) -> Choice:
        """The choice of files that the state means."""
        return self._choice(self.named)

    def choice_without(self, *names: str) -> Choice:
        """The choice without some of the named criteria."""
        return self._choice({name: text for name, text in self.named.items() if name not in names})

    def _choice(self, named: dict[str, str]) -> Choice:
        ranges = _ranges(named)
        plain = {name: text for name, text in named.items() if name in _NAMED}
        return Choice(Criteria((*self.written, *ranges), **plain), tuple(self.picked.items()))

    @property
    def table(self) -> Table:
        """The columns and the order of the table."""
        return Table(self.columns, self.sort.lstrip("-"), self.sort.startswith("-"), _key(self.after), self.limit)

    def pairs(self) -> list[tuple[str, str]]:
        """The parameters of the address."""
        pairs = list(self.named.items()) + [("k", text) for text in self.written]
        pairs += [(_PICKED[name], value) for name, values in self.picked.items() for value in values]
        usual = State()
        pairs += [("columns", ",".join(self.columns))] if self.columns != usual.columns else []
        pairs += [("sort", self.sort)] if self.sort != usual.sort else []
        pairs += [("after", self.after)] if self.after else []
        return pairs + ([("n", str(self.limit))] if self.limit != usual.limit else [])

    def address(self, path: str = "/find", **other: Any) -> str:
        """Return the address of this state with some parts changed; it leads to the first page."""
        parts = {"named": self.named, "written": self.written, "picked": self.picked, "columns": self.columns}
        state = State(**{**parts, "sort": self.sort, "limit": self.limit, "after": "", **other})
        query = urlencode(state.pairs(), errors="replace")
        return f"{path}?{query}" if query else path

    def toggled(self, facet: str, value: str) -> str:
        """Return the address with one value of a facet picked, or no longer picked."""
        values = self.picked.get(facet, ())
        now = tuple(each for each in values if each != value) if value in values else (*values, value)
        return self.address(
            picked={**{n: v for n, v in self.picked.items() if n != facet}, **({facet: now} if now else {})}
        )

    def without(self, name: str) -> str:
        """Return the address without one of the named criteria."""
        return self.address(named={other: text for other, text in self.named.items() if other != name})

    def without_written(self, text: str) -> str:
        """Return the address without one of the written criteria."""
        return self.address(written=tuple(other for other in self.written if other != text))

    def told(self) -> list[dict[str, str]]:
        """Return each criterion with the address that leaves it out."""
        criteria = [{"name": name, "value": text, "without": self.without(name)} for name, text in self.named.items()]
        for text in self.written:
            name, _, value = text.partition("=")
            criteria.append({"name": name, "value": value, "without": self.without_written(text)})
        for name, values in self.picked.items():
            for picked_value in values:
                criteria.append(
                    {"name": name, "value": picked_value or "none", "without": self.toggled(name, picked_value)}
                )
        return criteria

    def _criteria(self) -> list[str]:
        """Return the criteria that the command line and Python take after ``-k``."""
        criteria = [*self.written, *_ranges(self.named)]
        for name, values in self.picked.items():
            if name in FACETS and name not in ("instrument",) and all(values):
                criteria.append(criterion(FACETS[name], list(values)))
        return criteria

    def _named_options(self) -> dict[str, str]:
        named = {name: text for name, text in self.named.items() if name in _NAMED}
        return named | ({"instrument": ",".join(self.picked["instrument"])} if self.picked.get("instrument") else {})

    @property
    def is_typed(self) -> bool:
        """Whether the command line has options for all of it; it has none for the state on disk and for 'no value'."""
        return DISK not in self.picked and all(all(values) for values in self.picked.values())

    def command(self) -> str:
        """Return the command for the same files."""
        words = ["mastlake", "find"]
        for text in self._criteria():
            words += ["-k", text]
        for name, text in self._named_options().items():
            words += [f"--{name}", text]
        return shlex.join(words)

    def python(self) -> str:
        """Return the Python code for the same files."""
        given = [repr(text) for text in self._criteria()]
        given += [f"{name}={text!r}" for name, text in self._named_options().items()]
        return (
            f"from mastlake import Catalog\n\nwith Catalog.open() as lake:\n    found = lake.find({', '.join(given)})"
        )


def read_state(parameters: Iterable[tuple[str, str]]) -> State:
    """Read the parameters of an address; parameters that mean nothing here are ignored.

    Raises
    ------
    BadValue
        If there are too many parameters, or one cannot be understood.
    """
    pairs = [(name, value) for name, value in parameters if value or name.startswith("f_")]
    if len(pairs) > _MOST or any(len(value) > _LONGEST for _, value in pairs):
        raise BadValue(f"an address has at most {_MOST} criteria of {_LONGEST} characters")
    if any("\0" in value for _, value in pairs):
        raise BadValue("an address holds no NUL characters")
    last = dict(pairs)
    by_parameter = {parameter: name for name, parameter in _PICKED.items()}
    picked: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        if name in by_parameter:
            facet = checked_facet(by_parameter[name])
            picked[facet] = tuple(dict.fromkeys((*picked.get(facet, ()), value)))
    written = tuple(dict.fromkeys(value for name, value in pairs if name == "k"))
    if program := last.get("program"):
        written = (*written, f"program={program}")
    columns = tuple(dict.fromkeys(word for word in last.get("columns", "").split(",") if word))[:30]
    limit = last.get("n", "50")
    return State(
        named={name: last[name].strip() for name in (*_NAMED, *_RANGES) if last.get(name, "").strip()},
        written=written,
        picked=picked,
        columns=columns or SHOWN,
        sort=last.get("sort", "date_obs_mjd"),
        after=last.get("after", ""),
        limit=int(limit) if limit in map(str, PAGES) else 50,
    )


def key_text(after: tuple[str | None, str] | None) -> str:
    """Write the key of a page as text for its address."""
    return json.dumps(after) if after else ""


def _key(text: str) -> tuple[str | None, str] | None:
    if not text:
        return None
    try:
        decoded = json.loads(text)
    except (ValueError, RecursionError):
        decoded = None
    match decoded:
        case [str() | None as value, str() as filename]:
            return value, filename
    raise BadValue("this address holds no key of a page; begin with the first")
