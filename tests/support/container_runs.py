"""Runs of the pipeline in a folder of their own, each step in a container, and those containers."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError

from support.container_engine import ROOT

TINY = ROOT / "tests" / "pipeline" / "tiny.yaml"
# Who asks for the run, where the tests may choose: not root, and not the images' own user.
CALLER = 4321 if os.geteuid() == 0 else os.geteuid()
AS_CALLER = f"""
import os
if os.geteuid() == 0:
    os.setresgid({CALLER}, 0, 0)
    os.setresuid({CALLER}, 0, 0)
from emotion_ai.pipeline.cli.main import main
main()
"""


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """`emotion-ai run` on the folder's sources; in containers it is `CALLER` who calls."""
    sources = ("--keypoints", "keypoints.csv", "--expression", "expression.csv")
    # The shell of a step that is a process would not have it that the user is two at once.
    program = ("-c", AS_CALLER) if "docker" in arguments else ("-m", "emotion_ai.pipeline.cli")
    command = [sys.executable, *program, "run", *sources, "--preset", str(TINY), *arguments]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=folder, text=True, **streams)


def ended(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """What a run has printed when it is over."""
    stdout, stderr = process.communicate(timeout=900)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


@contextlib.contextmanager
def new_folder() -> Iterator[Path]:
    """A folder with sources, and the folders that a run would make there, which are the caller's.

    Not pytest's own, which is closed to all but root.
    """
    path = Path(tempfile.mkdtemp(prefix="emotion-ai-run-"))
    path.chmod(0o755)
    command = [
        sys.executable,
        "-m",
        "emotion_ai.pipeline.cli",
        "sample-data",
        ".",
        "--faces",
        "140",
    ]
    subprocess.run(command, cwd=path, check=True, capture_output=True)
    for name in ("registry", ".emotion-ai/artifacts", ".emotion-ai/checkpoints"):
        (path / name).mkdir(parents=True)
        os.chown(path / name, CALLER, -1)
    try:
        yield path
    finally:
        shutil.rmtree(path)


def all_containers(client: docker.DockerClient) -> list[Any]:
    """Every container there is."""
    while True:
        # podman fails where one goes while it is asked about, which the SDK does not expect.
        with contextlib.suppress(APIError):
            return client.containers.list(all=True, ignore_removed=True)


def steps_of(client: docker.DockerClient, words: str) -> list[Any]:
    """The containers that work, or did, with these words in a step's arguments."""
    found = all_containers(client)
    return [c for c in found if any(words in argument for argument in c.attrs["Args"])]
