"""The start of the process; Ctrl-C during the imports ends it as it ends any command."""

from __future__ import annotations

import os
import sys

from catalog.process.garbage import collect_seldom
from catalog.process.interrupts import repeat_lost, wait_for_imports

_INTERRUPTED = 130


def run(arguments: list[str] | None = None) -> None:
    """Import the command that was typed, or that the arguments name, and run it."""
    if os.name != "posix":  # locks of files and ends of processes need POSIX
        sys.stderr.write(
            "mastlake: this needs Linux or macOS; on Windows, install it in the Windows Subsystem for Linux\n"
        )
        sys.exit(1)
    try:
        if arguments is None:  # the process is ours
            wait_for_imports()
            repeat_lost()
            collect_seldom()
        from .main import run as run_commands

        run_commands(arguments)
    except KeyboardInterrupt:  # commands handle Ctrl-C themselves; this one came before
        if arguments is not None:  # the process belongs to another program
            raise
        sys.stderr.write("mastlake: interrupted\n")
        sys.stderr.flush()
        os._exit(_INTERRUPTED)  # half-imported modules need no cleaning up
