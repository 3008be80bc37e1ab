"""Packages that are left out are known to be there, but not loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest

LEFT_OUT = """
import importlib.util, sys
from catalog.process.unwanted_imports import leave_out
leave_out("pandas", "nowhere")
assert importlib.util.find_spec("pandas") is not None
for name in ("pandas", "nowhere"):
    try:
        __import__(name)
    except ModuleNotFoundError as error:
        assert name in str(error)
    else:
        raise AssertionError(name)
import duckdb, numpy, pyarrow
assert duckdb.connect().execute("SELECT ?", [1]).fetchall() == [(1,)]
assert pyarrow.array(numpy.arange(3)).to_pylist() == [0, 1, 2]
import astroquery.mast
assert "pandas" not in sys.modules
"""


@pytest.mark.long
def test_libraries_that_look_for_a_package_that_is_left_out_do_without_it() -> None:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", LEFT_OUT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
