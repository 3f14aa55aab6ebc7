"""What a person does with kubectl while a rollout goes on: it stays, and judges no release."""

import contextlib
from collections.abc import Callable, Iterator

import pytest

from emotion_ai.errors import EmotionAIError, Unavailable
from emotion_ai.rollouts.cluster.canary import CanaryGone
from emotion_ai.rollouts.cluster.promotion import MovedByPerson

from support.interleaving import Process, Scheduler
from support.rollout_world import World

NewWorld = Callable[..., World]


def _stop_before_each_act(
    new_world: NewWorld, quality: str = "good"
) -> Iterator[tuple[World, Scheduler, Process]]:
    """Stop a rollout of release 7 before each act that others may notice, in a cluster each."""
    for number in range(200):
        world = new_world()
        world.quality[7] = quality
        scheduler = Scheduler(world)
        process = scheduler.start("A", lambda world=world: world.roll_out(7))
        for _ in range(number):
            if not process.has_ended:
                scheduler.step(process)
        if process.has_ended:
            assert number > 20
            return
        yield world, scheduler, process
    raise AssertionError("it never ends")


@pytest.mark.parametrize("quality", ["good", "after"])
@pytest.mark.parametrize("release", [5, 6, 8])
def test_what_a_person_rolls_out_stays(new_world: NewWorld, release: int, quality: str) -> None:
    for world, scheduler, process in _stop_before_each_act(new_world, quality):
        place = f"{release} set before {process.waits_for}, {world.journal}"
        begun = "create jobs" in world.writes("A")
        if world.deployed == release:
            scheduler.end()
            continue
        world.edit(release)
        scheduler.finish(process)
        assert process.error is None or isinstance(process.error, EmotionAIError), place
        assert world.holder == "", place
        if begun or release == 8:
            assert world.deployed == release, (place, process.error)
        else:
            # The rollout began from what the person had set, or saw it only before its patch.
            assert world.deployed in (7 if quality == "good" else release, release), place
            assert world.deployed == 7 or isinstance(process.error, EmotionAIError), place
        assert set(world.verdicts) <= (set() if quality == "good" else {7}), place
        served = world.deployed
        world.adopt()
        assert world.is_at_rest_with(served), (place, world.journal)


def test_undo_after_the_promotion_is_no_verdict_on_the_new_release(
    world: World, scheduler: Scheduler
) -> None:
    process = scheduler.start("A", lambda: world.roll_out(7))
    scheduler.until(process, "patch deployments", 2)
    scheduler.step(process)
    world.undo(6)
    scheduler.finish(process)
    assert isinstance(process.error, MovedByPerson)
    assert (world.deployed, world.verdicts) == (6, {})
    assert world.is_at_rest_with(6)
    # It may be rolled out again, by the same run too.
    assert world.roll_out(7)["outcome"] == "rolled out"


def test_restarted_pods_are_waited_for(new_world: NewWorld) -> None:
    for world, scheduler, process in _stop_before_each_act(new_world):
        world.restart()
        scheduler.finish(process)
        assert process.error is None
        assert world.is_at_rest_with(7)


def test_a_canary_that_somebody_deletes_is_no_verdict(new_world: NewWorld) -> None:
    gone = 0
    for world, scheduler, process in _stop_before_each_act(new_world):
        if not world.canaries:
            scheduler.end()
            continue
        place = f"deleted before {process.waits_for}, {world.journal}"
        world.delete_canary()
        scheduler.finish(process)
        assert world.verdicts == {}, place
        assert world.is_at_rest_with(7 if process.error is None else 6), place
        if process.error is not None:
            assert isinstance(process.error, CanaryGone), place
            gone += 1
            assert world.roll_out(7)["outcome"] == "rolled out", place
    assert gone > 2


def test_a_rollout_under_way_is_waited_for_before_it_is_adopted(
    world: World, scheduler: Scheduler
) -> None:
    world.controllers.at_once = False
    world.edit(5)
    process = scheduler.start("A", lambda: world.roll_out(7))
    scheduler.until(process, "sleep", 3)
    assert (world.champion, world.journal.proven) == (6, 6)
    world.controllers.at_once = True
    world.controllers.settle()
    scheduler.until(process, "create jobs")
    assert (world.champion, world.journal.proven, world.journal.phase) == (5, 5, "canary")
    scheduler.finish(process)
    assert world.is_at_rest_with(7)


def test_what_does_not_answer_is_not_adopted_and_keeps_nobody_from_going_on(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.quality[5] = "after"
    world.edit(5)
    world.roll_out(7)
    assert "release 5, rolled out by somebody else, is not adopted" in capsys.readouterr().err
    assert world.is_at_rest_with(7)
    assert world.verdicts == {}


def test_a_release_that_was_judged_bad_stays_where_a_person_puts_it(world: World) -> None:
    world.quality[7] = "bake"
    with contextlib.suppress(EmotionAIError):
        world.roll_out(7)
    world.edit(7)
    assert "judged bad" in world.adopt()
    assert (world.deployed, world.champion, world.journal.proven) == (7, 6, 6)
    assert world.events[-1] == "JudgedBadBefore"
    # The next good release takes its place.
    world.roll_out(8, process="B")
    assert world.is_at_rest_with(8)


def test_the_lease_that_a_person_edits_is_still_held(world: World, scheduler: Scheduler) -> None:
    process = scheduler.start("A", lambda: world.roll_out(7))
    scheduler.until(process, "patch pods/status")
    world.server.change("leases", "emotion-ai-rollout", {"metadata": {"labels": {"seen": "yes"}}})
    scheduler.finish(process)
    assert process.error is None
    assert world.is_at_rest_with(7)


def test_a_deployment_that_is_no_rollouts_own_is_refused(world: World) -> None:
    world.server.change(
        "deployments",
        "emotion-ai",
        {
            "spec": {
                "template": {
                    "spec": {
                        "initContainers": [
                            {"name": "release", "env": [{"name": "RELEASE", "value": "newest"}]}
                        ]
                    }
                }
            }
        },
    )
    with pytest.raises(EmotionAIError, match="RELEASE is 'newest'") as caught:
        world.roll_out(7)
    assert not isinstance(caught.value, Unavailable)
    assert world.holder == ""
