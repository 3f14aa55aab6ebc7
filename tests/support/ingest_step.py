"""Run the step ingest and read its outputs."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion_ai.faces.arrays import Faces
from emotion_ai.steps.ingest.run import run as ingest

# The codes of fer7.
EVERY_CODE = [0, 1, 2, 3, 4, 5, 6]
LENIENT = {"pixel_count": 0.2, "pixel_value": 0.2, "unknown_label": 0.2, "malformed_row": 0.2}
_PATHS = ("faces_path", "report_path", "statistics_path")


@dataclass
class Outputs:
    """The step's outputs in `folder`; `ingest` runs the step that writes them."""

    folder: Path

    def ingest(self, source: Path | str, **settings: Any) -> None:
        values = {
            "fingerprint": "",
            "kind": "expression",
            "label_set": "fer7",
            "emotions": "",
            "checks": {},
            **settings,
        }
        paths = [str(self.folder / name) for name in ("faces", "report.html", "statistics.json")]
        ingest(str(source), **values, **dict(zip(_PATHS, paths, strict=True)))

    @property
    def faces(self) -> Faces:
        return Faces(self.folder / "faces")

    @property
    def report(self) -> str:
        return (self.folder / "report.html").read_text()

    @property
    def statistics(self) -> dict[str, Any]:
        return json.loads((self.folder / "statistics.json").read_text())

    def result(self, check: str) -> dict[str, Any]:
        (result,) = [r for r in self.statistics["findings"] if r["check"] == check]
        return result

    def is_refused(self) -> bool:
        return not (self.folder / "faces" / "faces.json").exists()


def run_ingest(source: Path | str, folder: Path, **settings: Any) -> Faces:
    """Ingest a source that may hold some malformed rows; return its faces."""
    outputs = Outputs(folder)
    outputs.ingest(source, **{"checks": {"malformed_row": 0.2}, **settings})
    return outputs.faces
