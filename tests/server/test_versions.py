"""The version manager, with the text of files as models."""

from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode

from emotion_ai.server.configuration import ModelPlan
from emotion_ai.server.errors import StatusError
from emotion_ai.server.version_state import RetryPolicy, State
from emotion_ai.server.versions import VersionManager
from emotion_ai.serving_api.messages import GetModelStatusRequest


def _spec(**fields: Any) -> Any:
    request = GetModelStatusRequest()
    request.model_spec.name = "m"
    for name, value in fields.items():
        setattr(request.model_spec, name, value)
    return request.model_spec


def _plan(folder: Path, *numbers: int, labels: dict[str, int] | None = None) -> list[ModelPlan]:
    return [ModelPlan("m", str(folder), numbers, labels or {})]


def _read_model(base_path: str, number: int) -> str:
    return (Path(base_path) / str(number)).read_text()


@pytest.fixture
def manager(tmp_path: Path) -> VersionManager[str]:
    for number in (1, 2):
        (tmp_path / str(number)).write_text(f"model {number}")
    return VersionManager(_read_model)


def _states(manager: VersionManager[str]) -> dict[int, State]:
    return {status.version: status.state for status in manager.statuses("m")}


def test_use_keeps_the_version_loaded(manager: VersionManager[str], tmp_path: Path) -> None:
    manager.apply(_plan(tmp_path, 1))
    with manager.use(_spec()) as (number, model):
        manager.apply(_plan(tmp_path, 2))
        assert (number, model) == (1, "model 1")
        assert _states(manager) == {1: State.UNLOADING, 2: State.AVAILABLE}
        with manager.use(_spec()) as (newer, _):
            assert newer == 2
    assert _states(manager) == {1: State.END, 2: State.AVAILABLE}


def test_use_selects_highest_version_or_label(manager: VersionManager[str], tmp_path: Path) -> None:
    manager.apply(_plan(tmp_path, 1, 2, labels={"stable": 1, "next": 3}))
    with manager.use(_spec()) as (number, _):
        assert number == 2
    with manager.use(_spec(version_label="stable")) as (number, _):
        assert number == 1
    with (
        pytest.raises(StatusError, match=r"Specific\(m, 3\)"),
        manager.use(_spec(version_label="next")),
    ):
        pass
    with pytest.raises(StatusError, match="label: old"), manager.use(_spec(version_label="old")):
        pass


def test_apply_retries_a_failed_version(manager: VersionManager[str], tmp_path: Path) -> None:
    manager.apply(_plan(tmp_path, 1))
    manager.apply(_plan(tmp_path, 3))
    assert _states(manager) == {1: State.AVAILABLE, 3: State.END}
    (tmp_path / "3").write_text("model 3")
    manager.apply(_plan(tmp_path, 3))
    assert _states(manager)[3] == State.END
    # After a plan without it, it is tried at once.
    manager.apply(_plan(tmp_path, 1))
    manager.apply(_plan(tmp_path, 3))
    assert _states(manager) == {1: State.END, 3: State.AVAILABLE}


def test_apply_stops_after_max_retries(tmp_path: Path) -> None:
    attempts = []

    def load(base_path: str, number: int) -> str:
        attempts.append(number)
        return _read_model(base_path, number)

    manager = VersionManager(load, retry=RetryPolicy(interval_s=0.0, max_retries=2))
    for _ in range(5):
        manager.apply(_plan(tmp_path, 4))
        assert (manager.next_retry() < float("inf")) == (len(attempts) < 3)
    assert attempts == [4, 4, 4]
    assert manager.has_failed("m")
    assert _states(manager) == {4: State.END}


def test_apply_unloads_models_without_plan(manager: VersionManager[str], tmp_path: Path) -> None:
    manager.apply(_plan(tmp_path, 1))
    assert manager.is_ready()
    # A model that failed and left the plan says nothing about the others.
    manager.apply([*_plan(tmp_path, 1), ModelPlan("bad", str(tmp_path), (9,), {})])
    assert not manager.is_ready()
    manager.apply(_plan(tmp_path, 1))
    assert manager.is_ready()
    with pytest.raises(StatusError, match="any versions of model bad"):
        manager.statuses("bad")
    manager.apply([])
    assert not manager.is_ready()
    assert _states(manager) == {1: State.END}
    with pytest.raises(StatusError, match="not found"), manager.use(_spec()):
        pass


def test_use_is_unavailable_until_a_version_was_available(
    manager: VersionManager[str], tmp_path: Path
) -> None:
    manager.apply(_plan(tmp_path, 3))
    with pytest.raises(StatusError) as raised, manager.use(_spec()):
        pass
    assert raised.value.code == StatusCode.UNAVAILABLE
    manager.apply(_plan(tmp_path, 1))
    with manager.use(_spec()) as (number, _):
        assert number == 1
    manager.apply([])
    with pytest.raises(StatusError) as raised, manager.use(_spec()):
        pass
    assert raised.value.code == StatusCode.NOT_FOUND


def test_model_with_an_empty_folder_waits_for_a_version(
    manager: VersionManager[str], tmp_path: Path
) -> None:
    empty = ModelPlan("later", str(tmp_path / "later"), (), {})
    manager.apply([empty, *_plan(tmp_path, 1)])
    assert manager.is_ready()
    manager.apply([empty])
    assert not manager.is_ready()
    assert not manager.has_failed("later")
