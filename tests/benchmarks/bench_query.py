"""Questions of a large catalog, against the same questions on frames that are in memory already.

    python -m tests.benchmarks.bench_query 1000000 [--at FOLDER]

Each question is asked of the catalog and of one frame in turn, in the same minutes, and their answers are compared.
The catalog answers from disk, with all its 206 columns; a frame holds only the columns that the questions need, since
206 columns of 10,000,000 files are more than most memories hold. With ``--at`` the catalog is kept, and found again.
"""

from __future__ import annotations

import argparse
import gc
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from catalog import Catalog
from catalog.answers.result import Result
from catalog.questions.statement import rows
from catalog.store.database import Database
from tests.benchmarks.query_catalog import make

SHOWN = ["filename", "targname", "exp_type", "filter", "pupil", "date_obs", "program", "productLevel", "file_size"]
NEEDED = [*SHOWN, "category", "tsovisit", "date_obs_mjd", "targ_ra", "targ_dec", "effexptm"]
FIRST_MJD, LAST_MJD = 59731.0, 59795.0
RADIUS = 0.5
_MOST_ROUNDS = 25
_HALF = 0.018


@dataclass(frozen=True)
class Place:
    """Where a cone or a footprint is asked for, degrees."""

    ra: float
    dec: float


class Frame(Protocol):
    """One way to hold files in memory, and to ask."""

    def tutorial(self) -> Any: ...
    def cone(self, place: Place) -> Any: ...
    def footprint(self, place: Place) -> Any: ...
    def one_key(self) -> Any: ...
    def two_keys(self) -> Any: ...


class Lake:
    """The catalog, asked as anyone asks it."""

    def __init__(self, lake: Catalog) -> None:
        self.lake = lake

    def tutorial(self) -> Result:
        return self.lake.find(
            "category=COM,ERS", "exp_type=NIS_SOSS", "tsovisit=T", f"date_obs_mjd={FIRST_MJD}..{LAST_MJD}"
        )

    def cone(self, place: Place) -> Result:
        return self.lake.find(cone=(place.ra, place.dec, RADIUS))

    def footprint(self, place: Place) -> Result:
        return self.lake.find(footprint=f"CIRCLE {place.ra} {place.dec} {_HALF}")

    def one_key(self) -> Result:
        return self.lake.sql("SELECT exp_type, count(*) AS files FROM files GROUP BY exp_type")

    def two_keys(self) -> Result:
        return self.lake.sql(
            "SELECT exp_type, filter, count(*) AS files, sum(effexptm) AS seconds FROM files GROUP BY exp_type, filter"
        )


def within(place: Place, radius: Any, ra: Any, dec: Any, of: Any) -> Any:
    """Whether places lie within a radius (degrees), by the haversine formula; ``of`` has sin, cos and radians."""
    half = of.sin(of.radians(dec - place.dec) / 2) ** 2
    turn = of.sin(of.radians(ra - place.ra) / 2) ** 2
    apart = half + of.cos(of.radians(dec)) * math.cos(math.radians(place.dec)) * turn
    return apart <= of.sin(of.radians(radius) / 2) ** 2


class Polars:
    """A polars frame; a first cut in declination keeps the dear part to few rows."""

    def __init__(self, files: pa.Table) -> None:
        import polars as pl

        self.pl = pl
        frame = pl.from_arrow(files)
        assert isinstance(frame, pl.DataFrame)
        self.frame = frame

    def _shown(self, found: Any) -> Any:
        return found.sort("date_obs_mjd", "filename").select(SHOWN)

    def tutorial(self) -> Any:
        col = self.pl.col
        return self._shown(
            self.frame.filter(
                col("date_obs_mjd").is_between(FIRST_MJD, LAST_MJD)
                & col("tsovisit")
                & (col("exp_type") == "NIS_SOSS")
                & col("category").is_in(["COM", "ERS"])
            )
        )

    def cone(self, place: Place) -> Any:
        return self._shown(self._near(place, "targ_ra", "targ_dec", RADIUS, RADIUS))

    def footprint(self, place: Place) -> Any:
        return self._shown(self._near(place, "foot_ra", "foot_dec", self.pl.col("foot_radius") + _HALF, 1.0))

    def _near(self, place: Place, ra: str, dec: str, radius: Any, most: float) -> Any:
        import numpy as np

        col = self.pl.col
        near = self.frame.filter(col(dec).is_between(place.dec - most, place.dec + most))
        reach = near.select(radius).to_series().to_numpy() if not isinstance(radius, float) else radius
        return near.filter(within(place, reach, near[ra].to_numpy(), near[dec].to_numpy(), np))

    def one_key(self) -> Any:
        return self.frame.group_by("exp_type").len()

    def two_keys(self) -> Any:
        pl = self.pl
        return self.frame.group_by("exp_type", "filter").agg(pl.len(), pl.col("effexptm").sum())


