"""KFP signature of the step `notify`; `run.py` beside it does the work."""

from kfp import dsl


@dsl.component(base_image="emotion-ai/python", install_kfp_package=False)
def notify(
    status: dsl.PipelineTaskFinalStatus,
    registry: str,
    run_name: str,
    job_id: str,
    checkpoints: str,
    retention: dict,
):
    """Collect the records of a run into one record and one page, however it ended.

    Then what earlier runs left is removed, where it is older than the settings allow.

    Args:
        status: How the run ended, from KFP.
        registry: Folder or gs:// URI of the releases.
        run_name: The run's name; "" to use `job_id`.
        job_id: KFP's id of the run.
        checkpoints: Folder or gs:// URI of checkpoints; "" where they are beside the models.
        retention: How long records of runs and checkpoints are kept.
    """
    from emotion_ai.errors import exit_on_failure
    from emotion_ai.registry.runs import claim_run
    from emotion_ai.steps.notify.retention import remove_what_is_old
    from emotion_ai.steps.notify.run import run

    final = {"state": status.state, "error": status.error_message or ""}
    with exit_on_failure():
        run_id = claim_run(registry, run_name, job_id)
        run(status=final, registry=registry, run_id=run_id, job_id=job_id)
        remove_what_is_old(registry, checkpoints, retention)
