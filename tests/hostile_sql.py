"""Hostile statements, made by the thousand; what they reach for lies in a folder of traps."""

from __future__ import annotations

import ctypes
import ctypes.util
import itertools
import os
import random
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

SECRET = "the-secret-of-the-trap"


@dataclass
class Traps:
    """Files that must not be read, a folder that must stay empty, and a server that must not be called.

    Attributes
    ----------
    folder : Path
        ``bait/`` holds one file of each kind that DuckDB reads; ``loot/`` is empty.
    url : str
        Of the server.
    calls : int
        Connections that the server saw.
    touched : list of str
        Files that were opened, made or changed while `watched`.
    """

    folder: Path
    url: str = ""
    calls: int = 0
    touched: list[str] = field(default_factory=list)

    @property
    def bait(self) -> Path:
        return self.folder / "bait"

    @property
    def loot(self) -> Path:
        return self.folder / "loot"


def lay(folder: Path) -> Traps:
    """Fill a folder with traps."""
    traps = Traps(folder)
    traps.bait.mkdir(parents=True)
    traps.loot.mkdir()
    for name in ("secret.csv", "secret.txt", "secret.json", "secret.sql"):
        (traps.bait / name).write_text(f'{{"a": "{SECRET}"}}\n')
    with duckdb.connect(str(traps.bait / "secret.duckdb")) as other:
        other.execute(f"CREATE TABLE secret AS SELECT '{SECRET}' AS a")
        other.execute(f"COPY secret TO '{traps.bait / 'secret.parquet'}'")
    return traps


_IN_EVENTS = {0x1: "read", 0x2: "written", 0x20: "opened", 0x100: "made", 0x200: "removed", 0xC0: "moved"}
_EVENT = struct.Struct("iIII")


@contextmanager
def watched(traps: Traps) -> Iterator[None]:
    """Note each touch of the traps: files by the kernel's inotify, the network by a server of our own."""
    libc = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
    handle = libc.inotify_init1(os.O_NONBLOCK)
    for folder in (traps.bait, traps.loot):
        assert libc.inotify_add_watch(handle, os.fsencode(folder), sum(_IN_EVENTS)) > 0
    server = socket.create_server(("127.0.0.1", 0))
    traps.url = f"http://127.0.0.1:{server.getsockname()[1]}"
    last = socket.socket()
    last.bind(("127.0.0.1", 0))
    listening = threading.Thread(target=_listen, args=(server, traps, last.getsockname()))
    listening.start()
    try:
        yield
    finally:
        last.connect(server.getsockname())
        listening.join()
        last.close()
        server.close()
        traps.touched += _events(handle)
        os.close(handle)


def _listen(server: socket.socket, traps: Traps, last: tuple[str, int]) -> None:
    """Count callers until the last one; they are accepted in their order, so none is missed."""
    while True:
        caller, address = server.accept()
        caller.close()
        if address == last:
            return
        traps.calls += 1


def _events(handle: int) -> list[str]:
    try:
        left = os.read(handle, 1 << 20)
    except BlockingIOError:
        return []
    found = []
    while left:
        _, mask, _, length = _EVENT.unpack_from(left)
        name = left[_EVENT.size : _EVENT.size + length].rstrip(b"\0").decode()
        found += [f"{name or 'the folder'} {word}" for bits, word in _IN_EVENTS.items() if mask & bits]
        left = left[_EVENT.size + length :]
    return found