class Pandas:
    """A pandas frame."""

    def __init__(self, files: pa.Table) -> None:
        self.frame = files.to_pandas()

    def _shown(self, found: Any) -> Any:
        return found.sort_values(["date_obs_mjd", "filename"])[SHOWN]

    def tutorial(self) -> Any:
        f = self.frame
        chosen = f["date_obs_mjd"].between(FIRST_MJD, LAST_MJD) & f["tsovisit"]
        return self._shown(f[chosen & (f["exp_type"] == "NIS_SOSS") & f["category"].isin(["COM", "ERS"])])

    def cone(self, place: Place) -> Any:
        import numpy as np

        near = self.frame[self.frame["targ_dec"].between(place.dec - RADIUS, place.dec + RADIUS)]
        return self._shown(near[within(place, RADIUS, near["targ_ra"], near["targ_dec"], np)])

    def footprint(self, place: Place) -> Any:
        import numpy as np

        near = self.frame[self.frame["foot_dec"].between(place.dec - 1, place.dec + 1)]
        return self._shown(near[within(place, near["foot_radius"] + _HALF, near["foot_ra"], near["foot_dec"], np)])

    def one_key(self) -> Any:
        return self.frame.groupby("exp_type").size()

    def two_keys(self) -> Any:
        return self.frame.groupby(["exp_type", "filter"])["effexptm"].agg(["size", "sum"])


class Astropy:
    """An astropy table of numpy columns."""

    def __init__(self, files: pa.Table) -> None:
        import numpy as np
        from astropy.table import Table

        self.np = np
        self.table = Table()
        for name in files.column_names:
            column = files.column(name)
            is_text = pa.types.is_string(column.type)
            self.table[name] = column.to_numpy().astype("U") if is_text else column.to_numpy()
            gc.collect()

    def _shown(self, found: Any) -> Any:
        found.sort(["date_obs_mjd", "filename"])
        return found[SHOWN]

    def tutorial(self) -> Any:
        t, np = self.table, self.np
        chosen = (t["date_obs_mjd"] >= FIRST_MJD) & (t["date_obs_mjd"] <= LAST_MJD) & t["tsovisit"]
        return self._shown(t[chosen & (t["exp_type"] == "NIS_SOSS") & np.isin(t["category"], ["COM", "ERS"])])

    def cone(self, place: Place) -> Any:
        t = self.table
        near = t[(t["targ_dec"] >= place.dec - RADIUS) & (t["targ_dec"] <= place.dec + RADIUS)]
        return self._shown(near[within(place, RADIUS, near["targ_ra"], near["targ_dec"], self.np)])

    def footprint(self, place: Place) -> Any:
        t = self.table
        near = t[(t["foot_dec"] >= place.dec - 1) & (t["foot_dec"] <= place.dec + 1)]
        reach = near["foot_radius"] + _HALF
        return self._shown(near[within(place, reach, near["foot_ra"], near["foot_dec"], self.np)])

    def one_key(self) -> Any:
        return self.np.unique(self.table["exp_type"], return_counts=True)[0]

    def two_keys(self) -> Any:
        groups = self.table["exp_type", "filter", "effexptm"].group_by(["exp_type", "filter"])
        return groups.groups.aggregate(self.np.sum)


def files_of(path: Path) -> pa.Table:
    """Return the columns that the questions need, with the circle about each file's footprint."""
    return rows(
        Database(path),
        f"""SELECT {", ".join(NEEDED)}, f.ra AS foot_ra, f."dec" AS foot_dec, f.radius AS foot_radius
            FROM files JOIN footprints f USING (s_region)""",
    )


def in_turn(ours: Callable[[], Any], theirs: Callable[[], Any], seconds: float) -> tuple[list[float], list[float]]:
    """Time two ways to ask, one after the other, until enough is known."""
    ours(), theirs()
    times: tuple[list[float], list[float]] = ([], [])
    began = time.perf_counter()
    while not times[0] or (time.perf_counter() - began < seconds and len(times[0]) < _MOST_ROUNDS):
        for ask, kept in zip((ours, theirs), times, strict=True):
            start = time.perf_counter()
            ask()
            kept.append(time.perf_counter() - start)
    return times


