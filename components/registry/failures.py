"""The record of a run's failure, left by the step that failed."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from emotion_ai import storage
from emotion_ai.errors import EmotionAIError, describe_failure
from emotion_ai.registry.runs import read_json, run_uri, write_record

FAILURE = "failure"
# The pipeline sets it to the step's name as KFP shows it.
STEP_VARIABLE = "EMOTION_AI_STEP"
# Exit codes of a process that SIGKILL or SIGTERM ended.
KILLED = frozenset({137, 143})


def failure_record(step: str, message: str, exit_code: int) -> dict[str, Any]:
    """Return the record: which step failed, and why.

    Args:
        step: The step's name as KFP shows it, such as "push".
        message: The reason, one line.
        exit_code: 2 if a person's data or settings are the reason; one of `KILLED` if the step was
            killed and nobody said why.
    """
    return {"step": step, "message": message, "exit_code": exit_code}


@contextlib.contextmanager
def record_failure(registry: str, run_id: str, step: str) -> Iterator[None]:
    """Write the record if the block fails; remove that of the step's earlier try if it succeeds.

    Args:
        registry: A local folder or a gs:// URI.
        run_id: The run's id.
        step: The step's name, where `STEP_VARIABLE` does not say it.
    """
    step = os.environ.get(STEP_VARIABLE, step)
    try:
        yield
    except Exception as failure:
        exit_code = failure.exit_code if isinstance(failure, EmotionAIError) else 1
        # The registry may be what failed; the failure itself must be told.
        with contextlib.suppress(EmotionAIError):
            record = failure_record(step, describe_failure(failure), exit_code)
            write_record(registry, run_id, FAILURE, record)
        raise
    with contextlib.suppress(EmotionAIError):
        uri = storage.join(run_uri(registry, run_id), f"{FAILURE}.json")
        if storage.exists(uri) and read_json(uri).get("step") == step:
            storage.remove(uri)
