"""The step reject records the reasons and writes nothing else into the registry."""

import json
from pathlib import Path

import pytest

from emotion_ai.errors import InputError
from emotion_ai.registry.runs import read_records
from emotion_ai.steps.reject.run import run as reject


def test_reject_records_the_reasons(tmp_path: Path) -> None:
    decision = {"outcome": "rejected", "reasons": ["accuracy 0.4 is under 0.5"], "checks": [{}]}
    (tmp_path / "gate").write_text(json.dumps(decision))
    registry = tmp_path / "registry"
    reject(str(tmp_path / "gate"), str(registry), "run-1")
    assert read_records(str(registry), "run-1") == {"reject": decision}
    assert [path.name for path in registry.iterdir()] == ["runs"]


def test_reject_rejects_an_accepting_report(tmp_path: Path) -> None:
    (tmp_path / "gate").write_text('{"outcome": "accepted"}')
    with pytest.raises(InputError, match="gate: outcome is 'accepted'"):
        reject(str(tmp_path / "gate"), str(tmp_path / "registry"), "run-1")
    assert not (tmp_path / "registry").exists()
