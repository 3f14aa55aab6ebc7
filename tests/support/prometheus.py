"""Prometheus and promtool, where they are installed, and the rules in k8s/ as they read them."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.manifests import FOLDER
from support.server_calls import eventually

MONITORING = FOLDER / "components" / "monitoring"
RULE_FILE = "emotion-ai.rules.yml"
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def tool(name: str) -> str:
    """Find a program of Prometheus; skip the test if it is not installed.

    With EMOTION_AI_PROMETHEUS=required, as in CI, the test fails instead.
    """
    path = shutil.which(name)
    if path is None:
        reason = f"{name} is not on the PATH; Debian's package prometheus has it"
        if os.environ.get("EMOTION_AI_PROMETHEUS") == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def write_rules(folder: Path) -> Path:
    """Write the rules as a file of Prometheus, as k8s/README.md does; returns its path."""
    line = next(
        line for line in (FOLDER / "README.md").read_text().splitlines() if RULE_FILE in line
    )
    shell = subprocess.run(
        ["bash", "-euc", line.replace(RULE_FILE, f"'{folder / RULE_FILE}'")],
        cwd=FOLDER.parent,
        capture_output=True,
        text=True,
    )
    assert shell.returncode == 0, shell.stderr
    return folder / RULE_FILE


def promtool(*arguments: str, cwd: Path) -> str:
    """Run promtool and return what it prints; it must succeed."""
    result = subprocess.run(
        [tool("promtool"), *arguments], cwd=cwd, capture_output=True, text=True, timeout=120
    )
    output = result.stdout + result.stderr
    assert result.returncode == 0, output
    return output


@contextlib.contextmanager
def running_prometheus(folder: Path, config: dict[str, Any]) -> Iterator[str]:
    """Run Prometheus with the rules during a `with` block; yields its address.

    Args:
        folder: An existing folder for its files.
        config: Its configuration.
    """
    write_rules(folder)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [
        tool("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        eventually(lambda: _is_ready(address) or process.poll() is not None)
        assert process.poll() is None, (folder / "prometheus.log").read_text()
        yield address
    finally:
        process.terminate()
        process.wait(30)


def _is_ready(address: str) -> bool:
    with contextlib.suppress(OSError):
        return bool(_OPENER.open(f"http://{address}/-/ready", timeout=10).status == 200)
    return False


def query(address: str, expression: str) -> list[dict[str, Any]]:
    """Return the samples that an expression has now."""
    url = f"http://{address}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
    with _OPENER.open(url, timeout=30) as response:
        answer = json.load(response)
    assert answer["status"] == "success", answer
    return list(answer["data"]["result"])
