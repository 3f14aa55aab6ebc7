"""Two rollouts act by act: the shortest traces of the protocol's known holes.

A process freezes where the scheduler leaves it; the other waits 30 s of its own clock and takes the
lease over. The numbers are those of the rules in the design.
"""

from collections.abc import Callable

import pytest

from emotion_ai.errors import VerificationError
from emotion_ai.rollouts.cluster.lease import LeaseLost
from emotion_ai.rollouts.cluster.promotion import MovedByPerson

from support.interleaving import Process, Scheduler
from support.rollout_world import World

NewWorld = Callable[..., World]


def _start(scheduler: Scheduler, name: str, release: int, run: str = "") -> Process:
    world = scheduler.world
    return scheduler.start(name, lambda: world.roll_out(release, process=name, run=run))


def _freeze_before_patch(scheduler: Scheduler, name: str, release: int) -> Process:
    """Start a rollout, up to the patch that promotes; the first patch is that of its holder."""
    process = _start(scheduler, name, release)
    scheduler.until(process, "patch deployments", 2)
    return process


def test_1_fence_a_frozen_rollout_patches_nothing_after_it_lost_its_lease(
    world: World, scheduler: Scheduler
) -> None:
    first = _freeze_before_patch(scheduler, "A", 7)
    second = _start(scheduler, "B", 8)
    # It has the lease, and has looked at nothing yet but written its name on the Deployment.
    scheduler.until(second, "list jobs")
    scheduler.finish(first)
    assert isinstance(first.error, LeaseLost)
    assert world.deployed == 6
    assert scheduler.finish(second).result["outcome"] == "rolled out"
    assert world.is_at_rest_with(8)


def test_1_fence_everything_was_over_when_the_frozen_rollout_wakes(
    world: World, scheduler: Scheduler
) -> None:
    first = _freeze_before_patch(scheduler, "A", 7)
    scheduler.finish(_start(scheduler, "B", 8))
    world.undo(6)
    scheduler.finish(first)
    assert isinstance(first.error, LeaseLost)
    assert (world.deployed, world.verdicts) == (6, {})


def test_2_newer_a_pipeline_that_waited_for_nobody_replaces_no_newer_release(world: World) -> None:
    world.roll_out(8, process="B")
    record = world.roll_out(7)
    assert (record["outcome"], record["reasons"]) == ("superseded", ["release 8 serves"])
    assert world.is_at_rest_with(8)


def test_2_newer_is_asked_again_in_the_read_that_the_patch_carries(
    world: World, scheduler: Scheduler
) -> None:
    process = _start(scheduler, "A", 7)
    scheduler.until(process, "patch pods/status")
    world.edit(8)
    assert scheduler.finish(process).result["outcome"] == "superseded"
    assert (world.deployed, world.canaries, world.holder) == (8, [], "")


def test_3_finish_a_newer_release_that_nobody_verified_does_not_supersede(
    world: World, scheduler: Scheduler
) -> None:
    world.quality[8] = "after"
    first = _freeze_before_patch(scheduler, "B", 8)
    scheduler.step(first)
    scheduler.kill(first)
    assert world.deployed == 8
    # It finishes 8, which is bad, and then rolls its own release out.
    assert world.roll_out(7)["outcome"] == "rolled out"
    assert world.is_at_rest_with(7)
    assert list(world.verdicts) == [8]


def test_4_patched_a_rollout_killed_before_its_patch_is_begun_anew(
    world: World, scheduler: Scheduler
) -> None:
    first = _freeze_before_patch(scheduler, "A", 7)
    assert world.journal.phase == "promoting"
    scheduler.kill(first)
    world.quality[8] = "proof"
    with pytest.raises(VerificationError):
        world.roll_out(8, process="B")
    assert world.is_at_rest_with(6)
    assert list(world.verdicts) == [8]
    assert world.roll_out(7, process="C", run="run-A")["outcome"] == "rolled out"


def test_5_jobs_a_canary_created_after_the_lease_was_lost_is_deleted_by_its_creator(
    world: World, scheduler: Scheduler
) -> None:
    first = _start(scheduler, "A", 7)
    scheduler.until(first, "create jobs")
    second = _start(scheduler, "B", 8)
    scheduler.until(second, "patch pods/status")
    scheduler.step(first)
    assert world.canaries == [8, 7]
    scheduler.finish(first)
    assert isinstance(first.error, LeaseLost)
    # That of the holder stays.
    assert world.canaries == [8]
    assert scheduler.finish(second).result["outcome"] == "rolled out"
    assert world.is_at_rest_with(8)


def test_5_jobs_the_canary_leaves_too_where_nothing_is_proven_to_go_back_to(
    world: World, scheduler: Scheduler
) -> None:
    world.roll_out(7)
    world.quality[8] = "after"
    world.edit(8)
    process = scheduler.start("B", lambda: world.roll_out(7, process="B", may_go_back=True))
    scheduler.until(process, "patch deployments", 2)
    scheduler.step(process)
    # The last release that was proven here goes bad.
    world.quality[7] = "after"
    scheduler.finish(process)
    assert isinstance(process.error, VerificationError)
    assert "it serves, because nothing else is proven to go back to" in str(process.error)
    assert (world.deployed, world.canaries, world.holder) == (7, [], "")


