"""The end of every command's ``--help``: examples that run, and related commands."""

from __future__ import annotations

import typer

_SOSS = "-k exp_type=NIS_SOSS -k date_obs_mjd=2022-06-01..2022-08-04"

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "demo": (("The whole job, offline, in a folder of its own", "mastlake demo --dir tour"),),
    "harvest": (
        (
            "See what would be asked, and how many files match",
            f"mastlake harvest soss --instrument niriss {_SOSS} --dry-run",
        ),
        ("Save a search, and run it", f"mastlake harvest soss --instrument niriss {_SOSS}"),
        ("A program, whichever instruments it has", "mastlake harvest p1366 --instrument all -k program=1366"),
        ("Weeks later: what changed in it since", "mastlake harvest soss"),
        ("All saved searches, for a script", "mastlake harvest --json"),
        ("All, and what changed as a page to be mailed", "mastlake harvest --report changes.html"),
        ("Observations instead of files", "mastlake harvest ero --observations -k proposal_id=2734 -k calib_level=2,3"),
    ),
    "searches": (
        ("What is saved", "mastlake searches"),
        ("One search, with its edits and its last runs", "mastlake searches show soss"),
        (
            "Other criteria; the next harvest reads everything",
            "mastlake searches edit soss -k exp_type=NIS_SOSS -k date_obs_mjd=2022-06-01..",
        ),
        ("Another name", "mastlake searches rename ero early"),
        ("Stop harvesting it; its history stays", "mastlake searches remove early"),
    ),
    "runs": (
        ("What ran, newest last", "mastlake runs --json"),
        ("The last five of one search", "mastlake runs --search soss --limit 5"),
    ),
    "changes": (
        ("What changed since you last looked, over all searches", "mastlake changes"),
        ("Only files on this disk, and files to reduce again", "mastlake changes --since 2022-06-01 --local"),
        ("One search, row by row, from the old to the new value", "mastlake changes --since 0 --search soss -v"),
        ("Which files run 1 brought, for a script", "mastlake changes 1 --what file --json"),
    ),
    "diff": (("What became of files between two runs", "mastlake diff 1 2 --what file"),),
    "sql": (
        (
            "Hours on each target",
            'mastlake sql "SELECT targname, sum(effexptm) / 3600 AS hours FROM exposures GROUP BY ALL"',
        ),
        ("To a file that astropy reads, with units", 'mastlake sql "FROM files" --format ecsv -o files.ecsv'),
        ("The columns that there are", 'mastlake sql "DESCRIBE files"'),
    ),
    "find": (
        ("By keyword, target and time", "mastlake find -k exp_type=NIS_SOSS --target 'WASP*' --since 2022-07-01"),
        ("Near a place: right ascension, declination, radius", "mastlake find --cone 217.3267,-3.4445,30s"),
        ("Near a harvested target, and public", "mastlake find --cone WASP-39,30s --release public"),
        ("The same question in SQL, to go on from", "mastlake find -k tsovisit=T --explain"),
    ),
    "products": (
        ("What a search could download", "mastlake products soss --type SCIENCE,INFO --level 2,3"),
        ("Its extracted spectra, for a script", "mastlake products soss --subgroup X1DINTS --json"),
        ("What only its observers may fetch now", "mastlake products soss --release exclusive"),
    ),
    "sync": (
        ("See what would be fetched, and why", "mastlake sync soss --subgroup X1DINTS --dest data --dry-run"),
        ("Fetch it; run again to continue, or to renew", "mastlake sync soss --subgroup X1DINTS --dest data"),
        (
            "Any question as the selection",
            "mastlake sync --sql \"SELECT filename FROM files WHERE filename LIKE '%x1dints%'\" --dest data",
        ),
    ),
    "script": (("For a machine without mastlake", "mastlake script soss --subgroup X1DINTS -o fetch.sh"),),
    "index": (
        ("Read all headers below a folder", "mastlake index data"),
        ("And every byte, against the archive's checksums", "mastlake index data --verify --json"),
    ),
    "status": (
        ("Catalog and disk", "mastlake status"),
        ("And how many files each search matches now", "mastlake status --ask"),
    ),
    "outdated": (
        ("Which local files are no longer the archive's, and why", "mastlake outdated --why"),
        ("Only files that a person changed or made, below one folder", "mastlake outdated data --state modified"),
    ),
    "inputs": (("What went into a product", "mastlake inputs jw02734-o002_t001_niriss_x1dints.fits"),),
    "outputs": (("What was made from a file", "mastlake outputs jw02734002001_04101_00001-seg001_nis_calints.fits"),),
    "keywords": (
        ("What a keyword means, and its values", "mastlake keywords exp_type"),
        ("Find one by its meaning", 'mastlake keywords "guide star"'),
    ),
    "plot": (
        ("Spectra, or time against wavelength", "mastlake plot data/jw02734002001_04101_00001-seg001_nis_x1dints.fits"),
        ("As a drawing that scales", "mastlake plot jw02734002001_04101_00001-seg001_nis_x1dints.fits -o spectra.svg"),
    ),
    "preview": (
        ("A search at a glance", "mastlake preview soss --limit 4"),
        ("On one sheet", "mastlake preview soss --limit 9 -o sheet.png"),
    ),
    "sky": (
        ("Everything in the catalog", "mastlake sky"),
        ("One search, as a drawing that scales", "mastlake sky soss -o soss.svg"),
        ("The corners, for a script", "mastlake sky -k exp_type=NIS_SOSS --json"),
    ),
    "publish": (
        ("Into a folder that the group can read", "mastlake publish group"),
        ("From cron, after a harvest", "mastlake publish group --keep 5 -q"),
        ("And as Parquet, for programs without mastlake", "mastlake publish group --parquet"),
    ),
    "clone": (("A catalog of your own, which goes on harvesting", "mastlake clone group --catalog mine.duckdb"),),
    "copy": (
        ("A file becomes a lake, with all its history", "mastlake copy mastlake.duckdb ducklake:jwst.lake"),
        (
            "And one with its metadata in PostgreSQL",
            "mastlake copy mastlake.duckdb ducklake:postgres:service=jwst,data=/group/jwst",
        ),
    ),
    "upkeep": (("Weekly, from cron", "mastlake upkeep -q --catalog ducklake:jwst.lake"),),
    "timeline": (
        ("Everything in the catalog", "mastlake timeline"),
        ("One target", "mastlake timeline --target 'WASP*' -o wasp.pdf"),
    ),
    "serve": (
        ("Look at the catalog in the browser", "mastlake serve --open"),
        ("Always at the same address", "mastlake serve --port 8642"),
        (
            "From other machines of a network that you trust",
            "mastlake serve --host 0.0.0.0 --port 8642 --token a-long-word-of-yours",
        ),
    ),
    "shared": (
        ("Who has a file", "mastlake shared jw01366002001_04101_00001-seg001_nis_x1dints.fits --catalog /shared/jwst/"),
        ("Which folders are shared", "mastlake shared --catalog /shared/jwst/"),
        ("The same in a bucket", "mastlake shared --catalog s3://my-bucket/jwst/"),
    ),
    "login": (("Keep a token for files that are not public yet", "mastlake login"),),
    "forget": (("Forget a folder that will not come back", "mastlake forget data"),),
    "simulate": (("To try things on: set MASTLAKE_SERVER to what it prints", "mastlake simulate --port 8765"),),
}

