"""When a person last looked at the changes: a small file beside the catalog, one for each person.

It is not in the catalog, because several people may read one catalog, and some of them may not write it. If the
catalog's folder cannot be written, the file is in the person's own folder for state.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from catalog.changes.span import ended_at
from catalog.process.interrupts import held_back


@dataclass(frozen=True)
class LastLook:
    """The run up to which a person has seen the changes.

    Attributes
    ----------
    run : int
        The run for all searches together; 0 if the person never looked.
    searches : dict
        The runs for single searches, by name.
    """

    run: int = 0
    searches: dict[str, int] = field(default_factory=dict)

    def at(self, search: str | None) -> int:
        """Return the run up to which the changes of a search, or of all, were seen."""
        return self.run if search is None else max(self.run, self.searches.get(search, 0))

    def seen(self, run: int, search: str | None) -> LastLook:
        """Return the value to keep after a look."""
        if search is None:
            return LastLook(max(self.run, run))
        return LastLook(self.run, {**self.searches, search: run})


def read_looked(connection: duckdb.DuckDBPyConnection, catalog: Path) -> LastLook:
    """Return a person's last look at a catalog; a mark for another catalog with the same name does not count."""
    for place in _places(catalog):
        try:
            said = json.loads(place.read_text(encoding="utf-8"))
            runs = [int(said["run"]), *map(int, said["searches"].values())]
            newest = max(runs)
            if newest and str(ended_at(connection, newest)) == said["ended_at"]:
                return LastLook(runs[0], {str(name): int(run) for name, run in said["searches"].items()})
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            continue
    return LastLook()


def write_looked(connection: duckdb.DuckDBPyConnection, catalog: Path, looked: LastLook) -> bool:
    """Remember a look; return whether this was possible."""
    newest = max(looked.run, *looked.searches.values(), 0)
    said = {"run": looked.run, "searches": looked.searches, "ended_at": str(ended_at(connection, newest))}
    for place in _places(catalog):
        beside = place.with_name(f"{place.name}.{os.getpid()}")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(json.dumps(said), encoding="utf-8")
            beside.replace(place)
        except OSError:
            continue
        finally:
            with held_back(), suppress(OSError):
                beside.unlink(missing_ok=True)
        return True
    return False


def _places(catalog: Path) -> tuple[Path, Path]:
    """Return the path of the file, and the path to use if that folder cannot be written."""
    import hashlib  # not at the top: it loads OpenSSL, and most questions about changes do not come here

    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    name = hashlib.sha256(str(catalog).encode()).hexdigest()[:16]
    return catalog.with_name(f"{catalog.name}.looked-{os.getuid()}"), state / "mastlake" / f"looked-{name}.json"
