"""Two calls of `emotion-ai publish --schedule` at once leave one schedule, and say which."""

import itertools
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from emotion_ai.errors import EmotionAIError, Unavailable
from emotion_ai.pipeline.publishing.order import Order
from emotion_ai.pipeline.publishing.publish import publish
from emotion_ai.pipeline.publishing.schedules import replace_schedule
from emotion_ai.pipeline.publishing.server import connect

from support.kfp_api_server import KfpApiServer
from support.publishing import NIGHTLY

LIST = "GET /apis/v2beta1/recurringruns"
MORNING = "0 0 6 * * *"
# Ends a test that would hang.
PATIENCE_SECONDS = 300
MET = "another `emotion-ai publish` created it at the same time"


class Publisher:
    """A call in a thread.

    Attributes:
        lines: What it printed.
        error: What it ended with.
        has_ended: Whether it runs no more.
    """

    def __init__(self, call: Callable[["Publisher"], Iterable[str]]) -> None:
        self.lines: list[str] = []
        self.error: EmotionAIError | None = None
        self.has_ended = False
        self._go = threading.Semaphore(0)
        self._arrived = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, args=(call,), daemon=True)
        self._thread.start()

    @property
    def told(self) -> str:
        """Everything that a person reads."""
        return "\n".join([*self.lines, str(self.error or "")])

    def before_request(self) -> None:
        """Wait, in the call's thread, until `step` lets it send a request."""
        self._arrived.release()
        self._go.acquire()

    def arrive(self) -> None:
        """Wait until it is about to send a request, or has ended."""
        assert self._arrived.acquire(timeout=PATIENCE_SECONDS)

    def step(self) -> None:
        """Let it send its next request, up to the one that follows."""
        self._go.release()
        self.arrive()

    def join(self) -> None:
        """Wait for its end."""
        self._thread.join(PATIENCE_SECONDS)
        assert self.has_ended

    def _run(self, call: Callable[["Publisher"], Iterable[str]]) -> None:
        try:
            for line in call(self):
                self.lines.append(line)
        except EmotionAIError as error:
            self.error = error
        finally:
            self.has_ended = True
            self._arrived.release()


class InTurns:
    """A part of the API whose requests wait for the publisher's turn."""

    def __init__(self, part: Any, publisher: Publisher) -> None:
        self._part = part
        self._publisher = publisher

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._part, name)

        def wait_and_ask(*args: Any, **options: Any) -> Any:
            self._publisher.before_request()
            return method(*args, **options)

        return wait_and_ask


def enabled(kfp: KfpApiServer) -> list[dict[str, Any]]:
    return [row for row in kfp.schedules.values() if row["status"] == "ENABLED"]


def publish_at_once(
    kfp: KfpApiServer, package: Path, orders: list[dict[str, Any]]
) -> list[Publisher]:
    """Publish in as many threads as there are orders, to the end of all."""
    calls = [
        lambda _, order=order: publish(connect(kfp.address), package, Order(**order))
        for order in orders
    ]
    publishers = [Publisher(call) for call in calls]
    for publisher in publishers:
        publisher.join()
    return publishers


def meet(kfp: KfpApiServer, callers: int) -> None:
    """Let each look at the schedules while none of the others has gone on."""
    kfp.pauses[LIST] = threading.Barrier(callers, timeout=PATIENCE_SECONDS)


