"""KFP signature of the step `rollout`; `emotion_ai.rollouts.targets` does the work."""

from kfp import dsl


@dsl.component(base_image="emotion-ai/python", install_kfp_package=False)
def rollout(registry: str, version: str, server: str, target: str, run_id: str):
    from emotion_ai.errors import exit_on_failure
    from emotion_ai.registry.runs import write_record
    from emotion_ai.rollouts.targets import roll_out

    with exit_on_failure():
        proof = roll_out(registry, int(version), server, target)
        write_record(registry, run_id, "rollout", proof)
