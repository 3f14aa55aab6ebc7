"""Record that a candidate was rejected, and why: the run record "reject". Nothing is released."""

from emotion_ai.errors import InputError
from emotion_ai.registry.runs import read_json, write_record


def run(report: str, registry: str, run_id: str) -> None:
    """Record a gate report or a validation verdict (JSON): its reasons and what was checked.

    Raises `InputError` for a file that says anything but that the candidate was rejected.
    """
    decision = read_json(report)
    if decision.get("outcome") != "rejected":
        raise InputError(f"{report}: outcome is {decision.get('outcome')!r}; expected 'rejected'")
    write_record(registry, run_id, "reject", decision)
    print("rejected: " + "; ".join(map(str, decision.get("reasons", []))))
