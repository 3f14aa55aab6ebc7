"""Measure the peak memory of training, and what ten times the rows add to it.

    make bench NAME=memory ARGS="[--rows 28709]"

Each training is one epoch in its own process, imports included. What rows add is measured with the
smallest networks: an epoch of the standard ones over ten times the rows takes half an hour and
holds one batch at a time as any other. The exit code is 1 if the sum exceeds 2 GB.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

MAX_BYTES = 2_000_000_000
TIMES = 10
THIN = {"widths": [4, 4], "batch_size": 128}
PRESET = Path(__file__).parents[2] / "pipeline/presets/standard.yaml"
SIZES = {"keypoints": 96, "expression": 48}


def write_noise(folder: Path, kind: str, rows: int) -> None:
    """Prepared faces of noise, a tenth of them for validation: their memory is any faces'."""
    import numpy as np

    from emotion_ai.faces.arrays import FacesInfo, FacesWriter, Rows
    from emotion_ai.faces.labels import LABEL_SETS

    keypoints = kind == "keypoints"
    info = FacesInfo(
        kind=kind,
        label_set="" if keypoints else "fer7",
        labels=() if keypoints else LABEL_SETS["fer7"],
        image_size=SIZES[kind],
        source="noise",
        fingerprint="0" * 64,
        mean=127.5,
        deviation=74.0,
        augmentation={"rotation": 10.0, "erasing": 0.3},
    )
    rng = np.random.default_rng(0)
    with FacesWriter(folder, info) as writer:
        for first in range(0, rows, 1_000):
            row = np.arange(first, min(first + 1_000, rows))
            shape = (len(row), SIZES[kind], SIZES[kind])
            marks = rng.uniform(0, 96, (len(row), 15, 2)).astype(np.float32)
            writer.append(
                Rows(
                    images=rng.integers(0, 256, shape, dtype=np.uint8),
                    targets=marks if keypoints else (row % 7).astype(np.uint8),
                    split=(row % 10 == 0).astype(np.uint8),
                    row=row,
                    subject=np.full(len(row), -1),
                )
            )


def train_here(kind: str, network: str, rows: int) -> None:
    """One epoch in this process; prints its peak memory in bytes."""
    from emotion_ai.networks.training import TrainingContext
    from emotion_ai.steps.train_expression.run import run as train_expression
    from emotion_ai.steps.train_keypoints.run import run as train_keypoints

    half = "keypoints" if kind == "keypoints" else "expression"
    settings = yaml.safe_load(PRESET.read_text())["training"][half]
    if network == "thin":
        settings = THIN
    fit = train_keypoints if kind == "keypoints" else train_expression
    with tempfile.TemporaryDirectory() as root:
        write_noise(Path(root, "faces"), kind, rows)
        outputs = {name: str(Path(root, name)) for name in ("model", "history", "curves")}
        fit(
            str(Path(root, "faces")),
            settings | {"epochs": 1},
            TrainingContext(1, "", root),
            outputs,
        )
    status = Path("/proc/self/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    print(int(peak.split()[1]) * 1024)


def peak(kind: str, network: str, rows: int) -> int:
    """Peak memory of a training in a new process, printed too."""
    command = [sys.executable, __file__, "--here", kind, network, "--rows", str(rows)]
    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"}
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=quiet)
    measured = int(printed.stdout.split()[-1])
    print(f"{kind:12} {network:9} {rows:9,} rows {measured / 1e6:6.0f} MB", flush=True)
    return measured


def main(rows: int) -> int:
    """Print the peaks of both kinds; 0 if ten times the rows stay within the bound."""
    within = True
    for kind, count in (("keypoints", rows // 9), ("expression", rows)):
        whole = peak(kind, "standard", count)
        more = peak(kind, "thin", count * TIMES) - peak(kind, "thin", count)
        most = whole + max(0, more)
        print(f"{kind:12} standard, ten times the rows: {most / 1e6:.0f} MB (at most 2000)")
        within &= most <= MAX_BYTES
    return int(not within)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=28_709, help="of faces with an emotion")
    parser.add_argument("--here", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        train_here(*given.here, given.rows)
        raise SystemExit(0)
    raise SystemExit(main(given.rows))
