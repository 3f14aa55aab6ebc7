"""A rejection leaves its reasons in the run's records and nothing else in the registry."""

import json
import os
from pathlib import Path

import pytest

from emotion_ai.errors import InputError
from emotion_ai.registry.runs import read_records
from emotion_ai.steps.reject.run import run as reject


def test_the_reasons_are_recorded(tmp_path: Path) -> None:
    decision = {"outcome": "rejected", "reasons": ["accuracy 0.4 is under 0.5"], "checks": [{}]}
    (tmp_path / "gate").write_text(json.dumps(decision))
    registry = tmp_path / "registry"
    reject(str(tmp_path / "gate"), str(registry), "run-1")
    assert read_records(str(registry), "run-1") == {"reject": decision}
    assert os.listdir(registry) == ["runs"]


def test_an_accepted_candidate_is_not_recorded_as_rejected(tmp_path: Path) -> None:
    (tmp_path / "gate").write_text('{"outcome": "accepted"}')
    with pytest.raises(InputError, match="gate: outcome is 'accepted'"):
        reject(str(tmp_path / "gate"), str(tmp_path / "registry"), "run-1")
    assert not (tmp_path / "registry").exists()
