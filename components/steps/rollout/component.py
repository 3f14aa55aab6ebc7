"""KFP signature of the step `rollout`; `run.py` beside it does the work."""

from kfp import dsl


@dsl.component(base_image="emotion-ai/python", install_kfp_package=False)
def rollout(registry: str, version: str, server: str, target: str, run_id: str):
    """Make the release the champion and verify that the server answers with it.

    Args:
        registry: Folder or gs:// URI of the releases.
        version: The release to roll out.
        server: HOST:PORT of the model server.
        target: Where to roll out: local or kubernetes.
        run_id: The run's id.
    """
    from emotion_ai.errors import exit_on_failure
    from emotion_ai.steps.rollout.run import run

    with exit_on_failure():
        run(registry=registry, version=int(version), server=server, target=target, run_id=run_id)
