"""The settings of an environment and of a run, each one strict object.

An environment is `pipeline/environments/NAME.yaml` or another YAML file. Its `compile` part is
fixed when the DAG is compiled; its `run` part holds defaults of a run. A flag overrides the preset
(`pipeline/presets/NAME.yaml` or another YAML file), and the preset overrides the environment.
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
from emotion_ai.faces.labels import select_emotions
from emotion_ai.networks.settings import TrainingSettings
from emotion_ai.pipeline.choices import (
    ENVIRONMENTS,
    PRESETS,
    InitialWeights,
    list_settings_files,
)
from emotion_ai.pipeline.cluster_settings import ClusterSettings
from emotion_ai.pipeline.field_types import Cpu, ImagePrefix, LabelSet, Memory, Names, StepName
from emotion_ai.registry.gate_settings import GateSettings
from emotion_ai.registry.settings import RetentionSettings, ValidationLimits
from emotion_ai.rollouts.settings import RolloutSettings
from emotion_ai.settings import StrictModel, naming, validate_settings
from emotion_ai.sources.checks import DataChecks
from emotion_ai.sources.uri import check_address

_MAX_BYTES = 64 << 10
# YAML's key "<<", which takes the keys of another mapping.
_MERGE = "tag:yaml.org,2002:merge"


class Resources(StrictModel):
    """What a step has instead of its own resources, in Kubernetes' notation.

    Attributes:
        cpu: What a node must have free; the limit too, unless `cpu_limit` is set.
        cpu_limit: What the step may use.
        memory: What a node must have free; the limit too, unless `memory_limit` is set.
        memory_limit: What the step may use.
    """

    cpu: Cpu | None = None
    cpu_limit: Cpu | None = None
    memory: Memory | None = None
    memory_limit: Memory | None = None


class CompileSettings(StrictModel):
    """What is fixed when the DAG is compiled."""

    # Images are IMAGE/base:REVISION, IMAGE/train:REVISION.
    image: ImagePrefix = "emotion-ai"
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    # By the step's name, such as train-expression.
    resources: dict[StepName, Resources] = {}
    cluster: ClusterSettings = ClusterSettings()


class TrainingPair(StrictModel):
    """The training settings of each model."""

    keypoints: TrainingSettings = TrainingSettings()
    expression: TrainingSettings = TrainingSettings()


class AugmentationPair(StrictModel):
    """The augmentation policy of each model's faces."""

    keypoints: AugmentationPolicy = AugmentationPolicy()
    expression: AugmentationPolicy = AugmentationPolicy()


class ServingSettings(StrictModel):
    """Where and how a release is rolled out, and how many releases the registry keeps."""

    target: Literal["local", "kubernetes"] = "local"
    server: str = ""
    keep: Annotated[int, Field(ge=2)] = 10
    rollout: RolloutSettings = RolloutSettings()


class RunSettings(StrictModel):
    """The settings of a run; every field is a parameter of the pipeline or part of one."""

    keypoints: str = "sample://2000?seed=1"
    expression: str = "sample://2000?seed=1"
    label_set: LabelSet = "fer7"
    # Names from the label set, separated by commas; "" for all.
    emotions: str = ""
    registry: str = "./registry"
    # Where a killed training finds its last epoch; "" is beside the artifacts.
    checkpoints: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 1
    # The weights that both trainings start from; "champion" is "scratch" before the first rollout.
    init: InitialWeights = "scratch"
    # Releases whose predictions the expression network also learns from: numbers, pretrained,
    # champion.
    teachers: Names = ()
    force_accept: str = ""
    checks: DataChecks = DataChecks()
    augmentation: AugmentationPair = AugmentationPair()
    training: TrainingPair = TrainingPair()
    gate: GateSettings = GateSettings()
    validation: ValidationLimits = ValidationLimits()
    serving: ServingSettings = ServingSettings()
    # How long runs, checkpoints and KFP's cache are kept; releases are counted by serving.keep.
    retention: RetentionSettings = RetentionSettings()


class Environment(StrictModel):
    """The content of an environment's file.

    Attributes:
        compile: What is fixed when the DAG is compiled.
        preset: The preset of runs that name none.
        run: Settings of a run, nested as `RunSettings`; validated when they are used.
    """

    compile: CompileSettings = CompileSettings()
    preset: str = "quick"
    run: dict[str, Any] = {}


