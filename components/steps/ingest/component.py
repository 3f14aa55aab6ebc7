"""KFP signature of the step `ingest`; `run.py` beside it does the work."""

from kfp import dsl
from kfp.dsl import HTML, Dataset, Metrics, Output


@dsl.component(base_image="emotion-ai/python", install_kfp_package=False)
def ingest(
    source: str,
    fingerprint: str,
    kind: str,
    label_set: str,
    emotions: str,
    checks: dict,
    cache_period: str,
    faces: Output[Dataset],
    report: Output[HTML],
    statistics: Output[Metrics],
):
    """Read a source of faces, check it, and write it as arrays.

    Args:
        source: Path, gs:// or sample:// URI of the faces.
        fingerprint: The source's SHA-256 from resolve; a source that changed since is refused.
        kind: "keypoints" or "expression".
        label_set: "fer7" or "course5"; "" for keypoints.
        emotions: Names to learn, separated by commas; "" for all.
        checks: Tolerated shares of bad rows.
        cache_period: Counts for the cache alone: with another one the source is read anew, and
            all that was made of it is made again.
        faces: The faces as arrays, uint8 images and their targets.
        report: The data report as a page.
        statistics: The counts; the whole data report in numbers as JSON.
    """
    from emotion_ai.errors import exit_on_failure
    from emotion_ai.steps.ingest.run import run

    with exit_on_failure():
        numbers = run(
            source=source,
            fingerprint=fingerprint,
            kind=kind,
            label_set=label_set,
            emotions=emotions,
            checks=checks,
            faces_path=faces.path,
            report_path=report.path,
            statistics_path=statistics.path,
        )
    for name, value in numbers.items():
        statistics.log_metric(name, value)
