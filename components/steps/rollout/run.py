"""Roll out the release that this run published, and record the proof."""

from emotion_ai.registry.runs import write_record
from emotion_ai.rollouts.targets import roll_out


def run(registry: str, version: int, server: str, target: str, run_id: str) -> None:
    """Make a release the champion on `target`; write the run record "rollout".

    Raises:
        InputError: the release or the target is unknown; nothing has changed.
        Unavailable: the server does not answer as it should; the old champion is back.
    """
    proof = roll_out(registry, version, server, target)
    write_record(registry, run_id, "rollout", proof)
