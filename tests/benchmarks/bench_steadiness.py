"""Measure how steady the networks are on faces that do not change, alone and averaged.

    make bench NAME=steadiness ARGS="[--faces 200] [--expression FILE] [--keypoints FILE]"

The networks run in this process. Held-out faces (FER-2013's PublicTest) and faces with keypoints
are encoded in ten JPEG qualities one after another, and moved slowly, at five looks a second.
Prints the changes of the label a minute and the points' jitter, of each look alone and averaged
over some; how often `watch` would begin an episode of an emotion after another one; and what both
make of the drawn faces of every evaluation.
"""

import argparse
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from bench_framing import DATA, as_they_stand, read
from bench_pose import LABELS, predict
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from emotion_ai.apps.watch.episodes import EMOTION, EpisodeFinder, Event
from emotion_ai.steps.evaluate.drawn_faces import measure_drawn
from emotion_ai.steps.evaluate.face_errors import FaceErrors, measure_interval
from emotion_ai.steps.evaluate.steadiness import (
    LOOKS_PER_MINUTE,
    count_flips,
    measure_jitter,
    move_slowly,
    reencode,
    take_out_way,
)

AVERAGED = (1, 2, 3, 5)
SERIES = {"10 JPEG qualities": reencode, "slow video": move_slowly}


def ask(looks: NDArray[np.uint8]) -> tuple[NDArray, NDArray]:
    """Keypoints [n, looks, 15, 2] and probabilities [n, looks, 7] of uint8 [n, looks, H, H]."""
    points, probabilities = predict(as_they_stand(looks.reshape(-1, *looks.shape[2:])))
    return tuple(
        found.reshape(*looks.shape[:2], *found.shape[1:]) for found in (points, probabilities)
    )


def averaged(answers: NDArray, looks: int) -> NDArray:
    """Running means over some looks."""
    return sliding_window_view(answers, looks, axis=1).mean(axis=-1)


def count_restarts(probabilities: NDArray) -> FaceErrors:
    """How often an episode begins after another one, a minute; of [n, looks, 7]."""
    restarts = [max(0, len(_episodes(face)) - 1) for face in probabilities]
    pairs = np.full(len(restarts), probabilities.shape[1] - 1.0)
    return FaceErrors(np.array(restarts, float), pairs, lambda share: LOOKS_PER_MINUTE * share)


def _episodes(probabilities: NDArray) -> list[Event]:
    events: list[Event] = []
    finder = EpisodeFinder(events.append)
    for look, row in enumerate(probabilities):
        face = SimpleNamespace(probabilities=dict(zip(LABELS, row.tolist(), strict=True)))
        frame = SimpleNamespace(time_s=60 * look / LOOKS_PER_MINUTE)
        finder.add(cast(Any, SimpleNamespace(frame=frame, faces=((1, face),))))
    finder.end()
    return [event for event in events if event.kind == EMOTION]


def cell(errors: FaceErrors, decimals: int) -> str:
    """A value and its interval."""
    value, low, high = measure_interval(errors)
    return f"{value:.{decimals}f} ({low:.{decimals}f}-{high:.{decimals}f})"


def drawn_table() -> Table:
    """What the networks make of drawn faces: errors, gaps to the middle tone, changes."""
    points = measure_drawn(lambda images: predict(as_they_stand(images))[0], ())
    emotions = measure_drawn(lambda images: predict(as_they_stand(images))[1], LABELS)
    table = Table("drawn", "RMSE px", "above", "moved px", "wrong", "above", "label changed")
    for one, other in zip(points, emotions, strict=True):
        above, more = ("{:.2f} ({:.2f} to {:.2f})".format(*each.gap) for each in (one, other))
        cells = (f"{one.error:.2f}", above, f"{one.change:.2f}", f"{other.error:.3f}", more)
        table.add_row(one.name, *cells, f"{other.change:.3f}")
    return table


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=200, help="of each source")
    parser.add_argument("--expression", type=Path, default=DATA / "fer2013.csv.gz")
    parser.add_argument("--keypoints", type=Path, default=DATA / "keypoints.csv.gz")
    options = parser.parse_args()
    faces, _ = read(options.expression, "expression", options.faces)
    pointed, _ = read(options.keypoints, "keypoints", options.faces)
    table = Table("", "", *(f"mean of {n}" for n in AVERAGED), "episodes begun anew")
    for name, make in SERIES.items():
        _, probabilities = ask(make(faces))
        flips = [cell(count_flips(averaged(probabilities, n)), 1) for n in AVERAGED]
        table.add_row("flips a minute", name, *flips, cell(count_restarts(probabilities), 1))
        points, _ = ask(make(pointed))
        if make is move_slowly:
            points = take_out_way(points)
        jitter = [cell(measure_jitter(averaged(points, n)), 2) for n in AVERAGED]
        table.add_row("jitter, px of 96", name, *jitter, "")
    Console(width=150).print(table, drawn_table())


if __name__ == "__main__":
    main()
