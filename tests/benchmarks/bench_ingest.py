"""Measure time and peak memory of reading expressions, beside pandas on the same file.

    make bench NAME=ingest ARGS="fer2013.csv"

Each reader runs in its own process, imports included. Ours may take 0.3 of the baseline's time and
600 MB; the exit code is 1 if it takes more.
"""

import resource
import subprocess
import sys
import time
from pathlib import Path

MAX_TIME_RATIO = 0.3
MAX_MEMORY_MB = 600


def read_with_ours(path: str) -> int:
    """Rows that our reader yields, checked against the schema."""
    from emotion_ai.faces.labels import EmotionReader, label_set_names
    from emotion_ai.sources.checks import DataChecks
    from emotion_ai.sources.csv_table import open_table, read_blocks

    emotions = EmotionReader(label_set_names("fer7"))
    blocks = read_blocks(open_table(path, "expression"), emotions, DataChecks())
    return sum(len(block.rows) for block in blocks)


def read_with_pandas(path: str) -> int:
    """Rows that the usual three lines yield."""
    import numpy as np
    import pandas as pd

    frame = pd.read_csv(path)
    images = [np.array(pixels.split(" "), dtype="uint8") for pixels in frame["pixels"]]
    return len(images)


def ingest_all(path: str) -> int:
    """Rows of the whole step: fingerprint, reading, checks, arrays on disk, report."""
    import tempfile

    from emotion_ai.faces.arrays import Faces
    from emotion_ai.steps.ingest.run import run as ingest

    with tempfile.TemporaryDirectory() as folder:
        faces, report, statistics = (str(Path(folder, name)) for name in ("f", "r", "s"))
        ingest(path, "", "expression", "fer7", "", {}, faces, report, statistics)
        return len(Faces(faces))


READERS = {"ours": read_with_ours, "pandas": read_with_pandas, "whole step": ingest_all}


def measure(reader: str, path: str) -> tuple[float, float]:
    """Seconds and peak megabytes of one reader in a new process."""
    command = [sys.executable, __file__, path, reader]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows, seconds, processor, megabytes = map(float, printed.split())
    print(
        f"{reader:12} {rows:7.0f} rows {seconds:7.2f} s ({processor:.2f} s of processor) "
        f"{megabytes:5.0f} MB peak"
    )
    return seconds, megabytes


def main(path: str) -> int:
    """Print the three measurements and the ratio; 0 if both bounds are kept."""
    seconds, megabytes = measure("ours", path)
    baseline, _ = measure("pandas", path)
    measure("whole step", path)
    ratio = seconds / baseline
    print(f"ours takes {ratio:.3f} of the baseline's time (at most {MAX_TIME_RATIO})")
    return int(ratio > MAX_TIME_RATIO or megabytes > MAX_MEMORY_MB)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        if not Path("".join(sys.argv[1:])).is_file():
            sys.stderr.write(
                "expected a CSV of expressions that exists: "
                'make bench NAME=ingest ARGS="fer2013.csv"\n'
            )
            raise SystemExit(2)
        raise SystemExit(main(sys.argv[1]))
    started = time.perf_counter()
    count = READERS[sys.argv[2]](sys.argv[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(count, time.perf_counter() - started, time.process_time(), peak)
