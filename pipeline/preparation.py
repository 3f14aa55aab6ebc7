"""The part of the DAG that comes once for each source: its faces, checked and split."""

from typing import Any, NamedTuple

from emotion_ai.pipeline.policy import ConfigureTask
from emotion_ai.steps.ingest.component import ingest
from emotion_ai.steps.prepare.component import prepare


class PreparedFaces(NamedTuple):
    """The two tasks that made one kind of faces ready for training."""

    ingest_task: Any
    prepare_task: Any

    @property
    def faces(self) -> Any:
        """The prepared faces, an artifact."""
        return self.prepare_task.outputs["prepared"]


def ingest_and_prepare(
    configure: ConfigureTask,
    *,
    kind: str,
    source: Any,
    fingerprint: Any,
    label_set: Any,
    emotions: Any,
    checks: Any,
    cache_period: Any,
    augmentation: Any,
) -> PreparedFaces:
    """Read one source and split its faces.

    Args:
        configure: What gives a task its image and resources.
        kind: Keypoints or expression.
        source: Where the faces are.
        fingerprint: Of the source's content.
        label_set: Of the emotions; "" for keypoints.
        emotions: Those to learn; "" for all.
        checks: Settings of ingest.
        cache_period: Of resolve; counts for KFP's cache alone.
        augmentation: Settings of prepare.

    Returns:
        Both tasks.
    """
    ingest_task = ingest(
        source=source,
        fingerprint=fingerprint,
        kind=kind,
        label_set=label_set,
        emotions=emotions,
        checks=checks,
        cache_period=cache_period,
    )
    configure(ingest_task, f"ingest {kind}")
    prepare_task = prepare(faces=ingest_task.outputs["faces"], augmentation=augmentation)
    configure(prepare_task, f"prepare {kind}")
    return PreparedFaces(ingest_task, prepare_task)
