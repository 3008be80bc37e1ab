"""Upgrades of an older catalog that are killed: the next open completes them, and every row is there.

Run by ``make kills``: ``python -m tests.kills_migration [KILLS] [SEED]``. The short form runs with the tests.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from catalog.store.database import Database
from catalog.store.revision import HEAD

OLD = "0003"
OLD_CATALOGS = Path(__file__).parent / "old_catalogs"
_OPEN = """
import sys
from catalog.store.database import Database
import alembic.command, duckdb_sqlalchemy, pyarrow, catalog.store.schema.migrate
print("begun", flush=True)
with Database(sys.argv[1]).read():
    pass
"""
_LONGEST_SECONDS = 1.5


def older_catalog(path: Path, files: int) -> None:
    """Make a catalog as an older version left it, with so many files and a run."""
    connection = duckdb.connect(path)
    connection.execute((OLD_CATALOGS / f"{OLD}.sql").read_text())
    connection.execute("INSERT INTO alembic_version VALUES (?)", [OLD])
    connection.execute("ALTER TABLE file_version ADD COLUMN s_region VARCHAR")
    connection.execute(
        """INSERT INTO file_version (filename, instrument, row_hash, since_run, checked_run, s_region)
           SELECT format('jw{:011d}_nis_x1d.fits', n), 'niriss', n, 1, 1,
                  format('CIRCLE {} 10.5 0.01', n * 360.0 / $files)
           FROM range($files) t(n)""",
        {"files": files},
    )
    connection.close()


def kill_upgrades(folder: Path, kills: int, rng: random.Random, files: int = 2000) -> tuple[int, list[str]]:
    """Kill so many upgrades, each of them at a moment of its own, and open the catalog after each.

    Returns
    -------
    tuple of int and list of str
        Upgrades that ended by the kill, and what was wrong after one of them.
    """
    old, faults, done = folder / "old.duckdb", [], 0
    older_catalog(old, files)
    for number in range(kills):
        path = folder / f"{number}.duckdb"
        shutil.copy(old, path)
        with subprocess.Popen([sys.executable, "-c", _OPEN, str(path)], stdout=subprocess.PIPE, text=True) as opening:
            assert opening.stdout is not None
            opening.stdout.readline()
            time.sleep(rng.uniform(0, _LONGEST_SECONDS))
            opening.kill()
        done += opening.returncode != 0
        faults += _faults(path, files)
        path.unlink()
    return done, faults


def _faults(path: Path, files: int) -> list[str]:
    """Open the catalog, and return what is not as it should be."""
    with Database(path).read() as connection:
        found = connection.execute(
            """SELECT (SELECT version_num FROM alembic_version), (SELECT count(*) FROM files),
                      (SELECT count(DISTINCT filename) FROM file_version),
                      (SELECT count(*) FROM footprints WHERE band = 10 AND len(shapes) = 1)"""
        ).fetchone()
    left = [one.name for one in path.parent.glob(f"*{path.name}*") if one.name != path.name]
    faults = [] if found == (HEAD, files, files, files) else [f"found {found} of {files}"]
    return faults + [f"left {name}" for name in left]


if __name__ == "__main__":
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**6)
    with tempfile.TemporaryDirectory() as folder:
        done, faults = kill_upgrades(Path(folder), kills, random.Random(seed))
    print(f"seed {seed}: {done} of {kills} upgrades killed, {len(faults)} faults", *faults, sep="\n")
    sys.exit(bool(faults))
