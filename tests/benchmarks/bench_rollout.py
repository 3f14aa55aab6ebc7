"""Count the calls that are lost through rollouts, drains, scaling, kills and outages of a cluster.

    make bench NAME=rollout ARGS="--rollouts 20 --calls 1000000"

Needs what `make test-cluster` needs. Callers of both Services call all the time; each scenario is
one row: calls, failures, p50, p99, the longest call, and seconds. What breaks the cluster itself is
given as the shell's commands, and left out without: CUT_NODE and MEND_NODE lose a node and bring it
back, STOP_API and START_API do so with the API server.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.cluster_installation import installed
from support.interrupted_rollouts import api_server_away
from support.kubernetes_cluster import (
    NAMESPACE,
    REGISTRY,
    Calls,
    calling,
    drain,
    get,
    kubectl,
    roll_out,
    served_release,
    wait_for,
)
from support.server_kills import kill_server


class Span(NamedTuple):
    """A part of a scenario, in seconds since 1970."""

    name: str
    start: float
    end: float


SERVERS = "app.kubernetes.io/name=emotion-ai,emotion-ai.dev/track=stable"
_AUTOSCALER = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "emotion-ai"},
    "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "emotion-ai"},
        "minReplicas": 2,
        "maxReplicas": 5,
        "metrics": [
            {
                "type": "ContainerResource",
                "containerResource": {
                    "name": "cpu",
                    "container": "server",
                    "target": {"type": "Utilization", "averageUtilization": 30},
                },
            }
        ],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 15}},
    },
}


def ready_servers() -> int:
    """How many servers are ready."""
    return int(get("deployment", "emotion-ai")["status"].get("readyReplicas", 0))


def settle() -> None:
    """Wait until the Deployment is fully rolled out."""
    kubectl("rollout", "status", "deployment/emotion-ai", "--timeout=300s")


def roll(versions: list[int], bake_s: int = 0) -> list[Span]:
    """Roll out the release of the two that does not serve; return the spans of its phases."""
    other = versions[0] if served_release() == versions[1] else versions[1]
    canary = {"bake_s": bake_s, "max_bake_s": bake_s}
    # As a run: what was proven before is baked again.
    run = f"bench-{time.time():.0f}" if bake_s and other > (served_release() or 0) else ""
    answer = roll_out(other, run=run, settings={"canary": canary, "watch_s": 0})
    assert answer.code == 0, answer.messages
    return [
        Span(phase["name"], at, at + phase["seconds"])
        for phase in answer.record["phases"]
        if phase["seconds"] > 1
        for at in [datetime.fromisoformat(phase["at"]).timestamp()]
    ]


def drain_node(node: str) -> None:
    """Drain a node of the servers, and take it back."""
    drain(node)
    try:
        settle()
    finally:
        kubectl("uncordon", node)


def scale_by_load() -> None:
    """Let the autoscaler scale up under the callers' load, and down to two."""
    kubectl("apply", "--filename", "-", text=json.dumps(_AUTOSCALER))
    wait_for("more servers", lambda: ready_servers() >= 5, 300)
    _AUTOSCALER["spec"]["maxReplicas"] = 2  # type: ignore[index]
    kubectl("apply", "--filename", "-", text=json.dumps(_AUTOSCALER))
    wait_for("two servers", lambda: ready_servers() == 2, 300)
    kubectl("delete", "horizontalpodautoscaler", "emotion-ai")
    kubectl("scale", "deployment/emotion-ai", "--replicas=3")
    settle()


def kill_one_server() -> None:
    """Kill one server's process with SIGKILL."""
    kill_server(kubectl, get("pods", selector=SERVERS)[0]["metadata"]["name"])
    time.sleep(5)
    settle()


def force_delete() -> None:
    """Delete a pod with force."""
    pod = get("pods", selector=SERVERS)[0]["metadata"]["name"]
    kubectl("delete", "pod", pod, "--force", "--grace-period=0")
    settle()


