"""The visits of a sky, drawn from its seed: what was pointed where, when, and how it was observed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, count

import pyarrow as pa

from catalog.simulator.kinds import (
    CATEGORIES,
    GIVEN,
    GUIDE_MODES,
    KINDS,
    STORY,
    SUBJECTS,
    SURNAMES,
    TARGETS,
    Kind,
    StoryVisit,
    Target,
)

FIRST_EPOCH_MJD = 59869.75
"""When epoch 0 ends: 2022-10-17 18:00 UTC."""
EPOCH_DAYS = 90.0
PLANNED_EPOCHS = 6
"""Visits are planned this many epochs ahead; later epochs only reprocess."""
_FIRST_SCIENCE_MJD = 59700.0


@dataclass(frozen=True)
class Visit:
    """One visit, as planned.

    Attributes
    ----------
    born : int
        The epoch whose ingest first shows its files.
    combined : bool
        True where level-3 products are made from it.
    candidate : bool
        True where those carry a candidate number (c1001) and not the observation's.
    """

    visit_no: int
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
    """Return the moment at which an epoch's archive is looked at."""
    return FIRST_EPOCH_MJD + EPOCH_DAYS * epoch


def plan_visits(files: int, seed: int, instruments: Sequence[str]) -> pa.Table:
    """Draw visits until the archive has at least so many searchable files at epoch 0.

    Parameters
    ----------
    files : int
        How many files the keyword searches should list, all services together.
    seed : int
        The same seed plans the same visits.
    instruments : sequence of str
        The services that have files.
    """
    chosen: list[dict[str, object]] = []
    planned = 0
    for visit in _all_visits(random.Random(seed), set(instruments)):
        chosen.append(asdict(visit))
        if visit.born == 0:
            planned += visible_files(visit, "guidestar" in instruments)
        if planned >= files:
            break
    return pa.Table.from_pylist(chosen)


def visible_files(visit: Visit, guide_stars: bool) -> int:
    """Count the searchable files of a visit, those that arrive late not included (about 1 in 20)."""
    kind = KINDS[visit.kind_no]
    exposures = len(kind.optics) * visit.segments * visit.dithers
    stage3 = len(kind.optics) * len(kind.stage3) if visit.combined else 0
    guides = 2 * len(GUIDE_MODES) if guide_stars else 0
    return int(0.95 * (exposures * kind.files_per_activity + stage3) + guides)


def _all_visits(rng: random.Random, instruments: set[str]) -> Iterator[Visit]:
    usable = [number for number, kind in enumerate(KINDS) if kind.instrument in instruments]
    if not usable:
        usable = [number for number, kind in enumerate(KINDS) if kind.instrument == "fgs"]
    story = [told for told in STORY if _kind_number(told.kind) in usable]
    numbers = count()
    told = (_story_visit(next(numbers), one) for one in story)
    return chain(told, _drawn_programs(rng, usable, numbers))


def _kind_number(exp_type: str) -> int:
    return next(number for number, kind in enumerate(KINDS) if kind.exp_type == exp_type)


def _story_visit(visit_no: int, told: StoryVisit) -> Visit:
    kind_no = _kind_number(told.kind)
    kind = KINDS[kind_no]
    number, target = next((n, t) for n, t in enumerate(TARGETS) if t.proposed == told.target)
    return _visit(
        visit_no, kind_no, told.program, told.category, told.pi, told.title, told.observation, target,
        number % 4 + 1, told.start_mjd, kind.segments, kind.dithers, max(0, _epoch_of(told.start_mjd)), bool(kind.stage3),
        candidate=False,
    )  # fmt: skip


def _visit(
    visit_no: int,
    kind_no: int,
    program: int,
    category: str,
    pi: str,
    title: str,
    observation: int,
    target: Target,
    target_number: int,
    start_mjd: float,
    segments: int,
    dithers: int,
    born: int,
    combined: bool,
    candidate: bool,
) -> Visit:
    return Visit(
        visit_no, kind_no, program, category, pi, title, observation, target.name, target.proposed, target.ra,
        target.dec, target.category, target.description, target_number, start_mjd, segments, dithers, born, combined,
        candidate,
    )  # fmt: skip


def _epoch_of(mjd: float) -> int:
    return int(-((FIRST_EPOCH_MJD - mjd) // EPOCH_DAYS))


def _drawn_programs(rng: random.Random, usable: Sequence[int], numbers: Iterator[int]) -> Iterator[Visit]:
    """Programs without end: each has a leader, a subject, and one to six observations with one visit each."""
    taken = {told.program for told in STORY}
    wanted = count(3001)
    while True:
        program = rng.randrange(1100, 9000) if len(taken) < 4000 else next(wanted) + 7000
        if program in taken:
            continue
        taken.add(program)
        category = rng.choice(CATEGORIES)
        pi = f"{rng.choice(SURNAMES)}, {rng.choice(GIVEN)}"
        title = rng.choice(SUBJECTS)
        for observation in range(1, rng.randint(1, 6) + 1):
            yield _drawn_visit(rng, next(numbers), rng.choice(usable), program, category, pi, title, observation)


def _drawn_visit(
    rng: random.Random,
    visit_no: int,
    kind_no: int,
    program: int,
    category: str,
    pi: str,
    title: str,
    observation: int,
) -> Visit:
    kind: Kind = KINDS[kind_no]
    number = rng.randrange(len(TARGETS))
    born = rng.randint(1, PLANNED_EPOCHS) if rng.random() < 0.1 else 0
    latest = epoch_end_mjd(born) - 20.0
    earliest = latest - EPOCH_DAYS + 40.0 if born else _FIRST_SCIENCE_MJD
    return _visit(
        visit_no, kind_no, program, category, pi, title, observation, TARGETS[number], number % 4 + 1,
        round(rng.uniform(earliest, latest), 5), rng.randint(1, kind.segments), rng.randint(1, kind.dithers), born,
        bool(kind.stage3) and rng.random() < 0.8, candidate=rng.random() < 0.1,
    )  # fmt: skip
