"""Settings: one strict object an environment, compile-time apart from run-time.

An environment is `pipeline/environments/NAME.yaml` or a file of one's own. At run time a flag
beats the preset (`pipeline/presets/NAME.yaml`), and the preset beats the environment.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.faces.augmentation import AugmentationPolicy
from emotion_ai.networks.settings import TrainingSettings
from emotion_ai.settings import StrictModel, validate_settings
from emotion_ai.sources.checks import DataChecks
from emotion_ai.steps.evaluate.settings import GateSettings
from emotion_ai.steps.validate.limits import ValidationLimits

_HERE = Path(__file__).parent
_MAX_BYTES = 64 << 10


class Resources(StrictModel):
    """What a step asks of a node and is held to; in Kubernetes' notation."""

    cpu: str
    memory: str


class CompileSettings(StrictModel):
    """What is fixed when the DAG is compiled."""

    # Images are IMAGE/base:REVISION, IMAGE/train:REVISION.
    image: str = "emotion-ai"
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    # By the step's name, such as train-expression.
    resources: dict[str, Resources] = {}


class PairOfTrainings(StrictModel):
    keypoints: TrainingSettings = TrainingSettings()
    expression: TrainingSettings = TrainingSettings()


class PairOfPolicies(StrictModel):
    keypoints: AugmentationPolicy = AugmentationPolicy()
    expression: AugmentationPolicy = AugmentationPolicy()


class ServingSettings(StrictModel):
    """Where a release is rolled out, and how many releases the registry keeps."""

    target: str = "local"
    server: str = ""
    keep: Annotated[int, Field(ge=2)] = 10


class RunSettings(StrictModel):
    """What a run is told; every field is a parameter of the pipeline or part of one."""

    keypoints: str = "sample://2000?seed=1"
    expression: str = "sample://2000?seed=1"
    label_set: str = "fer7"
    emotions: str = ""
    registry: str = "./registry"
    # Where a killed training finds its last epoch; "" = beside the artifacts.
    checkpoints: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 1
    # The weights that both trainings start from; before there is a champion it means scratch.
    init: Literal["scratch", "pretrained", "champion"] = "scratch"
    # The expression network learns from these too: releases by number, pretrained, champion; a,b.
    teachers: str = ""
    force_accept: str = ""
    checks: DataChecks = DataChecks()
    augmentation: PairOfPolicies = PairOfPolicies()
    training: PairOfTrainings = PairOfTrainings()
    gate: GateSettings = GateSettings()
    validation: ValidationLimits = ValidationLimits()
    serving: ServingSettings = ServingSettings()


class Environment(StrictModel):
    """The file of an environment. `preset` names the preset its runs take unless told otherwise."""

    compile: CompileSettings = CompileSettings()
    preset: str = "quick"
    run: dict[str, Any] = {}


@cache
def environment(name: str) -> Environment:
    """The environment of a name, or of a path to a YAML file. Raises `InputError`."""
    return validate_settings(Environment, _read("environments", name), f"environment {name}")


def run_settings(
    environment_name: str, preset: str = "", flags: Mapping[str, Any] | None = None
) -> RunSettings:
    """The run-time settings in force: environment, then preset, then flags (later ones win).

    `flags` are those that were given, nested like the settings. Raises `InputError`.
    """
    chosen = environment(environment_name)
    preset_run = _read("presets", preset or chosen.preset)
    # Each by itself too: a mistake is one even where something above it wins.
    validate_settings(RunSettings, chosen.run, "run")
    validate_settings(RunSettings, preset_run, f"preset {preset or chosen.preset}")
    merged = _merged(chosen.run, preset_run)
    return validate_settings(RunSettings, _merged(merged, flags or {}), "run")


def _read(folder: str, name: str) -> dict[str, Any]:
    path = Path(name) if name.endswith((".yaml", ".yml")) else _HERE / folder / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in (_HERE / folder).glob("*.yaml")))
        raise InputError(f"{folder[:-1]} {name!r} is unknown; expected one of {known}, or a file")
    values = _parsed(str(path), storage.read_bytes(str(path), _MAX_BYTES))
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected keys and values")
    return values


class _Loader(yaml.SafeLoader):
    """No aliases: with them a few lines stand for any number of values."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.constructor.ConstructorError(None, None, "an alias is not taken here", mark)
        return super().compose_node(parent, index)


def _parsed(path: str, text: bytes) -> Any:
    try:
        return yaml.load(text.decode(), _Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        place = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{path}{place}: not YAML: {error.problem}") from None
    except RecursionError:
        raise InputError(f"{path}: nested too deeply; expected a settings file") from None
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError) as error:
        # What PyYAML's constructors raise for a value that is not what its tag or form says.
        raise InputError(f"{path}: not YAML: {type(error).__name__}: {error}") from None


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        under = result.get(key)
        if isinstance(under, Mapping) and isinstance(value, Mapping):
            value = _merged(under, value)
        result[key] = value
    return result
