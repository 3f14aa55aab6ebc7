"""Replaces the schedule of a pipeline.

The new one is created first and the old ones removed then, so that a failure in between leaves two
and never none. So do two calls at once: each numbers its schedule above all that it sees, looks
again once it is created, and removes all but the highest. Nobody removes the highest of all, and
whichever call looks last sees both.
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from emotion_ai.errors import EmotionAIError, InputError, Unavailable
from emotion_ai.pipeline.publishing import cron
from emotion_ai.pipeline.publishing.order import Order
from emotion_ai.pipeline.publishing.server import (
    KfpServer,
    Missing,
    ask,
    in_one_line,
    list_all,
    require_id,
)

# What the server fills in where no account was named.
_DEFAULT_ACCOUNTS = {None, "", "pipeline-runner", "default-editor"}
# In the description, where the server keeps it and people may read it.
_NUMBER = re.compile(r"Schedule number ([0-9]{1,9}) of `emotion-ai publish`")


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
        Unavailable: The server failed, or another call's schedule took the place of this one; the
            message says which schedules there are now.
    """
    wanted = body | {
        "display_name": f"{order.schedule_prefix}{version}",
        "trigger": {"cron_schedule": {"cron": order.schedule}},
        # Left out, it would be listed and never fire.
        "mode": "ENABLE",
        "no_catchup": True,
        "max_concurrency": "1",
    }
    ours, others = _list_schedules(server, order, body)
    account = f", as {order.service_account}" if order.service_account else ""
    rules = f'"{order.schedule}" UTC, one run at a time, no catching up{account}'
    # One below the highest is not taken up: another call may be about to remove it.
    if ours and _is_as_wanted(ours[-1], wanted):
        yield f"{_title(ours[-1])}: there already ({rules})"
        yield from _remove_all(server, order, ours[:-1], ours[-1])
    else:
        created = _create_schedule(server, wanted, ours)
        yield f"{_title(created)}: created and enabled ({rules})"
        yield f"  stop: {server.command} recurring-run disable {created.recurring_run_id}"
        yield from _settle(server, order, wanted, ours, created)
    for schedule in others:
        if schedule.mode == "ENABLE":
            yield f"{_title(schedule)}: not made by `emotion-ai publish`; it stays"


def _list_schedules(
    server: KfpServer, order: Order, body: Mapping[str, Any]
) -> tuple[list[Any], list[Any]]:
    """Return the schedules that were published, the one that counts last, and the others."""
    schedules = list_all(
        server,
        server.schedules.recurring_run_service_list_recurring_runs,
        "recurring_runs",
        experiment_id=body["experiment_id"],
    )
    for schedule in schedules:
        require_id(server, schedule, "recurring_run_id")
    ours = [schedule for schedule in schedules if _is_ours(schedule, order, body)]
    return sorted(ours, key=_rank), [schedule for schedule in schedules if schedule not in ours]


def _rank(schedule: Any) -> tuple[int, str, str]:
    """Order schedules alike for every call that sees them."""
    # Two that were created at once have the same number; the server's clock counts whole seconds.
    return _number(schedule), str(schedule.created_at or ""), schedule.recurring_run_id


def _number(schedule: Any) -> int:
    match = _NUMBER.fullmatch(schedule.description or "")
    return int(match[1]) if match else 0


def _create_schedule(server: KfpServer, wanted: dict[str, Any], ours: Sequence[Any]) -> Any:
    kept = f"; {_title(ours[-1])} stays as it is" if ours else ""
    number = _number(ours[-1]) + 1 if ours else 1
    body = wanted | {"description": f"Schedule number {number} of `emotion-ai publish`"}
    try:
        created = ask(server, server.schedules.recurring_run_service_create_recurring_run, body)
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


def _settle(
    server: KfpServer, order: Order, wanted: dict[str, Any], before: Sequence[Any], created: Any
) -> Iterator[str]:
    """Look again once a schedule is created, and leave the one that counts.

    Args:
        server: The API server.
        order: The schedule.
        wanted: What was asked for.
        before: The published schedules of the first look.
        created: The new one.
    """
    try:
        ours, _ = _list_schedules(server, order, wanted)
    except EmotionAIError as error:
        kept = "".join(f", and so may be {_title(schedule)}" for schedule in before)
        raise Unavailable(
            f"{error}; {_title(created)} is enabled{kept}; run this command again"
        ) from None
    listed = {schedule.recurring_run_id for schedule in ours}
    higher = bool(ours) and _number(ours[-1]) >= _number(created)
    if created.recurring_run_id not in listed and not higher:
        raise Unavailable(
            f"{server.address}: somebody removed {_title(created)} as soon as it was created; run "
            "this command again"
        )
    winner = ours[-1]
    known = {schedule.recurring_run_id for schedule in [*before, created, winner]}
    for schedule in ours:
        if schedule.recurring_run_id not in known:
            yield f"{_title(schedule)}: another `emotion-ai publish` created it at the same time"
    yield from _remove_all(server, order, ours[:-1], winner)
    if winner.recurring_run_id == created.recurring_run_id:
        return
    told = f"another `emotion-ai publish` created {_title(winner)} at the same time"
    if not _is_as_wanted(winner, wanted):
        raise Unavailable(
            f"{server.address}: {told}, and that one stays; run this command again if yours is to "
            "take its place"
        )
    yield f"{_title(winner)}: {told}, and that one stays: it is the same"


def _remove_all(
    server: KfpServer, order: Order, schedules: Sequence[Any], successor: Any
) -> Iterator[str]:
    """Remove schedules and leave their runs alone: a run that goes on would be ended with them."""
    for schedule in schedules:
        yield from _remove_schedule(server, order, schedule, successor)


def _remove_schedule(
    server: KfpServer, order: Order, schedule: Any, successor: Any
) -> Iterator[str]:
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
    if _cron(schedule):
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
        and _normalised_cron(schedule) == wanted["trigger"]["cron_schedule"]["cron"]
        and schedule.mode == wanted["mode"]
        and bool(schedule.no_catchup)
        and str(schedule.max_concurrency) == wanted["max_concurrency"]
        and (parameters or {}) == wanted["runtime_config"]["parameters"]
        and schedule.service_account in ({account} if account else _DEFAULT_ACCOUNTS)
    )


def _cron(schedule: Any) -> str:
    times = schedule.trigger.cron_schedule if schedule.trigger else None
    return (times.cron if times else None) or ""


def _normalised_cron(schedule: Any) -> str:
    """Return the times as they would be sent today, or as they are if they are no such times."""
    try:
        return cron.normalise(_cron(schedule))
    except InputError:
        return _cron(schedule)


def _title(schedule: Any) -> str:
    return f"schedule {in_one_line(schedule.display_name)} ({schedule.recurring_run_id})"
