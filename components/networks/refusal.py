"""When a pair of networks gives no answer: the picture shows no face, or the emotion is ambiguous.

The last maps of both networks, averaged over their places, are the features of a picture. A linear
function of them tells faces from other pictures; an emotion is ambiguous where its probability is
low. The constants are fitted after training (`refusal_fit`) and stand in a small file: an .npz with
the fields of `Refusal`, in every release that has them (`assets.extra/networks/refusal.npz`), and
in this package for the pretrained networks.
"""

import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.storage.array_files import unpack_arrays

REFUSAL_PATH = "assets.extra/networks/refusal.npz"
# Of the pretrained networks; there is none where their release had none.
PRETRAINED_REFUSAL = Path(__file__).parent / "pretrained" / "refusal.npz"
_MAX_BYTES = 1 << 20


class Refusal(NamedTuple):
    """The constants of a pair's refusals.

    Attributes:
        weights: float32 [f], of the features: those of the expression network, then those of the
            keypoint network.
        bias: float32 [1]; a picture is a face where features times weights plus bias is 0 or more.
        min_probability: float32 [1]; an emotion that is less probable is ambiguous.
    """

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    min_probability: NDArray[np.float32]


def pack_refusal(refusal: Refusal) -> bytes:
    """Serialize the constants to the content of their file."""
    buffer = io.BytesIO()
    np.savez(buffer, **refusal._asdict())
    return buffer.getvalue()


def read_refusal(uri: str) -> Refusal:
    """Read the constants of a pair's refusals.

    Raises:
        InputError: The file is damaged, or something else.
        Unavailable: The file cannot be read.
    """
    data = storage.read_bytes(uri, _MAX_BYTES)
    try:
        arrays = unpack_arrays(data, _MAX_BYTES)
        refusal = Refusal(*(arrays[name] for name in Refusal._fields))
        shapes = [array.shape for array in refusal]
        if len(shapes[0]) != 1 or shapes[1:] != [(1,), (1,)]:
            raise ValueError(f"arrays of shapes {shapes}")
        return Refusal(*(array.astype(np.float32) for array in refusal))
    except (ValueError, KeyError) as error:
        raise InputError(f"{uri}: not the constants of refusals: {error}") from None


def read_pretrained_refusal() -> Refusal | None:
    """Read when the pretrained networks give no answer; None where that is not known."""
    return read_refusal(str(PRETRAINED_REFUSAL)) if PRETRAINED_REFUSAL.exists() else None


def with_last_map(network: Any) -> Any:
    """Return a Keras network that gives, besides its output, its last feature map.

    Args:
        network: An expression or keypoint network; its layers are shared.
    """
    import keras

    maps = [layer.output for layer in network.layers if len(layer.output.shape) == 4]
    return keras.Model(network.input, [network.output, maps[-1]])
