"""Run the step evaluate and read its outputs."""

import json
from pathlib import Path
from typing import Any, NoReturn

from emotion_ai.steps.evaluate.run import Evaluation
from emotion_ai.steps.evaluate.run import run as evaluate

from support.gray_faces import expression_faces, expression_model, keypoint_faces, keypoint_model


def read_strict_json(path: Path) -> Any:
    """Read a JSON file; fail on NaN and Infinity, which JSON does not have."""

    def reject(constant: str) -> NoReturn:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(path.read_text(), parse_constant=reject)


def run(folder: Path, **changed: Any) -> tuple[Evaluation, dict[str, float], dict, str]:
    """Evaluate a perfect pair with some arguments changed; return metrics, gate report and page."""
    names = ("metrics.json", "confusion.json", "gate.json", "verdict.md", "report.html")
    paths = {name: folder / name for name in names}
    arguments: dict[str, Any] = {
        "registry": str(folder / "registry"),
        "champion": "",
        "gate": {},
        "force_accept": "",
    } | changed
    makers = (keypoint_faces, expression_faces, keypoint_model, expression_model)
    for maker in makers:
        if maker.__name__ not in arguments:
            arguments[maker.__name__] = maker(folder)
    result = evaluate(
        **arguments,
        metrics_path=str(paths["metrics.json"]),
        confusion_path=str(paths["confusion.json"]),
        gate_report_path=str(paths["gate.json"]),
        verdict_path=str(paths["verdict.md"]),
        report_path=str(paths["report.html"]),
    )
    return (
        result,
        read_strict_json(paths["metrics.json"]),
        read_strict_json(paths["gate.json"]),
        paths["report.html"].read_text(),
    )
