"""Replaces the schedule of a pipeline.

The new one is created first and the old one removed then, so that a failure in between leaves two
and never none.
"""

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from emotion_ai.errors import EmotionAIError, InputError, Unavailable
from emotion_ai.pipeline.publishing.order import Order
from emotion_ai.pipeline.publishing.server import KfpServer, Missing, ask, list_all, require_id

# What the server fills in where no account was named.
_DEFAULT_ACCOUNTS = {None, "", "pipeline-runner", "default-editor"}


def replace_schedule(
    server: KfpServer, order: Order, version: str, body: dict[str, Any]
) -> Iterator[str]:
    """Create the schedule of a version, and remove those that were published before.

    A schedule that somebody made otherwise stays: only names with the order's prefix are removed.

    Args:
        server: The API server.
        order: The schedule.
        version: The version's name.
        body: What a run of it has too: experiment, version, parameters and account.

    Yields:
        A line for each thing done, as soon as it is, and how to undo it.

    Raises:
        InputError: The server refuses the schedule; the old one stays.
        Unavailable: The server failed; the message says which schedules there are now.
    """
    wanted = body | {
        "display_name": f"{order.schedule_prefix}{version}",
        "trigger": {"cron_schedule": {"cron": order.schedule}},
        # Left out, it would be listed and never fire.
        "mode": "ENABLE",
        "no_catchup": True,
        "max_concurrency": "1",
    }
    schedules = list_all(
        server,
        server.schedules.recurring_run_service_list_recurring_runs,
        "recurring_runs",
        experiment_id=body["experiment_id"],
    )
    ours = [schedule for schedule in schedules if _is_ours(schedule, order, body)]
    current = next((schedule for schedule in ours if _is_as_wanted(schedule, wanted)), None)
    account = f", as {order.service_account}" if order.service_account else ""
    rules = f'"{order.schedule}" UTC, one run at a time, no catching up{account}'
    if current is not None:
        yield f"{_title(current)}: there already ({rules})"
    else:
        current = _create_schedule(server, wanted, ours)
        yield f"{_title(current)}: created and enabled ({rules})"
        yield f"  stop: {server.command} recurring-run disable {current.recurring_run_id}"
    for schedule in ours:
        if schedule.recurring_run_id != current.recurring_run_id:
            yield from _remove_schedule(server, order, schedule, current)
    for schedule in schedules:
        if schedule not in ours and schedule.mode == "ENABLE":
            yield f"{_title(schedule)}: not made by `emotion-ai publish`; it stays"


def _create_schedule(server: KfpServer, wanted: dict[str, Any], ours: list[Any]) -> Any:
    kept = f"; {_title(ours[0])} stays as it is" if ours else ""
    try:
        created = ask(server, server.schedules.recurring_run_service_create_recurring_run, wanted)
    except InputError as error:
        raise InputError(f"{error}; no schedule was created{kept}") from None
    except Unavailable as error:
        # The answer may have been lost; the next call finds the schedule then.
        raise Unavailable(
            f"{error}; whether the schedule was created is not known{kept}; run this command again"
        ) from None
    schedule_id = require_id(server, created, "recurring_run_id")
    if created.mode != "ENABLE":
        raise Unavailable(
            f"{server.address}: {_title(created)} was created and is not enabled{kept}; enable it: "
            f"{server.command} recurring-run enable {schedule_id}"
        )
    return created


def _remove_schedule(
    server: KfpServer, order: Order, schedule: Any, successor: Any
) -> Iterator[str]:
    """Remove a schedule and leave its runs alone: a run that goes on would be ended with it."""
    try:
        ask(
            server,
            server.schedules.recurring_run_service_delete_recurring_run,
            schedule.recurring_run_id,
            propagation_policy="ORPHAN",
        )
    except Missing:
        yield f"{_title(schedule)}: somebody else removed it meanwhile"
        return
    except EmotionAIError as error:
        raise Unavailable(
            f"{error}; {_title(successor)} is enabled, and {_title(schedule)} was not removed: now "
            f"both start runs; run this command again, or {server.command} recurring-run delete "
            f"{schedule.recurring_run_id}"
        ) from None
    yield f"{_title(schedule)}: removed; its runs go on"
    yield f"  back: {_publish_again(server, order, schedule)}"


def _publish_again(server: KfpServer, order: Order, schedule: Any) -> str:
    """The command that brings a removed schedule back."""
    version = schedule.display_name.removeprefix(order.schedule_prefix)
    words = ["emotion-ai", "publish", "--kfp", server.address, *shlex.split(order.repeat)]
    words += ["--version", version, "--schedule", _cron(schedule)]
    parameters = (schedule.runtime_config.parameters if schedule.runtime_config else None) or {}
    words += [f"{name}={_as_argument(value)}" for name, value in parameters.items()]
    return shlex.join(words)


def _as_argument(value: Any) -> str:
    """Write a value so that kfp's command line, which tries JSON first, reads the same again."""
    from kfp.cli.utils.parsing import parse_parameter_value

    if isinstance(value, str) and parse_parameter_value(value) == value:
        return value
    return json.dumps(value)


def _is_ours(schedule: Any, order: Order, body: Mapping[str, Any]) -> bool:
    reference = schedule.pipeline_version_reference
    return (
        (schedule.display_name or "").startswith(order.schedule_prefix)
        and reference is not None
        and reference.pipeline_id == body["pipeline_version_reference"]["pipeline_id"]
    )


def _is_as_wanted(schedule: Any, wanted: Mapping[str, Any]) -> bool:
    parameters = schedule.runtime_config.parameters if schedule.runtime_config else None
    account = wanted.get("service_account")
    reference = wanted["pipeline_version_reference"]
    return (
        schedule.pipeline_version_reference.pipeline_version_id == reference["pipeline_version_id"]
        and _cron(schedule) == wanted["trigger"]["cron_schedule"]["cron"]
        and schedule.mode == wanted["mode"]
        and bool(schedule.no_catchup)
        and str(schedule.max_concurrency) == wanted["max_concurrency"]
        and (parameters or {}) == wanted["runtime_config"]["parameters"]
        and schedule.service_account in ({account} if account else _DEFAULT_ACCOUNTS)
    )


def _cron(schedule: Any) -> str:
    cron = schedule.trigger.cron_schedule if schedule.trigger else None
    return cron.cron if cron else ""


def _title(schedule: Any) -> str:
    return f"schedule {schedule.display_name} ({schedule.recurring_run_id})"
