"""Two rollouts, of which one or both freeze before any of their writes."""

import contextlib
from collections.abc import Callable

import pytest

from emotion_ai.errors import EmotionAIError

from support.interleaving import Process, Scheduler
from support.rollout_world import World

NewWorld = Callable[..., World]


def _start(scheduler: Scheduler, name: str, release: int, run: str = "") -> Process:
    world = scheduler.world
    return scheduler.start(name, lambda: world.roll_out(release, process=name, run=run))


@pytest.mark.parametrize("quality", ["good", "after"])
def test_a_rollout_frozen_before_any_write_harms_nobody(new_world: NewWorld, quality: str) -> None:
    for number in range(100):
        world = new_world()
        world.lose_registry_lock()
        world.quality[7] = quality
        scheduler = Scheduler(world)
        first = _start(scheduler, "A", 7)
        if not scheduler.until_write(first, number):
            assert number > 12
            return
        place = f"frozen before {first.waits_for}, {world.journal}"
        second = scheduler.finish(_start(scheduler, "B", 8))
        assert second.error is None, place
        assert world.is_at_rest_with(8), place
        scheduler.finish(first)
        assert world.is_at_rest_with(8), (place, first.error)
        assert world.serving == {8}, place
        assert set(world.verdicts) <= (set() if quality == "good" else {7}), place


def test_both_rollouts_freeze_in_turn(new_world: NewWorld) -> None:
    writes = 16
    for number in range(2, writes):
        for other in range(1, 2 * writes, 2):
            world = new_world()
            world.lose_registry_lock()
            world.quality[7] = "after"
            scheduler = Scheduler(world)
            first = _start(scheduler, "A", 7)
            scheduler.until_write(first, number)
            second = _start(scheduler, "B", 8)
            scheduler.until_write(second, other)
            scheduler.finish(first)
            scheduler.finish(second)
            place = (number, other, first.error, second.error, world.journal)
            errors = (first.error, second.error)
            assert all(e is None or isinstance(e, EmotionAIError) for e in errors), place
            assert set(world.verdicts) <= {7}, place
            assert (world.holder, world.canaries) == ("", []), place
            assert world.is_at_rest_with(8), place


def test_two_runs_of_the_same_release_at_once(new_world: NewWorld) -> None:
    for number in range(100):
        world = new_world()
        scheduler = Scheduler(world)
        first = _start(scheduler, "A", 7)
        if not scheduler.until_write(first, number):
            return
        scheduler.kill(first)
        with contextlib.suppress(EmotionAIError):
            world.roll_out(7, process="B")
        assert world.is_at_rest_with(7), (number, world.journal)
        assert world.roll_out(7, process="C", run="run-A")["outcome"] in ("unchanged", "rolled out")
        assert world.is_at_rest_with(7), (number, world.journal)
