"""KFP signature of the step `rollout`; `run.py` beside it does the work."""

from kfp import dsl


@dsl.component(base_image="emotion-ai/python", install_kfp_package=False)
def rollout(
    registry: str,
    version: int,
    server: str,
    target: str,
    settings: dict,
    run_name: str,
    job_id: str,
    reason: str,
    may_go_back: bool,
):
    """Make the release the champion and verify that the servers answer with it.

    Args:
        registry: Folder or gs:// URI of the releases.
        version: The release to roll out.
        server: HOST:PORT of the model server, for target local.
        target: Where to roll out: local or kubernetes.
        settings: How to roll out in a cluster.
        run_name: The run's name; "" to use `job_id`.
        job_id: KFP's id of the run.
        reason: Why a person asks for it; "" in the run that published the release.
        may_go_back: Whether a newer release that serves may be replaced.
    """
    from emotion_ai.errors import exit_on_failure
    from emotion_ai.registry.failures import record_failure
    from emotion_ai.registry.runs import claim_run
    from emotion_ai.settings import require_whole
    from emotion_ai.steps.rollout.run import run

    with exit_on_failure():
        run_id = claim_run(registry, run_name, job_id)
        with record_failure(registry, run_id, "roll out"):
            run(
                registry=registry,
                version=require_whole(version, "version", at_least=1),
                server=server,
                target=target,
                settings=settings,
                run_id=run_id,
                reason=reason,
                may_go_back=may_go_back,
            )
