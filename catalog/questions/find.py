"""Criteria over harvested files, written as SQL from which people can learn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import duckdb

from catalog.errors import BadValue, UnknownKeyword
from catalog.missions import JWST
from catalog.questions.conditions import Condition, condition, cone
from catalog.questions.sky_places import plain_name, read_cone, read_region
from catalog.store.access import checked_release
from catalog.store.database import Database, columns_of
from catalog.store.history.versions import FILES, name_in_catalog
from catalog.text import nearest
from catalog.vocabulary.cone import Cone
from catalog.vocabulary.criteria import Criterion, parse_criterion
from catalog.vocabulary.dates import iso, read_moment
from catalog.vocabulary.mistakes import refuse_contradictions

_SHOWN = ("filename", "targname", "exp_type", "filter", "pupil", "date_obs", "program", "productLevel", "file_size")

Release = Literal["public", "exclusive"]


@dataclass(frozen=True)
class Criteria:
    """Criteria for files; a file must meet all of them.

    Attributes
    ----------
    written : tuple of str
        ``keyword=value``, as in a search.
    target : str or None
        A target's name, with wildcards.
    cone : str or None
        ``RA,DEC,RADIUS`` or ``TARGET,RADIUS``: where the target lies.
    since, until : str or None
        ISO dates of the start of observation.
    footprint : str or None
        A region that the footprint must overlap: ``POLYGON ...``, ``CIRCLE ...``, or a cone.
    program : str or None
        Numbers of programs, with commas, or a range.
    pi : str or None
        A part of the principal investigator's name.
    instrument : str or None
        Instruments, separated by commas.
    release : str or None
        ``public`` or ``exclusive``: who may fetch the file now.
    """

    written: tuple[str, ...] = ()
    target: str | None = None
    cone: str | None = None
    since: str | None = None
    until: str | None = None
    footprint: str | None = None
    program: str | None = None
    pi: str | None = None
    instrument: str | None = None
    release: str | None = None


def statement(
    criteria: Criteria, *, everything: bool = False, limit: int | None = 1000, database: Database | None = None
) -> tuple[str, list[object]]:
    """Write criteria as one SELECT over `files`.

    Parameters
    ----------
    criteria : Criteria
        The criteria.
    everything : bool
        All columns, instead of the few that people look at first.
    limit : int or None
        The most rows to return.
    database : Database, optional
        The catalog to ask, which must exist; it tells the places of targets and the columns that there are.

    Returns
    -------
    sql : str
        SQL with ``?`` marks.
    values : list
        The values for these marks.

    Raises
    ------
    UnknownKeyword, BadValue
        If a criterion cannot be understood, or no harvested file has a keyword.

    Examples
    --------
    >>> print(statement(Criteria(("exp_type=NIS_SOSS",), since="2022-06-01"), everything=True, limit=None)[0])
    SELECT *
    FROM files
    WHERE lower(exp_type) = ?
      AND date_obs_mjd >= ? /* 2022-06-01T00:00:00 */
    ORDER BY date_obs_mjd, filename
    """
    if database is None:
        return _select(criteria, None, {}, everything, limit)
    with database.read(sealed=True) as connection:
        have = database.columns(connection, "files")
        return _select(criteria, connection, {n.lower(): (n, kind) for n, kind in have.items()}, everything, limit)


def _select(
    criteria: Criteria,
    connection: duckdb.DuckDBPyConnection | None,
    have: Columns,
    everything: bool,
    limit: int | None,
) -> tuple[str, list[object]]:
    parts = list(conditions_of(criteria, connection, have))
    where = "\n  AND ".join(part.sql for part in parts)
    shown = [name for name in _SHOWN if not have or name.lower() in have]
    order = [name for name in ("date_obs_mjd", "filename") if not have or name in have]
    sql = f"SELECT {'*' if everything else ', '.join(shown)}\nFROM files\n"
    sql += f"WHERE {where}\n" if where else ""
    sql += f"ORDER BY {', '.join(order)}"
    sql += f"\nLIMIT {int(limit)}" if limit is not None else ""
    return sql, [value for part in parts for value in part.values]


Columns = Mapping[str, tuple[str, str]]
"""Names and DuckDB types of columns, by name in lower case; empty if the columns are not known."""


def conditions_of(
    criteria: Criteria, connection: duckdb.DuckDBPyConnection | None, have: Columns
) -> Iterator[Condition]:
    """Yield a condition over `files` for each criterion.

    Parameters
    ----------
    criteria : Criteria
        The criteria.
    connection : duckdb.DuckDBPyConnection or None
        A connection to the catalog, for names of targets.
    have : mapping
        The columns of `files`; empty if they are not known.

    Raises
    ------
    UnknownKeyword, BadValue
        If a criterion cannot be understood, or no harvested file has a keyword.
    """
    written = [*criteria.written, *([f"program={criteria.program}"] if criteria.program else [])]
    parsed = [parse_criterion(text) for text in written]
    refuse_contradictions(parsed)
    yield from (_keyword(criterion, have) for criterion in parsed)
    if criteria.instrument:
        yield _instrument(criteria.instrument)
    if criteria.target:
        yield _target(criteria.target, have)
    if criteria.pi:
        yield _pi(criteria.pi, have)
    if criteria.release:
        yield _release(criteria.release, connection, have)
    if criteria.cone:
        _require_columns(have, "--cone", "targ_ra", "targ_dec")
        place: Cone = read_cone(criteria.cone, connection)
        yield cone(place.ra, place.dec, place.radius)
    if criteria.footprint:
        yield _footprint(read_region(criteria.footprint, connection), connection, have)
    yield from _times(criteria, have)


def _keyword(criterion: Criterion, have: Columns) -> Condition:
    column = name_in_catalog(FILES, criterion.keyword) if criterion.keyword == "obs_id" else criterion.keyword
    if not have:
        return condition(criterion, column)
    if column.lower() not in have:
        raise UnknownKeyword(f"no harvested file has {criterion.keyword}; harvest a search whose files have it")
    name, kind = have[column.lower()]
    return condition(criterion, name, kind)


def _require_columns(have: Columns, option: str, *columns: str) -> None:
    absent = [name for name in columns if have and name.lower() not in have]
    if absent:
        raise UnknownKeyword(f"{option}: no harvested file has {' or '.join(absent)}")


def _instrument(text: str) -> Condition:
    names = [word.strip().lower() for word in text.split(",") if word.strip()]
    for name in names:
        if name not in JWST.services:
            near = nearest(name, list(JWST.services))
            hint = f"; did you mean {near!r}?" if near else f"; there are {', '.join(JWST.services)}"
            raise BadValue(f"--instrument: no instrument {name!r}{hint}")
    test = "= ?" if len(names) == 1 else f"IN ({', '.join('?' for _ in names)})"
    return Condition(f"instrument {test}", tuple(names))


def _target(name: str, have: Columns) -> Condition:
    """Compare names without spaces, underscores and hyphens: the archive and proposers may spell a name differently."""
    _require_columns(have, "--target", "targname")
    columns = [column for column in ("targname", "targprop") if column in have] or ["targname"]
    pattern = plain_name(name).replace("*", "%")
    parts = [f"translate(strip_accents({column}), ' _-', '') ILIKE ?" for column in columns]
    return Condition(f"({' OR '.join(parts)})", (pattern,) * len(parts))


def _pi(name: str, have: Columns) -> Condition:
    _require_columns(have, "--pi", "pi_name")
    return Condition("strip_accents(pi_name) ILIKE strip_accents(?)", (f"%{name.strip().replace('*', '%')}%",))


def _release(word: str, connection: duckdb.DuckDBPyConnection | None, have: Columns) -> Condition:
    """Write who may fetch a file now, by the rule that products and syncs use too."""
    checked_release(word)
    said = not have or connection is None or bool({"isrestricted", "publicreleasedate"} & set(have))
    if not said and connection is not None and "dataRights" not in columns_of(connection, "products"):
        raise UnknownKeyword("--release: no harvested file has isRestricted, publicReleaseDate or dataRights")
    negated = "NOT " if word == "public" else ""
    return Condition(f"filename IN (SELECT filename FROM file_access WHERE {negated}exclusive)")


def _footprint(region: str, connection: duckdb.DuckDBPyConnection | None, have: Columns) -> Condition:
    """Ask about the file's own footprint, or else its observation's; the file's number stands for either."""
    own = not have or "s_region" in have
    if not own and connection is not None and "s_region" not in columns_of(connection, "observations"):
        raise UnknownKeyword("--footprint: no harvested file or observation has s_region")
    return Condition("footprint IN (FROM footprint_numbers(?))", (region,))


def _times(criteria: Criteria, have: Columns) -> Iterator[Condition]:
    since = read_moment(criteria.since, "--since") if criteria.since else None
    until = read_moment(criteria.until, "--until") if criteria.until else None
    if since is not None and until is not None and since >= until:
        raise BadValue(f"--until {criteria.until} is not after --since {criteria.since}")
    for option, sign, when in (("--since", ">=", since), ("--until", "<", until)):
        if when is not None:
            _require_columns(have, option, "date_obs_mjd")
            yield Condition(f"date_obs_mjd {sign} ? /* {iso(when)} */", (when,))
