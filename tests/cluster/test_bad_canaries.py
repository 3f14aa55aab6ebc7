"""A release that is wrong never reaches a caller, and the rollout says why in one line."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from emotion_ai.registry.champion import read_champion
from emotion_ai.rollouts.settings import RolloutSettings
from emotion_ai.rollouts.targets import roll_out as roll_out_here

from support.cluster_installation import make_readable
from support.kubernetes_cluster import (
    NAMESPACE,
    QUICK,
    REGISTRY,
    Answer,
    Calls,
    calling,
    get,
    journal,
    kubectl,
    roll_out,
    served_release,
    wait_for,
)

# Less than TensorFlow needs.
MEMORY = ("--limits=memory=160Mi", "--requests=memory=160Mi")
CANARIES = "app.kubernetes.io/name=emotion-ai,emotion-ai.dev/track=canary"


@contextmanager
def expect_nothing_changed(folder: Path, version: int) -> Iterator[list[Calls]]:
    """Callers that call in the block see the release that serves, and no failure."""
    champion = read_champion(str(REGISTRY))
    seen: list[Calls] = []
    with calling(folder, per_address=1) as read:
        wait_for("calls", lambda: len(read().records) > 20)
        yield seen
    calls = read()
    assert not calls.failures
    assert calls.versions == {version}
    assert served_release() == version
    assert read_champion(str(REGISTRY)) == champion == version
    assert journal()["phase"] == "done"
    wait_for("no canary is left", lambda: not get("jobs", selector=CANARIES))


def check_refused(answer: Answer, version: int, reason: str) -> None:
    """The rollout ended with one line that gives the reason and what serves."""
    lines = [line for line in answer.messages.splitlines() if "error (exit code" in line]
    assert answer.code in (1, 2)
    assert len(lines) == 1
    assert reason in lines[0]
    assert f"release {version} serves" in lines[0]
    assert "Traceback" not in answer.messages


@pytest.fixture
def serving(first_release: int) -> int:
    """The release that serves."""
    return served_release() or first_release


def test_altered_weights_are_refused_by_golden_answers(
    serving: int, publish: Callable[..., int], tmp_path: Path
) -> None:
    wrong = publish(11.0, 11.5)
    with expect_nothing_changed(tmp_path, serving):
        check_refused(roll_out(wrong), serving, "answers a golden request with keypoints that diff")
    # The same run is not tried again; its verdict stands.
    assert journal()["outcomes"][-1]["reason"]


def test_altered_bytes_are_refused_by_the_init_step(
    serving: int, publish: Callable[..., int], tmp_path: Path
) -> None:
    version = publish(12.0)
    copy = tmp_path / "registry"
    shutil.copytree(REGISTRY, copy)
    graph = REGISTRY / str(version) / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:-1] + b"x")
    settings = RolloutSettings(**QUICK | {"namespace": NAMESPACE})
    folder = tmp_path / "calls"
    folder.mkdir()
    with (
        expect_nothing_changed(folder, serving),
        pytest.raises(Exception, match="its container release ended with exit code") as failure,
    ):
        roll_out_here(str(copy), version, "", "kubernetes", settings=settings)
    assert "saved_model.pb" in str(failure.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "reason"),
    [("SlowTinyModel", "times as long as on a stable server"), ("CrashingTinyModel", "ended with")],
)
def test_a_bad_graph_is_refused(
    serving: int, publish: Callable[..., int], tmp_path: Path, kind: str, reason: str
) -> None:
    from support import bad_models

    scratch, folder = tmp_path / "scratch", tmp_path / "calls"
    scratch.mkdir()
    folder.mkdir()
    version = bad_models.publish_bad_release(REGISTRY, scratch, getattr(bad_models, kind), 13.0)
    make_readable()
    with calling(folder, per_address=1) as read:
        wait_for("calls", lambda: len(read().records) > 20)
        # Long enough for fifty requests; the slow one is refused before any caller.
        answer = roll_out(version, settings={"canary": {"bake_s": 60, "max_bake_s": 90}})
    check_refused(answer, serving, reason)
    calls = read()
    assert not calls.failures
    assert calls.versions <= {serving, version}
    if kind == "SlowTinyModel":
        assert calls.versions == {serving}
    assert served_release() == serving


@pytest.mark.slow
@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (["set", "image", "release=localhost/emotion-ai/base:missing"], "its container release ca"),
        (
            ["set", "resources", "--containers=server", *MEMORY],
            "its container serv",
        ),
    ],
    ids=["missing image", "too little memory"],
)
def test_a_broken_installation_is_refused(
    serving: int, publish: Callable[..., int], tmp_path: Path, break_it: list[str], reason: str
) -> None:
    before: Any = get("deployment", "emotion-ai")["spec"]["template"]
    version = publish(14.0)
    verb, what, *values = break_it
    with expect_nothing_changed(tmp_path, serving):
        kubectl(verb, what, "deployment/emotion-ai", *values)
        try:
            check_refused(roll_out(version), serving, reason)
        finally:
            kubectl("rollout", "undo", "deployment/emotion-ai")
            kubectl("rollout", "status", "deployment/emotion-ai", "--timeout=240s")
    assert get("deployment", "emotion-ai")["spec"]["template"]["spec"] == before["spec"]
