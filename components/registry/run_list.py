"""List the newest runs of a registry, for `emotion-ai describe`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.registry.run_description import describe_run
from emotion_ai.registry.runs import RUNS, is_run_id

# Each is several files to read.
MAX_RUNS = 10


def list_runs(registry: str) -> dict[str, Any]:
    """List the newest runs, in the order in which they last wrote a file.

    Args:
        registry: A local folder or a gs:// URI.

    Returns:
        "runs", the newest last: "run_id", "outcome" ("unknown" where it has no records yet, or
        damaged ones, of which `describe_run` tells),
        "release" (None for none), "finished" (UTC; "" where the run has not ended) and "seconds"
        (None where they are not known); and "earlier_runs", how many there are besides.

    Raises:
        Unavailable: The storage failed.
    """
    changes = storage.last_changes(storage.join(registry, RUNS))
    names = sorted(filter(is_run_id, changes), key=lambda name: (changes[name], name))
    newest = names[-MAX_RUNS:]
    runs = [run for name in newest if (run := _describe(registry, name))]
    return {"runs": runs, "earlier_runs": len(names) - len(newest)}


def _describe(registry: str, run_id: str) -> dict[str, Any] | None:
    row = {"run_id": run_id, "release": None, "finished": "", "seconds": None}
    try:
        run = describe_run(registry, run_id)
    except storage.NotFound:
        # Retention removed it after it was listed.
        return None
    except InputError:
        return row | {"outcome": "unknown"}
    forced = run["steps"].get("push", {}).get("gate", {}).get("forced")
    return row | {
        "outcome": f"{run['outcome']} by force" if forced else run["outcome"],
        "release": run.get("release"),
        "finished": run.get("finished", ""),
        "seconds": _seconds(run),
    }


def _seconds(run: Mapping[str, Any]) -> float | None:
    started, finished = run["steps"].get("resolve", {}).get("started"), run.get("finished")
    try:
        begin, end = (
            datetime.fromisoformat(str(time)).astimezone(UTC) for time in (started, finished)
        )
    except ValueError:
        return None
    return (end - begin).total_seconds()
