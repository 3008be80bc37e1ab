"""Read many files: here, with several processes, or with any executor."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor

from catalog.headers.extract import extract
from catalog.headers.local_pool import LocalPool
from catalog.headers.shards import Batch, Handout, Order

__all__ = ["BATCH", "Batch", "available_processes", "extract_all"]

BATCH = 128
"""How many files are read together."""

_WHOLE_FILES = 16
"""How many files are read together if all their bytes are read, which takes a hundred times as long."""

_ALONE = 16 * BATCH
"""For fewer files, starting processes would take longer than reading."""

_EACH = 2
"""How many shards are handed out for each process of this machine: while one is read, the next one waits."""

_OUT = 64
"""How many shards are handed out to an executor whose workers nobody counts; more would wait for memory here."""


def available_processes() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def extract_all(
    paths: Sequence[str],
    keywords: Sequence[str] = (),
    digest: bool = False,
    processes: int | None = None,
    executor: Executor | None = None,
) -> Iterator[Batch]:
    """Read the headers of many files, one batch at a time; batches come in any order.

    Parameters
    ----------
    paths : sequence of str
        FITS files.
    keywords : sequence of str
        The keywords whose values are returned for each file.
    digest : bool
        Also read all bytes of the files, for the MD5.
    processes : int, optional
        How many processes to use; by default, as many as there are processors.
    executor : Executor, optional
        Where to read instead. It stays open.

    Raises
    ------
    ExecutorError
        If the executor is of no use any more.
    """
    size = _WHOLE_FILES if digest else BATCH
    batches = [paths[start : start + size] for start in range(0, len(paths), size)]
    order = Order(keywords, digest)
    if executor is not None:
        yield from Handout(executor, batches, order, _OUT).results()
        return
    processes = min(processes or available_processes(), len(batches))
    if processes < 2 or (len(paths) <= _ALONE and not digest):
        yield from ((batch, extract(batch, keywords, digest)) for batch in batches)
        return
    pool = LocalPool(processes)
    try:
        yield from Handout(pool, batches, order, _EACH * processes).results()
    finally:
        pool.shutdown(cancel_futures=True)
