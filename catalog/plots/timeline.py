"""When files were observed, and when the archive processed them again."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from catalog.errors import UsageError
from catalog.missions import JWST
from catalog.plots.canvas import GREY, Drawing, instrument_colours, project_style, sheet
from catalog.plots.outside_text import DATES, without_markup
from catalog.plots.selection import FilesToDraw, column_or_null, condition_of_choice, nothing
from catalog.questions.conditions import Condition
from catalog.store.again import asks_again
from catalog.store.database import Database
from catalog.store.sql import objects_of_rows
from catalog.store.times import time_of_mjd
from catalog.text import plural

_MOST_TARGETS = 24
_BINS = 60
_MARKS = 1500
"""How many places on the axis of time can be told apart."""


@dataclass(frozen=True)
class Observed:
    """Exposures of one target with one instrument on one day.

    Attributes
    ----------
    target, instrument : str
        The target, and the instrument that observed it.
    start, end : datetime
        The start of the first exposure and the end of the last one, UTC.
    files : int
        How many files were made from them.
    """

    target: str
    instrument: str
    start: dt.datetime
    end: dt.datetime
    files: int


@dataclass(frozen=True)
class Processed:
    """Versions of files that the archive took in on one day.

    Attributes
    ----------
    day : date
        The day, UTC.
    cal_ver : str
        The version of the pipeline.
    files : int
        How many versions of files.
    current : int
        How many of these are still the archive's present version.
    """

    day: dt.date
    cal_ver: str
    files: int
    current: int


@dataclass(frozen=True)
class HarvestDay:
    """A run, and how many of the chosen files it found changed."""

    run: int
    at: dt.datetime | None
    changed: int


@dataclass(frozen=True)
class Timeline:
    """Observations, processings and harvests, in order of time.

    Attributes
    ----------
    observed, processed, harvested : tuple
        The events, in order of time.
    undated : int
        How many files have an impossible date of observation: before 1950, after 2100, or no number.
    """

    observed: tuple[Observed, ...]
    processed: tuple[Processed, ...]
    harvested: tuple[HarvestDay, ...]
    undated: int = 0


@asks_again
def read_timeline(database: Database, choice: FilesToDraw) -> Timeline:
    """Read when files were observed and processed.

    Parameters
    ----------
    database : Database
        The catalog.
    choice : FilesToDraw
        The files that are meant.

    Raises
    ------
    UsageError
        If no chosen file has a date.
    """
    condition = condition_of_choice(database, choice)
    with database.read() as connection:
        observed = _observed(connection, condition)
        processed = _processed(connection, condition)
        harvested = _harvested(connection, condition)
        undated = _undated(connection, condition)
    if not observed and not processed:
        if undated:
            raise UsageError(f"no date of the {plural(undated, 'file')} can be one: all are before 1950 or after 2100")
        raise nothing(database, choice, "dates")
    return Timeline(tuple(observed), tuple(processed), tuple(harvested), undated)


def _observed(connection: Any, condition: Condition) -> list[Observed]:
    begun, finished = _start_and_end(connection)
    target = column_or_null(connection, "files", "targname", "VARCHAR", "f")
    answered = connection.execute(
        f"""SELECT target, instrument, {time_of_mjd("min(begun)")} AS start, {time_of_mjd("max(finished)")} AS "end",
                   count(*) AS files
            FROM (SELECT coalesce(nullif({target}, ''), 'no target') AS target,
                         coalesce(f.instrument, 'other') AS instrument, {begun} AS begun,
                         CASE WHEN {finished} {DATES} THEN greatest({finished}, {begun}) ELSE {begun} END AS finished
                  FROM files f WHERE {condition.sql})
            WHERE begun {DATES}
            GROUP BY target, instrument, floor(begun) ORDER BY min(begun), target, instrument""",
        list(condition.values),
    )
    return objects_of_rows(Observed, answered)


def _start_and_end(connection: Any) -> tuple[str, str]:
    """Return SQL of the beginning and of the end of a file's exposure."""
    start, end = (column_or_null(connection, "files", name, "DOUBLE", "f") for name in ("expstart", "expend"))
    day = column_or_null(connection, "files", "date_obs_mjd", "DOUBLE", "f")
    return f"coalesce(CASE WHEN {start} {DATES} THEN {start} END, {day})", end


