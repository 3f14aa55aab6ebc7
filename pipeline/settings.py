"""Settings: one strict object an environment, compile-time apart from run-time.

An environment is `pipeline/environments/NAME.yaml` or a file of one's own. At run time a flag
beats the preset (`pipeline/presets/NAME.yaml`), and the preset beats the environment.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from components.errors import BadInput
from components.evaluate.settings import GateSettings
from components.faces.augmentation import AugmentationPolicy
from components.ingest.checks import DataChecks
from components.networks.settings import TrainingSettings
from components.settings import checked
from components.validate.limits import ValidationLimits

_HERE = Path(__file__).parent
_MOST_BYTES = 1 << 20


class Strict(BaseModel):
    """No unknown key, no change after the check."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Resources(Strict):
    """What a step asks of a node and is held to; in Kubernetes' notation."""

    cpu: str
    memory: str


class CompileSettings(Strict):
    """What is fixed when the DAG is compiled."""

    # Images are IMAGE/base:REVISION, IMAGE/train:REVISION.
    image: str = "emotion-ai"
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    # By the step's name, such as train-expression.
    resources: dict[str, Resources] = {}


class PairOfTrainings(Strict):
    keypoints: TrainingSettings = TrainingSettings()
    expression: TrainingSettings = TrainingSettings()


class PairOfPolicies(Strict):
    keypoints: AugmentationPolicy = AugmentationPolicy()
    expression: AugmentationPolicy = AugmentationPolicy()


class ServingSettings(Strict):
    """Where a release is rolled out, and how many releases the registry keeps."""

    target: str = "local"
    server: str = ""
    keep: Annotated[int, Field(ge=2)] = 10


class RunSettings(Strict):
    """What a run is told; every field is a parameter of the pipeline or part of one."""

    keypoints: str = "sample://2000?seed=1"
    expressions: str = "sample://2000?seed=1"
    label_set: str = "fer7"
    emotions: str = ""
    registry: str = "./registry"
    # Where a killed training finds its last epoch; "" = beside the artifacts.
    checkpoints: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 1
    force_accept: str = ""
    checks: DataChecks = DataChecks()
    augmentation: PairOfPolicies = PairOfPolicies()
    training: PairOfTrainings = PairOfTrainings()
    gate: GateSettings = GateSettings()
    validation: ValidationLimits = ValidationLimits()
    serving: ServingSettings = ServingSettings()


class Environment(Strict):
    """The file of an environment. `preset` names the preset its runs take unless told otherwise."""

    compile: CompileSettings = CompileSettings()
    preset: str = "quick"
    run: dict[str, Any] = {}


@cache
def environment(name: str) -> Environment:
    """The environment of a name, or of a path to a YAML file. Raises `BadInput`."""
    return checked(Environment, _read("environments", name), f"environment {name}")


def run_settings(
    environment_name: str, preset: str = "", flags: Mapping[str, Any] | None = None
) -> RunSettings:
    """The run-time settings in force: environment, then preset, then flags (later ones win).

    `flags` are those that were given, nested like the settings. Raises `BadInput`.
    """
    chosen = environment(environment_name)
    preset_run = _read("presets", preset or chosen.preset)
    # Each by itself too: a mistake is one even where something above it wins.
    checked(RunSettings, chosen.run, "run")
    checked(RunSettings, preset_run, f"preset {preset or chosen.preset}")
    merged = _merged(chosen.run, preset_run)
    return checked(RunSettings, _merged(merged, flags or {}), "run")


def _read(folder: str, name: str) -> dict[str, Any]:
    path = Path(name) if name.endswith((".yaml", ".yml")) else _HERE / folder / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in (_HERE / folder).glob("*.yaml")))
        raise BadInput(f"{folder[:-1]} {name!r} is unknown; expected one of {known}, or a file")
    if path.stat().st_size > _MOST_BYTES:
        raise BadInput(f"{path}: larger than {_MOST_BYTES} bytes; expected a settings file")
    try:
        values = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: not YAML: {error}") from None
    if not isinstance(values, dict):
        raise BadInput(f"{path}: expected keys and values")
    return values


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        under = result.get(key)
        if isinstance(under, Mapping) and isinstance(value, Mapping):
            value = _merged(under, value)
        result[key] = value
    return result
