"""The picture of the rooms: which room imports which, drawn from the imports themselves."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from html import escape
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
WIDTH, HEIGHT, FLOOR, MARGIN = 112, 34, 86, 20
COLOURS = ("#4063d8", "#389826", "#9558b2", "#cb3c33", "#b8860b", "#2a8c9c")


def floors() -> list[list[str]]:
    """Return the floors of the house from the top, as the import contract in ``pyproject.toml`` has them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (inside,) = (contract["layers"] for contract in contracts if contract.get("containers") == ["catalog"])
    named = [["cli"], *([name.strip() for name in layer.split("|")] for layer in inside)]
    return [rooms for floor in named if (rooms := [name for name in floor if _is_room(name)])]


def _is_room(name: str) -> bool:
    """Say whether a name is a folder's; the few modules that lie beside the rooms serve all of them."""
    return name == "cli" or (ROOT / "catalog" / name).is_dir()


def arrows() -> dict[str, set[str]]:
    """Return the rooms that each room imports."""
    graph = grimp.build_graph("catalog", "cli", cache_dir=None)
    imports: dict[str, set[str]] = {room: set() for floor in floors() for room in floor}
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            importing, imported_room = _room(importer), _room(imported)
            if importing != imported_room and importing in imports and imported_room in imports:
                imports[importing].add(imported_room)
    return imports


def _room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if parts[0] == "catalog" and len(parts) > 1 else parts[0]


def without_detours(arrows_found: dict[str, set[str]]) -> dict[str, set[str]]:
    """Leave out each arrow that follows from others, so that a person can read the picture.

    Examples
    --------
    >>> without_detours({"a": {"b", "c"}, "b": {"c"}, "c": set()})
    {'a': {'b'}, 'b': {'c'}, 'c': set()}
    """

    def below(room: str) -> set[str]:
        return arrows_found[room].union(*(below(other) for other in arrows_found[room]))

    return {room: others - set().union(*(below(other) for other in others)) for room, others in arrows_found.items()}


def draw_rooms() -> str:
    """Return the picture as SVG: a row for each floor, a box for each room, an arrow for each import."""
    levels = floors()
    width = MARGIN * 2 + max(len(floor) for floor in levels) * (WIDTH + MARGIN) * 3 // 2
    height = MARGIN * 2 + (len(levels) - 1) * FLOOR + HEIGHT
    places = {
        room: (width * (at + 1) / (len(floor) + 1), MARGIN + level * FLOOR)
        for level, floor in enumerate(levels)
        for at, room in enumerate(floor)
    }
    shown = without_detours(arrows())
    parts = [_arrow(places, one, other, number) for number, one in enumerate(places) for other in sorted(shown[one])]
    parts += [_box(room, *place) for room, place in places.items()]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="14" role="img">\n'
        "<title>The rooms of mastlake: each imports only rooms on lower floors</title>\n"
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _box(room: str, x: float, y: float) -> str:
    return (
        f'<rect x="{x - WIDTH / 2:.0f}" y="{y:.0f}" width="{WIDTH}" height="{HEIGHT}" rx="5" fill="#f2f4f8" '
        'stroke="#39424e"/>'
        f'<text x="{x:.0f}" y="{y + HEIGHT * 0.64:.0f}" text-anchor="middle" fill="#1c2128">{escape(room)}</text>'
    )


def _arrow(places: Mapping[str, tuple[float, float]], lower: str, other: str, number: int) -> str:
    (x1, y1), (x2, y2) = places[lower], places[other]
    y1, middle = y1 + HEIGHT, (y1 + HEIGHT + y2) / 2
    colour = COLOURS[number % len(COLOURS)]
    return (
        f'<path d="M{x1:.0f} {y1:.0f} C{x1:.0f} {middle:.0f} {x2:.0f} {middle:.0f} {x2:.0f} {y2 - 7:.0f}" fill="none" '
        f'stroke="{colour}" stroke-width="1.4" data-from="{escape(lower)}" data-to="{escape(other)}"/>'
        f'<path d="M{x2 - 4:.0f} {y2 - 8:.0f} L{x2 + 4:.0f} {y2 - 8:.0f} L{x2:.0f} {y2:.0f} Z" fill="{colour}"/>'
    )
