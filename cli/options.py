"""Options that several commands share; each is defined once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catalog.api.catalog_base import Server
from catalog.api.places import is_published
from catalog.defaults import LOCAL_CATALOG

from . import completion

if TYPE_CHECKING:
    from catalog.api.catalog import Catalog
    from catalog.api.types import Search
    from catalog.config.settings import Defaults


@dataclass(frozen=True)
class Settings:
    """The global options.

    Attributes
    ----------
    catalog : str
        The catalog file, or the place where a catalog is published.
    server : Server
        The archive's address.
    verbosity : int
        Negative: only errors. 0: what was done. Positive: more.
    defaults : Defaults or None
        The settings of mastlake.toml; None if there is no such file.
    server_is_chosen : bool
        Whether the user named the server, and not only a file that came with a folder.
    local_catalog : str or None
        The file with the local files beside a catalog that others published, as the user said.
    """

    catalog: str
    server: Server
    verbosity: int
    defaults: Defaults | None = None
    server_is_chosen: bool = True
    local_catalog: str | None = None

    def local_beside(self, catalog: str) -> str | os.PathLike[str]:
        """Return the file with the local files beside a published catalog, or the usual one."""
        named = self.local_catalog
        if self.defaults is not None and is_published(catalog):
            return self.defaults.local_file(named) or LOCAL_CATALOG
        return named or LOCAL_CATALOG

    @property
    def declared(self) -> dict[str, Search]:
        """The searches that mastlake.toml describes, by name."""
        return {} if self.defaults is None else {name: search.search for name, search in self.defaults.searches.items()}

    @cached_property
    def lake(self) -> Catalog:
        """The catalog and its archive, as an object of the Python API; one command asks one published catalog."""
        from catalog.api.catalog import Catalog

        from .printing import say
        from .progress import pull_progress

        tell = say if self.verbosity >= 0 else None
        return Catalog.once(
            self.catalog,
            self.server,
            server_is_chosen=self.server_is_chosen,
            tell=tell,
            local=self.local_beside(self.catalog),
            pulled=pull_progress(self.verbosity < 0),
        )


def settings(context: typer.Context) -> Settings:
    """Return the global options that the main callback left."""
    options: Any = context.find_root().obj
    if isinstance(options, Exception):  # mastlake.toml is wrong, which does not matter for --help
        raise options
    assert isinstance(options, Settings)
    dest = context.params.get("dest")
    source = context.get_parameter_source("dest")
    if source is not None and source.name == "DEFAULT_MAP" and dest is not None:
        _not_outside(options, dest)
    return options


def _not_outside(options: Settings, dest: Path) -> None:
    """Refuse a destination that a folder's file may not set."""
    if options.defaults is not None and dest in options.defaults.outside:
        from catalog.config.settings import outside_refused

        raise outside_refused(options.defaults.path, dest)


def destination(context: typer.Context, dest: Path) -> Path:
    """Return the folder for files: the given one, or mastlake.toml's for the named search, or its folder for all."""
    options: Any = context.find_root().obj
    source = context.get_parameter_source("dest")
    if source is None or source.name == "COMMANDLINE" or not isinstance(options, Settings) or options.defaults is None:
        return dest
    own = options.defaults.searches.get(str(context.params.get("name")))
    folder = own.dest if own is not None and own.dest is not None else None
    if folder is None:
        folder = dest if source.name == "DEFAULT_MAP" else options.defaults.dest or dest
    _not_outside(options, folder)
    return folder


def tell_withheld(options: Settings) -> None:
    """Say so if there is a token that the server does not get."""
    if options.defaults is not None and options.lake.withholds_token:
        from .printing import say

        say(
            f"mastlake: {options.defaults.path} names the server {options.server}, so your token is not sent; "
            f"if it is for that server, name it yourself: --server {options.server}"
        )


def listed(texts: list[str] | None) -> tuple[str, ...]:
    """Split values like ``SCIENCE,INFO`` at their commas."""
    return tuple(part.strip() for text in texts or [] for part in text.split(",") if part.strip())


SearchName = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        help="A saved search; without it, everything in the catalog.",
        autocompletion=completion.searches,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout.")]
Form = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="table, csv, json, jsonl, parquet, votable or ecsv.",
        autocompletion=completion.formats,
    ),
]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write there; its ending gives the format.")
]
MOST_ROWS = 1_000_000_000
Limit = Annotated[int | None, typer.Option(min=1, max=MOST_ROWS, help="The most rows to print.")]
Criteria = Annotated[
    list[str] | None,
    typer.Option(
        "-k",
        "--keyword",
        metavar="KEY=VALUE",
        help="A criterion: A,B any of; 1..5 a range; ISO dates; % or * a wildcard.",
        autocompletion=completion.criteria,
    ),
]
Types = Annotated[
    list[str] | None,
    typer.Option("--type", metavar="SCIENCE,INFO", help="Product types.", autocompletion=completion.product_types),
]
Levels = Annotated[
    list[str] | None,
    typer.Option("--level", metavar="2,3", help="Calibration levels.", autocompletion=completion.levels),
]
Subgroups = Annotated[
    list[str] | None,
    typer.Option("--subgroup", metavar="X1DINTS", help="Product subgroups.", autocompletion=completion.subgroups),
]
Dataproducts = Annotated[
    list[str] | None,
    typer.Option(
        "--dataproduct", metavar="spectrum", help="Kinds of data product.", autocompletion=completion.dataproducts
    ),
]
Extensions = Annotated[list[str] | None, typer.Option("--extension", metavar="fits,json", help="File name endings.")]
Release = Annotated[
    str | None,
    typer.Option(
        metavar="public|exclusive", help="Who may fetch it now.", autocompletion=lambda: ["public", "exclusive"]
    ),
]