def test_6_adopt_waits_for_the_lease(world: World, scheduler: Scheduler) -> None:
    world.quality[7] = "after"
    process = _freeze_before_patch(scheduler, "A", 7)
    scheduler.step(process)
    assert world.deployed == 7
    assert world.adopt() == ""
    assert world.champion == 6
    scheduler.finish(process)
    assert world.is_at_rest_with(6)


def test_6_adopt_makes_the_way_back_go_to_what_a_person_has_put_back(world: World) -> None:
    world.roll_out(7)
    world.undo(6)
    assert world.adopt() == "release 6 was put back with kubectl; adopted"
    assert world.is_at_rest_with(6)
    world.quality[8] = "after"
    with pytest.raises(VerificationError, match="release 6 serves again"):
        world.roll_out(8, process="B")
    assert world.is_at_rest_with(6)


@pytest.mark.parametrize("act", ["write models.config", "update leases"])
def test_7_config_a_frozen_rollout_records_no_older_champion(
    world: World, scheduler: Scheduler, act: str
) -> None:
    world.lose_registry_lock()
    first = _start(scheduler, "A", 7)
    scheduler.until(first, "write models.config")
    if act == "update leases":
        scheduler.step(first)
    second = _start(scheduler, "B", 8)
    scheduler.finish(second)
    assert world.is_at_rest_with(8)
    scheduler.finish(first)
    assert isinstance(first.error, LeaseLost)
    assert world.is_at_rest_with(8)


def test_7_config_what_a_person_has_taken_away_is_not_recorded(
    world: World, scheduler: Scheduler
) -> None:
    process = _start(scheduler, "A", 7)
    # The write of the lease that comes before the last look at the Deployment.
    scheduler.until(process, "delete jobs")
    scheduler.step(process)
    assert process.waits_for == "update leases"
    world.edit(5)
    scheduler.finish(process)
    assert isinstance(process.error, MovedByPerson)
    assert (world.deployed, world.champion, world.journal.proven) == (5, 6, 6)


def test_7_config_the_way_back_always_writes_it(world: World, scheduler: Scheduler) -> None:
    process = _start(scheduler, "A", 7)
    scheduler.until(process, "write models.config")
    scheduler.step(process)
    scheduler.kill(process)
    assert (world.champion, world.journal.proven) == (7, 6)
    # It goes bad before anybody has proven it.
    world.quality[7] = "after"
    with pytest.raises(VerificationError, match="release 6 serves again"):
        world.roll_out(7, process="B", run="run-A")
    assert world.is_at_rest_with(6)


def test_8_memory_a_verdict_is_of_the_run_that_began_not_of_the_one_that_recovered(
    world: World, scheduler: Scheduler
) -> None:
    world.quality[7] = "after"
    first = _freeze_before_patch(scheduler, "A", 7)
    scheduler.step(first)
    scheduler.kill(first)
    world.roll_out(6, process="B", may_go_back=True)
    assert world.is_at_rest_with(6)
    jobs = [act.verb for act in world.server.acts if act.kind == "jobs"].count("create")
    with pytest.raises(VerificationError, match="golden answers of 7; release 6 serves"):
        world.roll_out(7, process="C", run="run-A")
    assert [act.verb for act in world.server.acts if act.kind == "jobs"].count("create") == jobs
    # The run that recovered has judged nothing itself, so it may try the release.
    outcomes = {(o.release, o.run): bool(o.reason) for o in world.journal.outcomes}
    assert outcomes == {(7, "run-A"): True, (6, "run-B"): False}


def test_8_memory_a_rollout_that_was_done_is_not_done_again_by_a_retry(
    world: World, scheduler: Scheduler
) -> None:
    first = _start(scheduler, "A", 7)
    scheduler.until(first, "write models.config")
    scheduler.kill(first)
    # Another run's rollout of release 6, by a person, recovers and then replaces it.
    world.roll_out(6, process="B", may_go_back=True)
    record = world.roll_out(7, process="C", run="run-A", may_go_back=True)
    assert record["outcome"] == "superseded"
    assert world.is_at_rest_with(6)


@pytest.mark.parametrize("release", [6, 8])
def test_9_person_a_moved_deployment_is_no_verdict_and_not_moved_back(
    world: World, scheduler: Scheduler, release: int
) -> None:
    process = _freeze_before_patch(scheduler, "A", 7)
    scheduler.step(process)
    # While it compares the answers of the endpoints.
    scheduler.until(process, "list endpointslices")
    world.edit(release)
    scheduler.finish(process)
    assert isinstance(process.error, MovedByPerson)
    assert (world.deployed, world.verdicts, world.holder) == (release, {}, "")
    world.adopt()
    assert world.is_at_rest_with(release)


def test_9_person_who_moves_another_runs_release_keeps_nobody_from_going_on(
    world: World, scheduler: Scheduler
) -> None:
    first = _freeze_before_patch(scheduler, "A", 7)
    scheduler.step(first)
    scheduler.kill(first)
    second = _start(scheduler, "B", 8)
    # After the look at the servers before it takes the lease.
    scheduler.until(second, "update leases")
    scheduler.until(second, "list endpointslices")
    assert world.journal.phase == "verifying"
    world.edit(5)
    assert scheduler.finish(second).result["outcome"] == "rolled out"
    assert world.is_at_rest_with(8)
    assert world.verdicts == {}
