"""Locks of open files, which the system releases when the process ends.

Windows has none: there nothing is locked, and two writers of one file are not kept apart.
"""

import os
from typing import BinaryIO

try:
    import fcntl
except ModuleNotFoundError:
    HAS_LOCKS = False
else:
    HAS_LOCKS = True


def lock(file: BinaryIO | int) -> None:
    """Lock a file, and wait while another process has it."""
    if HAS_LOCKS:
        fcntl.flock(file, fcntl.LOCK_EX)


def try_lock(file: BinaryIO | int) -> None:
    """Lock a file, or raise `BlockingIOError` if another process has it."""
    if HAS_LOCKS:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def let_rename(file: BinaryIO) -> None:
    """Close a file where the system renames and removes no open ones.

    Elsewhere it stays open, so that its lock outlives the rename.
    """
    if not HAS_LOCKS:
        file.close()


def posix_flags(*names: str) -> int:
    """Return the flags of `os.open` that this system has, as "O_NOFOLLOW", together."""
    flags = 0
    for name in names:
        flags |= getattr(os, name, 0)
    return flags
