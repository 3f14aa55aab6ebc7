"""KFP signature of the exit handler `notify`; `emotion_ai.steps.notify.run` does the work."""

from kfp import dsl


@dsl.component(base_image="emotion-ai/python", install_kfp_package=False)
def notify(status: dsl.PipelineTaskFinalStatus, registry: str, run_name: str, job_id: str):
    from emotion_ai.errors import exit_on_failure
    from emotion_ai.steps.notify import run as notification

    final = {"state": status.state, "error": status.error_message or ""}
    with exit_on_failure():
        notification.notify(final, registry, run_name or job_id)
