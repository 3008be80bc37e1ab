"""Rights of what a lake writes into a folder of a group.

DuckDB makes folders that only their owner can write (mode 755), and SQLite makes such files (644), whatever the umask
says. Where the group may write into the folder above, it may write into these as well, so that several users of one
disk can harvest into one lake.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

_FOLDER_RIGHTS = stat.S_IRWXG | stat.S_ISGID
_FILE_RIGHTS = stat.S_IRGRP | stat.S_IWGRP


def give_group_rights(path: Path) -> None:
    """Give the group the rights that it has on the folder above; what belongs to another user or group stays.

    Parameters
    ----------
    path : Path
        A file or a folder. The group of a folder may also enter it, and what is made in it later gets the same group.
    """
    with suppress(OSError):
        above, about = path.parent.stat(), path.lstat()
        if not above.st_mode & stat.S_IWGRP or above.st_gid != about.st_gid or about.st_uid != os.geteuid():
            return
        rights = above.st_mode & _FOLDER_RIGHTS if stat.S_ISDIR(about.st_mode) else _FILE_RIGHTS
        if (stat.S_ISDIR(about.st_mode) or stat.S_ISREG(about.st_mode)) and about.st_mode | rights != about.st_mode:
            path.chmod(stat.S_IMODE(about.st_mode) | rights)


def give_rights_in(folder: Path) -> None:
    """Give the group its rights on the folders of a lake's schemas and tables, which are in the folder of its rows."""
    for schema in _folders_in(folder):
        give_group_rights(schema)
        for table in _folders_in(schema):
            give_group_rights(table)


def _folders_in(folder: Path) -> list[Path]:
    with suppress(OSError), os.scandir(folder) as entries:
        return [Path(entry) for entry in entries if entry.is_dir(follow_symlinks=False)]
    return []
