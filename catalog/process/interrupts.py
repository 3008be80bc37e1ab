"""Ctrl-C while a library is being imported.

Python raises KeyboardInterrupt anywhere, also while a library written in C is still initializing. Such a library then
fails half way, with an error of its own or a crash. So a Ctrl-C waits until the library is initialized.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import ExtensionFileLoader
from types import ModuleType
from typing import Any


def wait_for_imports() -> None:
    """Let Ctrl-C wait while libraries written in C are imported, for the rest of this process."""
    load = ExtensionFileLoader.exec_module

    def load_whole(loader: ExtensionFileLoader, module: ModuleType) -> None:
        with _later():
            load(loader, module)

    make: Callable[..., Any] = ExtensionFileLoader.create_module

    def make_whole(loader: ExtensionFileLoader, spec: Any) -> Any:
        with _later():
            return make(loader, spec)

    ExtensionFileLoader.exec_module = load_whole  # type: ignore[method-assign, assignment]
    ExtensionFileLoader.create_module = make_whole  # type: ignore[method-assign, assignment]


@contextmanager
def _later() -> Iterator[None]:
    """Hold a Ctrl-C back until the end of the block."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is not signal.default_int_handler:
        yield  # an outer block holds it back already, or another handler receives it
        return
    heard: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if heard:
        raise KeyboardInterrupt
