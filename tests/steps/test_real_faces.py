"""The real data sets pass the default checks, and their known defects are found."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emotion_ai.faces.arrays import Faces
from emotion_ai.steps.ingest.run import run as ingest

DATA = Path(__file__).parents[3] / "shared" / "data"
EXPRESSION, KEYPOINTS = DATA / "fer2013.csv.gz", DATA / "keypoints.csv.gz"
MAX_MEMORY_MB = 600

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(
        not (EXPRESSION.exists() and KEYPOINTS.exists()), reason="the real data sets are not here"
    ),
]


def ingest_real(source: Path, kind: str, folder: Path) -> tuple[Faces, dict[str, Any]]:
    faces, report, statistics = (str(folder / name) for name in ("faces", "r.html", "s.json"))
    ingest(str(source), "", kind, "fer7", "", {}, faces, report, statistics)
    return Faces(faces), json.loads(Path(statistics).read_text())


def test_ingest_accepts_fer2013(tmp_path: Path) -> None:
    faces, statistics = ingest_real(EXPRESSION, "expression", tmp_path)
    assert faces.info.counts["split/Training"] == 28_709
    assert faces.info.counts["split/PublicTest"] == 3_589
    assert np.bincount(faces.column("targets")).min() == 492
    counts = {found["check"]: found["count"] for found in statistics["findings"]}
    assert counts["constant_images"] == 12
    assert counts["split_duplicates"] == 280
    assert counts["contradicting_duplicates"] == 129
    assert statistics["rows_left_out"] == 0


def test_ingest_accepts_the_keypoint_faces(tmp_path: Path) -> None:
    faces, statistics = ingest_real(KEYPOINTS, "keypoints", tmp_path)
    annotated = (~np.isnan(faces.column("targets")).any(axis=2)).sum(axis=1)
    assert np.bincount(annotated)[[4, 14, 15]].tolist() == [999, 1, 2_111]
    assert (faces.column("subject") >= 0).all()
    assert {found["verdict"] for found in statistics["findings"]} == {"ok"}


def test_read_blocks_has_bounded_memory() -> None:
    program = (
        "from emotion_ai.faces.labels import EmotionReader, label_set_names\n"
        "from emotion_ai.sources.checks import DataChecks\n"
        "from emotion_ai.sources.csv_table import open_table, read_blocks\n"
        f"table = open_table({str(EXPRESSION)!r}, 'expression')\n"
        "blocks = read_blocks(table, EmotionReader(label_set_names('fer7')), DataChecks())\n"
        "print(sum(block.rows_read for block in blocks))\n"
        # Not getrusage: its peak counts the process that this one was forked from.
        "status = open('/proc/self/status').read()\n"
        "print(int(status.split('VmHWM:')[1].split()[0]) // 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    rows, megabytes = map(int, done.stdout.split())
    assert rows == 32_298
    assert megabytes < MAX_MEMORY_MB
