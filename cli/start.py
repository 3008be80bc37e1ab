"""Where the process begins: Ctrl-C during the imports ends it as it does any command."""

from __future__ import annotations

import os
import sys

from catalog.process.interrupts import wait_for_imports

_INTERRUPTED = 130


def run(arguments: list[str] | None = None) -> None:
    """Import the commands, and run the one that was typed, or that the arguments say."""
    if os.name != "posix":  # locks of files, and the ends of processes, are those of POSIX
        sys.stderr.write(
            "mastlake: this needs Linux or macOS; on Windows, install it in the Windows Subsystem for Linux\n"
        )
        sys.exit(1)
    try:
        if arguments is None:  # the process is ours
            wait_for_imports()
        from .main import run as run_commands

        run_commands(arguments)
    except KeyboardInterrupt:  # outside of what the commands hear themselves
        if arguments is not None:  # the process is another's
            raise
        sys.stderr.write("mastlake: interrupted\n")
        sys.stderr.flush()
        os._exit(_INTERRUPTED)  # what is half imported need not be taken apart
