"""Pods that are not ready while a promoted release is watched: whose fault it is."""

import copy

import pytest

from emotion_ai.errors import VerificationError
from emotion_ai.rollouts.cluster.api import Response

from support.fake_api_server import Act
from support.rollout_world import World


def _read_as_not(world: World, *kinds: str) -> None:
    """Let pods of release 7 have these conditions no more, once it is verified."""

    def answer(act: Act) -> Response | None:
        if (act.verb, act.kind) != ("get", "pods") or world.journal.phase != "verifying":
            return None
        pod = copy.deepcopy(world.server.objects["pods"][act.name])
        for condition in pod["status"]["conditions"]:
            if condition["type"] in kinds:
                condition["status"] = "False"
        return Response(200, pod, "")

    world.server.before.append(answer)


def test_a_node_that_does_not_report_is_no_fault_of_the_release(world: World) -> None:
    # Its pods are not Ready, and EndpointSlices may name them for a while.
    _read_as_not(world, "Ready")
    assert world.roll_out(7)["outcome"] == "rolled out"
    assert world.is_at_rest_with(7)
    assert world.verdicts == {}


def test_a_server_that_is_not_ready_any_more_is_gone_back_from(world: World) -> None:
    _read_as_not(world, "Ready", "ContainersReady")
    with pytest.raises(VerificationError, match="is not ready; release 6 serves again"):
        world.roll_out(7)
    assert world.is_at_rest_with(6)
