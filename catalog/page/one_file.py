"""The page of one file: its versions, observation, inputs and outputs, headers, and its copy on this disk."""

from __future__ import annotations

from typing import Any

from catalog.api.catalog import Catalog
from catalog.api.choices import FileVersion, literal
from catalog.errors import MastlakeError
from catalog.page.answer import Asked, Page, WayBack, in_python, link
from catalog.page.find import dictionary_of
from catalog.page.missing import NoSuchPage

_MOST = 200
_CARDS = 1000
_OWN = {"since_run", "until_run", "row_hash", "checked_run", "footprint", "odd_cells"}
_ALIASES = {"data_uri", "file_size", "is_stale", "ingest_mjd"}


def file_page(asked: Asked) -> Page:
    """Make the page of the file that the address names."""
    lake, name = asked.lake, name_in_address(asked)
    row = _first_row(lake, "SELECT * FROM files WHERE filename = ?", name)
    local = lake.sql(_LOCAL, [name]).rows.to_pylist()
    versions = lake.versions(name)
    if row is None and not local and not versions:
        raise NoSuchPage(f"the catalog knows no file {name}")
    observation = _first_row(lake, "SELECT * FROM observations WHERE obs_id = ?", row["obs_id"]) if row else None
    facts: dict[str, Any] = {
        "name": name,
        "words": _in_words(row) if row else "",
        "row": _with_values(row),
        "versions": [_as_facts(version) for version in versions],
        "observation": _with_values(observation),
        "products": _products(lake, row["obs_id"]) if row and row["obs_id"] else [],
        "inputs": _links(lake.inputs(name)),
        "outputs": _links(lake.outputs(name)),
        "local": local,
        **_headers(asked, name, bool(local)),
        "previews": previews_of(lake, name),
    }
    drawn = {
        "meanings": dictionary_of(asked),
        "card": asked.parameter("card"),
        "hdu": asked.parameter("hdu"),
        "picture": link("/picture", name=name) if local else "",
        "most": _MOST,
        "graph": _graph(facts),
    }
    return Page("file.html", name, facts, _way_back(name, row is not None), drawn)


def _as_facts(version: FileVersion) -> dict[str, Any]:
    changed = {column: list(values) for column, values in version.changed.items()}
    return {"since_run": version.since_run, "until_run": version.until_run, "since_at": version.since_at,
            "changed": changed}  # fmt: skip


def _headers(asked: Asked, name: str, is_local: bool) -> dict[str, Any]:
    """Return the HDUs of a local file, and those cards that the address asks for."""
    hdus = asked.lake.sql(_HDUS, [name]).rows.to_pylist() if is_local else []
    return {
        "hdus": hdus,
        "cards": _cards(asked.lake, name, asked.parameter("hdu"), asked.parameter("card")) if hdus else [],
    }


def _way_back(name: str, is_listed: bool) -> WayBack:
    return WayBack(
        f"mastlake find -k 'filename={name}' --format json" if is_listed and name.isascii() and "'" not in name else "",
        f"SELECT * FROM files WHERE filename = {literal(name)}",
        in_python(
            f"file = lake.find(filename={name!r}, everything=True)",
            f"made_from = lake.inputs({name!r})",
            f"versions = lake.versions({name!r})",
        ),
    )


_LOCAL = """
    SELECT l.path, l.filename, l.size, make_timestamp(l.mtime_ns // 1000) AS changed_at, l.checksum, l.data_uri,
           l.indexed, l.fetched_at, coalesce(v.state, 'current') AS state, v.reason
    FROM local_files l LEFT JOIN local_verdict v USING (file_id) WHERE l.filename = ? ORDER BY l.path LIMIT 20
"""
_HDUS = """SELECT hdu, name, version, type, bitpix, shape, data_size, cards FROM hdus
    WHERE filename = ? AND path = (SELECT min(path) FROM hdus h WHERE h.filename = hdus.filename) ORDER BY hdu"""
