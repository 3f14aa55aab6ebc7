"""A copy of this project's code that a test may edit, and the commands run from it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def copy_code(folder: Path) -> Path:
    """Copy the package `emotion_ai` and its lock to a folder; returns the package."""
    package = folder / "emotion_ai"
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "components", package, ignore=unwanted)
    shutil.copytree(ROOT / "pipeline", package / "pipeline", ignore=unwanted)
    shutil.copy2(ROOT / "requirements.lock", folder)
    return package


def run_copy(package: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `python ARGUMENTS` with the copy in place of the installed package."""
    environment = os.environ | {"PYTHONPATH": str(package.parent)}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
