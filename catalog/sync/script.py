"""The same selection as one bash script, for machines that have curl and nothing else.

The script keeps this package's promises as far as a shell can: a file gets its name when its length and MD5 are right,
unfinished bytes are continued only if they are of the same version, and a second run fetches what is missing. The
script is the file `fetch.bash`; this module replaces marks in it, like ``@COUNT@``.
"""

from __future__ import annotations

import re
import shlex
from importlib import resources
from pathlib import Path

from catalog.defaults import SERVER, TEMPLATE
from catalog.network.server import Server
from catalog.store.database import Database
from catalog.store.history.local_files import offer_local_files
from catalog.sync.decisions import decide
from catalog.sync.disk import DISK, PARTS
from catalog.sync.names import Template
from catalog.sync.plan import Item, Plan, PlanOptions
from catalog.sync.selection import Selection, run_sql, selection_query
from catalog.sync.source import download_path

_ROOT = Path("/-")


def script(database: Database, selection: Selection, *, server: str = SERVER, template: str = TEMPLATE) -> str:
    """Write a bash script that fetches a selection with curl.

    Parameters
    ----------
    database : Database
        The catalog.
    selection : Selection
        The products to fetch.
    server : str
        The archive's address.
    template : str
        How files lie below the folder that the script gets.

    Returns
    -------
    str
        The script. It has no token: for exclusive products it reads ``MAST_API_TOKEN`` when it runs.

    Raises
    ------
    NoSuchSearch, UsageError
        If the selection or the template is wrong, or two products would have the same path.
    """
    address = Server(server)
    plan = _everything(database, selection, template)
    lines = [_line(item) for item in plan.items("fetch")]
    left_out = plan.tallies["out of reach"].items
    notes = [f"# Left out: {left_out} that cannot be named or are unknown to the catalog.\n"] if left_out else []
    if address.authorization:
        notes.append(
            '# The server asks for a name and a password: put them into ~/.curlrc, as user = "NAME:PASSWORD".\n'
        )
    words = {
        "@COUNT@": str(len(lines)),
        "@SIZE@": str(plan.tallies["fetch"].bytes),
        "@NOTE@": "".join(notes),
        "@SERVER@": shlex.quote(str(address)),
        "@FILES@": "\n".join(lines) or "  :",
    }
    return re.sub("|".join(words), lambda mark: words[mark[0]], _template())


def _template() -> str:
    return resources.files("catalog.sync").joinpath("fetch.bash").read_text(encoding="utf-8")


def _everything(database: Database, selection: Selection, template: str) -> Plan:
    """Return the plan of a machine that has no files yet, and has a token."""
    options = PlanOptions(_ROOT, Template(template), has_token=True)
    uris_of_sql = run_sql(database, selection.sql) if selection.sql else None
    with database.read() as connection:
        selected = selection_query(connection, selection, uris_of_sql)
        offer_local_files(connection, "false")
        return decide(connection, selected, options, lambda folders: (DISK.empty_table(), PARTS.empty_table()))


def _line(item: Item) -> str:
    path = item.path.removeprefix(f"{_ROOT}/")
    size = "-" if item.size is None else str(item.size)
    access = f"exclusive:{item.program or 'unknown'}" if item.exclusive else "public"
    words = (path, size, item.checksum or "-", access, download_path(item.data_uri))
    return "  get " + " ".join(shlex.quote(word) for word in words)