def _sources(traps: Traps) -> list[str]:
    """What stands after FROM and reaches outside."""
    csv, parquet, text = (f"{traps.bait}/secret.{end}" for end in ("csv", "parquet", "txt"))
    json, other = f"{traps.bait}/secret.json", f"{traps.bait}/secret.duckdb"
    places = [csv, "/etc/passwd", f"{traps.url}/a.csv", f"file://{csv}", f"{traps.bait}/*", "s3://bucket/a.csv"]
    readers = [
        "read_csv", "read_csv_auto", "sniff_csv", "read_text", "read_blob", "read_json", "read_json_auto",
        "read_json_objects", "read_ndjson", "read_ndjson_objects", "read_parquet", "parquet_scan", "glob",
        "read_duckdb",
    ]  # fmt: skip
    found = [f"{reader}('{place}')" for reader in readers for place in places]
    found += [f"{reader}(['{csv}', '{json}'])" for reader in readers[:1] + readers[5:7]]
    found += [f"parquet_{what}('{parquet}')" for what in ("metadata", "schema", "kv_metadata", "file_metadata")]
    found += [f"'{place}'" for place in (*places, parquet, json)] + [f'"{parquet}"', f'"{traps.url}/a.parquet"']
    found += [f"read_csv('{csv}', store_rejects = true)", f"read_duckdb('{other}', table_name = 'secret')"]
    found += [f"read_csv('{traps.bait}/' || 'secret' || '.csv')", f"read_text(concat('{text}'))", "'/dev/stdin'"]
    found += [f"{schema}.read_text('{text}')" for schema in ("main", "system.main", '"system"."main"')]
    found += [
        "pandas_scan(NULL)", "system.main.pandas_scan(NULL)", "arrow_scan(NULL, NULL, NULL)",
        "python_map_function(NULL, NULL, NULL)", "duckdb_secrets()", "which_secret('a', 's3')", "checkpoint()",
        "force_checkpoint()", f"enable_logging(storage = 'file', storage_path = '{traps.loot}/log')",
        f"enable_logging('QueryLog', storage_path = '{traps.loot}')", "truncate_duckdb_logs()",
        f"enable_profiling(save_location = '{traps.loot}/profile')", "query('FROM pandas_scan(NULL)')",
        "duckdb_external_file_cache()", "seq_scan()", "sql_auto_complete('sel')",
        f"parquet_bloom_probe('{parquet}', 'a', 'b')", f"sqlite_scan('{other}', 'a')", "postgres_scan('', '', '')",
        f"query('COPY files TO ''{traps.loot}/a.csv''')", f"query('FROM read_text(''{text}'')')",
        f"query_table('{csv}')", "st_read('/etc/passwd')", "iceberg_scan('/etc')", "delta_scan('/etc')",
    ]  # fmt: skip
    return found


_ROUND_A_SOURCE = (
    "SELECT * FROM {0}",
    "FROM {0}",
    "SELECT count(*) FROM files, {0} AS t",
    "SELECT * FROM (SELECT * FROM {0} AS a) AS b",
    "WITH a AS (SELECT * FROM {0}) SELECT * FROM a",
    "WITH a AS MATERIALIZED (FROM {0}) SELECT 1 FROM files LEFT JOIN a ON true",
    "SELECT (SELECT count(*) FROM {0})",
    "SELECT 1 WHERE EXISTS (FROM {0})",
    "SELECT 1 UNION ALL SELECT count(*) FROM {0}",
    "SELECT * FROM files ORDER BY (SELECT count(*) FROM {0})",
    "SELECT * FROM range(2), LATERAL (FROM {0}) t",
    "SELECT [x FOR x IN (SELECT [count(*)] FROM {0})]",
    "DESCRIBE FROM {0}",
    "SUMMARIZE FROM {0}",
    "EXPLAIN ANALYZE SELECT * FROM {0}",
    "PIVOT (FROM {0}) ON a IN ('x') USING count(*)",
    "CREATE TABLE mine AS FROM {0}",
    "INSERT INTO changes FROM {0}",
)


