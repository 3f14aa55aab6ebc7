"""Rollouts that are killed or interrupted before any write, and the rollouts after them."""

import contextlib
from collections.abc import Callable, Iterator

import pytest

from emotion_ai.errors import EmotionAIError

from support.interleaving import Process, Scheduler
from support.rollout_world import World

_QUALITIES = ["good", "proof", "bake", "after"]
# The fewest writes of any rollout here: one that is refused at its proof.
_FEWEST = 8

NewWorld = Callable[..., World]


def _retry(world: World) -> None:
    world.roll_out(7, process="B", run="run-A")


def _roll_out_newer(world: World) -> None:
    world.roll_out(8, process="B")


def _go_back(world: World) -> None:
    world.roll_out(6, process="B", run="", may_go_back=True)


def _stop_before_each_write(
    new_world: NewWorld, quality: str, release: int | None = 6
) -> Iterator[tuple[World, Scheduler, Process]]:
    """Stop a rollout of release 7 before each of its writes, in a cluster each."""
    for number in range(100):
        world = new_world(release)
        world.quality[7] = quality
        scheduler = Scheduler(world)
        process = scheduler.start("A", lambda world=world: world.roll_out(7))
        if not scheduler.until_write(process, number):
            assert number >= _FEWEST
            return
        yield world, scheduler, process
    raise AssertionError("it never ends")


@pytest.mark.parametrize("quality", _QUALITIES)
@pytest.mark.parametrize("follow", [_retry, _roll_out_newer, _go_back])
def test_the_next_rollout_finishes_what_a_killed_one_has_left(
    new_world: NewWorld, quality: str, follow: Callable[[World], None]
) -> None:
    expected = {_retry: 7 if quality == "good" else 6, _roll_out_newer: 8, _go_back: 6}[follow]
    for world, scheduler, process in _stop_before_each_write(new_world, quality):
        place = f"killed before {process.waits_for}, {world.journal}"
        scheduler.kill(process)
        # Release 7 passed its canary, or callers do not get it from the Deployment.
        assert world.deployed == 6 or quality in ("good", "after"), place
        champion, is_held = world.champion, world.holder != ""
        if is_held:
            # The step resolve touches nothing of it.
            assert world.adopt() == "", place
            assert world.champion == champion, place
        with contextlib.suppress(EmotionAIError):
            follow(world)
        assert world.is_at_rest_with(expected), (place, world.journal)
        assert world.serving == {expected}, place
        assert set(world.verdicts) <= ({7} if quality != "good" else set()), place


@pytest.mark.parametrize("quality", ["good", "after"])
def test_a_first_rollout_that_was_killed(new_world: NewWorld, quality: str) -> None:
    for world, scheduler, process in _stop_before_each_write(new_world, quality, None):
        scheduler.kill(process)
        with contextlib.suppress(EmotionAIError):
            _retry(world)
        assert world.is_at_rest_with(7 if quality == "good" else None), world.journal


@pytest.mark.parametrize("quality", ["good", "after"])
def test_a_rollout_that_recovers_another_is_killed_too(new_world: NewWorld, quality: str) -> None:
    # Where the other was killed: before and after its promotion, and on its way back.
    phases = {"promoting": 2, "verifying": 2, "back": 3}
    for phase, count in phases.items():
        for number in range(100):
            world = new_world()
            world.quality[7] = quality
            scheduler = Scheduler(world)
            first = scheduler.start("A", lambda world=world: world.roll_out(7))
            while not first.has_ended and world.journal.phase != phase:
                scheduler.until_write(first, 1)
            scheduler.until_write(first, count)
            if first.has_ended:
                break
            scheduler.kill(first)
            second = scheduler.start("B", lambda world=world: world.roll_out(8, process="B"))
            if not scheduler.until_write(second, number):
                break
            scheduler.kill(second)
            world.roll_out(8, process="C")
            assert world.is_at_rest_with(8), (phase, number, world.journal)


@pytest.mark.parametrize("quality", ["good", "bake", "after"])
def test_ctrl_c_frees_the_lease_and_leaves_the_rest_to_the_next_rollout(
    new_world: NewWorld, quality: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for world, scheduler, process in _stop_before_each_write(new_world, quality):
        place = f"interrupted before {process.waits_for}, {world.journal}"
        capsys.readouterr()
        is_held = world.holder != ""
        scheduler.interrupt(process)
        scheduler.finish(process)
        assert isinstance(process.error, KeyboardInterrupt), place
        assert world.holder == "", place
        if world.journal.phase in ("canary", "baking"):
            assert world.canaries == [], place
        if is_held:
            lines = [line for line in capsys.readouterr().err.splitlines() if "interr" in line]
            assert len(lines) == 1, place
        with contextlib.suppress(EmotionAIError):
            _retry(world)
        assert world.is_at_rest_with(7 if quality == "good" else 6), (place, world.journal)
