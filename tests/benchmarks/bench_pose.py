"""Measure the errors of head poses, and what measures and valence tell of real expressions.

    make bench NAME=pose ARGS="[--faces 1000] [--expression FILE] [--keypoints FILE]"

The pretrained networks run in this process. Prints the errors of the angles, in degrees: of the
model turned by known angles, with the networks' error added to its keypoints; of real faces,
between the networks' keypoints and the annotated ones, and between a picture and its mirror image.
Then, on FER-2013's PublicTest, how well a measure alone tells an emotion from all others (the area
under the ROC curve), and the mean valence of each label.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from bench_framing import DATA, as_they_stand, read
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from emotion_ai.client.analyzer import Analyzer
from emotion_ai.faces import head_pose
from emotion_ai.faces.head_pose import fit_head
from emotion_ai.faces.keypoints import FRAME
from emotion_ai.faces.labels import LABEL_SETS
from emotion_ai.faces.measures import measure, valence

LABELS = LABEL_SETS["fer7"]
# Pixels between the eyes of the mean real face.
EYES = 36.2
MEASURED = (
    ("smile", "happy"),
    ("mouth_width", "happy"),
    ("mouth_opening", "surprise"),
    ("left_brow_raise", "surprise"),
    ("brow_gap", "angry"),
)


def angles(points: NDArray) -> NDArray:
    """Yaw, pitch and roll [n, 3] of keypoints [n, 15, 2]; NaN where they are no face's."""
    fits = [fit_head(face.astype(float)) for face in points]
    return np.array([fit.pose if fit else (np.nan,) * 3 for fit in fits])


def turned(truth: NDArray, noise: float) -> NDArray:
    """Keypoints [n, 15, 2] of the model turned by these angles, with noise in pixels."""
    model, _ = head_pose._geometry()
    places = head_pose._project(model, truth[:, 0], truth[:, 1])
    places = EYES * places * np.exp(-1j * np.radians(truth[:, 2:]))
    points = np.stack([places.real, -places.imag], -1) + FRAME / 2
    return points + np.random.default_rng(1).normal(0, noise, points.shape)


def predict(images: NDArray) -> tuple[NDArray, NDArray]:
    """Keypoints [n, 15, 2] and probabilities [n, 7] of faces, uint8 [n, 96, 96, 1]."""
    analyzer = Analyzer()
    parts = [analyzer.predict_arrays(images[k : k + 64]).outputs for k in range(0, len(images), 64)]
    names = ("keypoints", "emotion_probabilities")
    points, probabilities = (np.concatenate([part[name] for part in parts]) for name in names)
    return points, probabilities


def add_errors(table: Table, name: str, found: NDArray, truth: NDArray) -> None:
    """Add a row: the mean absolute differences, the 95th percentiles, and the mean of the pitch."""
    errors = (found - truth)[~np.isnan(found - truth).any(1)]
    mean, most = np.abs(errors).mean(0), np.percentile(np.abs(errors), 95, 0)
    cells = [f"{a:.1f} ({b:.1f})" for a, b in zip(mean, most, strict=True)]
    table.add_row(name, str(len(errors)), *cells, f"{errors[:, 1].mean():+.1f}")


def print_errors(console: Console, faces: NDArray, annotated: NDArray, noise: float) -> None:
    """Print the errors of the angles."""
    title = "mean absolute difference in degrees (95th percentile)"
    table = Table("", "faces", "yaw", "pitch", "roll", "mean pitch difference", title=title)
    rng = np.random.default_rng(0)
    truth = rng.uniform((-40, -25, -20), (40, 25, 20), (2000, 3))
    add_errors(table, "the model, exact keypoints", angles(turned(truth, 0)), truth)
    add_errors(table, f"the model, {noise:.2f} px", angles(turned(truth, noise)), truth)
    seen = angles(predict(faces)[0])
    add_errors(table, "networks - annotated keypoints", seen, angles(annotated))
    mirrored = angles(predict(faces[:, :, ::-1])[0]) * (-1, 1, -1)
    add_errors(table, "picture - its mirror image", seen, mirrored)
    console.print(table)


def print_expressions(console: Console, faces: NDArray, codes: NDArray) -> None:
    """Print what measures and valence tell of labelled expressions."""
    points, probabilities = predict(faces)
    fits = [fit_head(face.astype(float)) for face in points]
    measures = [measure(fit.frontal) if fit else None for fit in fits]
    known = np.array([values is not None for values in measures])
    console.print(f"{known.sum():,} of {len(faces):,} expressions measured")
    table = Table("measure", "emotion", "its mean", "mean of others", "area under ROC")
    for name, emotion in MEASURED:
        values = np.array([values[name] for values in measures if values])
        shown = codes[known] == LABELS.index(emotion)
        area = roc_auc_score(shown, values)
        means = (f"{values[shown].mean():.3f}", f"{values[~shown].mean():.3f}")
        table.add_row(name, emotion, *means, f"{area:.2f}")
    console.print(table)
    valences = np.array([valence(dict(zip(LABELS, row, strict=True))) for row in probabilities])
    table = Table("label", *LABELS)
    table.add_row("mean valence", *(f"{valences[codes == k].mean():+.2f}" for k in range(7)))
    console.print(table)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=1000, help="of each source")
    parser.add_argument("--noise", type=float, default=1.4, help="pixels of 96")
    parser.add_argument("--expression", type=Path, default=DATA / "fer2013.csv.gz")
    parser.add_argument("--keypoints", type=Path, default=DATA / "keypoints.csv.gz")
    options = parser.parse_args()
    console = Console(width=130)
    images, annotated = read(options.keypoints, "keypoints", options.faces)
    print_errors(console, as_they_stand(images), annotated, options.noise)
    images, codes = read(options.expression, "expression", options.faces)
    print_expressions(console, as_they_stand(images), codes)
    start = time.process_time()
    angles(annotated)
    console.print(f"{1e6 * (time.process_time() - start) / len(annotated):.0f} us a face")


if __name__ == "__main__":
    main()
