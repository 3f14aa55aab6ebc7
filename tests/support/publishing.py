"""Publish to the stand-in of Kubeflow Pipelines, and read what it was asked and what it has."""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from emotion_ai.pipeline.publishing.order import Order
from emotion_ai.pipeline.publishing.publish import publish
from emotion_ai.pipeline.publishing.server import connect

from support.kfp_api_server import KfpApiServer

KFP = str(Path(sys.executable).with_name("kfp"))
NIGHTLY = "0 0 3 * * *"


def publish_to(kfp: KfpApiServer, package: Path, **order: Any) -> list[str]:
    return list(publish(connect(kfp.address), package, Order(**order)))


def schedules(kfp: KfpApiServer) -> list[str]:
    """The schedules as versions, in the order in which they were created; others by name."""
    names = [schedule["display_name"] for schedule in kfp.schedules.values()]
    return [name.removeprefix("emotion-ai-schedule-") for name in names]


def changes(kfp: KfpApiServer) -> list[str]:
    """Requests that change something, without the path's start."""
    changing = [line for line in kfp.requests if not line.startswith("GET")]
    return [line.replace("/apis/v2beta1", "") for line in changing]


def run_kfp(command: str, answer: str = "") -> subprocess.CompletedProcess[str]:
    """Run a kfp command as it is printed."""
    words = shlex.split(command)
    assert words[0] == "kfp"
    return subprocess.run(
        [KFP, *words[1:]], input=answer, capture_output=True, text=True, timeout=60
    )


def printed_command(lines: list[str], verb: str) -> str:
    (line,) = (line for line in lines if line.startswith(f"  {verb}: "))
    return line.partition(": ")[2]