def lose_node() -> None:
    """Cut a node off until the cluster has moved its pods on, and bring it back."""
    subprocess.run(os.environ["CUT_NODE"], shell=True, check=True)  # noqa: S602 - the caller's own
    try:
        time.sleep(60)
    finally:
        subprocess.run(os.environ["MEND_NODE"], shell=True, check=True)  # noqa: S602
    time.sleep(15)
    settle()


def lose_api_server() -> None:
    """Stop the API server for half a minute."""
    with api_server_away():
        time.sleep(30)
    settle()


def scenarios(
    options: argparse.Namespace, versions: list[int]
) -> list[tuple[str, Callable[[], list[Span] | None]]]:
    """The scenarios that the options ask for, in order."""
    found: list[tuple[str, Callable[[], list[Span] | None]]] = [("nothing", lambda: time.sleep(20))]
    half = options.rollouts // 2
    rolls = [(f"rollout {n + 1}", lambda: roll(versions)) for n in range(options.rollouts)]
    nodes = [node["metadata"]["name"] for node in get("nodes")]
    if options.bake:
        found.append(("rollout with a bake", lambda: roll(versions, options.bake)))
    found += rolls[:half]
    found += [(f"drain {node}", lambda node=node: drain_node(node)) for node in nodes]
    found += [("autoscaler 2-5-2", scale_by_load)]
    if not options.gentle:
        found += [
            ("SIGKILL of a server", kill_one_server),
            ("pod deleted with force", force_delete),
        ]
        if "CUT_NODE" in os.environ:
            found.append(("node lost", lose_node))
        if "STOP_API" in os.environ:
            found.append(("API server away", lose_api_server))
    return found + rolls[half:]


def row(name: str, calls: Calls, seconds: float) -> None:
    """Print a scenario's row."""
    if not len(calls.records):
        print(f"{name:<24} no calls", flush=True)
        return
    p50, p99, longest = (calls.percentile_ms(share) for share in (50, 99, 100))
    print(
        f"{name:<24} {len(calls.records):>9} {sum(calls.failures.values()):>7} {p50:>8.1f} "
        f"{p99:>8.1f} {longest:>9.0f} {seconds:>8.1f}",
        flush=True,
    )
    for reason, count in calls.failures.most_common(3):
        print(f"    {count} x {reason}", flush=True)


def row_by_row(calls: Calls, spans: list[Span]) -> None:
    """Print a scenario's row, and those of its parts."""
    for number, (name, start, end) in enumerate(spans):
        row(f"{'  ' if number else ''}{name}", calls.between(start, end), end - start)


def main() -> None:
    """Run the scenarios and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", type=int, default=4)
    parser.add_argument("--callers", type=int, default=32)
    parser.add_argument("--no-retries", action="store_true")
    parser.add_argument("--bake", type=int, default=0, help="seconds of one rollout's bake")
    parser.add_argument("--gentle", action="store_true", help="rollouts, drains and scaling alone")
    parser.add_argument("--calls", type=int, default=0, help="go on calling until so many")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    with installed() as publish:
        versions = [publish(1.0), publish(2.0)]
        first = roll_out(versions[0], settings={"watch_s": 0})
        assert first.code == 0, first.messages
        print(f"{'':<24} {'calls':>9} {'failed':>7} {'p50 ms':>8} {'p99 ms':>8} {'longest':>9} s")
        with calling(folder, options.callers // 2, retries=not options.no_retries) as read:
            wait_for("calls", lambda: len(read().records) > 100)
            for name, act in scenarios(options, versions):
                started = time.time()
                spans = [Span(name, started, 0.0), *(act() or [])]
                spans[0] = spans[0]._replace(end=time.time())
                row_by_row(read(), spans)
            while len(read().records) < options.calls:
                time.sleep(5)
        calls = read()
    row("all", calls, 0.0)
    answered = calls.records[calls.records["version"] > 0]
    shown = {v: i + 1.0 for i, v in enumerate(versions)}
    wrong = sum(abs(float(r["shift"]) - shown[int(r["version"])]) > 0.01 for r in answered)
    print(f"answers that are not of the release that they name: {wrong}")
    print(f"namespace {NAMESPACE}, registry {REGISTRY}")


if __name__ == "__main__":
    main()
