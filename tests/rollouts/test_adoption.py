"""Before a run trains: what a person has put back is adopted, and what retention must keep."""

import pytest

from emotion_ai.errors import InputError, Unavailable
from emotion_ai.rollouts.cluster import adoption
from emotion_ai.rollouts.cluster.adoption import named_releases, named_releases_on
from emotion_ai.rollouts.cluster.api import Cluster, Response
from emotion_ai.rollouts.cluster.journal import Journal, journal_annotation
from emotion_ai.rollouts.cluster.names import APP, LEASE
from emotion_ai.rollouts.settings import RolloutSettings

from support.interleaving import Scheduler
from support.rollout_world import SETTINGS, World


def test_nothing_is_adopted_where_nobody_moved_anything(world: World) -> None:
    assert world.adopt() == ""
    assert world.is_at_rest_with(6)
    # Only the lease was taken and given back.
    assert world.writes("R") == ["update leases", "update leases"]


def test_what_a_person_put_back_becomes_champion_and_proven(world: World) -> None:
    world.edit(5)
    assert world.adopt() == "release 5 was put back with kubectl; adopted"
    assert world.is_at_rest_with(5)
    assert world.events == ["Adopted"]
    assert "patch deployments" not in world.writes("R")


def test_a_champion_that_was_never_proven_here_is_proven(world: World) -> None:
    # As after the way back of a rollout that a person went ahead of.
    journal = journal_annotation(world.journal.model_copy(update={"proven": 5}))
    world.server.change("leases", LEASE, {"metadata": {"annotations": journal}})
    assert world.adopt() == "release 6 was put back with kubectl; adopted"
    assert world.is_at_rest_with(6)


def test_a_release_whose_rollout_is_not_recorded_is_not_called_put_back(world: World) -> None:
    # As after the Lease was deleted, and applied again.
    world.server.change(
        "leases", LEASE, {"metadata": {"annotations": journal_annotation(Journal())}}
    )
    assert world.adopt() == "release 6 was rolled out elsewhere; adopted"
    assert world.is_at_rest_with(6)


def test_a_paused_deployment_is_told_and_nothing_is_touched(world: World) -> None:
    world.server.change("deployments", APP, {"spec": {"paused": True}})
    for act in (world.adopt, lambda: world.roll_out(7)):
        with pytest.raises(InputError, match="rollout resume deployment/emotion-ai"):
            act()
    assert not world.events
    assert not world.server.objects["jobs"]


def test_what_does_not_come_up_is_not_adopted(world: World) -> None:
    world.controllers.at_once = False
    world.edit(5)
    message = world.adopt()
    assert message == (
        "release 5, rolled out by somebody else, is not adopted: deployment emotion-ai: is not "
        "rolled out after 20 s"
    )
    assert (world.champion, world.journal.proven, world.holder) == (6, 6, "")
    world.controllers.settle()
    assert world.adopt() == "release 5 was put back with kubectl; adopted"


def test_what_answers_otherwise_is_not_adopted_and_not_judged(world: World) -> None:
    world.quality[5] = "after"
    world.edit(5)
    assert "is not adopted: pod emotion-ai-" in world.adopt()
    assert (world.champion, world.journal.proven, world.verdicts) == (6, 6, {})


def test_a_person_who_goes_on_moving_is_left_alone(world: World, scheduler: Scheduler) -> None:
    world.edit(5)
    process = scheduler.start("R", world.adopt)
    # After the look at the servers before it takes the lease.
    scheduler.until(process, "update leases")
    scheduler.until(process, "list endpointslices")
    world.edit(4)
    scheduler.finish(process)
    assert process.error is None
    assert "release 5" in process.result
    assert (world.deployed, world.champion, world.holder) == (4, 6, "")


def test_a_killed_rollout_is_left_to_the_next_rollout(world: World, scheduler: Scheduler) -> None:
    process = scheduler.start("A", lambda: world.roll_out(7))
    scheduler.until(process, "patch deployments", 2)
    scheduler.step(process)
    scheduler.interrupt(process)
    scheduler.finish(process)
    assert (world.holder, world.journal.phase, world.deployed) == ("", "promoting", 7)
    assert world.adopt() == ""
    assert (world.champion, world.journal.phase) == (6, "promoting")


def test_an_installation_of_another_registry_is_not_adopted(world: World) -> None:
    world.edit(5)
    variable = {"name": "REGISTRY", "value": "gs://another/registry"}
    template = {"spec": {"initContainers": [{"name": "release", "env": [variable]}]}}
    world.server.change("deployments", APP, {"spec": {"template": template}})
    with pytest.raises(InputError, match="expected the same registry"):
        world.adopt()
    assert world.champion == 6


def test_retention_keeps_what_undo_offers_and_a_rollout_needs(
    world: World, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = world.server.cluster("test")
    assert named_releases_on(cluster, APP) == {6}
    world.edit(4)
    world.edit(5)
    assert named_releases_on(cluster, APP) == {4, 5, 6}
    process = scheduler.start("A", lambda: world.roll_out(7))
    scheduler.until(process, "create jobs")
    assert named_releases_on(cluster, APP) == {4, 5, 6, 7}
    scheduler.end()

    monkeypatch.setattr(adoption, "connect", lambda namespace: cluster)
    assert named_releases(SETTINGS) == {4, 5, 6, 7}
    world.server.denied.add("list replicasets")
    with pytest.raises(Unavailable, match=r"so none is removed: .*replicasets is forbidden"):
        named_releases(SETTINGS)
    world.server.denied.clear()
    world.server.remove("leases", LEASE)
    with pytest.raises(Unavailable, match='"emotion-ai-rollout" not found'):
        named_releases(SETTINGS)


def test_retention_removes_nothing_where_no_cluster_answers(
    monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    def be_away(*request: object) -> Response:
        return Response(0, None, "connection refused")

    cluster = Cluster(be_away, "emotion-ai", "https://fake")
    monkeypatch.setattr(adoption, "connect", lambda namespace: cluster)
    with pytest.raises(Unavailable, match=r"none is removed: .*connection refused"):
        named_releases(RolloutSettings())