_CARDS_OF = f"""
    SELECT hdu, name, keyword, text, comment FROM cards WHERE filename = ?
      AND path = (SELECT min(path) FROM hdus h WHERE h.filename = cards.filename)
      AND (? = '' OR CAST(hdu AS VARCHAR) = ?) AND (keyword ILIKE ? OR text ILIKE ?)
    ORDER BY hdu, position LIMIT {_CARDS}
"""


def name_in_address(asked: Asked) -> str:
    """Return the name in the address, from its path or a parameter.

    A name may itself end in ``.json``; with the parameter there is no doubt.
    """
    return str(asked.request.path_params.get("name") or asked.parameter("name"))


def _first_row(lake: Catalog, sql: str, value: Any) -> dict[str, Any] | None:
    rows = lake.sql(sql, [value]).rows.slice(0, 1).to_pylist() if value is not None else []
    return rows[0] if rows else None


def _with_values(row: dict[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (row or {}).items() if value is not None and name not in _OWN | _ALIASES}


def _in_words(row: dict[str, Any]) -> str:
    """Describe a file in a sentence."""

    def of(*names: str) -> str:
        return " ".join(str(row[name]) for name in names if row.get(name) not in (None, "", "N/A"))

    kind = row["filename"].rsplit("_", 1)[-1].split(".")[0]
    parts = [f"{of('exp_type') or of('instrument').upper()} {kind}"]
    parts += [f"of {of('targname')}"] if of("targname") else []
    parts += [f"through {of('filter', 'pupil')}"] if of("filter", "pupil") else []
    parts += [f"observed {str(row['date_obs'])[:10]}"] if row.get("date_obs") else []
    investigator = f" ({of('pi_name')})" if of("pi_name") else ""
    parts += [f"for program {of('program')}{investigator}"] if of("program") else []
    parts += [f"processed by version {of('cal_ver')} with {of('crds_ctx')}"] if of("cal_ver") else []
    level = f", level {of('productLevel')}" if of("productLevel") else ""
    return " ".join(parts) + level + "."


def _cards(lake: Catalog, name: str, hdu: str, piece: str) -> list[dict[str, Any]]:
    return list(lake.sql(_CARDS_OF, [name, hdu, hdu, f"%{piece}%", f"%{piece}%"]).rows.to_pylist())


def _products(lake: Catalog, obs_id: str) -> list[dict[str, Any]]:
    products = lake.sql(
        f"""SELECT coalesce(p.filename, regexp_extract(p.data_uri, '[^/]*$')) AS filename, p.* EXCLUDE (filename)
            FROM observation_products o JOIN products p USING (data_uri) WHERE o.obs_id = ?
            ORDER BY 1 LIMIT {_MOST}""",
        [obs_id],
    )
    return list(products.rows.to_pylist())


def _links(links: list[Any]) -> list[dict[str, Any]]:
    return [{"input": link.input, "output": link.output, "via": link.via} for link in links]


def previews_of(lake: Catalog, name: str) -> list[dict[str, Any]]:
    """Return the archive's previews of a file, each with whether it is on disk."""
    try:
        previews = lake.previews(name, limit=4)
    except MastlakeError:
        return []
    here = set(lake.sql("SELECT filename FROM local_files WHERE filename IN (SELECT unnest(?))",
                        [[preview.filename for preview in previews]])["filename"])  # fmt: skip
    return [
        {"filename": preview.filename, "data_uri": preview.data_uri, "on_disk": preview.filename in here}
        for preview in previews
    ]


def _graph(facts: dict[str, Any]) -> dict[str, Any]:
    """Place inputs on the left of the file, and outputs on the right."""
    sides = {
        "inputs": list(dict.fromkeys(link["input"] for link in facts["inputs"]))[:12],
        "outputs": list(dict.fromkeys(link["output"] for link in facts["outputs"]))[:12],
    }
    height = 28 * max(1, *map(len, sides.values())) + 8
    placed = {
        side: [{"name": name, "y": round((place + 0.5) * height / len(names)), "href": link("/file", name)}
               for place, name in enumerate(names)]
        for side, names in sides.items()
    }  # fmt: skip
    return {"height": height, "middle": height // 2, **placed}
