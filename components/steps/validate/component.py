"""KFP signature of the step `validate`; `run.py` beside it does the work."""

from kfp import dsl
from kfp.dsl import HTML, Artifact, Input, Model, Output


@dsl.component(base_image="emotion-ai/python", install_kfp_package=False)
def validate(
    saved_model: Input[Model],
    golden: Input[Artifact],
    limits: dict,
    warmup: Output[Artifact],
    verdict: Output[Artifact],
    report: Output[HTML],
) -> bool:
    """Serve the SavedModel and compare what it answers with the golden answers.

    Args:
        saved_model: The SavedModel that combine wrote.
        golden: Synthetic faces and the SavedModel's answers to them, .npz.
        limits: Tolerance and time budgets.
        warmup: Golden requests with responses; empty for a model that is rejected.
        verdict: Outcome, reasons and checks, JSON.
        report: The validation as a page.

    Returns:
        Whether the SavedModel may be released.
    """
    from emotion_ai.errors import exit_on_failure
    from emotion_ai.steps.validate.run import run

    with exit_on_failure():
        return run(
            saved_model=saved_model.path,
            golden=golden.path,
            limits=limits,
            warmup_path=warmup.path,
            verdict_path=verdict.path,
            report_path=report.path,
        )
