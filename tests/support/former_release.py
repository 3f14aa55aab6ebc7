"""A small release that was written before version 0.2, with the names of its day."""

import shutil
from pathlib import Path

FORMER_REGISTRY = Path(__file__).parents[1] / "fixtures" / "release-before-rename" / "registry"


def copy_former_release(registry: Path) -> int:
    """Copy the release into a registry's folder; returns its version."""
    shutil.copytree(FORMER_REGISTRY / "1", registry / "1")
    return 1
