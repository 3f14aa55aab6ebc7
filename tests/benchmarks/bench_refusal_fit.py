"""What the refusal of no faces loses and refuses, by how many faces and pictures it is fitted to.

Fits in memory, to the networks of the package, --draws times for each of --sizes (faces of each
kind / drawn pictures of each kind), and prints means and standard deviations, in percent: faces
lost, corrupted faces lost, and refused crops of scikit-image's photographs, and of pictures that
are drawn here and not by what the fit draws. `without KIND` is fitted to all other kinds.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from bench_refusal import (
    EMPTY_ROWS,
    PHOTOGRAPHS,
    _installed_pictures,
    crop_photograph,
    prepared_faces,
)
from numpy.typing import NDArray

from emotion_ai.client.cropping import crop_faces, whole
from emotion_ai.client.results import Box
from emotion_ai.faces.arrays import TEST, TRAIN, VALIDATION
from emotion_ai.faces.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from emotion_ai.faces.non_faces import KINDS, STARK, draw_non_faces
from emotion_ai.networks import refusal_fit
from emotion_ai.server.pretrained import pretrained_networks

SIZES = ("2000/300", "2000/150", "2000/100", "1000/150", "500/150")
# Of each kind of faces, and drawn pictures of each kind, from which each draw takes its own.
POOL, DRAWN = 4_000, 600
# Pictures of each pattern, and the sides that they have before they are cropped as a whole.
PATTERNS, SIDES = 500, (48, 64, 96, 128, 150)
TESTED = 1_000

Features = NDArray[np.float32]


def normal(rng: np.random.Generator, side: int) -> NDArray:
    """White noise, of normal grays."""
    return rng.normal(127.5, rng.choice([50, 64, 80, 127]), (side, side))


def uniform(rng: np.random.Generator, side: int) -> NDArray:
    """White noise, of all grays alike."""
    return rng.integers(0, 256, (side, side))


def colours(rng: np.random.Generator, side: int) -> NDArray:
    """White noise in three colours, in gray."""
    return rng.integers(0, 256, (side, side, 3)) @ [0.299, 0.587, 0.114]


def binary(rng: np.random.Generator, side: int) -> NDArray:
    """Black and white pixels."""
    return 255 * (rng.random((side, side)) < rng.uniform(0.2, 0.8))


def specks(rng: np.random.Generator, side: int) -> NDArray:
    """Salt and pepper on one gray."""
    drawn, share = rng.random((side, side)), rng.uniform(0.1, 0.5)
    gray = np.full((side, side), rng.uniform(0, 255))
    return np.where(drawn < share / 2, 0, np.where(drawn > 1 - share / 2, 255, gray))


def spectral(rng: np.random.Generator, side: int) -> NDArray:
    """Noise whose amplitude falls with the frequency."""
    frequencies = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequencies[0, 0] = 1
    spectrum = np.fft.rfft2(rng.normal(size=(side, side))) / frequencies ** rng.uniform(0.3, 2)
    spectrum[0, 0] = 0
    noise = np.fft.irfft2(spectrum, (side, side))
    return 127.5 + rng.uniform(60, 127) * noise / noise.std()


def checkerboard(rng: np.random.Generator, side: int) -> NDArray:
    """Black and white squares."""
    y, x = np.mgrid[:side, :side] + rng.integers(0, 25, 2)[:, None, None]
    width = int(rng.integers(1, 25))
    return 255 * ((x // width + y // width) % 2)


def stripes(rng: np.random.Generator, side: int) -> NDArray:
    """Black and white stripes, at any angle."""
    y, x = np.mgrid[:side, :side]
    angle = rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)])
    return 255 * (np.floor((x * np.cos(angle) + y * np.sin(angle)) / rng.integers(1, 25)) % 2)


NOISE = (normal, uniform, colours, binary, specks)
DRAWINGS = (*NOISE, spectral, checkerboard, stripes)


def draw_patterns(draw: Callable[[np.random.Generator, int], NDArray]) -> NDArray[np.uint8]:
    """Draw pictures, cropped as `--faces whole` crops them: uint8 [n, 96, 96]."""
    rng = np.random.default_rng(77)
    crops = []
    for _ in range(PATTERNS):
        side = int(rng.choice(SIDES))
        gray = np.clip(np.rint(draw(rng, side)), 0, 255).astype(np.uint8)
        box = Box(0.0, 0.0, float(side), float(side))
        crops.append(crop_faces(gray[..., None].repeat(3, 2), [box], whole)[0][0, ..., 0])
    return np.array(crops)


def corrupted(images: NDArray[np.uint8], severities: Iterable[int]) -> NDArray[np.uint8]:
    """Corrupt each face by another corruption and severity."""
    changed = images.copy()
    amounts = [(name, severity) for name in CORRUPTIONS for severity in severities]
    for number, (name, severity) in enumerate(amounts):
        own = slice(number, None, len(amounts))
        changed[own] = corrupt(changed[own], name, severity, 1000 + number)
    return changed


class Pools:
    """Features of all pictures that a fit may take, and of those that it is measured on.

    Args:
        scratch: Folder for prepared faces.
        photographs: Folder of scikit-image's photographs.
    """

    def __init__(self, scratch: Path, photographs: Path) -> None:
        networks, _ = pretrained_networks()
        observer = refusal_fit.Observer(*networks)
        faces = prepared_faces(scratch)
        train = [refusal_fit._sample(own, TRAIN, POOL).images for own in faces.values()]
        # Every second one; each has its corrupted twin at half its position.
        train = [images[: len(images) // 2 * 2] for images in train]
        self.train = [observer.observe(images).features for images in train]
        self.corrupted = [
            observer.observe(refusal_fit._corrupted(images)).features for images in train
        ]
        shown = np.concatenate([refusal_fit._in_frame(images[::4]) for images in train])
        self.drawn = {
            kind: observer.observe(draw_non_faces(kind, DRAWN, 1, shown)).features for kind in KINDS
        }
        self.validation = refusal_fit._held_out(observer, faces, VALIDATION)
        own = faces["expression"]
        test = own.take(own.positions(TEST))
        real = test.images[~np.isin(test.row, EMPTY_ROWS)]
        people = faces["keypoints"].take(faces["keypoints"].positions(TEST)).images
        rng = np.random.default_rng(18)
        measured = {
            "lost": real,
            "people": people,
            "corrupted": corrupted(real[:TESTED], range(1, SEVERITIES)),
            "worst": corrupted(real[:TESTED], [SEVERITIES]),
            "crops": np.concatenate(
                [crop_photograph(photographs / name, rng) for name in PHOTOGRAPHS]
            ),
        } | {draw.__name__: draw_patterns(draw) for draw in DRAWINGS}
        self.measured = {
            name: observer.observe(images).features for name, images in measured.items()
        }

    def take_faces(self, count: int, rng: np.random.Generator) -> Features:
        """Return features of faces of each kind, half of them with their corrupted twins."""
        taken = []
        for shown, changed in zip(self.train, self.corrupted, strict=True):
            half = min(count // 2, len(changed))
            twins, others = (rng.choice(len(changed), half, replace=False) for _ in range(2))
            taken += [shown[2 * twins], shown[2 * others + 1], changed[twins]]
        return np.concatenate(taken)

    def measure(self, faces: int, pictures: int, without: str, seed: int) -> Mapping[str, float]:
        """Fit once; return the percentages that are lost or refused, and the seconds."""
        rng = np.random.default_rng(seed)
        shown = self.take_faces(faces, rng)
        drawn = [
            features[rng.choice(len(features), pictures, replace=False)]
            for kind, features in self.drawn.items()
            if kind != without
        ]
        start = time.process_time()
        weights, bias = refusal_fit._separate(shown, drawn)
        seconds = time.process_time() - start
        bias -= refusal_fit._threshold(self.validation, weights, bias)
        percent = {
            name: 100 * float((features @ weights + bias < 0).mean())
            for name, features in self.measured.items()
        }
        return {**percent, "seconds": seconds}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each size, and for each stark kind held out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, help="Folder of scikit-image's photographs.")
    parser.add_argument("--scratch", type=Path, required=True, help="Folder for prepared faces.")
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="Faces/pictures of each kind.")
    parser.add_argument("--draws", type=int, default=6)
    options = parser.parse_args(arguments)
    pools = Pools(options.scratch, options.pictures or _installed_pictures())
    rows = [(size, "") for size in options.sizes]
    rows += [(options.sizes[0], kind) for kind in STARK]
    print(" " * 24, *(f"{name:>12}" for name in (*pools.measured, "seconds")))
    for size, without in rows:
        faces, pictures = map(int, size.split("/"))
        found = [pools.measure(faces, pictures, without, seed) for seed in range(options.draws)]
        cells = [[each[name] for each in found] for name in found[0]]
        name = f"{size} without {without}" if without else size
        print(f"{name:24}", *(f"{np.mean(c):7.2f} {np.std(c):4.2f}" for c in cells), flush=True)


if __name__ == "__main__":
    main()
