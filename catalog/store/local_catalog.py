"""A person's own local files beside a catalog that others publish, which nobody can write.

The file has the tables of local files and their views, and a table `following` of one row; it has no table of the
archive. It is opened with the published file attached. A name without a database is looked up in this file first and
then in the published one, so every statement of this program reads both as if they were one catalog, and every
statement that writes a local file writes here.

Verdicts on local files depend on the archive's rows. So `following` notes after which run they were judged, and they
are judged again when the published file has another run.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import duckdb

from catalog.errors import NotACatalog, UsageError
from catalog.store.copies.shared_copy import LOCAL
from catalog.store.duckdb_file import DuckDBFile, made_beside
from catalog.store.faults import Locked, explain
from catalog.store.history.keyword_differences import Pair, compared_columns, keep_differences, keep_differences_of_run
from catalog.store.history.verdicts import keep_verdicts, keep_verdicts_of_run
from catalog.store.proven import FOLLOWING
from catalog.store.sql import columns_of, literal, quoted

PUBLISHED = "published"
"""The name under which the published file is attached."""
_OLDER = "older"


@dataclass(frozen=True)
class LocalFile(DuckDBFile):
    """A file of local files, opened together with a published catalog; see `catalog.store.engine.Engine`.

    Attributes
    ----------
    published : Path
        The published catalog.
    older : Path or None
        A local catalog of an older schema, while its rows are taken over.
    """

    published: Path = Path()
    older: Path | None = None

    def attach_others(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Attach the published catalog, unless another connection of this process to the same file has done so."""
        if _attached(connection) is not None:
            return
        try:
            connection.execute(f"ATTACH {literal(os.fspath(self.published))} AS {PUBLISHED} (READ_ONLY)")
            if self.older is not None:
                connection.execute(f"ATTACH {literal(os.fspath(self.older))} AS {_OLDER} (READ_ONLY)")
        except duckdb.Error as error:
            if _attached(connection) is not None:  # another thread was quicker
                return
            raise explain(error, self.published) from error

    def open(self, path: Path, read_only: bool) -> duckdb.DuckDBPyConnection:
        """Open both files once, without waiting.

        Raises
        ------
        Locked
            If another connection has the local file, or has it open with another published one.
        CatalogError
            If one of them cannot be opened at all.
        """
        try:
            connection = super().open(path, read_only)
        except NotACatalog as error:
            raise no_local_catalog(path) from error
        try:
            if _database(connection) == PUBLISHED:
                raise UsageError(
                    f"the file of local files cannot be named {PUBLISHED}; name another one: --local-catalog FILE"
                )
            if _attached(connection) != os.fspath(self.published):
                raise Locked("a question about an older run")
            show_both(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def cursor(self, connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
        """Return one more connection to both files."""
        cursor = connection.cursor()
        show_both(cursor)
        return cursor


def _attached(connection: duckdb.DuckDBPyConnection) -> str | None:
    """Return the path of the published catalog that is attached."""
    row = connection.execute("SELECT path FROM duckdb_databases() WHERE database_name = ?", [PUBLISHED]).fetchone()
    return None if row is None else str(row[0])


def _database(connection: duckdb.DuckDBPyConnection) -> str:
    row = connection.execute("SELECT current_database()").fetchone()
    assert row is not None
    return str(row[0])


def show_both(connection: duckdb.DuckDBPyConnection) -> None:
    """Let a connection look names up in both files; each connection must be told, also one that shares the files."""
    own = quoted(_database(connection))
    connection.execute(f"SET search_path = {literal(f'{own}.main,{PUBLISHED}.main')}")


def no_local_catalog(path: Path) -> NotACatalog:
    """Return the error for a file that is something else."""
    return NotACatalog(
        f"{path} is not a file of local files beside a published catalog; name another one: --local-catalog FILE"
    )


@dataclass(frozen=True)
class Followed:
    """What a local catalog notes about the published one.

    Attributes
    ----------
    schema : str
        The revision of the tables of local files.
    first, run, started_at : str or None
        When the catalog's first run started, and the number and start of the run after which verdicts were judged.
    compared : list of str
        The columns by which headers were compared then, as `_compared` writes them; unknown if it is empty.
    """

    schema: str
    first: str | None = None
    run: str | None = None
    started_at: str | None = None
    compared: Sequence[str] = field(default=(), compare=False)


def followed(connection: duckdb.DuckDBPyConnection, path: Path) -> Followed:
    """Return what a local catalog notes.

    Raises
    ------
    NotACatalog
        If the file is no local catalog.
    """
    found: dict[str, object] = {}
    with suppress(duckdb.CatalogException, duckdb.BinderException):
        answer = connection.execute(f"FROM {quoted(_database(connection))}.main.{FOLLOWING} LIMIT 1")
        columns = [name for name, *_ in answer.description or ()]
        found = dict(zip(columns, answer.fetchone() or (), strict=False))
    if not found.keys() >= _NOTED or found["schema"] is None:
        raise no_local_catalog(path)
    compared = found.get("compared")  # files that an older mastlake made have no such column
    noted = {name: None if found[name] is None else str(found[name]) for name in _NOTED}
    return Followed(**noted, compared=list(map(str, compared)) if isinstance(compared, list) else ())  # type: ignore[arg-type]


_NOTED = frozenset({"schema", "first", "run", "started_at"})
_COLUMNS = "schema VARCHAR, first VARCHAR, run VARCHAR, started_at VARCHAR, compared VARCHAR[]"


def refuse_hiding(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Refuse a file with a table, view or macro of its own that would be found in place of the published one.

    Raises
    ------
    NotACatalog
        The error names it.
    """
    rows = connection.execute(
        f"""WITH named AS (
                SELECT database_name, table_name AS name FROM duckdb_tables() WHERE NOT internal
                UNION ALL SELECT database_name, view_name FROM duckdb_views() WHERE NOT internal
                UNION ALL SELECT database_name, function_name FROM duckdb_functions() WHERE NOT internal
            )
            SELECT min(lower(name)) FROM named
            WHERE database_name = current_database() AND NOT list_contains($own, lower(name)) AND lower(name) IN (
                SELECT lower(name) FROM named WHERE database_name = '{PUBLISHED}')""",
        {"own": sorted(LOCAL | _VIEWS)},
    ).fetchone()
    if rows is not None and rows[0] is not None:
        raise NotACatalog(
            f"another program put {rows[0]} into {path}, which hides that of the published catalog; drop it there, or "
            "name another file: --local-catalog FILE"
        )


_VIEWS = frozenset(
    {
        "local_files", "hdus", "cards", "findings", "headers", "lineage", "file_drift", "keyword_drift", "drift",
        "header_value",
    }
)  # fmt: skip
"""The views and the macro of local files."""


def newest_published(connection: duckdb.DuckDBPyConnection, schema: str) -> Followed:
    """Return what a local catalog will note after it was judged by the published one."""
    row = connection.execute(
        f"""SELECT min(started_at)::VARCHAR, max(run)::VARCHAR, arg_max(started_at, run)::VARCHAR
            FROM {PUBLISHED}.main.runs"""
    ).fetchone()
    return Followed(schema, *(row or ()))


def refuse_another(connection: duckdb.DuckDBPyConnection, noted: Followed, path: Path, name: str) -> None:
    """Refuse a published catalog with other runs: a sync noted by which run each file was fetched.

    Raises
    ------
    NotACatalog
        The error says how to go on.
    """
    row = connection.execute(
        f"""SELECT min(started_at)::VARCHAR = $first
                   AND count(*) FILTER (run::VARCHAR = $run AND started_at::VARCHAR <> $started_at) = 0
            FROM {PUBLISHED}.main.runs""",
        {"first": noted.first, "run": noted.run, "started_at": noted.started_at},
    ).fetchone()
    if noted.first is not None and row != (True,):
        raise NotACatalog(
            f"{path} has the local files of another catalog than the one published in {name}; name another file: "
            "--local-catalog FILE"
        )


def judge_anew(connection: duckdb.DuckDBPyConnection, noted: Followed, now: Followed) -> None:
    """Compare local files with the archive as it is published now, and note its newest run.

    Only the files whose rows moved since the noted run are compared, as a harvest does. All are compared if the
    published catalog is older than that run, or if nothing tells by which columns they were compared.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection to both files, in a transaction.
    noted, now : Followed
        What the file notes, and what to note.
    """
    pairs = compared_columns(connection)
    before = {text: pair for pair in pairs if (text := _compared(pair)) in noted.compared}
    if noted.compared and len(before) == len(noted.compared) and _has_run(connection, noted):
        run = int(str(noted.run)) + 1
        keep_differences_of_run(connection, before.values(), run)
        keep_verdicts_of_run(connection, run)
    else:
        keep_differences(connection)
        keep_verdicts(connection)
    if columns_of(connection, FOLLOWING).get("compared") != "VARCHAR[]":
        # DuckDB alters no table after rows of it were deleted
        connection.execute(f"ALTER TABLE {FOLLOWING} DROP COLUMN IF EXISTS compared")
        connection.execute(f"ALTER TABLE {FOLLOWING} ADD COLUMN compared VARCHAR[]")
    connection.execute(f"DELETE FROM {FOLLOWING}")
    connection.execute(
        f"INSERT INTO {FOLLOWING} BY NAME SELECT $schema AS schema, $first AS first, $run AS run, "
        "$started_at AS started_at, $compared::VARCHAR[] AS compared",
        {**asdict(now), "compared": [_compared(pair) for pair in pairs]},
    )


def _compared(pair: Pair) -> str:
    """Write down a column of `local_header`, and the column of `file_version` with which it is compared."""
    return " ".join(f"{quoted(name)} {kind}" for name, kind in pair)


def _has_run(connection: duckdb.DuckDBPyConnection, noted: Followed) -> bool:
    """Say whether the published catalog has the noted run; `refuse_another` compared when it started."""
    row = connection.execute(f"SELECT 1 FROM {PUBLISHED}.main.runs WHERE run::VARCHAR = ?", [noted.run]).fetchone()
    return row is not None


def make_local_catalog(path: Path, published: Path, schema: str, rows_of: Path | None = None) -> None:
    """Make a local catalog beside its place, and move it there when it is complete.

    Parameters
    ----------
    path : Path
        The file.
    published : Path
        A published catalog at the newest schema; it has the tables of local files too, without rows.
    schema : str
        The newest schema.
    rows_of : Path, optional
        A local catalog of an older schema, whose rows are taken over by the names of their columns.
    """
    made_beside(path, lambda partial: _fill(partial, published, schema, rows_of))


def _fill(partial: Path, published: Path, schema: str, rows_of: Path | None) -> None:
    from catalog.store.schema.migrate import make_views_of_headers

    connection = LocalFile(published=published, older=rows_of).open(partial, read_only=False)
    try:
        connection.execute("BEGIN TRANSACTION")
        _create_tables(connection)
        connection.execute(f"CREATE TABLE {FOLLOWING} ({_COLUMNS})")
        connection.execute(
            f"COMMENT ON TABLE {FOLLOWING} IS 'the run of the published catalog by which files are judged'"
        )
        connection.execute(f"INSERT INTO {FOLLOWING} (schema) VALUES (?)", [schema])
        if rows_of is not None:
            _take_over(connection)
        make_views_of_headers(connection)  # of the archive they name only columns that are always there
        connection.execute("COMMIT")
    finally:
        connection.close()


def _create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the tables of local files as the published catalog has them, without rows."""
    rows = connection.execute(
        "SELECT sql FROM duckdb_tables() WHERE database_name = ? AND list_contains(?, table_name)",
        [PUBLISHED, sorted(LOCAL)],
    ).fetchall()
    for (statement,) in rows:
        connection.execute(statement)


def _take_over(connection: duckdb.DuckDBPyConnection) -> None:
    """Take the rows of the older file over, and note which catalog it follows; the verdicts are judged anew."""
    for table in sorted(LOCAL):
        columns = columns_of(connection, table)
        for name, kind, *_ in connection.execute(f"DESCRIBE {_OLDER}.main.{table}").fetchall():
            if name not in columns:
                connection.execute(f"ALTER TABLE {table} ADD COLUMN {quoted(name)} {kind}")
        connection.execute(f"INSERT INTO {table} BY NAME FROM {_OLDER}.main.{table}")
    connection.execute(f"UPDATE {FOLLOWING} SET first = o.first FROM {_OLDER}.main.{FOLLOWING} o")
