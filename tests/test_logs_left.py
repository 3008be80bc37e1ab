"""DuckDB's log beside a catalog: a killed writer leaves it, and others may put one there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from catalog.errors import NotACatalog
from catalog.questions.statement import rows
from catalog.store import database as store_database
from catalog.store.addresses import log_of
from catalog.store.database import Database

_COMMITS_AND_DIES = """
import os, sys
from catalog.store.database import Database
writing = Database(sys.argv[1]).write()
writing.__enter__().execute(
    "INSERT INTO pending (what, key, search, run) VALUES ('program', 'kept', '', 1); COMMIT")
os._exit(9)
"""


@pytest.fixture
def left(database: Database) -> Database:
    """A catalog with the log of a writer that was killed after its commit."""
    with database.write():
        pass
    subprocess.run([sys.executable, "-c", _COMMITS_AND_DIES, str(database.path)], check=False)
    assert log_of(database.path).exists()
    return database


def waiting(database: Database) -> list[object]:
    with database.read() as connection:
        return [key for (key,) in connection.execute("SELECT key FROM pending").fetchall()]


def test_the_next_question_takes_the_log_of_a_killed_writer_into_the_file(left: Database, tmp_path: Path) -> None:
    assert waiting(left) == ["kept"]
    assert sorted(path.name for path in left.path.parent.iterdir() if path.name.startswith(left.path.name)) == [
        left.path.name
    ]
    shutil.copy(left.path, tmp_path / "elsewhere.duckdb")
    assert waiting(Database(tmp_path / "elsewhere.duckdb")) == ["kept"]


def test_a_question_through_a_link_takes_the_log_in_too(left: Database, tmp_path: Path) -> None:
    link = tmp_path / "folder" / "link.duckdb"
    link.parent.mkdir()
    link.symlink_to(left.path)
    assert waiting(Database(link)) == ["kept"]
    assert not log_of(left.path).exists()


def test_a_question_beside_another_reader_reads_the_log_where_it_is(left: Database) -> None:
    reading = f"import duckdb; c = duckdb.connect({str(left.path)!r}, read_only=True); print(1, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", reading], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        reader.stdout.readline()
        assert waiting(left) == ["kept"]
        assert log_of(left.path).exists()
        reader.communicate(b"\n")
    assert waiting(left) == ["kept"]
    assert not log_of(left.path).exists()


def test_a_log_that_somebody_puts_beside_a_proven_catalog_is_proven_too(database: Database, tmp_path: Path) -> None:
    with database.write():
        pass
    assert rows(database, "FROM searches") is not None
    other = tmp_path / "other.duckdb"
    shutil.copy(database.path, other)
    connection = duckdb.connect(str(other))
    connection.execute("CREATE VIEW outside AS SELECT * FROM read_text('/etc/hostname')")
    shutil.copy(log_of(other), log_of(database.path))
    connection.close()
    store_database._ready.clear()  # as in another process
    with pytest.raises(NotACatalog, match="view outside is not mastlake's"):
        rows(database, "FROM searches")
