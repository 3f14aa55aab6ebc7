"""The settings of an environment and of a run, each one strict object.

An environment is `pipeline/environments/NAME.yaml` or another YAML file. Its `compile` part is
fixed when the DAG is compiled; its `run` part holds defaults of a run. A flag overrides the preset
(`pipeline/presets/NAME.yaml` or another YAML file), and the preset overrides the environment.
"""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from emotion_ai import storage
from emotion_ai.faces.augmentation import AugmentationPolicy
from emotion_ai.faces.labels import select_emotions
from emotion_ai.networks.settings import (
    TrainingSettings,
    check_keypoint_training,
    check_teaching,
)
from emotion_ai.pipeline.choices import (
    ENVIRONMENTS,
    PRESETS,
    InitialWeights,
)
from emotion_ai.pipeline.cluster_settings import ClusterSettings
from emotion_ai.pipeline.field_types import Cpu, ImagePrefix, LabelSet, Memory, Names, StepName
from emotion_ai.pipeline.settings_files import differences, merge, read_settings_file
from emotion_ai.registry.gate_settings import GateSettings
from emotion_ai.registry.settings import RetentionSettings, ValidationLimits
from emotion_ai.rollouts.settings import RolloutSettings
from emotion_ai.settings import StrictModel, naming, validate_settings
from emotion_ai.sources.checks import DataChecks
from emotion_ai.sources.uri import check_address
from emotion_ai.terminal import CONTROLS


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


def _refuse_controls(text: str) -> str:
    if CONTROLS.search(text):
        raise ValueError("expected a text in UTF-8, without control characters")
    return text


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
    # champion; or a bank of their answers, an .npz.
    teachers: Names = ()
    force_accept: Annotated[str, AfterValidator(_refuse_controls)] = ""
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
    values = read_settings_file("environment", ENVIRONMENTS, name)
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
    preset_run = read_settings_file("preset", PRESETS, preset)
    # Each file on its own too: a mistake is reported even where a later layer overrides it.
    with naming(f"environment {environment}"):
        validate_settings(RunSettings, chosen.run, "run")
    with naming(f"preset {preset}"):
        validate_settings(RunSettings, preset_run, "")
    merged = merge(merge(chosen.run, preset_run), flags or {})
    settings = validate_settings(RunSettings, merged, "run")
    # Only after merging: one layer may name the label set, another the emotions.
    select_emotions(settings.label_set, settings.emotions)
    check_keypoint_training(settings.training.keypoints, "run.training.keypoints")
    check_teaching(settings.training.expression, settings.teachers, "run.training.expression")
    _check_addresses(settings)
    return settings


def describe_overridden(environment: str, preset: str = "") -> list[str]:
    """Say which settings of an environment a preset overrides, one sentence each.

    Args:
        environment: As for `load_run_settings`.
        preset: As for `load_run_settings`.

    Raises:
        InputError: A name is unknown, or a file is invalid.
        Unavailable: A file cannot be read.
    """
    chosen = load_environment(environment)
    preset = preset or chosen.preset
    run = read_settings_file("preset", PRESETS, preset)
    return [
        f"setting run.{name} of environment {environment} has no effect: preset {preset} has {new}"
        for name, new in differences(chosen.run, run)
    ]


def _check_addresses(settings: RunSettings) -> None:
    """Check what can be told of addresses before their storages are asked."""
    folder = storage.check_folder_address
    checks = {"keypoints": check_address, "expression": check_address, "registry": folder}
    if settings.checkpoints:
        checks["checkpoints"] = folder
    for name, check in checks.items():
        with naming(f"setting run.{name}"):
            check(getattr(settings, name))
