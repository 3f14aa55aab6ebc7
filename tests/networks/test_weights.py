"""Weights apart from code: what a training starts from, and what a release carries."""

import io
from pathlib import Path

import numpy as np
import pytest

from emotion_ai.errors import InputError
from emotion_ai.export.batch_norm import fold_batch_norm
from emotion_ai.networks.architectures import build
from emotion_ai.networks.settings import TrainingSettings
from emotion_ai.networks.weights import NetworkSpec, load_initial_weights, pack, read_weights

SETTINGS = TrainingSettings(widths=(8, 16), blocks=1)
FER7 = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def described(labels: tuple[str, ...] = FER7, settings: TrainingSettings = SETTINGS) -> NetworkSpec:
    return NetworkSpec(
        kind="expression",
        settings=settings,
        image_size=48,
        mean=120.0,
        deviation=60.0,
        label_set="fer7",
        labels=labels,
    )


def disturbed(about: NetworkSpec) -> object:
    """A network whose every weight, those of batch normalisation too, is away from its start."""
    network = build(about)
    rng = np.random.default_rng(3)
    network.set_weights([w + np.abs(rng.normal(0, 0.1, w.shape)) for w in network.get_weights()])
    return network


def faces() -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (5, 48, 48, 1)).astype(np.float32)


def saved(path: Path, about: NetworkSpec) -> tuple[str, object]:
    network = disturbed(about)
    path.write_bytes(pack(about, network.get_weights()))
    return str(path), network


def test_a_training_starts_where_the_weights_left_off(tmp_path: Path) -> None:
    uri, network = saved(tmp_path / "weights.npz", described())
    started = build(described())
    assert uri in load_initial_weights(started, described(), uri)
    # Kernels travel as float16.
    expected = network.predict_on_batch(faces())
    np.testing.assert_allclose(started.predict_on_batch(faces()), expected, rtol=5e-3, atol=5e-3)


def test_other_labels_keep_all_but_the_last_layer(tmp_path: Path) -> None:
    uri, network = saved(tmp_path / "weights.npz", described())
    other = described(("happy", "sad"))
    started = build(other)
    assert "but for the last layer: angry, disgust" in load_initial_weights(started, other, uri)
    for mine, theirs in zip(started.get_weights()[:-2], network.get_weights()[:-2], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-3)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    uri, _ = saved(tmp_path / "weights.npz", described())
    wider = described(settings=TrainingSettings(widths=(8, 24), blocks=1))
    with pytest.raises(InputError, match=r"widths \(8, 16\).*has \(8, 24\) and 1"):
        load_initial_weights(build(wider), wider, uri)


@pytest.mark.parametrize("damage", ["cut", "text", "pickle", "other"])
def test_what_is_no_weights_file_is_refused_by_name(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "weights.npz"
    uri, _ = saved(path, described())
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-400])
    elif damage == "text":
        path.write_text("no archive")
    else:
        buffer = io.BytesIO()
        arrays = {"about": np.array([{}], dtype=object)} if damage == "pickle" else {"x": 1}
        np.savez(buffer, **arrays)
        path.write_bytes(buffer.getvalue())
    with pytest.raises(InputError, match=r"weights\.npz: not the weights of a network"):
        read_weights(uri)


def test_folding_changes_no_answer_and_leaves_no_normalisation() -> None:
    network = disturbed(described())
    lean = fold_batch_norm(network)
    assert not [layer for layer in lean.layers if "norm" in layer.name]
    assert lean.count_params() < network.count_params()
    expected = network.predict_on_batch(faces())
    np.testing.assert_allclose(lean.predict_on_batch(faces()), expected, rtol=1e-4, atol=1e-4)