@cache
def load_environment(name: str) -> Environment:
    """Read an environment.

    Args:
        name: A name from pipeline/environments, or the path of a YAML file.

    Raises:
        InputError: The name is unknown, or the file is invalid.
        Unavailable: The file cannot be read.

    Example:
        >>> load_environment("local").compile.retries
        0
    """
    values = _read_settings_file("environment", ENVIRONMENTS, name)
    with naming(f"environment {name}"):
        return validate_settings(Environment, values, "")


def load_run_settings(
    environment: str, preset: str = "", flags: Mapping[str, Any] | None = None
) -> RunSettings:
    """Merge the settings of a run: the environment's, the preset's over them, then the flags.

    Args:
        environment: A name from pipeline/environments, or the path of a YAML file.
        preset: A name from pipeline/presets, or the path of a YAML file; "" for the environment's.
        flags: The settings given on the command line, nested as `RunSettings`.

    Raises:
        InputError: A name or a setting is unknown or invalid.
        Unavailable: A file cannot be read.

    Example:
        >>> load_run_settings("local", "quick", {"seed": 7}).training.expression.epochs
        12
    """
    chosen = load_environment(environment)
    preset = preset or chosen.preset
    preset_run = _read_settings_file("preset", PRESETS, preset)
    # Each file on its own too: a mistake is reported even where a later layer overrides it.
    with naming(f"environment {environment}"):
        validate_settings(RunSettings, chosen.run, "run")
    with naming(f"preset {preset}"):
        validate_settings(RunSettings, preset_run, "")
    merged = _merge(_merge(chosen.run, preset_run), flags or {})
    settings = validate_settings(RunSettings, merged, "run")
    # Only after merging: one layer may name the label set, another the emotions.
    select_emotions(settings.label_set, settings.emotions)
    _check_addresses(settings)
    return settings


def _check_addresses(settings: RunSettings) -> None:
    """Check what can be told of addresses before their storages are asked."""
    folder = storage.check_folder_address
    checks = {"keypoints": check_address, "expression": check_address, "registry": folder}
    if settings.checkpoints:
        checks["checkpoints"] = folder
    for name, check in checks.items():
        with naming(f"setting run.{name}"):
            check(getattr(settings, name))


def _read_settings_file(setting: str, folder: Path, name: str) -> dict[str, Any]:
    is_path = name.endswith((".yaml", ".yml"))
    path = Path(name) if is_path else folder / f"{name}.yaml"
    if not path.is_file():
        if is_path:
            raise InputError(f"{setting} {name}: no such file")
        known = ", ".join(list_settings_files(folder))
        raise InputError(f"{setting} {name!r} is unknown; expected one of {known}, or a YAML file")
    values = _parse_yaml(str(path), storage.read_bytes(str(path), _MAX_BYTES))
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected keys and values")
    return values


class _Refused(yaml.constructor.ConstructorError):
    """YAML that is not taken in settings; the message is one for the user."""

    def __init__(self, problem: str, mark: Any) -> None:
        super().__init__(None, None, problem, mark)


class _Loader(yaml.SafeLoader):
    """Rejects a key that is given twice, and aliases, which expand a few lines to any number."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        lines: dict[Any, int] = {}
        # Other nodes, and keys that are no text or number, are refused by the method itself.
        for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == _MERGE:
                continue
            key, mark = self.construct_object(key_node), key_node.start_mark
            if key in lines:
                problem = f"the key {key!r} is there already in line {lines[key]}; leave one out"
                raise _Refused(problem, mark)
            lines[key] = mark.line + 1
        return super().construct_mapping(node, deep)

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise _Refused("an alias is not taken here", self.peek_event().start_mark)
        return super().compose_node(parent, index)


def _parse_yaml(path: str, text: bytes) -> Any:
    try:
        return yaml.load(text.decode(), _Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        kind = "" if isinstance(error, _Refused) else "not YAML: "
        raise InputError(f"{path}{line}: {kind}{error.problem}") from None
    except RecursionError:
        raise InputError(f"{path}: nested too deeply; expected a settings file") from None
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError) as error:
        # PyYAML's constructors raise these for a value that its tag does not allow.
        raise InputError(f"{path}: not YAML: {type(error).__name__}: {error}") from None


def _merge(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in override.items():
        below = result.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            value = _merge(below, value)
        result[key] = value
    return result