SHORT: dict[str, str] = {
    "demo": "Do the whole job once, offline, and show each command",
    "harvest": "Search the archive and bring the catalog up to date",
    "searches": "List saved searches; show, edit, rename or remove one",
    "runs": "List what was harvested, and when",
    "changes": "Tell what changed since you last looked",
    "diff": "List what became of everything between two runs",
    "sql": "Ask the catalog in SQL, read-only",
    "find": "Find files by keyword, target, place and time",
    "products": "List what can be downloaded",
    "sync": "Fetch what is missing or outdated; prove every byte",
    "script": "Write a bash script that fetches the same with curl",
    "index": "Read the headers of local FITS files into the catalog",
    "status": "Show catalog, disk and archive in one page",
    "outdated": "List local files that are not known to be the archive's",
    "forget": "Forget local files that will not come back",
    "inputs": "List what went into a product",
    "outputs": "List what was made from a file",
    "keywords": "Look up keywords: meaning, unit, values",
    "plot": "Draw a FITS file: image, spectra, or time series",
    "preview": "Fetch and show preview images of the archive",
    "sky": "Draw where on the sky files lie",
    "timeline": "Draw what was observed and processed when",
    "serve": "Look at the catalog in the browser, read-only",
    "publish": "Publish the catalog for a group, in a folder or a bucket",
    "clone": "Make a catalog of your own from a published one",
    "shared": "Say who in the group has a file",
    "copy": "Copy a catalog with its history, from a file to a lake or back",
    "upkeep": "Merge the small files of a lake, and remove what nothing needs",
    "login": "Check a MAST token, and keep it in the system keyring",
    "simulate": "Serve the built-in archive, to try things on",
}

