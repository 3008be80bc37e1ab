"""``mastlake searches`` and ``mastlake runs``."""

from __future__ import annotations

import typer

from .options import Json, settings
from .output import put_json, put_table

_MATCHES = """
    SELECT search, count(*) FROM search_files GROUP BY search
    UNION ALL SELECT o.search, count(*) FROM search_observations o
    JOIN searches s ON s.name = o.search AND s.kind = 'observations' GROUP BY o.search
"""


def register(app: typer.Typer) -> None:
    app.command("searches")(searches)
    app.command("runs")(runs)


def searches(context: typer.Context, json: Json = False) -> None:
    """List the saved searches."""
    from catalog.mjd import iso
    from catalog.store.records import saved_searches

    with settings(context).database.read() as connection:
        found = saved_searches(connection)
        counts = dict(connection.execute(_MATCHES).fetchall())
    if json:
        put_json(
            [
                {
                    "name": one.search.name,
                    "instrument": one.search.instrument,
                    "criteria": list(one.search.written),
                    "cone": str(one.search.cone) if one.search.cone else None,
                    "matches": counts.get(one.search.name, 0),
                    "files": counts.get(one.search.name, 0) if one.search.instrument else 0,
                    "cursor_mjd": one.cursor_mjd,
                }
                for one in found
            ]
        )
        return
    put_table(
        ("name", "of", "matches", "newest ingest (UTC)", "criteria"),
        [
            (
                one.search.name,
                f"{one.search.instrument} files" if one.search.instrument else "observations",
                counts.get(one.search.name, 0),
                iso(one.cursor_mjd).replace("T", " ") if one.cursor_mjd else None,
                " ".join([*one.search.written, *([f"cone={one.search.cone}"] if one.search.cone else [])]),
            )
            for one in found
        ],
    )


def runs(context: typer.Context, json: Json = False) -> None:
    """List what was harvested, and when."""
    from dataclasses import asdict

    from catalog.store.records import runs as all_runs

    with settings(context).database.read() as connection:
        found = all_runs(connection)
    if json:
        put_json([asdict(run) for run in found])
        return
    columns = (
        "run", "search", "kind", "ended_at", "files", "new", "changed", "withdrawn", "returned",
        "observations", "products", "linked", "requests",
    )  # fmt: skip
    put_table(columns, [[getattr(run, column) for column in columns] for run in found])
