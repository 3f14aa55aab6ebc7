"""Rollouts in a cluster in memory: how they end, and the rights that they need."""

from collections.abc import Callable
from typing import Any

import pytest

from emotion_ai.errors import EmotionAIError, InputError, Unavailable, VerificationError
from emotion_ai.rollouts.cluster.names import APP, CHANGE_CAUSE_ANNOTATION, HOLDER_ANNOTATION
from emotion_ai.rollouts.cluster.rights import rollout_rights

from support.fake_api_server import Act
from support.rollout_world import SETTINGS, WRITES, World


def test_a_good_release_is_tried_promoted_and_verified(world: World) -> None:
    record = world.roll_out(7)
    assert world.is_at_rest_with(7)
    assert world.serving == {7}
    assert world.writes("A") == WRITES
    assert world.events == ["CanaryProven", "CanaryAdmitted", "Promoted", "RolledOut"]
    assert (record["outcome"], record["version"], record["previous"]) == ("rolled out", 7, 6)
    assert (record["revision"], record["replicas"], record["answers_checked"]) == ("2", 2, 1)
    assert [e["version"] for e in record["endpoints"]] == [7, 7, 7]
    assert record["canary"]["share"] == 0.333
    phases = ["canary", "proof", "bake", "pods", "endpoints", "watch"]
    assert [phase["name"] for phase in record["phases"]] == phases
    annotations = world.server.objects["deployments"][APP]["metadata"]["annotations"]
    assert annotations[CHANGE_CAUSE_ANNOTATION].startswith(
        "release 7, run run-A: 61.0 % (+0.0); canary 0 requests"
    )
    assert annotations[HOLDER_ANNOTATION].startswith("run-A/")
    assert world.journal.previous == 6


def test_rolling_out_again_verifies_and_changes_no_pod(world: World) -> None:
    world.roll_out(7)
    pods = set(world.server.objects["pods"])
    record = world.roll_out(7, process="B")
    assert (record["outcome"], record["revision"]) == ("unchanged", "2")
    assert set(world.server.objects["pods"]) == pods
    assert world.is_at_rest_with(7)


def test_a_person_goes_back_and_a_pipeline_does_not(world: World) -> None:
    world.roll_out(7)
    assert world.roll_out(6, process="B")["outcome"] == "superseded"
    assert world.is_at_rest_with(7)
    record = world.roll_out(6, process="C", run="", may_go_back=True)
    assert (record["outcome"], record["previous"]) == ("rolled out", 7)
    assert world.is_at_rest_with(6)
    # What was rolled out here before is not baked again.
    record = world.roll_out(7, process="D", run="", may_go_back=True)
    assert record["canary"]["judged_by"] == "an earlier rollout here"
    assert world.is_at_rest_with(7)


@pytest.mark.parametrize(
    ("quality", "events", "outcome"),
    [
        ("proof", ["CanaryFailed"], "refused"),
        ("bake", ["CanaryProven", "CanaryAdmitted", "CanaryFailed"], "refused"),
        (
            "after",
            ["CanaryProven", "CanaryAdmitted", "Promoted", "RolledBack"],
            "rolled back",
        ),
    ],
)
def test_a_bad_release_ends_with_the_one_before(
    world: World, quality: str, events: list[str], outcome: str
) -> None:
    world.quality[7] = quality
    record: dict[str, Any] = {}
    with pytest.raises(VerificationError, match=r"release 7 is not rolled out: .*release 6 serves"):
        world.roll_out(7, record=record)
    assert world.is_at_rest_with(6)
    assert world.serving == {6}
    assert world.events == events
    assert record["outcome"] == outcome
    assert list(world.verdicts) == [7]
    # The same run ends at once with its verdict; another may try.
    writes = len(world.writes("A"))
    with pytest.raises(VerificationError, match=r"release 7 is not rolled out: .*golden answer"):
        world.roll_out(7)
    assert "create jobs" not in world.writes("A")[writes:]
    world.quality.clear()
    assert world.roll_out(7, process="B")["outcome"] == "rolled out"
    assert world.is_at_rest_with(7)


