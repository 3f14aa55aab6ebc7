"""An API server that is away, loses its answers or refuses an act, at every write of a rollout."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from emotion_ai.errors import InputError, Unavailable
from emotion_ai.rollouts.cluster.api import ApiUnavailable, Response

from support.fake_api_server import Act
from support.rollout_world import WRITES, World


def test_an_api_server_that_is_away_is_waited_for_before_every_act(
    new_world: Callable[..., World],
) -> None:
    for number in range(len(WRITES)):
        world = new_world()
        _lose(world, number, times=20, is_done=False)
        assert world.roll_out(7)["outcome"] == "rolled out"
        assert world.is_at_rest_with(7)


def test_an_api_server_that_stays_away_judges_nobody_and_the_next_rollout_goes_on(
    new_world: Callable[..., World],
) -> None:
    for number in range(len(WRITES)):
        world = new_world()
        away = _lose(world, number, times=10**9, is_done=False)
        with pytest.raises(ApiUnavailable, match="no answer to"):
            world.roll_out(7)
        world.server.before.remove(away)
        assert world.verdicts == {}
        world.roll_out(8, process="B")
        assert world.is_at_rest_with(8)
        assert world.verdicts == {}


def test_an_outage_while_the_endpoints_are_compared_is_no_verdict(world: World) -> None:
    asked = [0]

    def be_away(act: Act) -> Response | None:
        if act.kind != "endpointslices" or world.journal.phase != "verifying":
            return None
        # For a little longer than requests are repeated.
        asked[0] += 1
        return Response(0, None, "connection refused") if asked[0] < 70 else None

    world.server.before.append(be_away)
    with pytest.raises(ApiUnavailable, match=r"no answer to GET .*endpointslices"):
        world.roll_out(7)
    assert (world.deployed, world.verdicts, world.holder) == (7, {}, "")
    assert world.roll_out(7)["outcome"] == "rolled out"
    assert world.is_at_rest_with(7)


@pytest.mark.parametrize("times", [1, 10**9])
def test_an_answer_that_is_lost_after_the_act_was_done(
    new_world: Callable[..., World], times: int
) -> None:
    for number in range(len(WRITES)):
        world = new_world()
        lost = _lose(world, number, times, is_done=True)
        try:
            assert world.roll_out(7)["outcome"] == "rolled out"
        except Unavailable:
            # Only where no answer comes at all.
            assert times > 1
        world.server.before.remove(lost)
        assert world.verdicts == {}
        world.roll_out(7, process="B")
        assert world.is_at_rest_with(7), (number, world.journal)
        patches = [a for a in world.server.acts if a.verb == "patch" and a.kind == "deployments"]
        assert sum("spec" in act.body for act in patches) <= 2


def test_an_act_that_is_refused_judges_nobody(new_world: Callable[..., World]) -> None:
    rolled_out = []
    for number in range(len(WRITES)):
        world = new_world()
        count = _Counter()

        def refuse(act: Act, count: "_Counter" = count, number: int = number) -> Response | None:
            is_it = count.is_write(act) and count.number == number
            return Response(403, None, "denied by an admission policy") if is_it else None

        world.server.before.append(refuse)
        with contextlib.suppress(InputError):
            world.roll_out(7)
            rolled_out.append(WRITES[number])
        assert world.verdicts == {}
        assert world.holder == ""
        world.roll_out(7, process="B")
        assert world.is_at_rest_with(7)
    # Only the condition that a canary loses before it is deleted may stay.
    assert rolled_out == ["patch pods/status"]


class _Counter:
    """Numbers the writes of process A, from 0."""

    def __init__(self) -> None:
        self.number = -1

    def is_write(self, act: Act) -> bool:
        """Count an act, if it is one."""
        if act.process != "A" or act.verb in ("get", "list") or act.kind == "events":
            return False
        self.number += 1
        return True


def _lose(world: World, number: int, times: int, *, is_done: bool) -> Any:
    """Answer nothing from the write of this number on, so many times."""
    count = _Counter()
    left = [times]

    def lose(act: Act) -> Response | None:
        if act.process != "A" or (not count.is_write(act) and count.number < number):
            return None
        if count.number < number or not left[0]:
            return None
        left[0] -= 1
        if is_done and count.number == number:
            world.server.do(act)
        return Response(0, None, "connection reset")

    world.server.before.append(lose)
    return lose
