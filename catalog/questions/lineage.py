"""The association graph: what a file was made from, and what was made from it.

There are two sources: the members of the ``_asn.json`` files that the index has read, and the keyword ASNTABLE of
headers. In SQL, this is the view `lineage`.
"""

from __future__ import annotations

from dataclasses import dataclass

from catalog.store.database import Database
from catalog.store.sql import objects_of_rows


@dataclass(frozen=True)
class Link:
    """One step from an input to an output.

    Attributes
    ----------
    input, output : str
        Names of files. If no product of an association is known, the output is the beginning of their names.
    via : str
        The association file; or ASNTABLE, if a header names the association itself as an input.
    step : int
        1 for a direct input or output, 2 for an input of an input, and so on.
    """

    input: str
    output: str
    via: str
    step: int


def inputs(database: Database, filename: str, deep: bool = False) -> list[Link]:
    """Return what a file was made from.

    Parameters
    ----------
    database : Database
        A catalog.
    filename : str
        The name of a FITS file, without folders.
    deep : bool
        Also return the inputs of the inputs, and so on.

    Raises
    ------
    CatalogError
        If there is no catalog, or it cannot be read.
    """
    return _follow(database, filename, deep, "output", "input")


def outputs(database: Database, filename: str, deep: bool = False) -> list[Link]:
    """Return what was made from a file; the parameters are those of `inputs`."""
    return _follow(database, filename, deep, "input", "output")


def is_known(database: Database, filename: str) -> bool:
    """Say whether the catalog has a file with a name: harvested, a product, on the disk, or in an association."""
    with database.read() as connection:
        row = connection.execute(
            """SELECT EXISTS (FROM files WHERE filename = $name) OR EXISTS (FROM local_files WHERE filename = $name)
                   OR EXISTS (FROM products WHERE parse_filename(data_uri) = $name)
                   OR EXISTS (FROM lineage WHERE $name IN (input, output, via))""",
            {"name": filename},
        ).fetchone()
    return row == (True,)


def _follow(database: Database, filename: str, deep: bool, here: str, there: str) -> list[Link]:
    with database.read() as connection:
        answered = connection.execute(
            f"""
            WITH RECURSIVE graph AS MATERIALIZED (SELECT input, output, via FROM lineage),
            steps AS (
                SELECT input, output, via, 1 AS step FROM graph WHERE {here} = $filename
                UNION
                SELECT g.input, g.output, g.via, s.step + 1
                FROM steps s JOIN graph g ON g.{here} = s.{there} WHERE $deep AND s.step < 20
            )
            SELECT input, output, via, min(step) AS step FROM steps
            GROUP BY ALL ORDER BY step, {there}, via
            """,
            {"filename": filename, "deep": deep},
        )
        return objects_of_rows(Link, answered)