def test_the_canary_leaves_before_the_way_back(world: World) -> None:
    world.quality[7] = "after"
    with pytest.raises(VerificationError):
        world.roll_out(7)
    writes = world.writes("A")
    back = len(writes) - 1 - writes[::-1].index("patch deployments")
    assert writes[back - 3 : back] == ["update leases", "patch pods/status", "delete jobs"]


def test_the_first_rollout_of_all(new_world: Callable[..., World]) -> None:
    world = new_world(None)
    assert world.serving == set()
    record = world.roll_out(7)
    assert record["canary"]["judged_by"] == "golden answers: no release serves yet"
    assert world.is_at_rest_with(7)
    assert world.serving == {7}


def test_a_first_rollout_that_fails_takes_its_release_out_again(
    new_world: Callable[..., World],
) -> None:
    world = new_world(None)
    world.quality[7] = "after"
    with pytest.raises(VerificationError, match="no release serves, as before"):
        world.roll_out(7)
    assert world.is_at_rest_with(None)
    template = world.server.objects["deployments"][APP]["spec"]["template"]
    assert [v["name"] for v in template["spec"]["initContainers"][0]["env"]] == ["REGISTRY"]
    assert "emotion-ai.dev/release" not in template["metadata"]["labels"]
    assert world.roll_out(8, process="B")["outcome"] == "rolled out"


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        (
            {"terminated": {"exitCode": 1, "message": "cannot load"}},
            VerificationError,
            "cannot load",
        ),
        (
            {
                "waiting": {
                    "reason": "ImagePullBackOff",
                    "message": 'Back-off pulling image "a:1": ErrImagePull: failed to pull and '
                    'unpack image "a:1": failed to resolve reference "a:1": not found',
                }
            },
            InputError,
            'ImagePullBackOff: failed to resolve reference "a:1": not found',
        ),
    ],
)
def test_a_release_that_does_not_start_is_judged_and_an_installation_is_not(
    world: World, state: dict[str, Any], error: type[EmotionAIError], message: str
) -> None:
    world.controllers.broken[7] = state
    with pytest.raises(error, match=message):
        world.roll_out(7)
    assert world.is_at_rest_with(6)
    assert list(world.verdicts) == ([7] if error is VerificationError else [])


def test_a_canary_that_gets_no_pod_does_not_wait_for_the_whole_timeout(world: World) -> None:
    world.controllers.has_quota = False
    patient = SETTINGS.model_copy(update={"timeout_s": 80_000})
    with pytest.raises(
        Unavailable, match=r"get events --field-selector involvedObject\.name="
    ) as at:
        world.roll_out(7, settings=patient)
    assert "in 120 s" in str(at.value)
    assert world.is_at_rest_with(6)


def test_pods_that_do_not_come_up_after_the_promotion_are_taken_back(world: World) -> None:
    def break_release(act: Act) -> None:
        if act.verb == "patch" and act.kind == "deployments" and "spec" in act.body:
            world.controllers.broken[7] = {"terminated": {"exitCode": 1, "message": "no memory"}}

    world.server.before.append(break_release)
    with pytest.raises(VerificationError, match="no memory; release 6 serves again"):
        world.roll_out(7)
    assert world.is_at_rest_with(6)
    # The servers of release 6 were there all the time: maxUnavailable 0.
    assert world.serving == {6}


@pytest.mark.parametrize("right", rollout_rights(APP), ids=lambda r: f"{r.verb} {r.resource}")
def test_a_missing_right_is_named_before_anything_changes(world: World, right: Any) -> None:
    world.server.denied.add(f"{right.verb} {right.resource}")
    message = (
        f"kubeflow/pipeline-runner may not {right.verb} {right.resource} in emotion-ai; apply "
        "k8s/components/pipeline-standalone"
    )
    with pytest.raises(InputError, match=message):
        world.roll_out(7)
    assert world.server.acts == []
