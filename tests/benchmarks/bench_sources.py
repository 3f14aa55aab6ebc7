"""Measure time and peak memory of ingest and prepare for N drawn faces and for ten times as many.

    make bench NAME=sources ARGS="[--rows 3000] [--form csv|folder|zip]"

Ten times the rows may take ten times the processor time (and a fifth more, for the noise) and the
same memory, except for what is kept of each face, `MAX_BYTES_A_FACE`, and for blocks that a small
source does not fill, `MAX_BYTES_OF_BLOCKS`. The exit code is 1 if they take more.
Each step runs in its own process, imports included. N faces are drawn; the other nine tenths of the
large source are the same faces, each time a level brighter, because drawing takes longer than both
steps together.
"""

import argparse
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MAX_TIME_RATIO = 12.0
# Ingest's tally has 30 bytes a face, and there are the names of pictures; finding copies among
# them and sorting takes a few times that for a moment.
MAX_BYTES_A_FACE = 400
MAX_BYTES_OF_BLOCKS = 16_000_000
TIMES = 10
USAGE = ("Training", "PublicTest", "PrivateTest", *["Training"] * 7)


def drawn_faces(rows: int, times: int) -> Iterator[tuple[int, str, bytes]]:
    """Emotion code, usage and the 48x48 pixels of `times` variants of each of `rows` faces."""
    import numpy as np

    from emotion_ai.sample.drawing import draw_faces, halve

    number = 0
    for drawn in draw_faces(rows, seed=0):
        for emotion, image in zip(drawn.emotions, halve(drawn.images), strict=True):
            usage = USAGE[number // 7 % len(USAGE)]
            for brighter in range(times):
                pixels = np.minimum(image.astype(np.uint16) + brighter, 255).astype(np.uint8)
                yield int(emotion), usage, pixels.tobytes()
            number += 1


def write_csv(path: Path, rows: int, times: int) -> None:
    """FER-2013's form."""
    text = [f"{value} ".encode() for value in range(256)]
    with path.open("wb") as file:
        file.write(b"emotion,pixels,Usage\n")
        for emotion, usage, pixels in drawn_faces(rows, times):
            line = b"".join([text[value] for value in pixels])
            file.write(b"%d,%b,%b\n" % (emotion, line[:-1], usage.encode()))


def write_folder(path: Path, rows: int, times: int) -> None:
    """Folders of PNG."""
    from PIL import Image

    from emotion_ai.faces.labels import label_set_names

    labels = label_set_names("fer7")
    for number, (emotion, usage, pixels) in enumerate(drawn_faces(rows, times)):
        folder = path / usage / labels[emotion]
        folder.mkdir(parents=True, exist_ok=True)
        Image.frombytes("L", (48, 48), pixels).save(folder / f"{number:07d}.png", compress_level=1)


def write_zip(path: Path, rows: int, times: int) -> None:
    """The same, packed."""
    with tempfile.TemporaryDirectory() as folder:
        write_folder(Path(folder), rows, times)
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(Path(folder).rglob("*.png")):
                archive.write(file, file.relative_to(folder).as_posix())


def run_ingest(folder: Path, source: str) -> None:
    """The whole step: reading, checks, arrays on disk, fingerprint, report."""
    from emotion_ai.steps.ingest.run import run as ingest

    paths = (str(folder / name) for name in ("faces", "report.html", "statistics.json"))
    ingest(source, "", "expression", "fer7", "", {"duplicates": 1.0}, *paths)


def run_prepare(folder: Path, source: str) -> None:
    """The whole step on what ingest wrote."""
    from emotion_ai.steps.prepare.run import run as prepare

    prepare(str(folder / "faces"), {}, str(folder / "prepared"), str(folder / "preview.html"))


WRITERS = {"csv": write_csv, "folder": write_folder, "zip": write_zip}
STEPS = {"ingest": run_ingest, "prepare": run_prepare}


class Measured(NamedTuple):
    """What a step took: seconds, those of the processor, and its peak memory in bytes."""

    seconds: float
    processor: float
    peak: int


def run_step(step: str, folder: str, source: str) -> None:
    """Run a step here and print what it took."""
    started = time.perf_counter()
    STEPS[step](Path(folder), source)
    seconds = time.perf_counter() - started
    # Not ru_maxrss: that begins with the memory of the process that started this one.
    status = Path("/proc/self/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    print(seconds, time.process_time(), int(peak.split()[1]) * 1024)


def measure(step: str, folder: Path, source: Path) -> Measured:
    """What a step takes in a new process."""
    command = [sys.executable, __file__, "--step", step, str(folder), str(source)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, processor, peak = printed.split()
    return Measured(float(seconds), float(processor), int(peak))


def is_within_bounds(step: str, small: Measured, large: Measured, more_rows: int) -> bool:
    """Print the ratios of a step and say whether they keep the bounds."""
    ratio = large.processor / small.processor
    growth = large.peak - small.peak
    most = MAX_BYTES_OF_BLOCKS + MAX_BYTES_A_FACE * more_rows
    print(
        f"{step:8} ten times the rows: {large.seconds / small.seconds:.1f} times the time, "
        f"{ratio:.1f} times the processor's (at most {MAX_TIME_RATIO:.0f}), "
        f"{large.peak / small.peak:.2f} times the memory, {growth / 1e6:.0f} MB more (at most "
        f"{most / 1e6:.0f})"
    )
    return ratio <= MAX_TIME_RATIO and growth <= most


def main(rows: int, form: str) -> int:
    """Print the four measurements and the ratios of each step; 0 if the bounds are kept."""
    results: dict[str, list[Measured]] = {step: [] for step in STEPS}
    with tempfile.TemporaryDirectory() as root:
        for times in (1, TIMES):
            folder = Path(root, str(times))
            folder.mkdir()
            source = folder / f"faces{'' if form == 'folder' else f'.{form}'}"
            WRITERS[form](source, rows, times)
            for step, measured in results.items():
                measured.append(measure(step, folder, source))
                seconds, processor, peak = measured[-1]
                print(
                    f"{form:6} {step:8} {rows * times:9,} rows {seconds:8.2f} s "
                    f"({processor:.2f} s of processor) {peak / 1e6:6.0f} MB",
                    flush=True,
                )
    more_rows = rows * (TIMES - 1)
    within = [is_within_bounds(step, *measured, more_rows) for step, measured in results.items()]
    return int(not all(within))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=3000, help="N; the large source has ten times")
    parser.add_argument("--form", choices=WRITERS, default="csv")
    parser.add_argument("--step", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        run_step(*arguments.step)
        raise SystemExit(0)
    raise SystemExit(main(arguments.rows, arguments.form))
