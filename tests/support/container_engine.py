"""The container engine of the tests, its images, and one container at a time."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENGINE = shutil.which("docker") or shutil.which("podman") or "docker"
# What a step gets of the world: nothing but a scratch folder.
BARE = ("--network=none", "--read-only", "--cap-drop=ALL", "--tmpfs=/tmp")


def engine(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a command of the engine to its end, whatever that is."""
    return subprocess.run([ENGINE, *arguments], capture_output=True, text=True, timeout=timeout)


def answered(*arguments: str) -> str:
    """What a command of the engine prints; a test that gets an error fails."""
    result = engine(*arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def make_images(folder: Path = ROOT, *variables: str) -> dict[str, str]:
    """`make images` in a checkout; a name of each target's image."""
    # The tests' own environment has what `make` would set up first.
    here = (f"BIN={Path(sys.executable).parent}", "READY=", f"CONTAINER_ENGINE={ENGINE}")
    command = ["make", "--silent", "images", *here, *variables]
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=1500)
    assert made.returncode == 0, made.stderr
    return {line.split("/")[-1].split(":")[0]: line for line in made.stdout.split()}


def built_upon(image: str, name: str, lines: str, folder: Path) -> str:
    """An image made of another one and some lines of a Dockerfile."""
    (folder / "Dockerfile").write_text(f"FROM {image}\nUSER 0\n{lines}\nUSER 10001:10001\n")
    answered("build", "--quiet", "--tag", name, str(folder))
    return name
