"""Take away what Windows lacks: import it first in a process that shall see only what is there too.

It is no Windows: paths are written with slashes, and extension modules are those of this system.
"""

# These use POSIX themselves where they find it; on Windows they have another way.
import asyncio  # noqa: F401
import multiprocessing.util  # noqa: F401
import os
import select
import signal
import socket
import socketserver  # noqa: F401
import subprocess  # noqa: F401
import sys
import tempfile  # noqa: F401
import uuid  # noqa: F401
from pathlib import Path
from typing import Any

MODULES = (
    "crypt",
    "fcntl",
    "grp",
    "pty",
    "pwd",
    "readline",
    "resource",
    "syslog",
    "termios",
    "tty",
)
ATTRIBUTES: dict[Any, tuple[str, ...]] = {
    os: (
        *("O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK"),
        *("chown", "fchmod", "fchown", "fork", "geteuid", "getgid", "getpgid", "getuid", "killpg"),
        *("mkfifo", "nice", "posix_fadvise", "pread", "preadv", "pwrite", "register_at_fork"),
        *("sched_getaffinity", "setsid", "statvfs", "sysconf"),
    ),
    select: ("epoll", "poll"),
    signal: ("SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGUSR1", "pthread_sigmask"),
    socket: ("AF_UNIX",),
}


def _forbid_open_files() -> None:
    """Let a file that is open keep its name, and folders be opened by nobody."""
    rename, unlink, open_file = os.replace, os.unlink, os.open

    def check(path: Any) -> None:
        names = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
        if os.path.realpath(path) in names:
            raise PermissionError(13, "used by this process", str(path))

    def checked_rename(source: Any, target: Any, **options: Any) -> None:
        check(source)
        rename(source, target, **options)

    def checked_unlink(path: Any, **options: Any) -> None:
        check(path)
        unlink(path, **options)

    def checked_open(path: Any, *arguments: Any, **options: Any) -> int:
        if "dir_fd" not in options and os.path.isdir(path):  # noqa: PTH112
            raise PermissionError(13, "is a folder", str(path))
        return open_file(path, *arguments, **options)

    os.replace, os.rename, os.unlink, os.open = (
        checked_rename,
        checked_rename,
        checked_unlink,
        checked_open,
    )


def put_on() -> None:
    """Take them away in this process, for good."""
    for module, names in ATTRIBUTES.items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    for name in MODULES:
        # An import of it raises ModuleNotFoundError.
        sys.modules[name] = None  # type: ignore[assignment]
    _forbid_open_files()
