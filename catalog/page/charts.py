"""The time line and the map of the sky as shapes with simple numbers, which templates draw as SVG."""

from __future__ import annotations

import math
from typing import Any

from catalog.api.choices import CELL
from catalog.page.answer import day_of
from catalog.page.criteria import State

_BARS = 120
WIDTH, HEIGHT = 720, 84
SKY_WIDTH, SKY_HEIGHT = 360, 180


def time_bars(days: list[tuple[int, int]], state: State) -> dict[str, Any]:
    """Return bars of files by time of observation. Heights grow with the square root, so that one file is visible."""
    typed = {name: state.named.get(name, "") for name in ("since", "until")}
    if not days:
        return {"bars": [], "low": 0, "high": 0, "ticks": [], "files": 0, **typed}
    low, high = days[0][0], days[-1][0] + 1
    step = max(1, math.ceil((high - low) / _BARS))
    count = math.ceil((high - low) / step)
    high = low + count * step
    files = [0] * count
    for day, number in days:
        files[(day - low) // step] += number
    most, width = max(files), WIDTH / count
    bars = [
        {"x": round(place * width, 2), "w": round(max(width - 0.6, 0.8), 2), "h": _height(number, most),
         "day": low + place * step, "last": low + (place + 1) * step - 1, "files": number}
        for place, number in enumerate(files) if number
    ]  # fmt: skip
    for bar in bars:
        bar["y"] = HEIGHT - bar["h"]
    return {"bars": bars, "low": low, "high": high, "ticks": _ticks(low, high), "files": sum(files), **typed}


def _height(number: int, most: int) -> float:
    return round(4 + (HEIGHT - 4) * math.sqrt(number / most), 1)


def _ticks(low: int, high: int) -> list[dict[str, Any]]:
    """Return marks at the beginnings of years, or of months if there are few years."""
    ticks: list[dict[str, Any]] = []
    before = day_of(low)
    months = high - low < 800
    for day in range(low + 1, high):
        now = day_of(day)
        if now and now[:7] != before[:7] and (now[5:7] == "01" or months):
            text = now[:4] if now[5:7] == "01" else now[:7]
            ticks.append({"x": round((day - low) / (high - low) * WIDTH, 1), "text": text})
        before = now or before
    step = math.ceil(len(ticks) / 8) or 1
    return ticks[::step]


def sky_squares(cells: list[tuple[int, int, int]], state: State) -> dict[str, Any]:
    """Return squares of files by place; right ascension grows to the left, as on the sky."""
    most = max((files for _, _, files in cells), default=1)
    squares = [
        {"x": SKY_WIDTH - (ra % 360) - CELL, "y": 90 - dec - CELL, "ra": ra % 360, "dec": dec, "files": files,
         "shade": 1 + min(4, int(5 * math.log1p(files) / math.log1p(most)) if most > 1 else 4)}
        for ra, dec, files in cells if -90 <= dec <= 90
    ]  # fmt: skip
    return {"cells": squares, "cell": CELL, "files": sum(square["files"] for square in squares),
            "ra": state.named.get("ra", ""), "dec": state.named.get("dec", "")}  # fmt: skip
