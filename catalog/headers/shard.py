"""Read one shard of files: the part of the work that any process, thread or machine can do."""

from __future__ import annotations

import socket
import time
import traceback
from collections.abc import Sequence
from typing import NamedTuple

from catalog._version import __version__
from catalog.headers.extract import Extract, extract


class Reading(NamedTuple):
    """What a worker sends back.

    Attributes
    ----------
    extract : Extract or None
        The headers; None after an error.
    error : Exception or None
        An error of the reading itself, which is a bug.
    version : str
        The version of mastlake at the worker.
    host : str
        The worker's machine.
    seconds : float
        How long the reading took.
    """

    extract: Extract | None
    error: Exception | None
    version: str
    host: str
    seconds: float


def read_shard(paths: Sequence[str], keywords: Sequence[str], digest: bool) -> Reading:
    """Read the headers of some files; see `catalog.headers.extract.extract`.

    Errors are returned, so that an exception of the future can only come from the executor.
    """
    began = time.monotonic()
    read: Extract | None = None
    fault: Exception | None = None
    try:
        read = extract(paths, keywords, digest)
    except Exception as error:
        error.add_note("".join(traceback.format_exception(error)))
        fault = error
    return Reading(read, fault, __version__, socket.gethostname(), time.monotonic() - began)
