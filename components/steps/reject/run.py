"""Record that a candidate was rejected, and why: the run record "reject"."""

from emotion_ai.errors import InputError
from emotion_ai.registry.runs import read_json, write_record


def run(report: str, registry: str, run_id: str) -> None:
    """Write a rejection into the run's records, and print its reasons.

    Args:
        report: A gate report or a validation verdict, JSON with "outcome": "rejected", "reasons"
            and "checks".
        registry: A local folder or a gs:// URI.
        run_id: The run's id.

    Raises:
        InputError: The report is not JSON, or its outcome is not "rejected".
        Unavailable: The registry cannot be written.
    """
    decision = read_json(report)
    if decision.get("outcome") != "rejected":
        raise InputError(f"{report}: outcome is {decision.get('outcome')!r}; expected 'rejected'")
    write_record(registry, run_id, "reject", decision)
    print("rejected: " + "; ".join(map(str, decision.get("reasons", []))))