SEE_ALSO: dict[str, str] = {
    "demo": "harvest, sync, simulate",
    "harvest": "keywords, searches, changes, products, sync",
    "searches": "harvest, runs",
    "runs": "changes, diff",
    "changes": "diff, outdated, timeline",
    "diff": "changes, runs",
    "sql": "find, keywords",
    "find": "keywords, sql, sky, timeline",
    "products": "sync, script, preview",
    "sync": "products, outdated, index, login",
    "script": "sync",
    "index": "outdated, inputs, sql",
    "status": "outdated, harvest",
    "outdated": "sync, changes, forget",
    "forget": "outdated, index",
    "inputs": "outputs, index",
    "outputs": "inputs, index",
    "keywords": "find, harvest",
    "plot": "preview, sync",
    "preview": "plot, products",
    "sky": "find, timeline",
    "timeline": "changes, sky",
    "serve": "find, sql, plot",
    "publish": "clone, harvest",
    "clone": "publish, harvest",
    "shared": "sync, index, publish",
    "copy": "upkeep, publish",
    "upkeep": "copy, harvest",
    "login": "sync",
    "simulate": "demo",
}

MAIN = """Start:
  mastlake demo
  mastlake harvest soss --instrument niriss -k exp_type=NIS_SOSS
  mastlake COMMAND --help

Files:
  mastlake.duckdb  the catalog, which any DuckDB client opens
  mastlake.toml    beside it: searches, destinations, and defaults of any option

Environment:
  MASTLAKE_CATALOG, MASTLAKE_SERVER  as --catalog and --server; a folder or address with a published catalog too
  MASTLAKE_LOCAL_CATALOG             as --local-catalog; by default mastlake.local.duckdb in this folder
  MASTLAKE_DATA                      the folder for the rows of a new lake (ducklake:PATH)
  MASTLAKE_WAIT                      seconds to wait for another process to let go of the catalog
  MAST_API_TOKEN                     for files that are not public yet
  NO_COLOR                           no colours

Exit codes:
  0 done; 1 not all could be done; 2 wrong usage; 130 interrupted, what was finished is kept"""


def give_examples(app: typer.Typer) -> None:
    """Add examples to the end of every command's help, and a short purpose to the list of commands."""
    for command in app.registered_commands:
        name = str(command.name)
        command.short_help = SHORT.get(name)
        if name in EXAMPLES:
            command.epilog = ending(name)


def ending(name: str) -> str:
    """Return the end of a command's help."""
    parts = [f"  # {why}\n  $ {words}" for why, words in EXAMPLES[name]]
    text = "Examples:\n" + "\n".join(parts)
    text += f"\n\nSee also: {SEE_ALSO[name]}" if name in SEE_ALSO else ""
    return as_written(text)


def as_written(text: str) -> str:
    """Mark paragraphs so that their line breaks stay."""
    return "\n\n".join(f"\b\n{part}" for part in text.split("\n\n"))
