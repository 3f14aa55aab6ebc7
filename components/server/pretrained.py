"""The networks that come with this package, as a registry to serve."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from emotion_ai.errors import InputError
from emotion_ai.faces.kinds import KINDS


@contextlib.contextmanager
def pretrained_registry() -> Iterator[str]:
    """A registry whose release 1, its champion, is the two pretrained networks; gone afterwards.

    Raises `InputError` where the package was installed without their weights.
    """
    # Here and not above: these import TensorFlow.
    try:
        from emotion_ai.export.saved_model import Pair, save_combined
        from emotion_ai.networks.architectures import build
    except ModuleNotFoundError as missing:
        raise InputError(
            f"the pretrained networks need {missing.name}: install emotion-ai[train]"
        ) from None
    from emotion_ai.networks.weights import PRETRAINED, read_weights, weights_uri
    from emotion_ai.registry.champion import write_champion

    networks, descriptions = [], []
    for kind in KINDS:
        described, weights = read_weights(weights_uri(PRETRAINED, kind))
        network = build(described)
        network.set_weights(weights)
        networks.append(network)
        descriptions.append(described)
    with tempfile.TemporaryDirectory(prefix="emotion-ai-pretrained-") as folder:
        save_combined(Pair(*networks), descriptions, os.path.join(folder, "1"))
        write_champion(folder, 1)
        yield folder


def add_lite(registry: str) -> None:
    """Write the pretrained networks' `model.tflite`, with weights of eight bits.

    What these cost in accuracy was measured once; it stands in the networks' card.
    """
    from emotion_ai.export.lite import converted
    from emotion_ai.registry.releases import LITE_PATH

    saved_model = os.path.join(registry, "1")
    Path(saved_model, LITE_PATH).write_bytes(converted(saved_model, "int8"))
