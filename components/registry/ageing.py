"""Removes what runs have left and nobody needs: their records, and checkpoints of killed trainings.

A run's pages show faces, so they have an age limit. What a release was made from stays as long as
the release does.
"""

import re
from collections.abc import Iterable

from emotion_ai import storage
from emotion_ai.errors import InputError, Unavailable
from emotion_ai.registry.releases import list_versions, read_release
from emotion_ai.registry.runs import RUNS, SUMMARY, is_run_id, run_uri

_DAY = 86_400.0
# Nobody says whether a run without a summary is still going on; for so long it may be.
UNFINISHED_DAYS = 30
# As `networks.checkpoints` names them; other folders beside them are not ours.
_CHECKPOINT = re.compile(r"(keypoints|expressions?)-[0-9a-f]{16}")


def remove_old_runs(registry: str, days: int, now: float) -> list[str]:
    """Remove the records of old runs, but never of a run that a release came from.

    Args:
        registry: A local folder or a gs:// URI.
        days: How old a run's newest file may be; 0 removes nothing. A run that has not ended may
            be `UNFINISHED_DAYS` old at least.
        now: Seconds since 1970.

    Returns:
        The ids of the removed runs, sorted.

    Raises:
        InputError: A release.json cannot be read, so that its run is not known; nothing is removed.
        Unavailable: The storage failed, or a folder cannot be removed; the others are.
    """
    if not days:
        return []
    changes = storage.last_changes(storage.join(registry, RUNS))
    old = [name for name, changed in changes.items() if _days(changed, now) > days]
    if not old:
        return []
    needed = _runs_of_releases(registry)
    candidates = (run_id for run_id in sorted(old) if is_run_id(run_id) and run_id not in needed)
    unneeded = [
        run_id
        for run_id in candidates
        if _days(changes[run_id], now) > UNFINISHED_DAYS or _has_ended(registry, run_id)
    ]
    return _remove_folders(storage.join(registry, RUNS), unneeded)


def remove_old_checkpoints(root: str, days: int, now: float) -> list[str]:
    """Remove the checkpoints of trainings that were killed and never taken up again.

    A training writes its checkpoint after each epoch, and removes it at its end.

    Args:
        root: The folder of all checkpoints, local or gs://; "" for none.
        days: How old the newest file of a checkpoint may be; 0 removes nothing.
        now: Seconds since 1970.

    Returns:
        The names of the removed checkpoints, sorted.

    Raises:
        Unavailable: The storage failed, or a folder cannot be removed; the others are.
    """
    if not days or not root:
        return []
    old = [
        name
        for name, changed in sorted(storage.last_changes(root).items())
        if _CHECKPOINT.fullmatch(name) and _days(changed, now) > days
    ]
    return _remove_folders(root, old)


def _remove_folders(root: str, names: Iterable[str]) -> list[str]:
    """Remove folders; one that cannot be removed keeps no other from it."""
    removed, failures = [], []
    for name in names:
        try:
            storage.remove_folder(storage.join(root, name))
        except Unavailable as failure:
            failures.append(failure)
        else:
            removed.append(name)
    if failures:
        raise Unavailable(
            f"{len(failures)} cannot be removed: {failures[0]}; removed: {len(removed)}"
        )
    return removed


def _days(changed: float, now: float) -> float:
    return (now - changed) / _DAY


def _runs_of_releases(registry: str) -> set[str]:
    try:
        return {read_release(registry, version).run_id for version in list_versions(registry)}
    except InputError as error:
        raise InputError(f"{error}; its run is not known, so no run is removed") from None


def _has_ended(registry: str, run_id: str) -> bool:
    return storage.exists(storage.join(run_uri(registry, run_id), f"{SUMMARY}.json"))
