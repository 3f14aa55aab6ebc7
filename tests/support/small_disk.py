"""A small tmpfs, to test what happens when a disk is full."""

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
def mounted_disk(folder: Path) -> Iterator[Path]:
    """Mount an empty disk of `PAGES` pages at a new folder; skip the test if that fails."""
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


def fill_disk(disk: Path, free: int) -> None:
    """Fill the disk with a file, except for this many free pages."""
    filler = disk / "filler"
    filler.unlink(missing_ok=True)
    filler.write_bytes(b"\0" * max(0, free_pages(disk) - free) * PAGE_BYTES)


def free_pages(disk: Path) -> int:
    """Count the free pages of the disk."""
    status = os.statvfs(disk)
    return status.f_bavail * status.f_frsize // PAGE_BYTES
