"""Roll out the release that this run published, and record the result."""

from emotion_ai.registry.runs import write_record
from emotion_ai.rollouts.targets import roll_out


def run(registry: str, version: int, server: str, target: str, run_id: str) -> None:
    """Make a release the champion, verify the server, and write the run record "rollout".

    Args:
        registry: A local folder or a gs:// URI.
        version: The release's version.
        server: HOST:PORT of the model server.
        target: Where to roll out, see `roll_out`.
        run_id: The run's id.

    Raises:
        InputError: The release is missing or the target is unknown; nothing has changed.
        VerificationError: A file of the release was altered; nothing has changed.
        Unavailable: The server does not answer, or its answers differ; the previous champion is
            restored.
    """
    record = roll_out(registry, version, server, target)
    write_record(registry, run_id, "rollout", record)
