"""A small release that was written before version 0.2, with the names of its day."""

import shutil
from pathlib import Path

from emotion_ai import storage

FORMER_REGISTRY = Path(__file__).parents[1] / "fixtures" / "release-before-rename" / "registry"


def copy_former_release(registry: Path) -> int:
    """Copy the release into a registry's folder; returns its version."""
    shutil.copytree(FORMER_REGISTRY / "1", registry / "1")
    return 1


def upload_former_release(registry: str) -> int:
    """Copy the release into a registry in a bucket; returns its version."""
    for path in (FORMER_REGISTRY / "1").rglob("*"):
        if path.is_file():
            name = path.relative_to(FORMER_REGISTRY).as_posix()
            storage.write_bytes(storage.join(registry, name), path.read_bytes())
    return 1
