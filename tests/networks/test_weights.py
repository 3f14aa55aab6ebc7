"""Weights files: what a training starts from, and what a release carries."""

import io
from pathlib import Path

import numpy as np
import pytest

from emotion_ai.errors import InputError
from emotion_ai.export.batch_norm import fold_batch_norm
from emotion_ai.networks.architectures import build_network
from emotion_ai.networks.settings import TrainingSettings
from emotion_ai.networks.weights import (
    NetworkSpec,
    load_initial_weights,
    pack_weights,
    read_weights,
    weights_uri,
)

SETTINGS = TrainingSettings(widths=(8, 16), blocks=1)
FER7 = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def make_spec(labels: tuple[str, ...] = FER7, settings: TrainingSettings = SETTINGS) -> NetworkSpec:
    return NetworkSpec(
        kind="expression",
        settings=settings,
        image_size=48,
        mean=120.0,
        deviation=60.0,
        label_set="fer7",
        labels=labels,
    )


def random_network(spec: NetworkSpec) -> object:
    """Build a network whose weights, those of batch normalisation too, differ from the initial."""
    network = build_network(spec)
    rng = np.random.default_rng(3)
    network.set_weights([w + np.abs(rng.normal(0, 0.1, w.shape)) for w in network.get_weights()])
    return network


def random_images() -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (5, 48, 48, 1)).astype(np.float32)


def save_random_network(path: Path, spec: NetworkSpec) -> tuple[str, object]:
    network = random_network(spec)
    path.write_bytes(pack_weights(spec, network.get_weights()))
    return str(path), network


def test_load_initial_weights_restores_the_network(tmp_path: Path) -> None:
    uri, network = save_random_network(tmp_path / "weights.npz", make_spec())
    started = build_network(make_spec())
    assert uri in load_initial_weights(started, make_spec(), uri)
    # Kernels are stored as float16.
    expected = network.predict_on_batch(random_images())
    np.testing.assert_allclose(
        started.predict_on_batch(random_images()), expected, rtol=5e-3, atol=5e-3
    )


def test_weights_of_a_release_with_the_former_name_of_a_kind_are_found_and_loaded(
    tmp_path: Path,
) -> None:
    weights = tmp_path / "assets.extra/networks/expressions.npz"
    weights.parent.mkdir(parents=True)
    _, network = save_random_network(weights, make_spec())
    with np.load(weights) as arrays:
        content = dict(arrays)
    spec = content["about"].tobytes().replace(b'"kind":"expression"', b'"kind":"expressions"')
    np.savez(weights, **content | {"about": np.frombuffer(spec, np.uint8)})
    uri = weights_uri(str(tmp_path), "expression")
    assert uri == str(weights)
    assert b"expressions" in spec
    started = build_network(make_spec())
    load_initial_weights(started, make_spec(), uri)
    expected = network.predict_on_batch(random_images())
    np.testing.assert_allclose(
        started.predict_on_batch(random_images()), expected, rtol=5e-3, atol=5e-3
    )


def test_load_initial_weights_with_other_labels_keeps_all_but_the_last_layer(
    tmp_path: Path,
) -> None:
    uri, network = save_random_network(tmp_path / "weights.npz", make_spec())
    other = make_spec(("happy", "sad"))
    started = build_network(other)
    assert (
        "except for the last layer, which was trained for angry, disgust"
        in load_initial_weights(started, other, uri)
    )
    for loaded, original in zip(
        started.get_weights()[:-2], network.get_weights()[:-2], strict=True
    ):
        np.testing.assert_allclose(loaded, original, rtol=1e-3, atol=1e-3)


def test_load_initial_weights_rejects_another_shape(tmp_path: Path) -> None:
    uri, _ = save_random_network(tmp_path / "weights.npz", make_spec())
    wider = make_spec(settings=TrainingSettings(widths=(8, 24), blocks=1))
    expected = r"an expression network of widths \(8, 16\) \(blocks per stage: 1\); .* \(8, 24\) "
    with pytest.raises(InputError, match=expected + r"\(blocks per stage: 1\)"):
        load_initial_weights(build_network(wider), wider, uri)


@pytest.mark.parametrize("damage", ["cut", "text", "pickle", "other"])
def test_read_weights_rejects_damaged_files_and_pickles(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "weights.npz"
    uri, _ = save_random_network(path, make_spec())
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


def test_fold_batch_norm_keeps_outputs_and_removes_normalisation() -> None:
    network = random_network(make_spec())
    folded = fold_batch_norm(network)
    assert not [layer for layer in folded.layers if "norm" in layer.name]
    assert folded.count_params() < network.count_params()
    expected = network.predict_on_batch(random_images())
    np.testing.assert_allclose(
        folded.predict_on_batch(random_images()), expected, rtol=1e-4, atol=1e-4
    )
