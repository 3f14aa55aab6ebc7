"""The steps and the command around a rollout, in a cluster in memory."""

from pathlib import Path
from typing import Any

import pytest

from emotion_ai.pipeline.cluster_printer import rollout_lines
from emotion_ai.registry.runs import read_records
from emotion_ai.rollouts.cluster import adoption, protocol
from emotion_ai.rollouts.cluster.description import describe_cluster_on
from emotion_ai.rollouts.targets import roll_out
from emotion_ai.steps.resolve.run import run as resolve
from emotion_ai.steps.rollout.run import run as rollout

from support.face_csv import keypoint_cells, write_expression, write_keypoints
from support.fake_api_server import Act
from support.rollout_world import SETTINGS, World

_SETTINGS = SETTINGS.model_dump(mode="json")


@pytest.fixture
def sources(tmp_path: Path) -> tuple[str, str]:
    keypoints = write_keypoints(tmp_path / "training.csv", keypoint_cells(2))
    return str(keypoints), str(write_expression(tmp_path / "fer.csv", [0, 1]))


@pytest.fixture(autouse=True)
def connected(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps find this cluster."""
    for module in (adoption, protocol):
        monkeypatch.setattr(module, "connect", lambda namespace: world.server.cluster())


def _resolve(world: World, sources: tuple[str, str], run_id: str) -> Any:
    settings = {"target": "kubernetes", "rollout_settings": _SETTINGS}
    return resolve(*sources, world.registry, run_id, settings)


def test_resolve_adopts_what_a_person_has_put_back(
    world: World, sources: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _resolve(world, sources, "quiet").champion == "6"
    assert read_records(world.registry, "quiet")["resolve"]["adopted"] == ""
    world.roll_out(7)
    world.undo(6)
    assert world.champion == 7
    assert _resolve(world, sources, "after-undo").champion == "6"
    adopted = read_records(world.registry, "after-undo")["resolve"]["adopted"]
    assert adopted == "release 6 was put back with kubectl; adopted"
    assert adopted in capsys.readouterr().out
    assert world.is_at_rest_with(6)


def test_the_step_records_a_rollout_and_one_that_is_refused(world: World) -> None:
    rollout(world.registry, 7, "", "kubernetes", _SETTINGS, "good")
    record = read_records(world.registry, "good")["rollout"]
    assert (record["target"], record["outcome"], record["namespace"]) == (
        "kubernetes",
        "rolled out",
        "emotion-ai",
    )
    assert record["canary"]["golden"] == 1
    assert record["seconds"] >= 0
    first, second = rollout_lines(record)
    assert "proven (1 golden answers, largest difference 0)" in first
    assert "promoted, revision 2, 2 of 2 pods answer as release 7 (before: 6); " in second
    world.quality[8] = "proof"
    with pytest.raises(Exception, match="release 8 is not rolled out") as failure:
        rollout(world.registry, 8, "", "kubernetes", _SETTINGS, "bad")
    record = read_records(world.registry, "bad")["rollout"]
    assert (record["outcome"], record["previous"]) == ("refused", 7)
    assert record["reasons"] == [str(failure.value)]


@pytest.mark.parametrize(
    ("verb", "kind", "words", "phase"),
    [
        ("patch", "pods/status", "its canary is removed, and nothing else has changed", "baking"),
        ("list", "endpointslices", "interrupted in the phase verifying", "verifying"),
    ],
)
def test_an_interrupted_rollout_says_what_is_left(
    world: World,
    capsys: pytest.CaptureFixture[str],
    verb: str,
    kind: str,
    words: str,
    phase: str,
) -> None:
    def interrupt(act: Act) -> None:
        if (act.verb, act.kind, world.journal.phase) == (verb, kind, phase):
            world.server.before.remove(interrupt)
            raise KeyboardInterrupt

    world.server.before.append(interrupt)
    record: dict[str, Any] = {}
    with pytest.raises(KeyboardInterrupt):
        roll_out(world.registry, 7, "", "kubernetes", settings=SETTINGS, record=record)
    assert record["outcome"] == "interrupted"
    assert words in capsys.readouterr().err
    told = [e for e in world.server.objects["events"].values() if words in e["message"]]
    assert [event["reason"] for event in told] == ["Interrupted"]
    assert world.holder == ""
    if phase == "baking":
        assert world.canaries == []
    # The next rollout finishes or cleans up, whatever it wants itself.
    roll_out(world.registry, 8, "", "kubernetes", settings=SETTINGS)
    assert world.is_at_rest_with(8)


def test_describe_knows_what_a_rollout_has_left(world: World) -> None:
    world.roll_out(7, run="tuesday")
    world.undo(6)
    cluster = world.server.cluster()
    found = describe_cluster_on(cluster, world.registry, world.champion, SETTINGS)
    assert [(r["release"], r["ready"], r["by"]) for r in found["releases"]] == [
        (7, 0, "tuesday"),
        (6, 2, "kubectl"),
    ]
    (warning,) = found["warnings"]
    assert "the Deployment is at release 6, models.config names release 7" in warning
    world.adopt()
    found = describe_cluster_on(cluster, world.registry, world.champion, SETTINGS)
    assert found["warnings"] == []


def test_a_rollout_that_goes_on_tells_what_served_before(world: World) -> None:
    def interrupt(act: Act) -> None:
        if (act.kind, world.journal.phase) == ("endpointslices", "verifying"):
            world.server.before.remove(interrupt)
            raise KeyboardInterrupt

    world.server.before.append(interrupt)
    with pytest.raises(KeyboardInterrupt):
        world.roll_out(7, run="nightly")
    record = world.roll_out(7, run="nightly")
    assert record["previous"] == 6
    told = [event["message"] for event in world.server.objects["events"].values()]
    assert told[-1].endswith("answer as release 7 (before: 6)")
