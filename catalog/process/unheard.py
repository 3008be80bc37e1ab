"""Ctrl-C while a library waits in C for a server, where Python cannot raise KeyboardInterrupt.

A server can be frozen, or a network can swallow what is sent. libpq waits then without looking at anything else, also
for the answer to the ROLLBACK that follows a KeyboardInterrupt. A command may end at once: the server ends a
transaction whose client is gone. The process of a notebook belongs to the user, so it is never ended.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from catalog.process import exit as leaving
from catalog.process.interrupts import is_held_back

_UNHEARD_SECONDS = 2.0
_INTERRUPTED = 130
_SAID = "interrupted; what was finished is kept"


@contextmanager
def ended_if_unheard() -> Iterator[None]:
    """End the process if the block has not ended two seconds after a Ctrl-C.

    If the process is not ours, if the block runs in another thread than the main one, or if another handler than
    Python's own hears Ctrl-C, this does nothing.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if leaving.at_once is None or not is_main or not _would_end() or (before := _reported_to()) != -1:
        yield  # if signals are reported already, an outer block does this
        return
    told, tells = os.pipe()
    os.set_blocking(tells, False)
    try:
        signal.set_wakeup_fd(tells, warn_on_full_buffer=False)
        threading.Thread(target=_watch, args=(told,), daemon=True, name="mastlake-interrupt").start()
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(tells)


def _reported_to() -> int:
    """Return the file descriptor to which signals are reported, or -1."""
    now = signal.set_wakeup_fd(-1)
    if now != -1:
        signal.set_wakeup_fd(now)
    return now


def _would_end() -> bool:
    """Say whether Ctrl-C raises KeyboardInterrupt, now or in a moment."""
    return signal.getsignal(signal.SIGINT) is signal.default_int_handler or is_held_back()


def _watch(told: int) -> None:
    """Wait for the end of the block, or for a Ctrl-C and then no longer than it takes to be heard."""
    try:
        while came := os.read(told, 1):
            if came[0] == signal.SIGINT and _would_end() and not _ends_soon(told) and leaving.at_once is not None:
                leaving.at_once(_INTERRUPTED, _SAID)
    finally:
        with suppress(OSError):
            os.close(told)


def _ends_soon(told: int) -> bool:
    """Wait, and say whether the block ended; a second Ctrl-C changes nothing."""
    until = time.monotonic() + _UNHEARD_SECONDS
    while (left := until - time.monotonic()) > 0:
        if select.select([told], [], [], left)[0] and not os.read(told, 1):
            return True
    return False
