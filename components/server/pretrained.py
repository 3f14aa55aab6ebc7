"""The package's pretrained networks, as a registry to serve."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from emotion_ai.errors import InputError, install_hint
from emotion_ai.faces.kinds import KINDS

if TYPE_CHECKING:
    from emotion_ai.export.saved_model import NetworkPair
    from emotion_ai.networks.weights import NetworkSpec


@contextlib.contextmanager
def pretrained_registry() -> Iterator[str]:
    """Create a temporary registry with the pretrained networks as release 1, its champion.

    Yields:
        The registry's path; it is removed at the end of the block.

    Raises:
        InputError: The package was installed without the weights, or without what they need.
    """
    # Not at the top: these import TensorFlow.
    try:
        from emotion_ai.export.saved_model import save_combined
    except ModuleNotFoundError as missing:
        raise InputError(
            f"the pretrained networks need package {missing.name}: {install_hint('train')}"
        ) from None
    from emotion_ai.networks.refusal import read_pretrained_refusal
    from emotion_ai.registry.champion import write_champion

    networks, specs = pretrained_networks()
    with tempfile.TemporaryDirectory(prefix="emotion-ai-pretrained-") as folder:
        save_combined(networks, specs, str(Path(folder, "1")), read_pretrained_refusal())
        write_champion(folder, 1)
        yield folder


def pretrained_networks() -> "tuple[NetworkPair, list[NetworkSpec]]":
    """Build the pretrained networks; return them and their specs."""
    from emotion_ai.export.saved_model import NetworkPair
    from emotion_ai.networks.architectures import build_network
    from emotion_ai.networks.weights import PRETRAINED, read_weights, weights_uri

    networks, specs = [], []
    for kind in KINDS:
        spec, weights = read_weights(weights_uri(PRETRAINED, kind))
        network = build_network(spec)
        network.set_weights(weights)
        networks.append(network)
        specs.append(spec)
    return NetworkPair(*networks), specs


def add_lite_model(registry: str) -> None:
    """Add the pretrained networks' `model.tflite`, with 8-bit weights.

    MODEL_CARD.md has what 8 bits cost in accuracy.
    """
    from emotion_ai.litert.pretrained import PRETRAINED
    from emotion_ai.registry.releases import LITE_PATH

    shutil.copy(PRETRAINED, Path(registry, "1", LITE_PATH))
