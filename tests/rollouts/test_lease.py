"""The lease of rollouts: taken over from the dead alone, and its journal never goes back."""

import threading

import pytest

from emotion_ai.errors import InputError
from emotion_ai.rollouts.cluster import lease as lease_module
from emotion_ai.rollouts.cluster.api import Response
from emotion_ai.rollouts.cluster.journal import Journal, Outcome, read_journal
from emotion_ai.rollouts.cluster.lease import LeaseLost, acquire_lease, new_holder
from emotion_ai.rollouts.cluster.names import JOURNAL_ANNOTATION, LEASE

from support.fake_api_server import Act, ApiServer
from support.rollout_world import World

_JOURNAL = Journal(phase="canary", release=7, digest="seven", run="run-a", job="job-1")


@pytest.fixture
def server() -> ApiServer:
    found = ApiServer()
    found.add("leases", {"metadata": {"name": LEASE}, "spec": {}})
    return found


def _take(server: ApiServer, process: str = "A", wait_s: float = 0) -> lease_module.Lease:
    lease = acquire_lease(server.cluster(process), new_holder(process), wait_s, print)
    assert lease is not None
    return lease


def _stored(server: ApiServer) -> Journal:
    return read_journal(server.objects["leases"][LEASE])


def test_the_holder_renews_its_lease(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "LEASE_SECONDS", 0.15)
    renewed = threading.Event()
    lease = _take(server)
    assert "lease" in {thread.name for thread in threading.enumerate()}
    lease.write(_JOURNAL)

    def count(act: Act, response: Response) -> None:
        if len(server.acts) > 6:
            renewed.set()

    server.after.append(count)
    assert renewed.wait(60)
    assert _stored(server) == _JOURNAL
    assert acquire_lease(server.cluster("B"), "b", 0, print) is None
    lease.release(_JOURNAL)
    assert server.objects["leases"][LEASE]["spec"]["holderIdentity"] == ""
    # Nothing renews it any more.
    assert "lease" not in {thread.name for thread in threading.enumerate()}


def test_a_renewal_never_brings_an_older_journal_back(server: ApiServer) -> None:
    lease = _take(server)
    renewals = []

    def renew_meanwhile(act: Act) -> None:
        # As the renewing thread does, while the journal is being written.
        if not renewals:
            renewals.append(threading.Thread(target=lease.check))
            renewals[0].start()
            renewals[0].join(0.2)

    server.before.append(renew_meanwhile)
    lease.write(_JOURNAL)
    renewals[0].join()
    assert _stored(server) == _JOURNAL
    lease.release(_JOURNAL)


def test_a_write_whose_answer_was_lost_is_no_lost_lease(server: ApiServer, world: World) -> None:
    lease = _take(server)
    fails = [2]

    def lose(act: Act) -> Response | None:
        if act.verb != "update" or not fails[0]:
            return None
        fails[0] -= 1
        server.do(act)
        return Response(0, None, "connection reset")

    server.before.append(lose)
    lease.write(_JOURNAL)
    assert _stored(server) == _JOURNAL
    lease.release(_JOURNAL)
    # Nor is a lease that was taken so.
    fails[0] = 1
    _take(server).release(_JOURNAL)


def test_a_lost_lease_is_told_at_each_use(server: ApiServer) -> None:
    lease = _take(server)
    server.change("leases", LEASE, {"spec": {"holderIdentity": "another"}})
    for use in (lease.check, lambda: lease.write(_JOURNAL), lease.check_renewal):
        with pytest.raises(LeaseLost, match="another one took over"):
            use()
    assert _stored(server) == Journal()
    lease.stop()


def test_a_dead_holder_is_replaced_after_thirty_seconds_of_the_waiting_clock(world: World) -> None:
    world.server.change("leases", LEASE, {"spec": {"holderIdentity": "dead"}})
    slept = []
    world.clock.on_sleep = slept.append
    lease = _take(world.server, "B", wait_s=100)
    assert 30 <= sum(slept) <= 32
    assert (lease.waited, lease.journal.proven) == (True, 6)


def test_a_live_holder_is_waited_for(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    first = _take(world.server)
    first.write(_JOURNAL)
    world.clock.on_sleep = lambda seconds: first.check()
    assert acquire_lease(world.server.cluster("B"), "b", 300, print) is None
    assert "waits for the rollout of release 7 by A/" in capsys.readouterr().out
    world.clock.on_sleep = lambda seconds: first.release(_JOURNAL)
    assert _take(world.server, "B", wait_s=300).waited


def test_time_without_an_api_server_does_not_count_against_the_holder(world: World) -> None:
    first = _take(world.server)
    asked = [0]

    def be_away(act: Act) -> Response | None:
        asked[0] += 1
        if asked[0] == 60:
            # Both get through again, and the one that waits comes first.
            world.clock.on_sleep = lambda seconds: first.check()
        return Response(0, None, "connection refused") if 5 < asked[0] < 50 else None

    world.server.before.append(be_away)
    assert acquire_lease(world.server.cluster("B"), "b", 120, print) is None
    first.check()


def test_a_damaged_journal_says_how_to_begin_anew(server: ApiServer) -> None:
    annotations = {JOURNAL_ANNOTATION: '{"phase": "unknown"}'}
    server.change("leases", LEASE, {"metadata": {"annotations": annotations}})
    with pytest.raises(InputError, match=r"phase: .*; remove the annotation to begin anew"):
        _take(server)
    server.change("leases", LEASE, {"metadata": {"annotations": {JOURNAL_ANNOTATION: None}}})
    _take(server).release(_JOURNAL)


def test_outcomes_are_remembered_by_release_and_run() -> None:
    failed = _JOURNAL.with_outcome("too slow")
    assert failed.outcome("seven", "run-a") == Outcome(
        digest="seven", run="run-a", release=7, reason="too slow"
    )
    assert failed.outcome("seven", "run-b") is None
    assert (failed.failure(7), failed.failure(6)) == ("too slow", "")
    done = failed.model_copy(update={"run": "run-b"}).with_outcome("")
    assert done.was_proven("seven")
    assert done.failure(7) == ""
    for number in range(60):
        done = done.model_copy(update={"digest": str(number)}).with_outcome("")
    assert len(done.outcomes) == 50
    assert not done.was_proven("seven")