def _commands(traps: Traps) -> list[str]:
    """Statements that are no question."""
    loot, bait = traps.loot, traps.bait
    return [
        "CREATE TABLE t (a INT)", "CREATE TEMP TABLE t AS SELECT 1", "CREATE OR REPLACE VIEW files AS SELECT 1",
        "CREATE MACRO m(a) AS a + 1", "CREATE OR REPLACE TEMP MACRO lower(a) AS a", "CREATE SEQUENCE s",
        "CREATE TYPE t AS ENUM ('a')", "CREATE SCHEMA s", "CREATE INDEX i ON file_version (filename)",
        "CREATE SECRET (TYPE s3, KEY_ID 'a', SECRET 'b')", "CREATE PERSISTENT SECRET p (TYPE http)",
        "INSERT INTO changes VALUES (1, 'new', 'file', 'x', [])", "INSERT OR REPLACE INTO runs SELECT * FROM runs",
        "UPDATE file_version SET checksum = 'x'", "DELETE FROM file_version", "TRUNCATE runs", "DROP TABLE runs",
        "DROP VIEW files", "DROP MACRO files_at", "ALTER TABLE runs ADD COLUMN x INT", "ALTER TABLE runs RENAME TO r",
        "COMMENT ON TABLE runs IS 'mine'", "MERGE INTO runs USING runs AS r ON false WHEN NOT MATCHED THEN INSERT *",
        "DELETE FROM runs RETURNING *", "INSERT INTO runs BY NAME SELECT 1 AS run",
        "VACUUM", "VACUUM ANALYZE", "ANALYZE", "CHECKPOINT", "FORCE CHECKPOINT", "BEGIN", "COMMIT", "ROLLBACK",
        f"COPY files TO '{loot}/a.csv'", f"COPY (SELECT 1) TO '{loot}/a.parquet' (FORMAT parquet)",
        f"COPY changes FROM '{bait}/secret.csv'", "COPY FROM DATABASE memory TO x", f"COPY files TO '{traps.url}/a'",
        "COPY files TO '/dev/stdout'", f"EXPORT DATABASE '{loot}'", f"IMPORT DATABASE '{bait}'",
        f"ATTACH '{bait}/secret.duckdb' AS other", f"ATTACH '{loot}/new.duckdb'", "ATTACH ':memory:' AS m",
        f"ATTACH '{traps.url}/a.duckdb' AS other (READ_ONLY)", "ATTACH IF NOT EXISTS 'x' (TYPE sqlite)",
        "DETACH DATABASE IF EXISTS catalog", "USE memory", "USE system",
        "INSTALL httpfs", "FORCE INSTALL httpfs", f"INSTALL '{bait}/secret.duckdb'", f"INSTALL h FROM '{traps.url}'",
        "INSTALL spatial FROM community", "LOAD httpfs", f"LOAD '{bait}/secret.duckdb'", "UPDATE EXTENSIONS",
        "SET enable_external_access = true", "SET GLOBAL enable_external_access = true", "RESET enable_external_access",
        "SET lock_configuration = false", "SET memory_limit = '1TB'", f"SET temp_directory = '{loot}'",
        f"SET allowed_directories = ['{bait}']", f"SET allowed_paths = ['{bait}/secret.csv']", "SET threads = 64",
        f"SET profiling_output = '{loot}/p'", "SET autoload_known_extensions = true", "SET VARIABLE a = 1",
        f"SET extension_directory = '{loot}'", f"SET secret_directory = '{bait}'", f"SET home_directory = '{bait}'",
        "SET custom_extension_repository = 'http://x'", "SET python_enable_replacements = true",
        f"SET log_query_path = '{loot}/q'",
        "PRAGMA enable_profiling", f"PRAGMA profiling_output = '{loot}/p'", "PRAGMA enable_logging",
        f"PRAGMA import_database('{bait}')", f"PRAGMA log_query_path = '{loot}/q'", "PRAGMA force_checkpoint",
        "PRAGMA database_list", "PRAGMA copy_database('a', 'b')", "PRAGMA disable_optimizer",
        "PRAGMA memory_limit='1B'", "CALL force_checkpoint()", f"CALL enable_logging(storage_path = '{loot}')",
        "CALL pragma_version()", f"CALL read_csv('{bait}/secret.csv')", "PREPARE p AS SELECT 1",
        "EXECUTE p", "DEALLOCATE p",
        "EXPLAIN ANALYZE INSERT INTO runs SELECT * FROM runs", "EXPLAIN ANALYZE DELETE FROM runs",
        "EXPLAIN ANALYZE CREATE TEMP TABLE t AS SELECT 1", f"EXPLAIN ANALYZE COPY (SELECT 1) TO '{loot}/a.csv'",
        f"EXPLAIN ANALYZE ATTACH '{loot}/new.duckdb'", "EXPLAIN EXPLAIN SELECT 1", "EXPLAIN SET threads = 1",
        "/* /* */ EXPLAIN SELECT 1 --*/ EXPLAIN ANALYZE DELETE FROM runs\n",
        "WITH a AS (INSERT INTO changes VALUES (1) RETURNING *) FROM a", "SELECT 1 INTO t", "PIVOT files ON filename",
        "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT * FROM read_text(''/etc/passwd'')'))",
        f"PRAGMA json_execute_serialized_sql(json_serialize_sql('FROM glob(''{bait}/*'')'))",
        ".read /etc/passwd", "!cat /etc/passwd", "\\copy a b",
    ]  # fmt: skip


