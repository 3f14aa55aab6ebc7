"""A disk so small that it fills up, and how full it is."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

PAGES = 1024
PAGE_BYTES = 4096
FULL = ": No space left on device"


@contextlib.contextmanager
def mounted(folder: Path) -> Iterator[Path]:
    """An empty disk of `PAGES` pages at a new folder; skips the test where none can be mounted."""
    folder.mkdir()
    size = f"size={PAGES * PAGE_BYTES}"
    command = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def leave(disk: Path, pages: int) -> None:
    """Fill the disk but for so many pages."""
    filler = disk / "filler"
    filler.unlink(missing_ok=True)
    filler.write_bytes(b"\0" * max(0, free_pages(disk) - pages) * PAGE_BYTES)


def free_pages(disk: Path) -> int:
    """How many pages are not used."""
    status = os.statvfs(disk)
    return status.f_bavail * status.f_frsize // PAGE_BYTES