def test_two_schedules_at_once_leave_one_and_both_say_so(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    meet(kfp, 2)
    orders = [{"schedule": NIGHTLY}, {"schedule": MORNING}]
    publishers = publish_at_once(kfp, packages[0], orders)
    (survivor,) = kfp.schedules.values()
    assert survivor["status"] == "ENABLED"
    (loser,) = (publisher for publisher in publishers if publisher.error)
    (winner,) = (publisher for publisher in publishers if not publisher.error)
    times = survivor["trigger"]["cron_schedule"]["cron"]
    assert orders[publishers.index(winner)]["schedule"] == times
    assert isinstance(loser.error, Unavailable)
    assert f"({survivor['recurring_run_id']}) at the same time, and that one stays" in loser.told
    assert "run this command again if yours is to take its place" in loser.told
    assert MET in winner.told
    assert len(kfp.pipelines) == len(kfp.versions) == len(kfp.experiments) == 1


def test_two_equal_schedules_at_once_leave_one_and_both_succeed(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    meet(kfp, 2)
    orders = [{"schedule": NIGHTLY, "parameters": {"seed": 7}}] * 2
    publishers = publish_at_once(kfp, packages[0], orders)
    (survivor,) = kfp.schedules.values()
    assert survivor["status"] == "ENABLED"
    assert [publisher.error for publisher in publishers] == [None, None]
    stays = f"({survivor['recurring_run_id']}) at the same time, and that one stays: it is the same"
    (loser,) = (publisher for publisher in publishers if stays in publisher.told)
    (winner,) = (publisher for publisher in publishers if publisher is not loser)
    assert MET in winner.told


def test_many_schedules_at_once_leave_one(kfp: KfpApiServer, packages: tuple[Path, Path]) -> None:
    callers = 5
    meet(kfp, callers)
    orders = [{"schedule": f"0 0 {hour} * * *"} for hour in range(callers)]
    publishers = publish_at_once(kfp, packages[0], orders)
    (survivor,) = kfp.schedules.values()
    for publisher in publishers:
        assert f"({survivor['recurring_run_id']})" in publisher.told
    assert [publisher.error is None for publisher in publishers].count(True) == 1


def test_a_failed_look_after_the_schedule_is_created_is_told(
    kfp: KfpApiServer, packages: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    order = {"schedule": NIGHTLY}
    publish_at_once(kfp, packages[0], [order])
    answer = kfp.answer

    def answer_and_fail(method: str, *rest: Any) -> dict[str, Any]:
        answered = answer(method, *rest)
        if method == "POST":
            kfp.fail(LIST, 503)
        return answered

    monkeypatch.setattr(kfp, "answer", answer_and_fail)
    (publisher,) = publish_at_once(kfp, packages[0], [{"schedule": MORNING}])
    before, created = kfp.schedules
    assert f"({created}) is enabled, and so may be schedule" in str(publisher.error)
    assert str(publisher.error).endswith(f"({before}); run this command again")


def test_no_order_of_two_calls_requests_leaves_none_or_two(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    publish_at_once(kfp, packages[0], [{"schedule": "0 0 1 * * *"}])
    (old,) = kfp.schedules.values()
    reference = {
        "pipeline_id": old["pipeline_version_reference"]["pipeline_id"],
        "pipeline_version_id": old["pipeline_version_reference"]["pipeline_version_id"],
    }
    body = {
        "experiment_id": old["experiment_id"],
        "pipeline_version_reference": reference,
        "runtime_config": {"parameters": {}},
    }
    server = connect(kfp.address)

    def call(schedule: str) -> Callable[[Publisher], Iterable[str]]:
        return lambda publisher: replace_schedule(
            server._replace(schedules=InTurns(server.schedules, publisher)),
            Order(schedule=schedule),
            "0123456789ab",
            body,
        )

    # Each sends five requests at most; by symmetry, the first one begins.
    for order in itertools.product((0, 1), repeat=7):
        kfp.schedules = {old["recurring_run_id"]: old}
        publishers = [Publisher(call(schedule)) for schedule in (NIGHTLY, MORNING)]
        for publisher in publishers:
            publisher.arrive()
        for number in [0, *order, *[0] * 6, *[1] * 6]:
            if not publishers[number].has_ended:
                publishers[number].step()
            assert enabled(kfp), order
        assert all(publisher.has_ended for publisher in publishers)
        (survivor,) = kfp.schedules.values()
        assert survivor is not old, order
        kept = [p for p in publishers if f"({survivor['recurring_run_id']}): created" in p.told]
        assert [p.error for p in kept] == [None], order
        # Who comes second says what became of the other's, and whose own is gone knows why.
        for publisher in publishers:
            if publisher.error:
                assert survivor["recurring_run_id"] in str(publisher.error), order


def test_a_schedule_below_the_newest_is_not_taken_up(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    """The newest one's publisher is about to remove it."""
    publish_at_once(kfp, packages[0], [{"schedule": NIGHTLY}])
    (first,) = kfp.schedules
    kept = dict(kfp.schedules)
    publish_at_once(kfp, packages[0], [{"schedule": MORNING}])
    kfp.schedules = {**kept, **kfp.schedules}
    publish_at_once(kfp, packages[0], [{"schedule": NIGHTLY}])
    (survivor,) = kfp.schedules.values()
    assert survivor["trigger"]["cron_schedule"]["cron"] == NIGHTLY
    assert survivor["recurring_run_id"] != first


def test_two_processes_at_once_leave_one_schedule(kfp: KfpApiServer, environment: str) -> None:
    meet(kfp, 2)
    command = [sys.executable, "-m", "emotion_ai.pipeline.cli", "publish", "--kfp", kfp.address]
    command += ["--environment", environment]
    processes = [
        subprocess.Popen(
            [*command, "--schedule", schedule],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for schedule in (NIGHTLY, MORNING)
    ]
    texts = ["".join(process.communicate(timeout=PATIENCE_SECONDS)) for process in processes]
    (survivor,) = kfp.schedules.values()
    assert survivor["status"] == "ENABLED"
    assert sorted(process.returncode for process in processes) == [0, 1]
    for text in texts:
        assert f"({survivor['recurring_run_id']})" in text
        assert "another `emotion-ai publish` created" in text
