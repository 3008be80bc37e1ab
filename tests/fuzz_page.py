"""Random and hostile addresses against a page: no error of the program, no markup that comes back, no other file.

python -m tests.fuzz_page 5000
"""

from __future__ import annotations

import os
import random
import string
import sys
import tempfile
from collections import Counter
from pathlib import Path
from urllib.parse import quote, quote_plus

from catalog import Catalog
from catalog.simulator import Simulator
from catalog.vocabulary.search import Search
from tests.page_server import Served, served

MARK = "zq<b onx=1>\"'zq"
SECRET = "a secret that lies outside of the catalog"
_PATHS = (
    "/",
    "/find",
    "/find.json",
    "/file",
    "/file/{}",
    "/file/{}.json",
    "/target/{}",
    "/target/{}.json",
    "/program/{}",
    "/run/{}",
    "/run/{}.json",
    "/runs",
    "/changes",
    "/changes.json",
    "/keywords",
    "/keywords.json",
    "/wall",
    "/wall.json",
    "/sql",
    "/sql.json",
    "/export/{}",
    "/export/csv",
    "/export/uris",
    "/picture",
    "/complete",
    "/static/{}",
    "/{}",
)
_PARAMETERS = (
    "q",
    "k",
    "target",
    "cone",
    "footprint",
    "since",
    "until",
    "release",
    "pi",
    "program",
    "ra",
    "dec",
    "columns",
    "sort",
    "after",
    "n",
    "f_exp_type",
    "f_instrument",
    "f_disk",
    "f_program",
    "f_target",
    "f_level",
    "f_access",
    "name",
    "card",
    "hdu",
    "sql",
    "limit",
    "text",
    "small",
    "search",
    "local",
    "values",
    "token",
    "form",
)
_PIECES = (
    MARK,
    "' OR 1=1 --",
    "\0",
    "\n\r\t",
    "%",
    "*",
    "..",
    "../../../../etc/passwd",
    "/etc/passwd",
    "{{7*7}}",
    "${x}",
    "1e999",
    "NaN",
    "-1",
    "0",
    "99999999999999999999",
    "exp_type=NIS_SOSS",
    "exp_type=",
    "=",
    "program=1..",
    "targ_ra=NaN..",
    "a,b,c",
    "10,20,1m",
    "WASP-39,1m",
    "POLYGON 1 2 3",
    "CIRCLE 1 2 3",
    "2022-07-01",
    "0000-00-00",
    "99999-01-01",
    "7d",
    "[1,2]",
    '["a","b"]',
    '[null,"a"]',
    "[[[[",
    "true",
    "filename",
    "-date_obs_mjd",
    "no_such_column",
    "\u202e",
    "\U0001f52d",
    "\ufffe",
    "SELECT 1",
    "SELECT * FROM read_text('{secret}')",
    "FROM '{secret}'",
    "COPY files TO '{secret}'",
    "DROP TABLE files",
    "SELECT '",
    "public",
    "exclusive",
    "current",
    "csv",
    "script",
    "<svg/onload=1>",
    "javascript:alert(1)",
    "x" * 2000,
    "%00",
    "%2e%2e%2f",
    "1; SELECT 2",
    "*" * 40,
    "%%%%",
    "(",
    "\\",
    "jw*",
    "niriss",
    "NIS_SOSS",
)


def address(rng: random.Random, secret: Path, names: list[str]) -> str:
    """Make one address."""

    def piece() -> str:
        kind = rng.random()
        if kind < 0.15:
            return rng.choice(names)
        if kind < 0.3:
            return "".join(rng.choice(string.printable) for _ in range(rng.randrange(1, 12)))
        text = rng.choice(_PIECES).replace("{secret}", str(secret))
        return text + (rng.choice(_PIECES) if rng.random() < 0.2 else "").replace("{secret}", str(secret))

    path = rng.choice(_PATHS)
    if "{}" in path:
        raw = piece()
        path = path.format(quote(raw, safe=rng.choice(("", "/", "/.:"))))
    pairs = [f"{quote_plus(rng.choice(_PARAMETERS))}={quote_plus(piece())}" for _ in range(rng.randrange(4))]
    if rng.random() < 0.05:
        pairs.append("%ff%fe=%80&&&=;%")
    return path + ("?" + "&".join(pairs) if pairs else "")


def fuzz(page: Served, count: int, secret: Path, seed: int = 1) -> Counter[int]:
    """Ask for hostile addresses, and return how often each status came.

    Raises
    ------
    AssertionError
        With the address that did harm.
    """
    rng = random.Random(seed)
    names = page.lake.sql("SELECT filename FROM files ORDER BY filename LIMIT 5")["filename"] + ["WASP-39", "1366"]
    statuses: Counter[int] = Counter()
    for _ in range(count):
        asked = address(rng, secret, names)
        got = page.get(asked)
        statuses[got.status] += 1
        assert got.status < 500 or got.status == 503, (got.status, asked)
        if got.headers.get("content-type", "").startswith("text/html"):
            assert b"<b onx" not in got.content, asked
            assert b"<svg/onload" not in got.content, asked
            assert b'href="javascript:' not in got.content, asked
        assert SECRET.encode() not in got.content, asked
        assert b"root:" not in got.content, asked
        assert "\n" not in got.headers.get("location", ""), asked
        assert got.headers.get("location", "/").startswith("/"), asked
        assert not got.headers.get("location", "/").startswith("//"), asked
    return statuses


def main(count: int) -> None:
    """Fuzz a page over a small catalog."""
    with tempfile.TemporaryDirectory() as folder:
        secret = Path(folder, "outside", "secret.txt")
        secret.parent.mkdir()
        secret.write_text(SECRET)
        path = Path(folder, "catalog", "catalog.duckdb")
        path.parent.mkdir()
        with Simulator(files=600) as sky, Catalog.open(path, server=sky.url) as lake:
            lake.harvest(Search.parse("soss", "niriss", ["exp_type=NIS_SOSS"]))
        with served(path, seconds=5) as page:
            sys.stdout.write(f"{count:,} addresses: {dict(fuzz(page, count, secret))}\n")
        beside = {one for one in os.listdir(path.parent) if not one.startswith(path.name)}  # noqa: PTH208
        assert not beside, beside


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