def on_lakes(rows: str) -> list[str]:
    """What reaches for the metadata of a lake, or its server, or reads its files past its tables.

    Parameters
    ----------
    rows : str
        The folder or the prefix with the rows, with a slash at its end.
    """
    files = [
        f"'{rows}main/changes/*.parquet'", f"'{rows}main/runs/../changes/*.parquet'", f"'{rows}x.csv'",
        f"'{rows}../x.parquet'", f"'{rows}x.duckdb'", f'"{rows}main/changes/x".parquet', "a.parquet", "main.parquet",
        "lake.csv", "lake.main.parquet", "'main/changes/a.parquet'", "'a.json'", "'*.parquet'",
        f"query_table('\"{rows}x.parquet\"')", "query_table('a.parquet')", "query_table('\"a.parquet\"')",
        "query_table('a.' || 'parquet')", f"read_parquet('{rows}main/changes/*.parquet')", f"glob('{rows}**')",
    ]  # fmt: skip
    metadata = [
        "__ducklake_metadata_lake.ducklake_table", '"__DuckLake_Metadata_lake".main.ducklake_data_file',
        "query_table('__ducklake_metadata_lake.main.ducklake_table')", "lake.snapshots()", "ducklake_snapshots('lake')",
        "ducklake_list_files('lake', 'runs')", "ducklake_table_info('lake')", "ducklake_settings('lake')",
        "ducklake_options('lake')", "ducklake_table_changes('lake', 'main', 'runs', 0, 9)", "lake.options()",
        "ducklake_table_insertions('lake', 'main', 'runs', 0, 9)", "lake.table_changes('runs', 0, 9)",
        "ducklake_current_snapshot('lake')", "lake.last_committed_snapshot()",
        f"ducklake_add_data_files('lake', 'runs', '{rows}main/runs/a.parquet')",
        "ducklake_delete_orphaned_files('lake', dry_run => true)", "ducklake_cleanup_old_files('lake')",
        "ducklake_expire_snapshots('lake', versions => [1])", "ducklake_merge_adjacent_files('lake')",
        "ducklake_flush_inlined_data('lake')", "ducklake_rewrite_data_files('lake')",
        "ducklake_set_option('lake', 'data_path', '/tmp')", "ducklake_set_commit_message('lake', 'me', 'it')",
        "lake.set_commit_message('me', 'it')", "sqlite_query('__ducklake_metadata_lake', 'SELECT 1')",
        "sqlite_attach('a')", "postgres_query('lake', 'SELECT 1')", "postgres_execute('lake', 'SELECT 1')",
        "postgres_scan('service=admin', 'public', 'secret')", "postgres_attach('service=admin')", "pg_clear_cache()",
        "dblink('service=admin', 'SELECT 1')", "pg_read_file('/etc/passwd')", "pg_ls_dir('/')",
        "pg_shadow", "pg_authid",
    ]  # fmt: skip
    calls = [f"CALL {source}" for source in metadata if source.endswith(")")]
    commands = [
        "ATTACH 'ducklake:/tmp/x.lake' AS other", "ATTACH 'ducklake:sqlite:/tmp/x.lake'", "DETACH lake",
        "ATTACH 'ducklake:postgres:service=admin' AS other", "ATTACH 'service=admin' AS other (TYPE postgres)",
        "USE __ducklake_metadata_lake", "USE lake.main", "CREATE SECRET s (TYPE postgres, HOST 'x')",
        "CREATE OR REPLACE PERSISTENT SECRET s (TYPE ducklake, METADATA_PATH 'x')", "DROP SECRET s",
        "SET ducklake_max_retry_count = 9", "SET s3_endpoint = 'x'", "SET http_proxy = 'x'",
        "SET VARIABLE a = getenv('HOME')", "SET http_proxy_password = 'x'",
        "LOAD postgres_scanner", "LOAD sqlite_scanner", "LOAD ducklake",
        "SET pg_debug_show_queries = true", "SELECT getenv('HOME')", "SELECT lo_import('/etc/passwd')",
        "SELECT pg_read_file('/etc/passwd')", "SELECT set_config('a', 'b', false)", "SELECT pg_advisory_lock(1)",
        "COPY (SELECT 1) TO PROGRAM 'touch /tmp/x'", f"COPY changes TO '{rows}a.parquet'",
        f"EXPORT DATABASE '{rows}all'", f"CREATE TABLE t AS FROM '{rows}main/changes/*.parquet'",
        f"CREATE TEMP VIEW v AS FROM '{rows}x.parquet'", f"CREATE MACRO m() AS TABLE FROM '{rows}x.parquet'",
        f"PREPARE p AS FROM '{rows}x.parquet'", "ALTER TABLE runs SET PARTITIONED BY (run)",
        "SELECT which_secret('a', 's3')",
        f"SELECT list_transform([1], lambda x: (SELECT max(run) FROM '{rows}a.parquet'))",
    ]  # fmt: skip
    wrapped = [pattern.format(source) for pattern, source in zip(_ROUND_A_SOURCE, itertools.cycle(files), strict=False)]
    return wrapped + [f"FROM {source}" for source in (*files, *metadata)] + calls + commands


