"""A search: criteria that MAST understands, for files of one or more instruments or for observations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from catalog.errors import BadValue, UnknownKeyword, UsageError
from catalog.missions import JWST
from catalog.text import nearest
from catalog.vocabulary.cone import Cone
from catalog.vocabulary.criteria import Criterion, parse_criterion, parse_observation_criterion
from catalog.vocabulary.mistakes import refuse_contradictions, refuse_modeless

ALL = "all"
"""Every instrument that observes. Guide stars are not included: they have a search of their own."""
CAOM = "Mast.Caom.Filtered"
CAOM_IN_CONE = "Mast.Caom.Filtered.Position"
"""The services that answer searches for observations, without and with a cone."""

_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")


@dataclass(frozen=True)
class Search:
    """A saved set of criteria, either for files (by keyword) or for observations.

    Attributes
    ----------
    name : str
        Letters, digits, ``_ . + -``.
    instrument : str or None
        One of `catalog.missions.Mission.services`, or several, separated by commas; None for an observation search.
    written : tuple of str
        The criteria as the user wrote them, ``keyword=value``.
    criteria : tuple of Criterion
        The criteria as the first instrument's search understands them.
    cone : Cone or None
        Where on the sky; only an observation search can have it.
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
            In upper or lower case; several with commas; or ``all``, the instruments that observe.
        written : iterable of str
            ``keyword=value``; a file must meet all of them.
        typed : bool
            Whether a person has just written them. Then criteria that can only be a mistake are refused.

        Returns
        -------
        Search
            The search. Nothing is asked or saved yet.

        Raises
        ------
        UnknownKeyword
            If the search of one of these instruments does not have a keyword.
        BadValue
            If a name, instrument, value, range or date is not valid.

        Examples
        --------
        >>> Search.parse("soss", "NIRISS", ["exp_type=NIS_SOSS", "date_obs=2022-06-01.."]).filters()[1]
        {'paramName': 'date_obs_mjd', 'values': [{'min': 59731.0, 'max': 1000000000000000.0}]}
        """
        named = _instruments(instrument)
        texts = tuple(written)
        read = _criteria(texts, named)
        if typed:
            refuse_contradictions(read[named[0]])
        return cls(checked_name(name), ",".join(named), texts, read[named[0]])

    @classmethod
    def observations(cls, name: str, written: Iterable[str], cone: str | None = None, *, typed: bool = True) -> Search:
        """Read the criteria of an advanced search for observations.

        Parameters
        ----------
        name : str
            The name to save the search under.
        written : iterable of str
            ``column=value``, each column once; ``obs_collection`` is JWST if it is not given.
        cone : str, optional
            ``RA,DEC,RADIUS``.
        typed : bool
            Whether a person has just written them. Then criteria that can only be a mistake are refused.

        Returns
        -------
        Search
            The search. Nothing is asked or saved yet.

        Raises
        ------
        UnknownKeyword
            If observations do not have a column.
        BadValue
            If a name, value, range, date or cone is not valid.

        Examples
        --------
        >>> Search.observations("ero", ["proposal_id=2734", "t_min=2022-06-01.."]).astroquery_criteria()["t_min"]
        [59731.0, 1000000000000000.0]
        """
        texts = tuple(written)
        if not texts and cone is None:
            raise BadValue("a search for observations needs a criterion or a cone: -k proposal_id=2734")
        criteria = tuple(parse_observation_criterion(text) for text in texts)
        names = [criterion.keyword for criterion in criteria]
        for keyword in names:
            if names.count(keyword) > 1:
                raise BadValue(f"give {keyword} once, with all its values: {keyword}=A,B")
        if typed:
            refuse_modeless(criteria)
        if "obs_collection" not in names:
            criteria += (Criterion("obs_collection", (JWST.collection,)),)
        return cls(checked_name(name), None, texts, criteria, Cone.parse(cone) if cone else None)

    @property
    def instruments(self) -> tuple[str, ...]:
        """The instruments whose keyword searches are asked; none for an observation search."""
        return tuple(self.instrument.split(",")) if self.instrument is not None else ()

    @property
    def parts(self) -> tuple[Search, ...]:
        """One search for each instrument, since MAST has a service for each; an observation search has one part.

        Examples
        --------
        >>> [part.service for part in Search.parse("p1366", "niriss,nirspec", ["program=1366"]).parts]
        ['Mast.Jwst.Filtered.Niriss', 'Mast.Jwst.Filtered.Nirspec']
        """
        if len(self.instruments) < 2:
            return (self,)
        read = _criteria(self.written, self.instruments)
        return tuple(replace(self, instrument=each, criteria=read[each]) for each in self.instruments)

    @property
    def service(self) -> str:
        """MAST's name of the service that answers this search."""
        if self.instrument is not None:
            return JWST.services[self.instrument]
        return CAOM if self.cone is None else CAOM_IN_CONE

    def filters(self) -> list[dict[str, Any]]:
        """Return a keyword search's criteria as MAST's filters.

        Returns
        -------
        list of dict
            Objects with ``paramName`` and ``values``, as the ``Mast.Jwst.Filtered`` services take them.

        Examples
        --------
        >>> Search.parse("soss", "niriss", ["exp_type=NIS_SOSS"]).filters()
        [{'paramName': 'exp_type', 'values': ['NIS_SOSS']}]
        """
        return [criterion.as_filter() for criterion in self.criteria]

    def astroquery_criteria(self) -> dict[str, list[Any]]:
        """Return the criteria of an observation search as ``Observations.query_criteria`` of astroquery takes them.

        Returns
        -------
        dict
            Lists of values by name of column; astroquery makes filters from them.

        Examples
        --------
        >>> Search.observations("ero", ["proposal_id=2734"]).astroquery_criteria()
        {'proposal_id': ['2734'], 'obs_collection': ['JWST']}
        """
        return {criterion.keyword: criterion.as_astroquery() for criterion in self.criteria}


