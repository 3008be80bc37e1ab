"""Options that several commands share, each defined once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from catalog.store.database import Database

MAST = "https://mast.stsci.edu"


@dataclass(frozen=True)
class Settings:
    """The global options.

    Attributes
    ----------
    catalog : Path
        The catalog file.
    server : str
        The archive's address.
    verbosity : int
        Negative: only errors; 0: what was done; positive: more.
    """

    catalog: Path
    server: str
    verbosity: int

    @property
    def database(self) -> Database:
        """The catalog, not yet open."""
        from catalog.store.database import Database

        return Database(self.catalog)


def settings(context: typer.Context) -> Settings:
    """Return the global options that the main callback left."""
    found: Any = context.find_root().obj
    assert isinstance(found, Settings)
    return found


def listed(texts: list[str] | None) -> tuple[str, ...]:
    """Cut values like ``SCIENCE,INFO`` at their commas."""
    return tuple(part.strip() for text in texts or [] for part in text.split(",") if part.strip())


Json = Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout.")]
Criteria = Annotated[
    list[str] | None,
    typer.Option(
        "-k",
        "--keyword",
        metavar="KEY=VALUE",
        help="A criterion: A,B any of; 1..5 a range; ISO dates; % or * a wildcard.",
    ),
]
Types = Annotated[list[str] | None, typer.Option("--type", metavar="SCIENCE,INFO", help="Product types.")]
Levels = Annotated[list[str] | None, typer.Option("--level", metavar="2,3", help="Calibration levels.")]
Subgroups = Annotated[list[str] | None, typer.Option("--subgroup", metavar="X1DINTS", help="Product subgroups.")]
Dataproducts = Annotated[
    list[str] | None, typer.Option("--dataproduct", metavar="spectrum", help="Kinds of data product.")
]
Extensions = Annotated[list[str] | None, typer.Option("--extension", metavar="fits,json", help="File name endings.")]
