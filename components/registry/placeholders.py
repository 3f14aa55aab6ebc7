"""Names that stand for a person's own in an example, such as pipeline/environments/cluster.yaml."""

import re

from emotion_ai.errors import InputError

# Reserved by RFC 2606: nobody has an image, a bucket or a source there.
_EXAMPLE = re.compile(r"(gs://)?([a-z0-9-]+\.)*example\.com(:[0-9]+)?(/|$)", re.IGNORECASE)


def example_sentence(setting: str, name: str) -> str:
    """Say that a name is an example, and what to do; "" if it is none.

    Example:
        >>> example_sentence("registry", "gs://models.example.com/emotion-ai")[:55]
        'registry is gs://models.example.com/emotion-ai, an exam'
        >>> example_sentence("registry", "gs://example-models/emotion-ai")
        ''
    """
    if not _EXAMPLE.match(name):
        return ""
    return (
        f"{setting} is {name}, an example; write yours into an environment, a YAML file, and name "
        "it with --environment"
    )


def refuse_example(setting: str, name: str) -> None:
    """Raise `InputError` if a name is an example: what comes of it would be told late, if at all.

    Args:
        setting: What the message calls it.
        name: The name of an image, a folder or a source.
    """
    if sentence := example_sentence(setting, name):
        raise InputError(sentence)
