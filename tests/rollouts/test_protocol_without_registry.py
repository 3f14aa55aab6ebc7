"""A registry that is away while a release is promoted: for the pods, or for the rollout itself."""

import pytest

from emotion_ai.errors import Unavailable, VerificationError
from emotion_ai.rollouts.cluster import closing

from support.fake_api_server import Act
from support.rollout_world import World

REASON = "gs://models/7: Cloud Storage did not answer"
AWAY = {"terminated": {"exitCode": 1, "reason": "Error", "message": REASON}}


def test_pods_that_cannot_fetch_the_release_are_waited_for(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.controllers.unfetched[7] = AWAY
    looks = [0]

    def come_back(act: Act) -> None:
        if (act.verb, act.kind, world.journal.phase) == ("get", "deployments", "promoting"):
            looks[0] += 1
            if looks[0] > 10:
                world.controllers.unfetched.clear()
                world.controllers.settle()

    world.server.before.append(come_back)
    record = world.roll_out(7)
    assert (record["outcome"], world.verdicts) == ("rolled out", {})
    assert world.is_at_rest_with(7)
    said = [line for line in capsys.readouterr().err.splitlines() if REASON in line]
    assert len(said) == 1
    assert said[0].endswith(f"its container release ended with exit code 1: {REASON}; waiting")


def test_pods_that_never_fetch_it_are_gone_back_from_with_the_reason(world: World) -> None:
    world.controllers.unfetched[7] = AWAY
    with pytest.raises(VerificationError, match="is not rolled out after 20 s: pod") as failure:
        world.roll_out(7)
    assert REASON in str(failure.value)
    assert str(failure.value).endswith("; release 6 serves again")
    assert world.is_at_rest_with(6)


def test_a_rollout_that_cannot_read_it_says_what_is_left_and_the_next_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def be_away(registry: str, version: int) -> None:
        raise Unavailable(REASON)

    with monkeypatch.context() as away:
        away.setattr(closing, "read_golden_requests", be_away)
        with pytest.raises(Unavailable, match=REASON):
            world.roll_out(7)
    assert (world.journal.phase, world.holder, world.verdicts) == ("promoting", "", {})
    assert "release 7: interrupted in the phase promoting; the next" in capsys.readouterr().err
    assert world.roll_out(7)["outcome"] == "rolled out"
    assert world.is_at_rest_with(7)
