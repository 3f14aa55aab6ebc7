"""Schedules in Kubeflow Pipelines: one of ours at every moment, and others' are left alone."""

import shlex
from pathlib import Path
from typing import Any

import pytest

from emotion_ai.errors import InputError, Unavailable
from emotion_ai.pipeline.publishing.uploads import version_name

from support.command_line import emotion_ai
from support.kfp_api_server import KfpApiServer
from support.publishing import NIGHTLY, changes, printed_command, publish_to, run_kfp, schedules

CREATE = "POST /apis/v2beta1/recurringruns"
DELETE = "DELETE /apis/v2beta1/recurringruns"


def test_a_schedule_is_enabled_and_fires_for_the_newest_version(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    lines = publish_to(
        kfp, packages[0], schedule=NIGHTLY, parameters={"seed": 7}, service_account="runner"
    )
    (schedule,) = kfp.schedules.values()
    assert schedule["trigger"] == {"cron_schedule": {"cron": NIGHTLY}}
    assert (schedule["mode"], schedule["status"]) == ("ENABLE", "ENABLED")
    assert (schedule["no_catchup"], schedule["max_concurrency"]) == (True, "1")
    assert schedule["service_account"] == "runner"
    (run,) = kfp.fire()
    version = kfp.versions[run["pipeline_version_reference"]["pipeline_version_id"]]
    assert version["name"] == version_name(packages[0])
    assert run["runtime_config"]["parameters"] == {"seed": 7}
    assert run_kfp(printed_command(lines, "stop")).returncode == 0
    assert kfp.fire() == []


def test_the_same_schedule_again_changes_nothing(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    order = {"schedule": NIGHTLY, "parameters": {"seed": 7, "teachers": ["1"]}}
    publish_to(kfp, packages[0], **order)
    kfp.requests.clear()
    lines = publish_to(kfp, packages[0], **order)
    assert "there already" in lines[-1]
    assert changes(kfp) == []


def test_a_schedule_with_the_same_times_is_the_same(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    weekdays = "0 0 3 * * MON-FRI"
    publish_to(kfp, packages[0], schedule=weekdays)
    (row,) = kfp.schedules.values()
    # As it was given to another version of this command.
    row["trigger"]["cron_schedule"]["cron"] = "0  0 03 ? * Mon-Fri"
    lines = publish_to(kfp, packages[0], schedule=weekdays)
    assert "there already" in lines[-1]
    assert list(kfp.schedules.values()) == [row]
    row["trigger"]["cron_schedule"]["cron"] = "@daily"
    publish_to(kfp, packages[0], schedule=weekdays)
    (after,) = kfp.schedules.values()
    assert after["trigger"]["cron_schedule"]["cron"] == weekdays


@pytest.mark.parametrize(
    "change",
    [
        {"schedule": "0 30 4 * * *"},
        {"parameters": {"seed": 8}},
        {"service_account": "another"},
    ],
)
def test_another_schedule_of_the_same_version_replaces_it(
    kfp: KfpApiServer, packages: tuple[Path, Path], change: dict[str, Any]
) -> None:
    order = {"schedule": NIGHTLY, "parameters": {"seed": 7}, "service_account": "runner"}
    publish_to(kfp, packages[0], **order)
    (before,) = kfp.schedules
    publish_to(kfp, packages[0], **(order | change))
    (after,) = kfp.schedules
    assert before != after


def test_a_schedule_that_a_person_disabled_is_replaced(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    stop = printed_command(publish_to(kfp, packages[0], schedule=NIGHTLY), "stop")
    assert run_kfp(stop).returncode == 0
    publish_to(kfp, packages[0], schedule=NIGHTLY)
    (schedule,) = kfp.schedules.values()
    assert schedule["status"] == "ENABLED"


def test_a_new_version_replaces_our_schedule_alone_and_its_runs_go_on(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    old, new = packages
    publish_to(kfp, old, schedule=NIGHTLY)
    (ours,) = kfp.schedules.values()
    reference = {"pipeline_version_reference": {"pipeline_id": "another"}}
    kfp.schedules["person"] = ours | {"display_name": "nightly", "recurring_run_id": "person"}
    kfp.schedules["namesake"] = ours | reference | {"recurring_run_id": "namesake"}
    running = [run for run in kfp.fire() if run["recurring_run_id"] == ours["recurring_run_id"]]
    kfp.requests.clear()
    lines = publish_to(kfp, new, schedule=NIGHTLY)
    # The new one first: at no moment is there none.
    replaced = [line for line in changes(kfp) if "recurringruns" in line]
    assert replaced == ["POST /recurringruns", f"DELETE /recurringruns/{ours['recurring_run_id']}"]
    assert ours["recurring_run_id"] not in kfp.schedules
    assert {"person", "namesake"} < kfp.schedules.keys()
    assert [run["state"] for run in running] == ["RUNNING"]
    kept = [line for line in lines if line.endswith("not made by `emotion-ai publish`; it stays")]
    assert len(kept) == 2


def test_the_printed_command_brings_the_replaced_schedule_back(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    old, new = packages
    parameters = {"seed": 7, "run_name": "2026", "gate": {"keypoints": {"rmse_px": 2}}}
    publish_to(kfp, old, schedule=NIGHTLY, parameters=parameters)
    (before,) = kfp.schedules.values()
    back = printed_command(publish_to(kfp, new, schedule="0 0 4 * * *"), "back")
    words = shlex.split(back)
    assert words.pop(0) == "emotion-ai"
    result = emotion_ai(*words)
    assert result.returncode == 0, result.stderr
    (after,) = kfp.schedules.values()
    changing = {"recurring_run_id", "description"}
    assert {k: v for k, v in after.items() if k not in changing} == {
        k: v for k, v in before.items() if k not in changing
    }


def test_a_refused_schedule_leaves_the_old_one(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    old, new = packages
    publish_to(kfp, old, schedule=NIGHTLY)
    kfp.fail(CREATE, 400, "Schedule is not supported")
    with pytest.raises(InputError, match="Schedule is not supported") as failure:
        publish_to(kfp, new, schedule=NIGHTLY)
    message = str(failure.value)
    name = f"schedule emotion-ai-schedule-{version_name(old)}"
    assert f"no schedule was created; {name}" in message
    assert message.endswith("stays as it is")
    assert schedules(kfp) == [version_name(old)]
    assert len(kfp.fire()) == 1


def test_a_server_that_fails_at_the_schedule_leaves_the_old_one(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    old, new = packages
    publish_to(kfp, old, schedule=NIGHTLY)
    kfp.fail(CREATE, 503)
    with pytest.raises(Unavailable, match="whether the schedule was created is not known; sched"):
        publish_to(kfp, new, schedule=NIGHTLY)
    assert schedules(kfp) == [version_name(old)]
    kfp.fail(CREATE, 0)
    publish_to(kfp, new, schedule=NIGHTLY)
    assert schedules(kfp) == [version_name(new)]


def test_a_lost_answer_makes_no_second_schedule(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    old, new = packages
    publish_to(kfp, old, schedule=NIGHTLY)
    kfp.lose_answer(CREATE)
    with pytest.raises(Unavailable, match="run this command again"):
        publish_to(kfp, new, schedule=NIGHTLY)
    assert schedules(kfp) == [version_name(old), version_name(new)]
    kfp.fail(CREATE, 0)
    lines = publish_to(kfp, new, schedule=NIGHTLY)
    assert any("there already" in line and "schedule" in line for line in lines)
    assert schedules(kfp) == [version_name(new)]


def test_a_schedule_that_cannot_be_removed_is_told_and_removed_by_the_next_call(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    old, new = packages
    publish_to(kfp, old, schedule=NIGHTLY)
    (before,) = kfp.schedules
    kfp.fail(DELETE, 500)
    with pytest.raises(Unavailable) as failure:
        publish_to(kfp, new, schedule=NIGHTLY)
    assert "was not removed: now both start runs; run this command again" in str(failure.value)
    assert str(failure.value).endswith(f"recurring-run delete {before}")
    assert schedules(kfp) == [version_name(old), version_name(new)]
    kfp.fail(DELETE, 0)
    publish_to(kfp, new, schedule=NIGHTLY)
    assert schedules(kfp) == [version_name(new)]


def test_a_schedule_that_somebody_else_removed_is_no_failure(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    old, new = packages
    publish_to(kfp, old, schedule=NIGHTLY)
    kfp.fail(DELETE, 404, "Job not found")
    lines = publish_to(kfp, new, schedule=NIGHTLY)
    assert any("somebody else removed it meanwhile" in line for line in lines)


def test_a_failed_schedule_starts_no_run(kfp: KfpApiServer, packages: tuple[Path, Path]) -> None:
    order = {"schedule": NIGHTLY, "run_name": "first"}
    kfp.fail(CREATE, 500)
    with pytest.raises(Unavailable, match="run this command again"):
        publish_to(kfp, packages[0], **order)
    assert kfp.runs == {}
    kfp.fail(CREATE, 0)
    publish_to(kfp, packages[0], **order)
    assert len(kfp.runs) == len(kfp.schedules) == 1


def test_a_server_that_does_not_enable_the_schedule_is_told(
    kfp: KfpApiServer, packages: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = packages
    publish_to(kfp, old, schedule=NIGHTLY)
    create = kfp._create_schedule

    def create_disabled(query: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        return create(query, body | {"mode": "DISABLE"})

    monkeypatch.setattr(kfp, "_create_schedule", create_disabled)
    with pytest.raises(Unavailable, match=r"is not enabled; schedule emotion-ai-.* stays as it is"):
        publish_to(kfp, new, schedule=NIGHTLY)
    assert [row["status"] for row in kfp.schedules.values()] == ["ENABLED", "DISABLED"]


def test_an_experiment_in_the_archive_gets_no_schedule(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    publish_to(kfp, packages[0], schedule=NIGHTLY)
    (experiment,) = kfp.experiments.values()
    experiment["storage_state"] = "ARCHIVED"
    with pytest.raises(
        InputError, match="is in the archive, which hides its runs; restore it: kfp"
    ):
        publish_to(kfp, packages[0], run_name="first")
    assert kfp.runs == {}


def test_a_schedule_of_a_hostile_name_is_shown_in_one_line(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    publish_to(kfp, packages[0], schedule=NIGHTLY)
    (ours,) = kfp.schedules.values()
    kfp.schedules["evil"] = ours | {
        "recurring_run_id": "evil",
        "display_name": "\x1b[2Jclear\nrm -rf",
    }
    lines = publish_to(kfp, packages[0], schedule=NIGHTLY)
    assert "schedule ?[2Jclear rm -rf (evil): not made by `emotion-ai publish`; it stays" in lines
    kfp.schedules["evil"]["recurring_run_id"] = "$(rm -rf ~)"
    with pytest.raises(Exception, match="an answer without recurring_run_id"):
        publish_to(kfp, packages[0], schedule=NIGHTLY)