def _undated(connection: Any, condition: Condition) -> int:
    start, _ = _start_and_end(connection)
    row = connection.execute(
        f"SELECT count(*) FROM files f WHERE {condition.sql} AND NOT ({start} {DATES})", list(condition.values)
    ).fetchone()
    return int(row[0])


def _processed(connection: Any, condition: Condition) -> list[Processed]:
    """Return every version that the catalog has seen, by the day on which the archive took it in."""
    ingest = column_or_null(connection, "file_version", JWST.ingest_column, "DOUBLE", "v")
    pipeline = column_or_null(connection, "file_version", "cal_ver", "VARCHAR", "v")
    answered = connection.execute(
        f"""SELECT CAST({time_of_mjd("ingest")} AS DATE) AS day, cal_ver, count(*) AS files,
                   count(*) FILTER (is_current) AS current
            FROM (SELECT {ingest} AS ingest, coalesce(nullif({pipeline}, ''), 'not calibrated') AS cal_ver,
                         v.until_run IS NULL AS is_current
                  FROM file_version v WHERE v.filename IN (SELECT f.filename FROM files f WHERE {condition.sql}))
            WHERE ingest {DATES} GROUP BY day, cal_ver ORDER BY day, cal_ver""",
        list(condition.values),
    )
    return objects_of_rows(Processed, answered)


def _harvested(connection: Any, condition: Condition) -> list[HarvestDay]:
    answered = connection.execute(
        f"""SELECT r.run, any_value(r.ended_at) AS at, count(c.key) AS changed
            FROM runs r LEFT JOIN changes c ON c.run = r.run AND c.what = 'file' AND c.kind = 'changed'
                AND c.key IN (SELECT f.filename FROM files f WHERE {condition.sql})
            GROUP BY r.run ORDER BY r.run""",
        list(condition.values),
    )
    return objects_of_rows(HarvestDay, answered)


def draw_timeline(database: Database, chosen: FilesToDraw | None = None) -> Drawing:
    """Draw what was observed when, by target; and below, what the archive processed when, by version of the pipeline.

    Parameters
    ----------
    database, chosen
        See `read_timeline`.

    Raises
    ------
    UsageError
        See `read_timeline`.
    """
    choice = chosen or FilesToDraw()
    return draw_read_timeline(read_timeline(database, choice), choice.told())


def draw_read_timeline(timeline: Timeline, title: str) -> Drawing:
    """Draw a timeline that has been read."""
    targets = _targets(timeline)
    with project_style():
        height = 1.2 + 0.24 * len(targets)
        figure = sheet(10.0, 3.6 + height)
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(max(height, 1.6), 2.4))
        _draw_observed(above, timeline, targets)
        _draw_processed(below, timeline)
        files = sum(event.files for event in timeline.observed)
        nights = len({event.start.date() for event in timeline.observed})
        caption = f"{plural(files, 'file')} observed on {plural(nights, 'day')}"
        versions = sum(event.files for event in timeline.processed)
        caption += f", {plural(versions, 'version')} of them processed"
        changed = sum(event.changed for event in timeline.harvested)
        caption += f", {changed:,} found changed by later harvests" if changed else ""
        above.set_title(f"{without_markup(title, 110)}\n{caption}", loc="left")
    left_out = (
        (f"{plural(timeline.undated, 'file')} with a date before 1950 or after 2100",) if timeline.undated else ()
    )
    return Drawing(figure, caption, left_out, timeline)


def _targets(timeline: Timeline) -> list[str]:
    """Return the targets with most files, in the order of their first observation."""
    files: dict[str, int] = {}
    for observed in timeline.observed:
        files[observed.target] = files.get(observed.target, 0) + observed.files
    most = set(sorted(files, key=lambda name: (-files[name], name))[:_MOST_TARGETS])
    shown = [name for name in files if name in most]
    return shown if len(shown) == len(files) else [*shown, _others(len(files) - len(shown))]


def _others(count: int) -> str:
    return f"{plural(count, 'other target')}"


