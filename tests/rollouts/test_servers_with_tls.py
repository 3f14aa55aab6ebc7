"""Rollouts of servers with TLS: what does not fit is refused before anything changes."""

import copy
from pathlib import Path
from typing import Any

import pytest

from emotion_ai.errors import EmotionAIError, InputError, Unavailable, VerificationError
from emotion_ai.rollouts.cluster.journal import journal_annotation
from emotion_ai.rollouts.cluster.names import APP, LEASE
from emotion_ai.rollouts.cluster.pods import init_words, start_failure
from emotion_ai.rollouts.settings import RolloutSettings

from support.certificates import make_certificates
from support.cluster_objects import cluster_of, stable_pod
from support.fake_api_server import ApiServer
from support.fake_servers import FakeConnections
from support.rollout_world import SETTINGS, World

TLS_FLAG = "--ssl_config_file=/etc/emotion-ai-tls/ssl.config"


def settings_with(**files: str) -> RolloutSettings:
    return RolloutSettings(**SETTINGS.model_dump() | {"tls": files})


def turn_tls_on(world: World) -> None:
    (server,) = world.server.objects["deployments"][APP]["spec"]["template"]["spec"]["containers"]
    server["args"] = ["--port=8500", TLS_FLAG]


def refusal(world: World, settings: RolloutSettings) -> str:
    """Why a rollout is refused that changes nothing, as the step resolve says it, too."""
    objects = world.server.objects
    before = copy.deepcopy(objects)
    with pytest.raises(InputError) as refused:
        world.roll_out(7, settings=settings)
    with pytest.raises(InputError) as asked:
        world.adopt(settings=settings)
    assert str(asked.value) == str(refused.value)
    assert objects == before
    return str(refused.value)


def test_servers_with_tls_are_not_asked_in_plain_text(world: World) -> None:
    turn_tls_on(world)
    assert "--tls-ca, --tls-certificate and --tls-key" in refusal(world, SETTINGS)


def test_servers_without_tls_are_not_asked_with_it(world: World, tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text(make_certificates().authority)
    settings = settings_with(authority=str(tmp_path / "ca.crt"))
    assert "leave the TLS files out" in refusal(world, settings)


def test_the_files_are_read_before_anything_changes(world: World, tmp_path: Path) -> None:
    turn_tls_on(world)
    missing = settings_with(authority=str(tmp_path / "ca.crt"))
    assert f"{tmp_path}/ca.crt: cannot be read" in refusal(world, missing)
    made = make_certificates()
    (tmp_path / "ca.crt").write_text(made.authority)
    (tmp_path / "tls.crt").write_text(made.client.certificate)
    files = {"authority": str(tmp_path / "ca.crt"), "certificate": str(tmp_path / "tls.crt")}
    assert "one is missing" in refusal(world, settings_with(**files))
    (tmp_path / "tls.key").write_text(made.client.key)
    complete = settings_with(**files, key=str(tmp_path / "tls.key"))
    assert world.roll_out(7, settings=complete)["outcome"] == "rolled out"


def test_a_rollout_whose_certificate_is_refused_judges_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What another rollout has left would be gone back from, and is not touched either.
    lease = world.server.objects["leases"][LEASE]
    promoting = world.journal.model_copy(update={"phase": "verifying", "release": 6})
    lease["metadata"]["annotations"] |= journal_annotation(promoting)
    before = copy.deepcopy(world.server.objects)
    monkeypatch.setattr(FakeConnections, "problem", lambda self, pod: "Socket closed")
    for act in (lambda: world.roll_out(7), world.adopt):
        with pytest.raises(Unavailable, match=r"no release can be judged: pod .*: Socket closed"):
            act()
    assert world.server.objects == before


@pytest.mark.parametrize(
    ("container", "code", "error"),
    [
        ("tls", 2, InputError),
        ("tls", 1, InputError),
        ("release", 2, VerificationError),
        ("release", 1, Unavailable),
        ("server", 2, VerificationError),
    ],
)
def test_a_certificate_that_cannot_be_used_is_not_the_releases_fault(
    container: str, code: int, error: type[EmotionAIError]
) -> None:
    ended = {"exitCode": code, "message": "tls.crt and tls.key: cannot be used together"}
    key = "containerStatuses" if container == "server" else "initContainerStatuses"
    status: dict[str, Any] = {key: [{"name": container, "state": {"terminated": ended}}]}
    failure = start_failure(cluster_of(), stable_pod("a", 7, **status))
    assert type(failure) is error
    assert f"container {container} ended with exit code {code}: tls.crt" in str(failure)


def test_what_an_init_step_waits_for_is_its_last_line() -> None:
    server = ApiServer()
    status = {"initContainerStatuses": [{"name": "release", "state": {"running": {}}}]}
    pod = {"metadata": {"name": "a"}, "status": status, "log": "first\ncannot be read; again\n\n"}
    server.add("pods", pod)
    assert init_words(server.cluster("A"), pod) == "cannot be read; again"


def test_a_pod_that_waits_for_its_secret_is_no_verdict(world: World) -> None:
    world.controllers.broken[7] = {"waiting": {"reason": "PodInitializing"}}
    record: dict[str, Any] = {}
    with pytest.raises(Unavailable, match="kubectl -n emotion-ai get events") as failure:
        world.roll_out(7, record=record)
    assert f"has not started in {SETTINGS.timeout_s:g} s" in str(failure.value)
    assert record["outcome"] == "failed"
    assert world.deployed == 6
    assert not world.server.objects["jobs"]
