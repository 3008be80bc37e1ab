"""Times in SQL: the archive writes them as MJD (UTC), a number of days."""

from __future__ import annotations

FIRST_MJD, LAST_MJD = -678_575, 2_973_483
"""The first day of the year 1, and the last day of the year 9999."""


def time_of_mjd(mjd: str) -> str:
    """Return SQL for the time that a number of days stands for; null if there is no such time.

    A catalog can have any number in the column, and a number too large for a timestamp would fail the whole question.

    Parameters
    ----------
    mjd : str
        SQL of a number.

    Examples
    --------
    >>> import duckdb
    >>> duckdb.sql(f"SELECT {time_of_mjd('59738.25')}, {time_of_mjd('1e300')}").fetchall()
    [(datetime.datetime(2022, 6, 8, 6, 0), None)]
    """
    microseconds = f"to_microseconds(CAST({mjd} * 86400e6 AS BIGINT))"
    return f"CASE WHEN {mjd} BETWEEN {FIRST_MJD} AND {LAST_MJD} THEN TIMESTAMP '1858-11-17' + {microseconds} END"