def _draw_observed(axes: Any, timeline: Timeline, targets: list[str]) -> None:
    colours = instrument_colours(each.instrument for each in timeline.observed)
    row = {name: place for place, name in enumerate(targets)}
    distinct = _visible_marks(timeline, row, len(targets) - 1)
    for instrument, colour in colours.items():
        mine = [(place, each) for (place, name, _), each in distinct.items() if name == instrument]
        rows = [place for place, _ in mine]
        starts, ends = [each.start for _, each in mine], [each.end for _, each in mine]
        axes.hlines(rows, starts, ends, color=colour, linewidth=5)
        axes.scatter(
            starts, rows, marker="|", s=70, color=colour, linewidths=1.6, label=without_markup(instrument.upper())
        )
    axes.set_yticks(range(len(targets)), [without_markup(name, 32) for name in targets], fontsize=8)
    axes.set_ylim(len(targets) - 0.4, -0.6)
    axes.set_ylabel("observed")
    axes.grid(axis="x", color=GREY, alpha=0.25, linewidth=0.5)
    if colours:
        axes.legend(loc="lower left", bbox_to_anchor=(1.0, 0.0), fontsize=8)


def _visible_marks(timeline: Timeline, row: dict[str, int], last: int) -> dict[tuple[int, str, int], Observed]:
    """Keep one of the marks that would cover each other: by row, instrument and place on the axis of time."""
    if not timeline.observed:
        return {}
    begin = timeline.observed[0].start
    step = max((max(observed.start for observed in timeline.observed) - begin) / _MARKS, dt.timedelta(seconds=1))
    marks: dict[tuple[int, str, int], Observed] = {}
    for observed in timeline.observed:
        key = (row.get(observed.target, last), observed.instrument, (observed.start - begin) // step)
        if key not in marks or observed.end > marks[key].end:
            marks[key] = observed
    return marks


def _draw_processed(axes: Any, timeline: Timeline) -> None:
    from matplotlib import dates

    versions = sorted({version.cal_ver for version in timeline.processed}, key=_by_number)
    edges = _edges(timeline)
    columns = [
        [dates.date2num(version.day) for version in timeline.processed if version.cal_ver == name] for name in versions
    ]
    weights = [[version.files for version in timeline.processed if version.cal_ver == name] for name in versions]
    names = [without_markup(name, 24) for name in versions]
    if columns:
        axes.hist(columns, bins=edges, weights=weights, stacked=True, color=_shades(len(versions)), label=names)
    axes.set_xlim(edges[0], edges[-1])
    _draw_harvested(axes, timeline, edges)
    axes.set_ylabel("files processed")
    axes.yaxis.get_major_locator().set_params(integer=True)
    locator = dates.AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    first, last = (dates.num2date(edge).strftime("%Y-%m-%d") for edge in (edges[0], edges[-1]))
    axes.set_xlabel(f"UTC, {first} to {last}")
    size = {"fontsize": 8 if len(versions) < 9 else 6, "title_fontsize": 8, "ncols": 1 + len(versions) // 12}
    if versions:
        axes.legend(loc="lower left", bbox_to_anchor=(1.0, 0.0), title="pipeline", **size)


def _draw_harvested(axes: Any, timeline: Timeline, edges: list[float]) -> None:
    """Mark the days of harvests in the picture, and how many files they found changed on each day."""
    from matplotlib import dates

    by_day: dict[dt.date, list[HarvestDay]] = {}
    for harvest in timeline.harvested:
        if harvest.at is not None and edges[0] <= dates.date2num(harvest.at) <= edges[-1]:
            by_day.setdefault(harvest.at.date(), []).append(harvest)
    for day, group in by_day.items():
        axes.axvline(day, color="black", linewidth=0.8, linestyle=":")
        runs = f"run {group[0].run}" if len(group) == 1 else f"runs {group[0].run} to {group[-1].run}"
        changed = sum(harvest.changed for harvest in group)
        label = f"{runs}: {changed:,} changed " if changed else f"{runs} "
        style = {"ha": "right", "va": "top", "fontsize": 7, "rotation": 90}
        axes.annotate(label, (day, 0.97), xycoords=("data", "axes fraction"), **style)


def _edges(timeline: Timeline) -> list[float]:
    """Return edges of bins of equal width for the whole picture."""
    from matplotlib import dates

    days = [dates.date2num(event.day) for event in timeline.processed]
    days += [dates.date2num(event.start) for event in timeline.observed]
    margin = 1 + 0.02 * (max(days) - min(days))
    low, high = min(days) - margin, max(days) + margin
    return [low + (high - low) * place / _BINS for place in range(_BINS + 1)]


def _by_number(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else -1 for part in version.split("."))


def _shades(count: int) -> list[Any]:
    """Return lighter shades for older versions, and darker ones for newer versions."""
    from matplotlib import colormaps

    return [colormaps["viridis_r"](0.1 + 0.85 * place / max(count - 1, 1)) for place in range(count)]
