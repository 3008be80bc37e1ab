"""The visits of a made-up archive, drawn from its seed: targets, times, and ways of observing."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

import pyarrow as pa

from catalog.simulator.kinds import GUIDE_MODES, KINDS
from catalog.simulator.programs import CATEGORIES, GIVEN, STORY, SUBJECTS, SURNAMES, TARGETS, StoryVisit

FIRST_EPOCH_MJD = 59869.75
"""The end of epoch 0: 2022-10-17 18:00 UTC."""
EPOCH_DAYS = 90.0
PLANNED_EPOCHS = 6
"""For how many epochs visits are planned; later epochs only process files again."""
_FIRST_SCIENCE_MJD = 59700.0


@dataclass(frozen=True)
class Visit:
    """One planned visit.

    Attributes
    ----------
    born : int
        The epoch that first shows its files.
    combined : bool
        True if level-3 products are made from it.
    candidate : bool
        True if these products have a candidate number (c1001) instead of the observation's number.
    """

    kind_no: int
    program: int
    category: str
    pi: str
    title: str
    observation: int
    targname: str
    targprop: str
    ra: float
    dec: float
    targcat: str | None
    targdesc: str | None
    target_number: int
    start_mjd: float
    segments: int
    dithers: int
    born: int
    combined: bool
    candidate: bool


def epoch_end_mjd(epoch: int) -> float:
    """Return the time at which an epoch's archive is looked at."""
    return FIRST_EPOCH_MJD + EPOCH_DAYS * epoch


def plan_visits(files: int, seed: int, instruments: Sequence[str]) -> pa.Table:
    """Draw visits until the archive has at least so many searchable files at epoch 0.

    Parameters
    ----------
    files : int
        How many files the keyword searches of all services together should list.
    seed : int
        The same seed plans the same visits.
    instruments : sequence of str
        The services that have files.

    Returns
    -------
    table
        One row for each `Visit`, in order of time, so that a range of dates is one block of the tables.
    """
    visits: list[Visit] = []
    planned = 0
    for visit in _all_visits(random.Random(seed), set(instruments)):
        visits.append(visit)
        if visit.born == 0:
            planned += _visible_files(visit, "guidestar" in instruments)
        if planned >= files:
            break
    visits.sort(key=lambda visit: (visit.start_mjd, visit.program, visit.observation))
    return pa.Table.from_pylist([{"visit_no": number, **vars(visit)} for number, visit in enumerate(visits)])


def _visible_files(visit: Visit, guide_stars: bool) -> int:
    """Count the searchable files of a visit, without those that arrive late (about 1 in 20)."""
    kind = KINDS[visit.kind_no]
    if kind.tso:
        exposures = (visit.segments + len(kind.optics) - 1) * visit.dithers
    else:
        exposures = len(kind.optics) * visit.dithers
    stage3 = len(kind.optics) * len(kind.stage3) if visit.combined else 0
    guides = 2 * len(GUIDE_MODES) if guide_stars else 0
    return int(0.94 * exposures * kind.files_per_activity) + stage3 + guides


def _all_visits(rng: random.Random, instruments: set[str]) -> Iterator[Visit]:
    usable = [number for number, kind in enumerate(KINDS) if kind.instrument in instruments]
    if not usable:  # guide stars need exposures that they guide
        usable = [number for number, kind in enumerate(KINDS) if kind.instrument == "fgs"]
    story = (_story_visit(story) for story in STORY if _kind_number(story.kind) in usable)
    return chain(story, _drawn_visits(rng, usable))


def _kind_number(exp_type: str) -> int:
    return next(number for number, kind in enumerate(KINDS) if kind.exp_type == exp_type)


def _story_visit(told: StoryVisit) -> Visit:
    kind_no = _kind_number(told.kind)
    kind = KINDS[kind_no]
    return Visit(
        kind_no=kind_no,
        **_of_target(next(number for number, target in enumerate(TARGETS) if target.proposed == told.target)),
        program=told.program,
        category=told.category,
        pi=told.pi,
        title=told.title,
        observation=told.observation,
        start_mjd=told.start_mjd,
        segments=kind.segments,
        dithers=kind.dithers,
        born=max(0, _epoch_of(told.start_mjd)),
        combined=bool(kind.stage3),
        candidate=False,
    )


def _of_target(number: int) -> dict[str, Any]:
    """Return the properties of a visit that its target decides."""
    target = TARGETS[number]
    return {
        "targname": target.name, "targprop": target.proposed, "ra": target.ra, "dec": target.dec,
        "targcat": target.category, "targdesc": target.description, "target_number": number % 4 + 1,
    }  # fmt: skip


def _epoch_of(mjd: float) -> int:
    return int(-((FIRST_EPOCH_MJD - mjd) // EPOCH_DAYS))


def _drawn_visits(rng: random.Random, usable: Sequence[int]) -> Iterator[Visit]:
    """Yield visits of programs without end; each has a leader, a subject, and up to six observations of one visit."""
    taken = {told.program for told in STORY}
    large = count(10_001)  # five digits allow 99,999 programs; an archive of 10 million files has some 90,000
    while True:
        program = rng.randrange(1100, 9000) if len(taken) < 4000 else next(large)
        if program in taken:
            continue
        taken.add(program)
        led: dict[str, Any] = {"program": program, "category": rng.choice(CATEGORIES), "title": rng.choice(SUBJECTS),
               "pi": f"{rng.choice(SURNAMES)}, {rng.choice(GIVEN)}"}  # fmt: skip
        for observation in range(1, rng.randint(1, 6) + 1):
            yield Visit(**led, observation=observation, **_by_chance(rng, rng.choice(usable)))


def _by_chance(rng: random.Random, kind_no: int) -> dict[str, Any]:
    """Return the properties of a visit that chance decides."""
    kind = KINDS[kind_no]
    born = rng.randint(1, PLANNED_EPOCHS) if rng.random() < 0.1 else 0
    latest = epoch_end_mjd(born) - 20.0
    earliest = latest - EPOCH_DAYS + 40.0 if born else _FIRST_SCIENCE_MJD
    return {
        "kind_no": kind_no, **_of_target(rng.randrange(len(TARGETS))), "born": born,
        "start_mjd": round(rng.uniform(earliest, latest), 5),
        "segments": rng.randint(1, kind.segments), "dithers": rng.randint(1, kind.dithers),
        "combined": bool(kind.stage3) and rng.random() < 0.8, "candidate": rng.random() < 0.1,
    }  # fmt: skip
