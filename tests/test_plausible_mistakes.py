"""Plausible mistakes of people who know astronomy: each is told in one line what to do, or what there is instead."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from catalog.store.database import Database

from .conftest import Command

WRONG = 2
NOTHING = 0
"""An honest empty answer, with a hint."""

MISTAKES: list[tuple[list[str], int, str]] = [
    # words that are no commands and options
    (["harvst"], WRONG, "harvest"),
    (["fnd", "--target", "WASP-39"], WRONG, "find"),
    (["find", "--traget", "WASP-39"], WRONG, "--target"),
    (["find", "--target"], WRONG, "requires an argument"),
    (["find", "WASP-39"], WRONG, "find --help"),
    (["products", "soss", "nircam"], WRONG, "products --help"),
    (["sql", "SELECT 1", "--fromat", "csv"], WRONG, "--format"),
    (["sql", "SELECT 1", "--format", "xlsx"], WRONG, "csv"),
    (["sql", "SELECT 1", "--json", "--format", "csv"], WRONG, "give one of them"),
    (["sql", "SELECT 1", "--json", "-o", "x.csv"], WRONG, "two formats"),
    (["find", "--json", "--format", "ecsv"], WRONG, "give one of them"),
    (["sql", "SELECT 1", "-o", "x.xls"], WRONG, ".csv"),
    (["find", "--limit", "0"], WRONG, "--limit"),
    (["find", "--limit", "many"], WRONG, "is not a valid int"),
    # names of files, folders, tables and targets that are nowhere
    (["outdated", "NOFOLDER"], WRONG, "there is no NOFOLDER"),
    (["inputs", "NOFILE.fits"], WRONG, "has a file NOFILE.fits"),
    (["outputs", "data/NOFILE.fits"], WRONG, "has a file data/NOFILE.fits"),
    (["sql", ".columns filess"], WRONG, "did you mean files?"),
    (["sky", "--target", "WASP-39X"], WRONG, "did you mean WASP-39"),
    (["timeline", "--target", "WASP-39X"], WRONG, "did you mean WASP-39"),
    (["timeline", "--program", "9999"], WRONG, "harvested files have it from"),
    # the shell took a quote or a wildcard
    (["sql", "SELECT", "count(*)", "FROM", "files"], WRONG, "sql --help"),
    (["sql", "SELECT count(*) FROM files WHERE exp_type = NIS_SOSS"], WRONG, "NIS_SOSS"),
    (["find", "--target", "WASP-39.fits", "WASP-96.fits"], WRONG, "find --help"),
    # keywords and their values
    (["find", "-k", "exptype=NIS_SOSS"], WRONG, "exp_type"),
    (["find", "-k", "exp_type:NIS_SOSS"], WRONG, "KEYWORD=VALUE"),
    (["find", "-k", "exp_type="], WRONG, "KEYWORD=VALUE"),
    (["find", "-k", "exp_type=SOSS"], WRONG, "NIS_SOSS"),
    (["find", "-k", "exp_type=NIS_SOSS", "-k", "exp_type=NIS_AMI"], WRONG, "NIS_SOSS,NIS_AMI"),
    (["find", "-k", "nints=5..1"], WRONG, "ends before"),
    (["find", "-k", "nints=.."], WRONG, "at least one end"),
    (["find", "-k", "nints=ten"], WRONG, "whole number"),
    (["find", "-k", "tsovisit=maybe"], WRONG, "true or false"),
    (["find", "-k", "filter=F480M", "-k", "pupil=GR700"], WRONG, "GR700XD"),
    (["find", "-k", "exp_type=MIR_LRS-FIXEDSLIT"], NOTHING, "there are"),
    (["find", "-k", "effexptm=1e9.."], NOTHING, "harvested files have it from"),
    (["find", "-k", "filename=jw01091"], NOTHING, "did you mean filename=jw01091*?"),
    (["find", "-k", "effexptm=1h"], WRONG, "not a number or a range"),
    (["find", "-k", "effexptm>100"], WRONG, "KEYWORD=VALUE"),
    (["find", "-k", "effexptm=100-200"], WRONG, "range like 1.5..2"),
    (["find", "-k", "filter=F480"], WRONG, "F480M"),
    # dates
    (["find", "-k", "date_obs=28/07/2022"], WRONG, "like 2022-06-01"),
    (["find", "-k", "date_obs_mjd=2459788"], WRONG, "MJD 59787.5"),
    (["find", "--since", "7days"], WRONG, "7d for seven days ago"),
    (["changes", "--since", "soss"], WRONG, "like 2022-06-01"),
    (["find", "--since", "June 2022"], WRONG, "like 2022-06-01"),
    (["find", "--since", "01.06.2022"], WRONG, "like 2022-06-01"),
    (["find", "--since", "2022-06-31"], WRONG, "like 2022-06-01"),
    (["find", "--since", "2459731.5"], WRONG, "MJD 59731"),
    (["find", "--since", "2023-01-01", "--until", "2022-01-01"], WRONG, "is not after --since"),
    (["find", "--since", "2030-01-01"], NOTHING, "harvested files have it from"),
    (["find", "-k", "date_obs=2022-06..2022-08"], WRONG, "2022-08-31"),
    (["find", "-k", "date_obs=202206"], WRONG, "like 2022-06-01"),
    # places
    (["find", "--cone", "217.3,-3.4"], WRONG, "RA,DEC,RADIUS"),
    (["find", "--cone", "217.3,-3.4,30"], WRONG, "needs a unit"),
    (["find", "--cone", "217.3,-3.4,0.01"], WRONG, "needs a unit"),
    (["find", "--cone", "361,-3.4,30s"], WRONG, "0 to 360"),
    (["find", "--cone", "-3.4,217.3,30s"], WRONG, "0 to 360"),
    (["find", "--cone", "10,217.3,30s"], WRONG, "-90 to 90"),
    (["find", "--cone", "217.3,-3.4,30 pc"], WRONG, "not a radius"),
    (["find", "--cone", "10.5,-89,1s"], NOTHING, "degrees away"),
    (["find", "--footprint", "10.5,-89,1s"], NOTHING, "degrees away"),
    (["find", "--footprint", "POLYGON 1 2 3 4"], WRONG, "three corners"),
    (["products", "--extension", "fit"], WRONG, "did you mean fits?"),
    (["script", "--extension", "docx"], WRONG, "--extension: no product"),
    (["find", "--cone", "217.3 -3.4 2m"], WRONG, "RA,DEC,RADIUS"),
    (["find", "--cone", "217.3,-3.4,1rad"], WRONG, "not a radius"),
    (["find", "--cone", "217.3,-3.4,-2m"], WRONG, "not a radius"),
    (["find", "--cone", "nan,1,2m"], WRONG, "RA,DEC,RADIUS"),
    (["find", "--footprint", "BOX 1 2 3 4"], WRONG, "RA,DEC,RADIUS"),
    # names
    (["find", "--program", "GO-1366"], WRONG, "whole number"),
    (["find", "--program", "1366-2734"], WRONG, "range like 1..5"),
    (["find", "--instrument", "NIRISS/SOSS"], WRONG, "niriss"),
    (["find", "--instrument", "WFC3"], WRONG, "there are nircam"),
    (["products", "--level", "L3"], WRONG, "numbers like 2,3"),
    (["products", "--subgroup", "_x1dints"], WRONG, "X1DINTS"),
    (["plot", "README.md"], WRONG, "README.md"),
    (["plot", "http://x.org/a.fits"], WRONG, "no file"),
    (["sky", "-o", "sky.gif"], WRONG, ".png, .svg or .pdf"),
    (["find", "--target", "NO SUCH STAR"], NOTHING, "there are"),
    (["find", "--program", "WASP"], WRONG, "whole number"),
    (["find", "--program", "99999"], NOTHING, "no file has program=99999"),
    (["find", "--instrument", "niris"], WRONG, "niriss"),
    (["find", "--instrument", "miri"], NOTHING, "miri"),
    (["find", "--pi", "Nobody"], NOTHING, "no investigator"),
    (["find", "--release", "private"], WRONG, "public or exclusive"),
    (["products", "sos"], WRONG, "soss"),
    (["sync", "sos", "--dry-run"], WRONG, "soss"),
    # products
    (["products", "--subgroup", "X1DINT"], WRONG, "X1DINTS"),
    (["products", "--type", "SCIENCES"], WRONG, "SCIENCE"),
    (["products", "--dataproduct", "spectra"], WRONG, "spectrum"),
    (["products", "--level", "7"], WRONG, "--level"),
    (["products", "--level", "2b"], WRONG, "numbers like 2,3"),
    (["sync", "--subgroup", "X1DINT", "--dry-run"], WRONG, "X1DINTS"),
    (["script", "--type", "SCIENCES"], WRONG, "SCIENCE"),
    (["products", "soss", "--type", "THUMBNAIL", "--level", "-1"], NOTHING, "types"),
    (["sync", "--max-size", "-5", "--dry-run"], WRONG, "--max-size"),
    (["sync", "--limit-rate", "0"], WRONG, "--limit-rate"),
    (["sync", "--jobs", "0"], WRONG, "--jobs"),
    (["sync", "--sql", "SELECT 1 AS n", "--dry-run"], WRONG, "data_uri or filename"),
    # SQL
    (["sql", "SELEC 1"], WRONG, "syntax error"),
    (["sql", "SELECT * FROM file"], WRONG, "files"),
    (["sql", "SELECT targnam FROM files"], WRONG, "targname"),
    (["sql", "SELECT * FROM files_at(2026-11-27)"], WRONG, "no run 1988"),
    (["sql", "SELECT * FROM files_at(7)"], WRONG, "no run 7"),
    (["sql", "DELETE FROM files"], WRONG, "read only"),
    (["sql", 'SELECT * FROM files WHERE targname = "WASP-39"'], WRONG, "a text stands in single quotes: 'WASP-39'"),
    (["sql", "SELECT * FROM files WHERE date_obs > 2022-07-28"], WRONG, "single quotes: '2022-07-28'"),
    (["sql", "SELECT TOP 5 * FROM files"], WRONG, "LIMIT 5"),
    (["sql", "question.sql"], WRONG, '"$(cat FILE)"'),
    (["sql", "SELECT * FROM files WHERE effexptm = '1h'"], WRONG, "'1h'"),
    (["sql", "SELECT * FROM 'x.csv'"], WRONG, "Cannot access file"),
    (["sql", ""], WRONG, "SELECT"),
    # searches
    (["harvest", "s", "--observations", "-k", "instrument_name=NIRISS"], WRONG, "NIRISS*"),
    (["harvest", "s", "--observations", "-k", "proposal_id=2734", "-k", "proposal_id=1366"], WRONG, "once"),
    (["harvest", "s", "--instrument", "niriss", "-k", "exp_type=NIS_SOSS", "-k", "exp_type=NIS_AMI"], WRONG, "twice"),
    (["harvest", "s p", "--instrument", "niriss", "-k", "exp_type=NIS_SOSS"], WRONG, "letters"),
    (["keywords", "exptype"], WRONG, "exp_type"),
]


@pytest.mark.parametrize(("words", "code", "says"), MISTAKES, ids=[" ".join(words) for words, _, _ in MISTAKES])
def test_a_mistake_is_told_in_one_line(
    mastlake: Command, catalog: Database, words: list[str], code: int, says: str
) -> None:
    outcome = mastlake("--server", "http://127.0.0.1:9", *words)
    assert outcome.code == code, outcome.err
    assert says in outcome.err
    lines = [line for line in outcome.err.splitlines() if line not in ("0 files", "0 products, 0 B")]
    assert len(lines) == 1, outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.long
def test_a_target_in_another_spelling_is_offered(mastlake: Command, catalog: Database) -> None:
    (target,) = mastlake("sql", "SELECT targname FROM files WHERE targname LIKE 'WASP-%' LIMIT 1", "--json").json
    name = target["targname"]
    for typed in (f"{name}b", f"{name} b", name.replace("-", "").replace("WASP", "WSAP")):
        outcome = mastlake("find", "--target", typed, "--json")
        assert (outcome.code, outcome.json) == (0, [])
        assert name in outcome.err, typed
    for typed in (name.replace("-", "\u2013"), name.replace("-", " ").lower(), name.replace("-", "\u2212")):
        assert mastlake("find", "--target", typed, "--json").json, typed


@pytest.mark.parametrize("words", [["find", "--limit", "2"], ["sql", "FROM files", "--limit", "2"]])
def test_a_limit_means_rows_at_most_in_every_format(mastlake: Command, catalog: Database, words: list[str]) -> None:
    assert len(mastlake(*words, "--json").json) == 2
    assert len(mastlake(*words, "--format", "csv").out.splitlines()) == 3
    assert len(mastlake(*words).out.splitlines()) == 3


@pytest.mark.parametrize("quiet", ["-q", "--quiet", "-qq"])
def test_quiet_means_the_same_before_and_after_the_command(mastlake: Command, catalog: Database, quiet: str) -> None:
    for words in ([quiet, "products", "soss"], ["products", "soss", quiet]):
        outcome = mastlake(*words)
        assert (outcome.code, outcome.err) == (0, "")
    assert mastlake("products", "soss").err.count("\n") == 1


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_examples_reach_a_command_in_zsh_as_they_are_written(tmp_path: Path) -> None:
    from catalog.cli.examples import EXAMPLES

    from .test_readme import commands

    lines = [f"mastlake {words}" for _, words in commands()]
    lines += [words for parts in EXAMPLES.values() for _, words in parts]
    script = "mastlake() { printf '%s\\0' \"$#\" }\n" + "\n".join(lines)
    done = subprocess.run(["zsh", "-f", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\0") == len(lines)


@pytest.mark.parametrize(
    ("column", "meant"),
    [("size", "file_size"), ("ra", "targ_ra"), ("dec", "targ_dec"), ("target", "targname"), ("mykey", "'MYKEY'")],
)
def test_an_unknown_column_is_told_what_was_meant(
    mastlake: Command, catalog: Database, column: str, meant: str
) -> None:
    outcome = mastlake("sql", f"SELECT {column} FROM files")
    assert outcome.code == WRONG
    assert meant in outcome.err.splitlines()[0]
    assert outcome.err.count("\n") == 1


def test_a_size_that_leaves_no_product_is_told_the_sizes_that_there_are(mastlake: Command, catalog: Database) -> None:
    done = mastlake("sync", "soss", "--max-size", "5", "--dry-run")
    assert "no product matches" in done.err
    assert re.search(r"sizes from [0-9.]+ k?B to [0-9.]+ [kM]B", done.err)


def test_columns_are_shown_with_unit_and_meaning_without_the_prompt(mastlake: Command, catalog: Database) -> None:
    rows = {row["name"]: row for row in mastlake("sql", ".columns files", "--json").json}
    assert (rows["effexptm"]["unit"], rows["effexptm"]["type"]) == ("s", "DOUBLE")
    assert "xposure time" in rows["effexptm"]["meaning"]
    assert any("files" in row["name"] for row in mastlake("sql", ".tables", "--json").json)
    assert mastlake("sql", ".columns nothing").code == WRONG
    assert mastlake("sql", ".save x.csv").code == WRONG


def test_columns_of_observations_are_in_the_dictionary(mastlake: Command) -> None:
    out = mastlake("keywords", "calib_level").out
    assert "Calibration level" in out
    assert "-1, 0, 1, 2, 3, 4" in out
    assert "NIRISS*" in mastlake("keywords", "instrument_name").out
