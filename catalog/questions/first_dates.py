"""Read less of a catalog that is read where it is, for a question about the first files in the order of time.

DuckDB sorts by time and then by name. So it reads the names of all files that meet the criteria, and names are one of
the largest columns. If only the time has to be sorted, it reads the other columns of the files in the answer alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from catalog.store.database import Database

_FIRST = re.compile(
    r"(?P<shown>SELECT [^\n]*\n)(?P<chosen>FROM files\n(?:WHERE .*\n)?)"
    r"ORDER BY date_obs_mjd, filename\nLIMIT (?P<limit>\d+)",
    re.DOTALL,
)
_MOST = 1000
_SAME_TIME = 100
"""So many more files are looked at, because files of one exposure have the same time."""


def sorted_by_time_first(database: Database, sql: str, values: Sequence[object]) -> str:
    """Return a statement with the same rows that sorts by time first, and only the rows of the answer by name.

    Parameters
    ----------
    database : Database
        The catalog.
    sql, values
        A statement as `catalog.questions.find` writes it.

    Returns
    -------
    str
        The statement; the given one, if too many files have the time of the last one.
    """
    found = _FIRST.fullmatch(sql)
    if found is None or (limit := int(found["limit"])) > _MOST or not limit:
        return sql
    by_time = f"{found['chosen']}ORDER BY date_obs_mjd LIMIT "
    with database.read(sealed=True) as connection:
        rows = connection.execute(f"SELECT date_obs_mjd {by_time}{limit + _SAME_TIME}", list(values)).fetchall()
    dates = sorted(date for (date,) in rows if date is not None)
    if len(rows) < limit + _SAME_TIME:
        wanted = len(rows)
    elif len(dates) < len(rows) or dates[limit - 1] == dates[-1]:
        return sql
    else:
        wanted = sum(date <= dates[limit - 1] for date in dates)
    return f"{found['shown']}FROM (SELECT * {by_time}{wanted})\nORDER BY date_obs_mjd, filename\nLIMIT {limit}"
