"""An answer of the catalog, for people and for the libraries they work with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from catalog.answers.formats import checked_format, format_of, write_file
from catalog.answers.portable_columns import portable_columns, with_texts
from catalog.answers.tables import astropy_table, unit_of
from catalog.errors import UsageError
from catalog.text import plural, shown

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

_SHOWN = 20
_HTML_CLASS = "mastlake-rows"
_STYLE = f".{_HTML_CLASS} th, .{_HTML_CLASS} td {{text-align: left !important; white-space: nowrap}}"
"""Without this, file names would be broken at their hyphens, and notebooks would align texts to the right."""


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """The rows of one question; a terminal and a notebook show them as a table.

    Any library that reads Arrow's C stream takes it as it is: ``polars.DataFrame(result)``, ``pyarrow.table(result)``.

    Attributes
    ----------
    rows : pyarrow.Table
        All rows.
    sql : str
        The question, with its values written into it.

    Examples
    --------
    >>> exposures = catalog.sql("SELECT filename, effexptm FROM files ORDER BY filename LIMIT 2")
    >>> len(exposures), exposures.columns
    (2, ['filename', 'effexptm'])
    >>> exposures.to_qtable()["effexptm"].unit
    Unit("s")
    """

    rows: pa.Table
    sql: str

    @property
    def columns(self) -> list[str]:
        """The names of the columns, in order."""
        return list(self.rows.column_names)

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch in self.rows.to_batches(max_chunksize=1000):
            yield from batch.to_pylist()

    def __getitem__(self, column: str) -> list[Any]:
        """Return one column as Python values."""
        if column not in self.columns:
            raise KeyError(f"no column {column!r}; there are {', '.join(self.columns)}")
        return list(self.rows.column(column).to_pylist())

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.rows.__arrow_c_stream__(requested_schema)

    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table.

        Returns
        -------
        pyarrow.Table
            The rows themselves, without a copy.

        Examples
        --------
        >>> catalog.sql("SELECT count(*) AS files FROM files").to_arrow().schema.names
        ['files']
        """
        return self.rows

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a pandas DataFrame.

        Returns
        -------
        pandas.DataFrame
            A value for which pandas has no type, such as a date in the year 20000, is text.

        Raises
        ------
        UsageError
            If pandas is not installed.

        Examples
        --------
        >>> catalog.sql("SELECT 1 AS one, 'a' AS letter").to_pandas().shape
        (1, 2)
        """
        _require("pandas")
        return with_texts(self.rows, lambda column: column.to_pandas()).to_pandas()

    def to_polars(self) -> pl.DataFrame:
        """Return the rows as a polars DataFrame.

        Returns
        -------
        polars.DataFrame
            Most columns are not copied. Intervals and unions are text.

        Raises
        ------
        UsageError
            If polars is not installed.

        Examples
        --------
        >>> catalog.sql("SELECT 1 AS one, 'a' AS letter").to_polars().shape
        (1, 2)
        """
        _require("polars")
        import polars as pl

        frame = pl.from_arrow(with_texts(self.rows))
        assert isinstance(frame, pl.DataFrame)
        return frame

    def to_table(self) -> Any:
        """Return the rows as an `astropy.table.Table`, with units and meanings from the keyword dictionary.

        Returns
        -------
        astropy.table.Table
            Nulls are masked; times are ``datetime64[us]``, UTC, or ``datetime64[ns]`` if DuckDB has them so.

        Examples
        --------
        >>> catalog.sql("SELECT effexptm FROM files LIMIT 3").to_table()["effexptm"].unit
        Unit("s")
        """
        return astropy_table(self.rows)

    def to_qtable(self) -> Any:
        """Return the rows as an `astropy.table.QTable`.

        Returns
        -------
        astropy.table.QTable
            Columns with a unit are quantities, and dates are `astropy.time.Time`, UTC; both are masked only if a
            value is null. If a date is outside the years 1 to 9999, its column stays ``datetime64``.

        Examples
        --------
        >>> exposures = catalog.sql("SELECT date_obs, effexptm FROM files WHERE effexptm > 0 LIMIT 3").to_qtable()
        >>> exposures["date_obs"].scale, exposures["effexptm"].unit
        ('utc', Unit("s"))
        """
        from astropy.table import Column, QTable
        from astropy.time import Time

        plain = astropy_table(self.rows)
        for name in plain.colnames:
            column = plain[name]
            if column.dtype.kind == "M" and _is_of_years(column):
                plain[name] = _times(column, Time)
            elif not column.mask.any():
                plain[name] = Column(column.data.data, unit=column.unit, description=column.description)
        return QTable(plain, copy=False)

    def write(self, path: str | os.PathLike[str], form: str | None = None) -> int:
        """Write the rows to a file, whole or not at all.

        Parameters
        ----------
        path : path-like
            The path; its ending names the format.
        form : str, optional
            csv, json, jsonl, parquet, votable or ecsv.

        Returns
        -------
        int
            How many rows the file has.

        Raises
        ------
        UsageError
            If the format is unknown, or the ending stands for none.
        DiskError
            If the file cannot be written.

        Examples
        --------
        >>> catalog.sql("SELECT filename FROM files LIMIT 3").write(folder / "three.ecsv")
        3
        """
        target = Path(path)
        format_name = checked_format(form) if form else format_of(target)
        return write_file(self.rows.to_reader(), format_name, target)

    def __repr__(self) -> str:
        return f"{self._row_count_text()}\n" + "\n".join(
            self._first_rows_as_text().pformat(max_lines=-1, max_width=None)
        )

    def _repr_html_(self) -> str:
        lines = self._first_rows_as_text().pformat(
            max_lines=-1, max_width=-1, html=True, tableclass=f"dataframe {_HTML_CLASS}"
        )
        return f"<style>{_STYLE}</style><p>{self._row_count_text()}</p>" + "\n".join(lines)

    def _first_rows_as_text(self) -> Any:
        """Return the first rows as texts, with the units of their columns."""
        from astropy.table import Column, Table

        first = portable_columns(self.rows.slice(0, _SHOWN).to_reader(), "arrow").read_all()
        return Table([
            Column([shown(_python(scalar)) for scalar in column], name=name, unit=unit_of(name, column.type), dtype=str)
            for name, column in zip(first.column_names, first.columns, strict=True)
        ])  # fmt: skip

    def _row_count_text(self) -> str:
        count = len(self)
        first = f", the first {_SHOWN}" if count > _SHOWN else ""
        return f"{plural(count, 'row')}{first}"


def _python(scalar: pa.Scalar) -> Any:
    """Return a Python value, or a text for a date after the year 9999."""
    try:
        return scalar.as_py()
    except (OverflowError, ValueError):
        return "beyond the years 1 to 9999"


def _times(column: Any, time: Any) -> Any:
    import numpy as np

    absent = np.isnat(column.data.data) | column.mask
    if not absent.any():
        return time(column.data.data, format="datetime64", scale="utc")
    values = np.where(absent, np.datetime64("2000-01-01", "us"), column.data.data)
    times = time(values, format="datetime64", scale="utc")
    times[absent] = np.ma.masked
    return times


def _is_of_years(column: Any) -> bool:
    """Say whether all times are in the years 1 to 9999, which `astropy.time.Time` reads."""
    import numpy as np

    present = column.data.data[~(np.isnat(column.data.data) | column.mask)].astype("datetime64[s]")
    return bool(np.all((present >= np.datetime64("0001-01-01")) & (present < np.datetime64("9999-12-31"))))


def _require(package: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise UsageError(f"this needs {package}: pip install {package}")
