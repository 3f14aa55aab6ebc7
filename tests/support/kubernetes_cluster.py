"""The cluster that the tests run in: kubectl, the installation, callers, and what they saw."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from support.cluster_callers import CALL, service_addresses
from support.kubectl import KUBECTL

ROOT = Path(__file__).parents[2]
# Enough of a bake to be judged by callers, if there are some.
QUICK: dict[str, Any] = {
    "canary": {"bake_s": 15, "max_bake_s": 30, "min_requests": 50},
    "watch_s": 5,
    "timeout_s": 240,
}
# Another one, where several try their tests on one cluster.
NAMESPACE = os.environ.get("TEST_NAMESPACE", "emotion-ai")
# The nodes mount it by this name.
REGISTRY = Path(f"/tmp/{NAMESPACE}-test-registry")


def kubectl(*arguments: str, text: str | None = None, check: bool = True) -> str:
    """Run kubectl in the installation's namespace; return its output."""
    command = [KUBECTL, "--namespace", NAMESPACE, *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=600)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout + ("" if check else done.stderr)


def get(kind: str, name: str = "", selector: str = "") -> Any:
    """Return an object as JSON, or the items with a label selector."""
    more = [name] if name else (["--selector", selector] if selector else [])
    found = json.loads(kubectl("get", kind, *more, "--output", "json"))
    return found if name else found["items"]


def wait_for(what: str, condition: Callable[[], Any], seconds: float = 120.0) -> Any:
    """Wait until a condition is true; return its value."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        # The API server may be away in these tests.
        with contextlib.suppress(AssertionError, json.JSONDecodeError):
            if value := condition():
                return value
        time.sleep(0.5)
    raise AssertionError(f"not within {seconds:g} s: {what}")


def cluster_dns(namespace: str = NAMESPACE) -> str:
    """Return the line of resolv.conf with the cluster's DNS server, as a server's pod has it."""
    where = ("--namespace", namespace, "deployment/emotion-ai", "--container", "server")
    text = kubectl("exec", *where, "--", "cat", "/etc/resolv.conf")
    return next(line for line in text.splitlines() if line.startswith("nameserver"))


def cluster_dns_prefix(folder: Path, namespace: str = NAMESPACE) -> list[str]:
    """Return what to write before a command so that it has the cluster's DNS; makes a file."""
    resolv = folder / "resolv.conf"
    resolv.write_text(f"{cluster_dns(namespace)}\noptions ndots:1\n")
    # Its own file system, in which the cluster's DNS is the machine's.
    script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, str(resolv)]


class Calls(NamedTuple):
    """What callers saw: records of `CALL`."""

    records: NDArray[Any]

    @property
    def failures(self) -> Counter[str]:
        """How often calls failed, by reason."""
        failed = self.records[self.records["error"] != b""]
        return Counter(error.decode(errors="replace") for error in failed["error"])

    @property
    def versions(self) -> set[int]:
        """The releases that answered."""
        return {int(v) for v in np.unique(self.records["version"]) if v}

    def between(self, start: float, end: float) -> "Calls":
        """The calls that began in a span of time."""
        begun = self.records["start"]
        return Calls(self.records[(begun >= start) & (begun < end)])

    def percentile_ms(self, share: float) -> float:
        """A percentile of how long calls took."""
        return float(np.percentile(self.records["seconds"], share) * 1e3)


@contextlib.contextmanager
def calling(
    folder: Path,
    per_address: int = 4,
    *,
    retries: bool = True,
    pause_s: float = 0.0,
    namespace: str = NAMESPACE,
    tls: Path | None = None,
) -> Iterator[Callable[[], Calls]]:
    """Call both Services in the block, from processes with the cluster's DNS.

    Args:
        folder: An empty folder for what they write down.
        per_address: Callers of each Service.
        retries: Whether the client repeats calls.
        pause_s: How long each caller rests between its calls.
        namespace: Of the Services.
        tls: A folder with ca.crt, client.crt and client.key; None for plain text.

    Yields:
        A function that returns what was written down so far; after the block, all of it.
    """
    prefix = cluster_dns_prefix(folder, namespace)
    files, processes = [], []
    # Processes of at most eight callers: Python runs one thread at a time.
    for number, address in enumerate(service_addresses(namespace)):
        for first in range(0, per_address, 8):
            files.append(folder / f"calls-{number}-{first}")
            command = [
                sys.executable,
                str(ROOT / "tests/support/cluster_callers.py"),
                address,
                str(min(8, per_address - first)),
                str(files[-1]),
                *("--pause", str(pause_s)),
                *([] if retries else ["--no-retries"]),
                *(["--tls", str(tls)] if tls else []),
            ]
            processes.append(
                subprocess.Popen(
                    [*prefix, *command],
                    env=os.environ
                    | {"PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), *sys.path[1:]])},
                )
            )

    def read() -> Calls:
        parts = []
        for path in files:
            data = path.read_bytes() if path.exists() else b""
            parts.append(np.frombuffer(data[: len(data) // CALL.itemsize * CALL.itemsize], CALL))
        return Calls(np.concatenate(parts))

    try:
        yield read
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(60)


class Answer(NamedTuple):
    """How a command ended."""

    code: int
    record: dict[str, Any]
    messages: str


def start_rollout(
    version: int,
    *,
    run: str = "",
    settings: dict[str, Any] | None = None,
    registry: str = str(REGISTRY),
) -> subprocess.Popen[str]:
    """Start a rollout in a process of its own: of a run, or of a person where `run` is ""."""
    code = (
        "import json, sys; from emotion_ai.errors import exit_on_failure\n"
        "from emotion_ai.rollouts.settings import RolloutSettings\n"
        "from emotion_ai.rollouts.targets import roll_out\n"
        "registry, version, run, settings = sys.argv[1:]\n"
        "settings = RolloutSettings(**json.loads(settings))\n"
        "with exit_on_failure():\n"
        "    record = roll_out(registry, int(version), '', 'kubernetes', settings=settings,\n"
        "                      run_id=run, may_go_back=not run)\n"
        "    print('RECORD ' + json.dumps(record))\n"
    )
    text = json.dumps(QUICK | {"namespace": NAMESPACE} | (settings or {}))
    return subprocess.Popen(
        [sys.executable, "-c", code, registry, str(version), run, text],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> Answer:
    """Wait for a rollout that `start_rollout` began."""
    out, messages = process.communicate(timeout=900)
    lines = [line for line in out.splitlines() if line.startswith("RECORD ")]
    record = json.loads(lines[0].removeprefix("RECORD ")) if lines else {}
    return Answer(process.returncode, record, messages)


def roll_out(version: int, *, run: str = "", settings: dict[str, Any] | None = None) -> Answer:
    """Roll a release out; see `start_rollout`."""
    return finish(start_rollout(version, run=run, settings=settings))


def served_release() -> int | None:
    """The release in the Deployment's pod template."""
    init = get("deployment", "emotion-ai")["spec"]["template"]["spec"]["initContainers"][0]
    found = [v["value"] for v in init["env"] if v["name"] == "RELEASE"]
    return int(found[0]) if found else None


def journal() -> dict[str, Any]:
    """The journal on the Lease."""
    annotations = get("lease", "emotion-ai-rollout")["metadata"].get("annotations", {})
    return dict(json.loads(annotations.get("emotion-ai.dev/journal", "{}")))


def drain(node: str) -> None:
    """Drain a node of the servers, as an administrator would."""
    kubectl(
        "drain",
        node,
        "--ignore-daemonsets",
        "--delete-emptydir-data",
        "--pod-selector=app.kubernetes.io/name=emotion-ai",
        "--timeout=300s",
    )
