"""Files on this disk that must be reduced again, because they were made from inputs which are now stale."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb


@dataclass(frozen=True)
class FileToReduce:
    """A file that was made from stale inputs.

    Attributes
    ----------
    filename : str
        The output.
    inputs : tuple of str
        The stale files from which it was made, directly or through other files.
    listed : bool
        Whether the archive lists the output, so that a sync renews it.
    """

    filename: str
    inputs: tuple[str, ...]
    listed: bool


def reduce_again(connection: duckdb.DuckDBPyConnection) -> list[FileToReduce]:
    """Return the local outputs of stale local inputs, by the view `lineage`, sorted by name."""
    rows = connection.execute(
        """WITH RECURSIVE stale AS MATERIALIZED (SELECT DISTINCT filename FROM file_drift WHERE state = 'stale'),
           graph AS MATERIALIZED (SELECT DISTINCT input, output FROM lineage),
           reached AS (
               SELECT g.output, g.input AS origin FROM graph g JOIN stale s ON s.filename = g.input
               UNION
               SELECT g.output, r.origin FROM reached r JOIN graph g ON g.input = r.output
           )
           SELECT output, list(DISTINCT origin ORDER BY origin),
               output IN (SELECT filename FROM file_version WHERE until_run IS NULL)
           FROM reached WHERE output IN (SELECT filename FROM local_files) AND output <> origin
           GROUP BY output ORDER BY output"""
    ).fetchall()
    return [FileToReduce(output, tuple(inputs), listed) for output, inputs, listed in rows]
