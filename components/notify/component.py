"""KFP signature of the exit handler `notify`; `components.notify.notification` does the work."""

from kfp import dsl


@dsl.component(base_image="emotion-ai/python", install_kfp_package=False)
def notify(status: dsl.PipelineTaskFinalStatus, registry: str, run_name: str, job_id: str):
    from components.errors import exit_on_failure
    from components.notify import notification

    final = {"state": status.state, "error": status.error_message or ""}
    with exit_on_failure():
        notification.notify(final, registry, run_name or job_id)