def questions(lake: Frame, frame: Frame, place: Place) -> list[tuple[str, Callable[[], Any], Callable[[], Any]]]:
    """Pair the questions."""
    return [
        ("the tutorial's filter", lake.tutorial, frame.tutorial),
        ("a cone of 30 arcmin", lambda: lake.cone(place), lambda: frame.cone(place)),
        ("a footprint overlap", lambda: lake.footprint(place), lambda: frame.footprint(place)),
        ("a group-by of one key", lake.one_key, frame.one_key),
        ("a group-by of two keys", lake.two_keys, frame.two_keys),
    ]


def compare(path: Path, only: Sequence[str], seconds: float) -> None:
    """Ask every question of the catalog and of each frame, and print how many times as fast."""
    makers: dict[str, Callable[..., Frame]] = {"polars": Polars, "pandas": Pandas, "astropy": Astropy}
    with Catalog.open(path) as lake:
        (row,) = lake.sql("SELECT ra, dec FROM footprints LIMIT 1 OFFSET 54321")
        place = Place(round(row["ra"], 4), round(row["dec"], 4))
        print("| question | rows | peer | catalog, ms | peer, ms | times as fast | of the quickest |")
        print("|---|---|---|---|---|---|---|", flush=True)
        for name in only:
            frame = makers[name](files_of(path))
            for question, ours, theirs in questions(Lake(lake), frame, place):
                found = len(ours())
                if "footprint" not in question and found != len(theirs()):
                    raise SystemExit(f"{question}: {found} rows here, {len(theirs())} in {name}")
                a, b = in_turn(ours, theirs, seconds)
                mine, other = statistics.median(a) * 1e3, statistics.median(b) * 1e3
                ratios = f"{other / mine:.1f} | {min(b) / min(a):.1f}"
                print(f"| {question} | {found:,} | {name} | {mine:.1f} | {other:.1f} | {ratios} |", flush=True)
            del frame
            gc.collect()


def wall(*command: str, environment: dict[str, str] | None = None) -> float:
    """Time a whole process, seconds."""
    start = time.perf_counter()
    subprocess.run(
        command,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
    )
    return time.perf_counter() - start


def cold_starts(path: Path) -> None:
    """Print the time of whole processes, which the questions above do not pay."""
    mastlake = str(Path(sys.executable).with_name("mastlake"))
    here = {"MASTLAKE_CATALOG": str(path)}
    find = [mastlake, "find", "-k", "exp_type=NIS_SOSS", "-k", "tsovisit=T", "--since", "2022-06-01", "--limit", "10"]
    commands: dict[str, list[str]] = {
        "mastlake --help": [mastlake, "--help"],
        "python -c 'import astroquery.mast'": [sys.executable, "-c", "import astroquery.mast"],
        "mastlake find ...": find,
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(7):
        for name, command in commands.items():
            times[name].append(wall(*command, environment=here))
    print("\n| a whole process | median, s |\n|---|---|")
    for name, kept in times.items():
        print(f"| `{name}` | {statistics.median(kept):.2f} |")
    with Catalog.open(path) as lake:
        start = time.perf_counter()
        Lake(lake).tutorial()
        print(f"| the first question of a catalog that was just opened | {time.perf_counter() - start:.2f} |")


def main() -> None:
    """Make a catalog, ask, and clean up."""
    parser = argparse.ArgumentParser()
    parser.add_argument("files", type=int)
    parser.add_argument("--at", type=Path, help="Keep the catalog in this folder.")
    parser.add_argument("--frames", default="polars,pandas,astropy")
    parser.add_argument("--seconds", type=float, default=12.0, help="For each question and frame.")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mastlake-bench-") as temporary:
        path = (chosen.at or Path(temporary)) / f"{chosen.files}.duckdb"
        if not path.exists():
            start = time.perf_counter()
            make(path, chosen.files)
            print(f"made in {time.perf_counter() - start:.0f} s", file=sys.stderr)
        size, load = path.stat().st_size / 1e9, os.getloadavg()[0]
        print(
            f"{chosen.files:,} files of 206 columns, {size:.1f} GB on disk; load {load:.1f} at the start\n", flush=True
        )
        compare(path, chosen.frames.split(","), chosen.seconds)
        cold_starts(path)


if __name__ == "__main__":
    main()