ODD = (
    "SELECT " + "(" * 5000 + "1" + ")" * 5000, "SELECT " + "NOT " * 20000 + "true", "SELECT " + "[" * 3000 + "]" * 3000,
    "SELECT " + "1 + " * 5000 + "1", "SELECT ---1", "\0", "SELECT \0", "SELECT 1; \0", "", ";", ";;", "/*",
    "SELECT 1 /*", "SELECT '", "'", "--", "\ufeffSELECT nothing", "SELECT * FROM \U0001f52d", "SELECT \ud800",
    "SELECT $1", "SELECT ?", "SELECT 1 AS a, 2 AS a", "SELECT sum(" * 400 + "1" + ")" * 400,
    "SELECT (" * 900 + "SELECT 1" + ")" * 900,
)  # fmt: skip
"""Statements that do no harm, but have felled parsers."""

_DISGUISES = (
    "{}",
    "/* a question */ {}",
    "-- a question\n{}",
    "/* /* nested */ */\n\t{} -- ;",
    "SELECT 1; {}",
    "{}; SELECT 1",
    "SELECT ';' AS a; {};",
    "  \n\n{}\n ",
    "/*;*/{}/*",
    "({})",
)


def _mixed(words: str, chance: random.Random) -> str:
    """Mix upper and lower case outside of quotes."""
    parts = words.split("'")
    parts[::2] = ["".join(chance.choice((c.upper(), c.lower())) for c in part) for part in parts[::2]]
    return "'".join(parts)


def statements(traps: Traps, count: int, seed: int = 0) -> list[str]:
    """Make different hostile statements: each source and command plainly, then all of them wrapped and disguised."""
    chance = random.Random(seed)
    sources, commands = _sources(traps), _commands(traps)
    made = dict.fromkeys(["SELECT * FROM " + source for source in sources] + commands)
    wrapped = [pattern.format(source) for pattern, source in itertools.product(_ROUND_A_SOURCE, sources)]
    wrapped += list(commands) * 4
    while len(made) < count:
        text = chance.choice(_DISGUISES).replace("{}", chance.choice(wrapped))
        made[_mixed(text, chance) if chance.random() < 0.5 else text] = None
    return list(made)
