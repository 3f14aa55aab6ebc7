"""Says which settings a command does not use, so that none is lost without a word."""

import sys


def tell_overridden(environment: str, preset: str) -> None:
    """Print, on stderr, which settings of an environment have no effect beside a preset.

    Args:
        environment: A name, or the path of a YAML file.
        preset: A name, or the path of a YAML file; "" for the environment's.
    """
    from emotion_ai.pipeline.settings import describe_overridden

    for sentence in describe_overridden(environment, preset):
        sys.stderr.write(f"emotion-ai: {sentence}\n")
