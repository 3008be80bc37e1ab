"""A search: criteria that MAST understands, for the files of one instrument or for observations."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from catalog.cone import Cone
from catalog.criteria import Criterion, parse_criterion, parse_observation_criterion
from catalog.errors import BadValue
from catalog.keywords import SERVICES, nearest
from catalog.mistakes import refuse_contradictions, refuse_modeless

CAOM = "Mast.Caom.Filtered"
CAOM_IN_CONE = "Mast.Caom.Filtered.Position"
"""The services that answer searches for observations."""

_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")


@dataclass(frozen=True)
class Search:
    """A saved set of criteria: for the files of one instrument by keyword, or for observations.

    Attributes
    ----------
    name : str
        Letters, digits, ``_ . + -``.
    instrument : str or None
        One of `catalog.keywords.SERVICES`; None for a search for observations.
    written : tuple of str
        The criteria as the user wrote them, ``keyword=value``.
    criteria : tuple of Criterion
        What they mean.
    cone : Cone or None
        Where on the sky; for observations only.
    """

    name: str
    instrument: str | None
    written: tuple[str, ...]
    criteria: tuple[Criterion, ...]
    cone: Cone | None = None

    @classmethod
    def parse(cls, name: str, instrument: str, written: Iterable[str], *, typed: bool = True) -> Search:
        """Read the criteria of a keyword search, and refuse what the archive would not understand.

        Parameters
        ----------
        name : str
            The name to save the search under.
        instrument : str
            In any case.
        written : iterable of str
            ``keyword=value``, all of which must hold.
        typed : bool
            Whether a person wrote them just now, so that what can only be a mistake is refused.

        Raises
        ------
        UnknownKeyword
            For a keyword that this instrument's search does not have.
        BadValue
            For a name, instrument, value, range or date that is not one.

        Examples
        --------
        >>> Search.parse("soss", "NIRISS", ["exp_type=NIS_SOSS", "date_obs=2022-06-01.."]).filters()[1]
        {'paramName': 'date_obs_mjd', 'values': [{'min': 59731.0, 'max': 1000000000000000.0}]}
        """
        known = instrument.lower()
        if known not in SERVICES:
            raise BadValue(_not_an_instrument(instrument))
        kept = tuple(written)
        criteria = tuple(parse_criterion(text, known) for text in kept)
        if typed:
            refuse_contradictions(criteria)
        return cls(checked_name(name), known, kept, criteria)

    @classmethod
    def observations(cls, name: str, written: Iterable[str], cone: str | None = None, *, typed: bool = True) -> Search:
        """Read the criteria of an advanced search for observations.

        Parameters
        ----------
        name : str
            The name to save the search under.
        written : iterable of str
            ``column=value``, each column once; without one for ``obs_collection``, JWST's are meant.
        cone : str, optional
            ``RA,DEC,RADIUS``.
        typed : bool
            Whether a person wrote them just now, so that what can only be a mistake is refused.

        Raises
        ------
        UnknownKeyword
            For a column that observations do not have.
        BadValue
            For a name, value, range, date or cone that is not one.

        Examples
        --------
        >>> Search.observations("ero", ["proposal_id=2734", "t_min=2022-06-01.."]).astroquery_criteria()["t_min"]
        [59731.0, 1000000000000000.0]
        """
        kept = tuple(written)
        if not kept and cone is None:
            raise BadValue("a search for observations needs a criterion or a cone: -k proposal_id=2734")
        criteria = tuple(parse_observation_criterion(text) for text in kept)
        names = [criterion.keyword for criterion in criteria]
        for keyword in names:
            if names.count(keyword) > 1:
                raise BadValue(f"give {keyword} once, with all its values: {keyword}=A,B")
        if typed:
            refuse_modeless(criteria)
        if "obs_collection" not in names:
            criteria += (Criterion("obs_collection", ("JWST",)),)
        return cls(checked_name(name), None, kept, criteria, Cone.parse(cone) if cone else None)

    @property
    def service(self) -> str:
        """MAST's name of the service that answers this search."""
        if self.instrument is not None:
            return SERVICES[self.instrument]
        return CAOM if self.cone is None else CAOM_IN_CONE

    def filters(self) -> list[dict[str, Any]]:
        """Return a keyword search's criteria as MAST's filters."""
        return [criterion.as_filter() for criterion in self.criteria]

    def astroquery_criteria(self) -> dict[str, list[Any]]:
        """Return the criteria as ``Observations.query_criteria`` of astroquery takes them; it makes the filters."""
        return {criterion.keyword: criterion.as_astroquery() for criterion in self.criteria}


def checked_name(name: str) -> str:
    """Return a name under which a search can be saved, or refuse it.

    Raises
    ------
    BadValue
        It says what a name is made of.
    """
    if not _NAME.fullmatch(name):
        raise BadValue(f"{name!r} cannot name a search: use letters, digits and _ . + -")
    return name


def _not_an_instrument(word: str) -> str:
    near = nearest(word, list(SERVICES))
    hint = f"; did you mean {near!r}?" if near else f"; there are {', '.join(SERVICES)}"
    return f"no instrument {word!r}{hint}"