def _instruments(text: str) -> tuple[str, ...]:
    """Return the instruments that are named, each once, in the order of `JWST.services`."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if word.lower() not in (*JWST.services, ALL):
            raise BadValue(_not_an_instrument(word))
    named = {word.lower() for word in words}
    if ALL in named:
        named |= set(JWST.services) - {"guidestar"}
    if not named:
        raise BadValue(_not_an_instrument(text))
    return tuple(instrument for instrument in JWST.services if instrument in named)


def _criteria(written: tuple[str, ...], instruments: tuple[str, ...]) -> dict[str, tuple[Criterion, ...]]:
    """Read the criteria for each instrument; if some instruments lack a keyword, the error names them."""
    read: dict[str, tuple[Criterion, ...]] = {}
    without: dict[str, str] = {}
    for instrument in instruments:
        criteria = []
        for text in written:
            try:
                criteria.append(parse_criterion(text, instrument))
            except UnknownKeyword:
                if len(instruments) == 1:
                    raise
                without[instrument] = text.partition("=")[0].strip()
        read[instrument] = tuple(criteria)
    if without:
        able = [each for each in instruments if each not in without]
        if not able:
            parse_criterion(next(text for text in written if text.partition("=")[0].strip() in without.values()))
        missing = ", ".join(f"{each} has no {keyword}" for each, keyword in without.items())
        hint = f"--instrument {','.join(able)}, or leave the criterion out" if able else "leave the criterion out"
        raise UnknownKeyword(f"{missing}: {hint}")
    return read


def checked_name(name: str) -> str:
    """Return the name if a search can be saved under it; refuse it otherwise.

    Raises
    ------
    BadValue
        The error says which characters a name can have.
    """
    if not _NAME.fullmatch(name):
        raise BadValue(f"{name!r} cannot name a search: use letters, digits and _ . + -")
    return name


def _not_an_instrument(word: str) -> str:
    near = nearest(word, list(JWST.services))
    hint = f"; did you mean {near!r}?" if near else f"; there are {', '.join(JWST.services)}"
    return f"no instrument {word!r}{hint}"


def revised(former: Search, criteria: Sequence[str], instrument: str | None, cone: str | None) -> Search:
    """Return a search with other criteria, another instrument or another cone.

    Parameters
    ----------
    former : Search
        The search as it was.
    criteria : sequence of str
        They replace all former criteria.
    instrument, cone : str or None
        With None, the instrument stays as it was, and an observation search has no cone.

    Raises
    ------
    UsageError
        If nothing is given, or if this kind of search does not have what is given.

    Examples
    --------
    >>> revised(Search.parse("soss", "niriss", ["category=COM"]), ["category=ERS"], None, None).written
    ('category=ERS',)
    """
    if not criteria and instrument is None and cone is None:
        now = " ".join(f"-k {written}" for written in former.written)
        raise UsageError(f"give the criteria that it is to have: mastlake searches edit {former.name} {now}")
    if former.instrument is None:
        if instrument is not None:
            raise UsageError(f"{former.name} is a search for observations, which has no --instrument")
        return Search.observations(former.name, criteria, cone)
    if cone is not None:
        raise UsageError(f"{former.name} is a search for files, which knows no cone")
    return Search.parse(former.name, instrument or former.instrument, criteria or former.written)
