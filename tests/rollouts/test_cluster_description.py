"""What `describe --target kubernetes` says of an installation, and what it warns of."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from emotion_ai.errors import InputError
from emotion_ai.pipeline.registry_printer import print_registry
from emotion_ai.registry.publishing import publish
from emotion_ai.rollouts.cluster.api import Cluster, Response
from emotion_ai.rollouts.cluster.description import describe_cluster_on
from emotion_ai.rollouts.cluster.journal import Journal
from emotion_ai.rollouts.description import describe
from emotion_ai.rollouts.settings import RolloutSettings

from support.cluster_objects import (
    canary,
    cluster_of,
    deployment,
    endpoints,
    journal_of,
    lease,
    replica_set,
    stable_pod,
)
from support.minimal_release import write_minimal_release

PODS = [stable_pod("a", 7), stable_pod("b", 7)]
SETS = [
    replica_set(6, 4, 0, "release 6, run monday"),
    replica_set(7, 5, 2, "release 7, run tuesday; canary 312 requests"),
    replica_set(None, 1, 0),
]
PROVEN = journal_of(7, (6, "monday", ""), (7, "tuesday", ""))


@pytest.fixture
def registry(tmp_path: Path) -> str:
    """A registry of seven releases."""
    for number in range(1, 8):
        files, draft = write_minimal_release(tmp_path / f"files-{number}", str(number) * 8)
        publish(str(tmp_path / "registry"), files, draft)
    return str(tmp_path / "registry")


def _installation(journal: Journal = PROVEN, **changes: Any) -> Cluster:
    objects = {
        "deployments": [deployment(7, 5, registry="/registry")],
        "replicasets": SETS,
        "pods": PODS,
        "endpointslices": [endpoints(*PODS)],
        "leases": [lease(journal)],
    }
    return cluster_of(**objects | changes)


def _describe(cluster: Cluster, registry: str, champion: int | None = 7) -> dict[str, Any]:
    found = describe_cluster_on(cluster, registry, champion, RolloutSettings())
    return json.loads(json.dumps(found))


def _printed(registry: str, cluster: dict[str, Any]) -> str:
    description = describe(registry, None, None) | {"champion": 7, "cluster": cluster}
    file = io.StringIO()
    print_registry(Console(file=file, width=80), description)
    return file.getvalue()


def test_a_quiet_installation_has_no_warnings(registry: str) -> None:
    found = _describe(_installation(), registry)
    assert found["warnings"] == []
    assert found["canary"] is None
    assert found["release"] == 7
    assert found["is_complete"] is True
    assert found["releases"] == [
        {
            "release": 7,
            "ready": 2,
            "wanted": 2,
            "revision": "5",
            "cause": "release 7, run tuesday; canary 312 requests",
            "since": "2026-11-25T12:03:05Z",
            "by": "tuesday",
        },
        {
            "release": 6,
            "ready": 0,
            "wanted": 0,
            "revision": "4",
            "cause": "release 6, run monday",
            "since": "",
            "by": "monday",
        },
    ]
    lines = _printed(registry, found).splitlines()
    assert lines[:5] == [
        f"Registry  {registry}",
        "Champion  7",
        "Cluster   https://cluster.example: deployment emotion-ai in emotion-ai",
        "",
        "RELEASE  CHAMPION  SERVING  REVISION  SINCE (UTC)       BY",
    ]
    assert lines[5] == "7        *         2/2      5         2026-11-25 12:03  tuesday"
    assert lines[6] == "6                           4                           monday"
    assert lines[11:] == ["1", "", "Rollout   none under way; release 7 was proven last"]


def test_one_release_is_described_beside_the_cluster(registry: str) -> None:
    found = _describe(_installation(), registry)
    description = describe(registry, 7, None) | {"champion": 7, "cluster": found}
    file = io.StringIO()
    print_registry(Console(file=file, width=80), description)
    text = file.getvalue()
    assert "\n7        *         2/2      5         2026-11-25 12:03  tuesday\n" in text
    assert "label_set" not in text
    assert "fer2013.csv" in text


def test_a_rollout_under_way_shows_its_canary_and_holder(registry: str) -> None:
    job, pod = canary(6, proven=True)
    baking = journal_of(
        7, (7, "tuesday", ""), phase="baking", release=6, run="back", since="2026-11-25T12:01:00Z"
    )
    cluster = _installation(
        pods=[*PODS, pod],
        jobs=[job],
        endpointslices=[endpoints(*PODS, pod)],
        leases=[lease(baking, "back/host/1", "2999-01-01T00:00:00Z")],
    )
    found = _describe(cluster, registry)
    assert found["warnings"] == []
    assert found["canary"] == {
        "job": "emotion-ai-canary-6-abcde",
        "release": 6,
        "pod": "emotion-ai-canary-6-abcde-pod",
        "node": "node-2",
        "is_proven": True,
        "is_reached": True,
        "ends": "2026-11-25T12:20:00Z",
        "failure": "",
    }
    text = _printed(registry, found)
    assert (
        "Canary    release 6 on node-2: proven, answers callers; gone at the latest at "
        "2026-11-25 12:20\n"
    ) in text
    assert (
        "Rollout   release 6 by back: baking since 2026-11-25 12:01; the lease is held by "
        "back/host/1\n"
    ) in text
    assert "\n6                  canary   4                           back\n" in text


def test_an_interrupted_rollout_is_a_warning(registry: str) -> None:
    verifying = journal_of(6, phase="verifying", release=7, run="tuesday")
    cluster = _installation(leases=[lease(verifying, "tuesday/pod/1", "2026-11-25T12:00:00Z")])
    found = _describe(cluster, registry)
    (warning,) = found["warnings"]
    assert "release 7 by tuesday was interrupted in the phase verifying" in warning
    assert "does not renew it any more" in _printed(registry, found)


def test_a_release_put_back_with_kubectl_is_drift(registry: str) -> None:
    pods = [stable_pod("a", 7), stable_pod("c", 6)]
    cluster = _installation(
        deployments=[deployment(6, 6, registry="/registry", updated=1)],
        replicasets=[replica_set(7, 5, 1), replica_set(6, 6, 1)],
        pods=pods,
        endpointslices=[endpoints(*pods)],
    )
    found = _describe(cluster, registry)
    (warning,) = found["warnings"]
    assert warning == (
        "the Deployment is at release 6, models.config names release 7, and the last one proven "
        "here is release 7; the next run or rollout adopts what serves, if every server answers "
        "as it"
    )
    text = _printed(registry, found)
    assert "\n7        *         1/1      5                      tuesday\n" in text
    assert "\n6                  1/2      6         rolling out  kubectl\n" in text


def test_a_release_that_was_judged_bad_and_serves_is_a_warning(registry: str) -> None:
    judged = journal_of(6, (6, "monday", ""), (7, "tuesday", "p95 90 ms, stable 18 ms"))
    found = _describe(_installation(judged), registry)
    assert found["warnings"][0] == (
        "release 7 was judged bad here, and somebody has deployed it all the same: p95 90 ms, "
        "stable 18 ms"
    )
    assert found["rollout"]["refused"] == {"7": "p95 90 ms, stable 18 ms"}
    # It is not adopted.
    assert found["warnings"][1].endswith("the last one proven here is release 6")


def test_a_verdict_on_a_release_that_was_rolled_out_since_is_no_warning(registry: str) -> None:
    judged = journal_of(7, (7, "monday", "no node has room"), (7, "tuesday", ""))
    found = _describe(_installation(judged), registry)
    assert (found["warnings"], found["rollout"]["refused"]) == ([], {})


def test_releases_that_the_registry_lacks_are_a_warning(registry: str) -> None:
    cluster = _installation(replicasets=[*SETS, replica_set(8, 2, 0), replica_set(9, 3, 0)])
    (warning,) = _describe(cluster, registry)["warnings"]
    assert f"not in {registry}: release 9 (revision 3), 8 (revision 2); " in warning


def test_another_registry_is_a_warning_and_nothing_is_compared_with_it(registry: str) -> None:
    cluster = _installation(deployments=[deployment(7, 5, registry="gs://models")])
    (warning,) = _describe(cluster, registry, champion=None)["warnings"]
    assert f"fetches its releases from gs://models, and this is {registry}" in warning


def test_a_paused_deployment_is_a_warning(registry: str) -> None:
    paused = deployment(7, 5, registry="/registry")
    paused["spec"]["paused"] = True
    (warning,) = _describe(_installation(deployments=[paused]), registry)["warnings"]
    assert warning.startswith("deployment emotion-ai is paused")


def test_a_pod_that_cannot_start_is_a_warning(registry: str) -> None:
    waiting = {"reason": "ErrImagePull", "message": "not found"}
    pod = stable_pod("c", 7, containerStatuses=[{"name": "server", "state": {"waiting": waiting}}])
    (warning,) = _describe(_installation(pods=[*PODS, pod]), registry)["warnings"]
    assert warning == "pod c: its container server cannot start: ErrImagePull: not found"


def _waiting() -> Cluster:
    return _installation(
        Journal(),
        deployments=[deployment(None, 1, registry="/registry", updated=0)],
        replicasets=[replica_set(None, 1, 2)],
        pods=[],
        endpointslices=[endpoints()],
    )


def test_a_new_installation_waits_for_its_first_rollout(registry: str) -> None:
    found = _describe(_waiting(), registry, champion=None)
    assert (found["release"], found["releases"], found["warnings"]) == (None, [], [])
    text = _printed(registry, found)
    assert "Serving   nothing: the pods wait for the first rollout\n" in text
    assert text.endswith("Rollout   none under way; none was proven yet\n")


def test_a_new_installation_without_releases_has_no_table(tmp_path: Path) -> None:
    text = _printed(str(tmp_path), _describe(_waiting(), str(tmp_path), champion=None))
    assert "the pods wait for the first rollout" in text
    assert "RELEASE" not in text


def test_what_is_missing_is_said(registry: str) -> None:
    with pytest.raises(InputError, match=r"emotion-ai not found in namespace .*k8s/README\.md"):
        _describe(_installation(deployments=[]), registry)
    with pytest.raises(InputError, match="jobs is forbidden; bind the account to the Role"):
        _describe(_installation(forbidden=["jobs"]), registry)
    with pytest.raises(
        InputError, match=r"emotion-ai-rollout not found in namespace .*apply their manifests"
    ):
        _describe(_installation(leases=[]), registry)


def test_credentials_that_are_not_accepted_are_told_alone(registry: str) -> None:
    cluster = Cluster(lambda *_: Response(401, None, "Unauthorized"), "emotion-ai", "https://c")
    with pytest.raises(InputError, match=r"not accepted; log in again$"):
        _describe(cluster, registry)
