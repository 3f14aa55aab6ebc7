"""KFP signature of the step `ingest`; `emotion_ai.steps.ingest.run` does the work."""

from kfp import dsl
from kfp.dsl import HTML, Dataset, Metrics, Output


@dsl.component(base_image="emotion-ai/python", install_kfp_package=False)
def ingest(
    source: str,
    fingerprint: str,
    kind: str,
    label_set: str,
    emotions: str,
    checks: str,
    faces: Output[Dataset],
    report: Output[HTML],
    statistics: Output[Metrics],
):
    from emotion_ai.errors import exit_on_failure
    from emotion_ai.settings import from_json
    from emotion_ai.steps.ingest import run as ingestion

    with exit_on_failure():
        ingestion.ingest(
            source,
            fingerprint,
            kind,
            label_set,
            emotions,
            from_json(checks, "checks"),
            faces.path,
            report.path,
            statistics.path,
        )
