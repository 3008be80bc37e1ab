"""What a lake (DuckLake) does otherwise with statements: types, comments, and columns that get another type."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import duckdb

from catalog.store.engine import Comment
from catalog.store.sql import literal, quoted, tables_of


@dataclass(frozen=True)
class LakeDialect:
    """See `catalog.store.engine.Dialect`."""

    name: str = "ducklake"
    types: frozenset[str] = frozenset({"VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN", "TIMESTAMP"})
    commented: frozenset[str] = frozenset({"TABLE", "VIEW", "COLUMN"})
    numbers_rows: bool = False
    row_type: str = "UHUGEINT"

    def row(self, relation: str, key: str) -> str:
        """Write the MD5 of key and run: rows that a transaction both inserts and updates share numbers with others."""
        return f"md5_number(concat({relation}.{key}, ' ', {relation}.since_run))"

    def widen(self, connection: duckdb.DuckDBPyConnection, table: str, column: str, kind: str) -> None:
        """Give a column a type that holds each of its values exactly; values on disk are cast when they are read."""
        connection.execute(f"ALTER TABLE {table} ALTER COLUMN {quoted(column)} SET DATA TYPE {kind}")

    def comment(self, connection: duckdb.DuckDBPyConnection, comments: Iterable[Comment]) -> None:
        """Write the comments on tables, views and columns of tables; DuckLake keeps no others."""
        kept = [comment for comment in comments if comment.kind in self.commented]
        tables = tables_of(connection) if any(comment.kind == "COLUMN" for comment in kept) else set()
        statements = [
            f"COMMENT ON {kind} {name} IS {literal(text)}"
            for kind, name, text in kept
            if kind != "COLUMN" or name.partition(".")[0] in tables
        ]
        if statements:
            connection.execute(";".join(statements))
