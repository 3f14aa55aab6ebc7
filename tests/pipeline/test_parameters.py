"""The pipeline's parameters: settings survive the trip through KFP, which makes numbers floats."""

import json
from typing import Any

import pytest
from google.protobuf import json_format, struct_pb2

from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import FacesInfo
from emotion_ai.networks.checkpoints import checkpoint_uri
from emotion_ai.networks.settings import TrainingSettings
from emotion_ai.pipeline.choices import PRESETS, list_settings_files
from emotion_ai.pipeline.parameters import training_parameters
from emotion_ai.pipeline.settings import RunSettings, load_run_settings
from emotion_ai.settings import restore_integers, validate_settings


def through_kfp(value: Any) -> Any:
    """What a step receives: JSON, a protobuf value, and JSON again."""
    message = json_format.Parse(json.dumps(value), struct_pb2.Value())
    return json_format.MessageToDict(message)


def nested(parameters: dict[str, Any]) -> dict[str, Any]:
    """Settings of a run that have the fields of `RunSettings`, from the pipeline's parameters."""
    return {
        "checks": parameters["checks"],
        "augmentation": {
            "keypoints": parameters["keypoint_augmentation"],
            "expression": parameters["expression_augmentation"],
        },
        "training": {
            "keypoints": parameters["keypoint_training"],
            "expression": parameters["expression_training"],
        },
        "gate": parameters["gate"],
        "validation": parameters["validation"],
        "serving": {"rollout": parameters["rollout_settings"]},
    }


@pytest.mark.parametrize("preset", list_settings_files(PRESETS))
def test_settings_are_the_same_after_the_trip_through_kfp(preset: str) -> None:
    given = load_run_settings("local", preset)
    arrived = through_kfp(training_parameters(given))
    assert isinstance(arrived["keypoint_training"]["epochs"], float)
    settings = validate_settings(RunSettings, nested(arrived), "run")
    for name in ("checks", "augmentation", "training", "gate", "validation"):
        assert getattr(settings, name) == getattr(given, name)
    assert settings.serving.rollout == given.serving.rollout
    expected = training_parameters(given)
    assert restore_integers(arrived) == expected


def test_checkpoint_is_found_again_whether_numbers_are_whole_or_floats() -> None:
    given = {"epochs": 10, "widths": [8, 16], "learning_rate": 1, "patience": 10}
    info = FacesInfo(
        kind="keypoints", label_set="", labels=(), image_size=96, source="a", fingerprint="b"
    )
    addresses = {
        checkpoint_uri("root", info, validate_settings(TrainingSettings, values, "training"), (1,))
        for values in (given, through_kfp(given), json.loads(json.dumps(through_kfp(given))))
    }
    assert len(addresses) == 1


def test_a_number_that_is_not_whole_is_refused_where_a_whole_one_is_needed() -> None:
    with pytest.raises(
        InputError, match=r"setting training\.epochs = 10\.5: expected a whole number"
    ):
        validate_settings(TrainingSettings, through_kfp({"epochs": 10.5}), "training")


def test_restore_integers_leaves_all_else_as_it_is() -> None:
    value = {"a": [1.5, True, None, "2.0", float("inf")], "b": {"c": -3.0}}
    restored = restore_integers(value)
    assert restored == {"a": [1.5, True, None, "2.0", float("inf")], "b": {"c": -3}}
    assert restored["a"][1] is True
    assert isinstance(restored["b"]["c"], int)


def test_parameters_have_the_nulls_that_are_no_defaults() -> None:
    settings = RunSettings.model_validate({"gate": {"champion": {"accuracy": None}}})
    gate = training_parameters(settings)["gate"]
    assert gate["champion"] == {"accuracy": None, "macro_f1": 0.02, "rmse_px": 0.05}
    assert gate["keypoints"] == {"keypoint_rmse_px": {}}
    assert RunSettings.model_validate({"gate": through_kfp(gate)}).gate == settings.gate


@pytest.mark.parametrize("given", ["1, champion", ["1", "champion"], [1, "champion"]])
def test_teachers_are_a_list_or_text_with_commas(given: Any) -> None:
    assert RunSettings(teachers=given).teachers == ("1", "champion")


def test_teachers_are_none_by_default() -> None:
    assert RunSettings(teachers="").teachers == RunSettings().teachers == ()
