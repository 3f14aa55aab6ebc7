"""Faces artifacts of one gray each, and Keras models that read them without error.

The emotion is the brightness in sevenths, and every keypoint is at (10 + brightness, 20), as
`tiny_saved_model` predicts at shift 0.
"""

from pathlib import Path

import keras
import numpy as np

from emotion_ai.faces.arrays import TEST, TRAIN, VALIDATION, FacesInfo, FacesWriter, Rows
from emotion_ai.networks.inference import MODEL_FILE

from support.tiny_saved_model import LABELS

COUNT = 140
FIRST_ROW = 1000


def gray_faces(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [140, size, size], each of the 7 emotions 20 times, and their brightness."""
    brightness = np.tile((np.arange(7) + 0.5) / 7, COUNT // 7)
    levels = np.round(255 * brightness).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None], (COUNT, size, size)).copy(), levels / 255


def write_faces(path: Path, info: FacesInfo, images: np.ndarray, targets: np.ndarray) -> str:
    split = np.select(
        [np.arange(COUNT) < 70, np.arange(COUNT) < 98], [TRAIN, VALIDATION], TEST
    ).astype(np.uint8)
    rows = Rows(images, targets, split, FIRST_ROW + np.arange(COUNT), np.full(COUNT, -1))
    with FacesWriter(path, info) as writer:
        writer.append(rows)
    return str(path)


def keypoint_faces(folder: Path) -> str:
    images, brightness = gray_faces(96)
    targets = np.empty((COUNT, 15, 2), np.float32)
    targets[..., 0] = 10 + brightness[:, None]
    targets[..., 1] = 20
    targets[::3, 5] = np.nan
    info = FacesInfo(kind="keypoints", image_size=96, source="keypoints.csv", fingerprint="k")
    return write_faces(folder / "keypoint_faces", info, images, targets)


def expression_faces(folder: Path, labels: tuple[str, ...] = LABELS) -> str:
    images, _ = gray_faces(48)
    codes = np.array([labels.index(LABELS[k % 7]) for k in range(COUNT)], np.uint8)
    info = FacesInfo(
        kind="expression",
        label_set="fer7",
        labels=labels,
        image_size=48,
        source="fer2013.csv",
        fingerprint="e",
        split_names=("Training", "PublicTest", "PrivateTest"),
    )
    return write_faces(folder / "expression_faces", info, images, codes)


def save_linear(folder: Path, size: int, kernel: np.ndarray, bias: np.ndarray, shape: tuple) -> str:
    """Save a Keras model artifact with the outputs kernel * brightness + bias."""
    pixels = keras.Input((size, size, 1))
    mean = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(pixels))
    dense = keras.layers.Dense(kernel.size)
    network = keras.Model(pixels, keras.layers.Reshape(shape)(dense(mean)))
    dense.set_weights([kernel.reshape(1, -1), bias])
    folder.mkdir()
    network.save(folder / MODEL_FILE)
    return str(folder)


def keypoint_model(folder: Path, shift: float = 0.0) -> str:
    """A keypoint model that predicts (10 + brightness + shift, 20)."""
    kernel = np.tile(np.float32([1, 0]), 15)
    bias = np.tile(np.float32([10 + shift, 20]), 15)
    return save_linear(folder / "keypoint_model", 96, kernel, bias, (15, 2))


def expression_model(folder: Path, labels: tuple[str, ...] = LABELS, sharp: float = 100.0) -> str:
    """An expression model with logits -sharp (brightness - centre)^2, up to a constant."""
    centre = np.float32([(LABELS.index(name) + 0.5) / 7 for name in labels])
    kernel, bias = 2 * sharp * centre, -sharp * centre**2
    return save_linear(folder / "expression_model", 48, kernel, bias, (len(labels),))
