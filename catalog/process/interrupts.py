"""Ctrl-C while a library is being imported, and while something is being put in order.

Python raises KeyboardInterrupt anywhere, also while a library written in C is still initializing. Such a library then
fails half way, with an error of its own or a crash. So a Ctrl-C waits until the library is initialized.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import ExtensionFileLoader
from types import FrameType, ModuleType
from typing import Any


def repeat_lost() -> None:
    """Let a Ctrl-C count that comes in a callback of the garbage collector, for the rest of this process.

    Python cannot raise anything there: it prints the KeyboardInterrupt, and goes on as if nobody had pressed a key.
    """
    before = sys.unraisablehook

    def told(lost: Any) -> None:
        if lost.exc_type is KeyboardInterrupt:
            again = threading.Timer(_SOON, _press)  # when the callback is done
            again.daemon = True
            again.start()
        else:
            before(lost)

    sys.unraisablehook = told


_SOON = 0.01


def _press() -> None:
    """Press Ctrl-C: the main thread hears it wherever it waits."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def wait_for_imports() -> None:
    """Let Ctrl-C wait while libraries written in C are imported, for the rest of this process."""
    load = ExtensionFileLoader.exec_module

    def load_whole(loader: ExtensionFileLoader, module: ModuleType) -> None:
        with held_back():
            load(loader, module)

    make: Callable[..., Any] = ExtensionFileLoader.create_module

    def make_whole(loader: ExtensionFileLoader, spec: Any) -> Any:
        with held_back():
            return make(loader, spec)

    ExtensionFileLoader.exec_module = load_whole  # type: ignore[method-assign, assignment]
    ExtensionFileLoader.create_module = make_whole  # type: ignore[method-assign, assignment]


@contextmanager
def held_back() -> Iterator[None]:
    """Hold a Ctrl-C back until the end of the block.

    For short blocks that must not end half way, like the removal of what is no longer wanted. Where another handler
    than Python's own hears Ctrl-C, or in another thread than the main one, this does nothing.

    Raises
    ------
    KeyboardInterrupt
        At the end of the block, if Ctrl-C came within it.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is not signal.default_int_handler:
        yield  # an outer block holds it back already, or another handler receives it
        return
    heard = _HeldBack()
    signal.signal(signal.SIGINT, heard)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if heard.count:
        raise KeyboardInterrupt


class _HeldBack:
    """A handler that counts how often Ctrl-C came."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Count."""
        self.count += 1


def is_held_back() -> bool:
    """Say whether the main thread is in a block of `held_back`."""
    return isinstance(signal.getsignal(signal.SIGINT), _HeldBack)


@contextmanager
def interrupted_by(stop: Callable[[], None]) -> Iterator[None]:
    """Call a function at a Ctrl-C within the block, before KeyboardInterrupt is raised; see `held_back` for when not.

    For work that waits where it does not hear Ctrl-C, such as threads of a library.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is not signal.default_int_handler:
        yield
        return

    def heard(number: int, frame: FrameType | None) -> None:
        stop()
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, heard)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
