"""Names that people use for columns, for questions with a column that does not exist."""

from __future__ import annotations

import re

from catalog.store.sql import literal
from catalog.text import nearest

_MEANT = {
    "size": "file_size in files, size in products", "filesize": "file_size", "ra": "targ_ra", "dec": "targ_dec",
    "target": "targname", "target_name": "targname in files", "object": "targname", "name": "filename",
    "file": "filename", "uri": "data_uri", "url": "data_uri", "md5": "checksum", "date": "date_obs",
    "time": "date_obs", "mjd": "date_obs_mjd", "exptime": "effexptm", "exposure_time": "effexptm",
    "duration_s": "duration", "level": "productLevel in files, calib_level in products", "pi": "pi_name",
    "proposal": "program", "proposal_id": "program in files", "observation": "obs_id", "version": "cal_ver",
    "pipeline": "cal_ver", "context": "crds_ctx", "release": "publicReleaseDate", "public": "isRestricted",
    "subgroup": "productSubGroupDescription", "type": "productType", "instrume": "instrument", "value": "text in cards",
}  # fmt: skip
"""The column for each name that people use."""
_UNKNOWN_COLUMN = re.compile(r"""(?:Referenced column|does not have a column named) "([^"]+)\"""")


def meant(text: str) -> str:
    """Return an addition to DuckDB's error about an unknown column: the column that was probably meant.

    Examples
    --------
    >>> meant('Binder Error: Referenced column "ra" not found in FROM clause!')
    '; did you mean targ_ra?'
    """
    unknown = _UNKNOWN_COLUMN.search(text)
    if unknown is None:
        return _other_dialect(text)
    name = unknown[1].lower()
    if name in _MEANT:
        return f"; did you mean {_MEANT[name]}?"
    candidates = re.findall('"([^"]+)"', text.partition("Candidate")[2].partition("\n")[0])
    if f'"{unknown[1]}"' in _line(text) and nearest(name, candidates) is None:
        return f"; a text stands in single quotes: {literal(unknown[1])}"
    if re.fullmatch(r"[a-z0-9_-]{1,8}", name) and nearest(name, candidates) is None:
        word = literal(name.upper())
        return f"; other keywords of local headers are in cards: FROM cards WHERE keyword = {word}"
    return ""


def _line(text: str) -> str:
    """Return the line of the statement that DuckDB shows with its error."""
    return next((line for line in text.splitlines() if line.startswith("LINE ")), "")


def _other_dialect(text: str) -> str:
    """Return an addition to an error about a statement in another dialect, or about a date that is no text."""
    if text.startswith("Parser Error") and (top := re.search(r"\bSELECT\s+TOP\s+(\d+)", _line(text), re.IGNORECASE)):
        return f"; DuckDB has no TOP: end the statement in LIMIT {top[1]}"
    if "Cannot compare values of type TIMESTAMP" in text and (day := re.search(r"\b\d{4}-\d\d-\d\d\b", _line(text))):
        return f"; a date stands in single quotes: '{day[0]}'"
    if text.startswith("Parser Error") and re.search(r"^LINE 1: \S+\.sql$", _line(text)):
        return '; for the statement in a file: mastlake sql "$(cat FILE)"'
    return ""
