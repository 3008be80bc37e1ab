"""What befalls a command at a chosen moment: Ctrl-C, or a disk that takes no more.

    python -m tests.moments KIND MOMENT WORDS...

runs the command line as a process of its own. Python tells an audit hook of each file, lock and connection; at the
MOMENT-th of these events a Ctrl-C comes, or files stop growing. Imports do not count. Without arguments, many commands
run one after the other in one process, which is much quicker.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from catalog.process.interrupts import repeat_lost, wait_for_imports

COUNTED = ("open", "os.", "fcntl.", "socket.", "shutil.", "tempfile.", "subprocess.")
_CODE = (".py", ".pyc", ".so", "METADATA", ".txt", ".json", ".toml")


class Moments:
    """Counts events, and does something at one of them.

    Attributes
    ----------
    count : int
        Events so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._at, self._act = -1, _nothing
        sys.addaudithook(self._heard)

    def choose(self, at: int, act: Callable[[], None]) -> None:
        """Do something at this event, counted from now; -1 is never."""
        self.count, self._at, self._act = 0, at, act

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not event.startswith(COUNTED):
            return
        if event in ("open", "os.listdir") and str(arguments[0]).endswith(_CODE):
            return
        self.count += 1
        if self.count == self._at:
            self._at = -1
            self._act()


def _nothing() -> None:
    """What befalls an undisturbed command."""


def interrupt() -> None:
    """Press Ctrl-C."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def fill(most: int = 0) -> Callable[[], None]:
    """Return what lets no file of the process grow beyond so many bytes from now on, as a full disk does."""

    def act() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))

    return act


ACTS: dict[str, Callable[[], None]] = {
    "nothing": _nothing,
    "interrupt": interrupt,
    "full": fill(),
    "small": fill(30_000),
}


def run_one(moments: Moments, kind: str, moment: int, after: float | None, words: list[str]) -> tuple[int | str, int]:
    """Run a command in this process; return how it ended, and how many events there were."""
    from catalog.cli.start import run

    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    timer = threading.Timer(after or 0, interrupt)
    code: int | str = 0
    try:
        moments.choose(moment, ACTS[kind])
        if after is not None:
            timer.start()
        run(words)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except KeyboardInterrupt:
        code = "interrupted behind the end"
    except BaseException:
        traceback.print_exc()
        code = "an error that is no line"
    finally:
        timer.cancel()
        events = moments.count
        moments.choose(-1, _nothing)
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    return code, events


def serve() -> None:
    """Run commands in this process, as lines of JSON on stdin say; answer each with a line."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    wait_for_imports()
    repeat_lost()
    answers, nowhere = os.fdopen(os.dup(1), "w"), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    moments = Moments()
    for line in sys.stdin:
        asked = json.loads(line)
        os.chdir(asked["folder"])
        read, write = os.pipe()  # a file could not grow on a full disk
        os.dup2(write, 2)
        os.close(write)
        with ThreadPoolExecutor(1) as pool:
            told = pool.submit(_read, read)
            code, events = run_one(moments, asked["kind"], asked["moment"], asked["after"], asked["words"])
            sys.stderr.flush()
            os.dup2(nowhere, 2)
            answers.write(json.dumps([code, told.result(), events]) + "\n")
            answers.flush()


def _read(pipe: int) -> str:
    with os.fdopen(pipe, errors="replace") as file:
        return file.read()


def main(kind: str, moment: str, *words: str) -> None:
    """Run a command that something befalls, as the process of its own that it is for a user."""
    from catalog.cli.start import run

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    Moments().choose(int(moment), ACTS[kind])
    sys.argv[1:] = words
    run()


if __name__ == "__main__":
    main(*sys.argv[1:]) if sys.argv[1:] else serve()
