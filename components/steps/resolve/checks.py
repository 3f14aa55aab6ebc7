"""What can be told of a run before a network is trained, in a cluster and on one machine alike."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import FacesInfo
from emotion_ai.faces.augmentation import AugmentationPolicy
from emotion_ai.faces.kinds import EXPRESSION, KEYPOINTS, FaceKind, KindName
from emotion_ai.faces.labels import SAMPLE_LABEL_SET, select_emotions
from emotion_ai.networks.answers import check_bank, only_bank, read_bank, with_digest
from emotion_ai.networks.settings import (
    TrainingSettings,
    check_keypoint_training,
    check_teaching,
)
from emotion_ai.networks.weights import (
    PRETRAINED,
    check_complete_start,
    check_initial_weights,
    check_teacher,
)
from emotion_ai.registry.champion import read_champion
from emotion_ai.registry.gate_settings import GateSettings
from emotion_ai.registry.placeholders import refuse_example
from emotion_ai.registry.releases import list_versions, release_uri, verify_release
from emotion_ai.registry.settings import RetentionSettings, ValidationLimits
from emotion_ai.registry.writer import check_writable
from emotion_ai.rollouts.settings import RolloutSettings
from emotion_ai.rollouts.targets import check_target
from emotion_ai.settings import (
    StrictModel,
    naming,
    require_whole,
    restore_integers,
    validate_settings,
)
from emotion_ai.sources.checks import DataChecks
from emotion_ai.sources.open import open_source
from emotion_ai.sources.uri import check_address, check_exists, is_sample

# The nested settings by the names of the pipeline's parameters.
_MODELS: dict[str, type[StrictModel]] = {
    "checks": DataChecks,
    "keypoint_augmentation": AugmentationPolicy,
    "expression_augmentation": AugmentationPolicy,
    "gate": GateSettings,
    "validation": ValidationLimits,
    "rollout_settings": RolloutSettings,
    "retention": RetentionSettings,
}
_TRAININGS: dict[KindName, str] = {
    "keypoints": "keypoint_training",
    "expression": "expression_training",
}


class Start(NamedTuple):
    """What the trainings start from.

    Attributes:
        champion: The champion's version; None before the first rollout.
        weights: "" for random ones, "pretrained", or the champion's URI.
        teachers: "pretrained" or a release's URI each; or an answer bank's with its digest.
    """

    champion: int | None
    weights: str
    teachers: list[str]


def check_settings(keypoints: str, expression: str, settings: Mapping[str, Any]) -> None:
    """Check everything that needs no storage to be asked.

    Args:
        keypoints: Source of the faces with keypoints.
        expression: Source of the faces with emotions.
        settings: The other parameters of the training pipeline by name. A missing one has its
            default.

    Raises:
        InputError: An address is an example, a setting is invalid, or settings do not go together.
    """
    for name, source in (("keypoints", keypoints), ("expression", expression)):
        with naming(f"setting {name}"):
            check_address(source)
        refuse_example(name, source)
    for name in ("registry", "checkpoints"):
        refuse_example(name, settings.get(name, ""))
    if checkpoints := settings.get("checkpoints", ""):
        with naming("setting checkpoints"):
            storage.check_folder_address(checkpoints)
    require_whole(settings.get("seed", 0), "seed")
    require_whole(settings.get("keep", 2), "keep", at_least=1)
    for name, model in _MODELS.items():
        validate_settings(model, settings.get(name, {}), name)
    check_target(settings.get("target", "local"))
    label_set = settings.get("label_set", SAMPLE_LABEL_SET)
    select_emotions(label_set, settings.get("emotions", ""))
    if is_sample(expression) and label_set != SAMPLE_LABEL_SET:
        raise InputError(
            f"{expression}: drawn faces show the emotions of {SAMPLE_LABEL_SET}; name a source of "
            f"{label_set} with --expression"
        )
    _check_trainings(settings)


def _check_trainings(settings: Mapping[str, Any]) -> None:
    check_keypoint_training(_training(settings, KEYPOINTS.name), "keypoint_training")
    teachers = restore_integers(settings.get("teachers", []))
    check_teaching(_training(settings, EXPRESSION.name), teachers, "expression_training")


def _training(settings: Mapping[str, Any], kind: KindName) -> TrainingSettings:
    name = _TRAININGS[kind]
    return validate_settings(TrainingSettings, settings.get(name, {}), name)


def check_storages(
    keypoints: str, expression: str, registry: str, settings: Mapping[str, Any]
) -> Start:
    """Look at the sources, at the folders to write, and at the releases to start from.

    Args:
        keypoints: Source of the faces with keypoints.
        expression: Source of the faces with emotions.
        registry: A local folder or a gs:// URI.
        settings: As for `check_settings`, which has taken them.

    Returns:
        What the trainings start from.

    Raises:
        InputError: A source is missing or of another kind, or a release is missing, or its networks
            do not fit these settings.
        VerificationError: The champion was altered.
        Unavailable: A storage failed, or a folder cannot be written.
    """
    _check_source(KEYPOINTS, keypoints, settings)
    _check_source(EXPRESSION, expression, settings)
    check_writable(registry)
    if checkpoints := settings.get("checkpoints", ""):
        storage.check_writable(checkpoints)
    champion = read_champion(registry)
    if champion is not None:
        # The evaluation compares with it, hours later.
        verify_release(registry, champion)
    weights = _initial_weights(settings.get("init", "scratch"), registry, champion)
    teachers = find_teachers(settings.get("teachers", []), registry, champion)
    _check_releases(weights, teachers, settings)
    return Start(champion, weights, teachers)


def _check_source(kind: FaceKind, source: str, settings: Mapping[str, Any]) -> None:
    """Open a source, which reads its header or the names of its pictures."""
    check_exists(source)
    if is_sample(source):
        return
    is_expression = kind is EXPRESSION
    info = FacesInfo(
        kind=kind.name,
        label_set=settings.get("label_set", SAMPLE_LABEL_SET) if is_expression else "",
        image_size=kind.image_size,
        source=source,
        fingerprint="",
    )
    with open_source(info, DataChecks(), settings.get("emotions", "")):
        pass


def _check_releases(weights: str, teachers: Sequence[str], settings: Mapping[str, Any]) -> None:
    label_set = settings.get("label_set", SAMPLE_LABEL_SET)
    labels = select_emotions(label_set, settings.get("emotions", ""))
    for kind in _TRAININGS:
        training = _training(settings, kind)
        if weights:
            check_initial_weights(weights, kind, training)
        if not training.epochs:
            check_complete_start(weights, kind, labels if kind == EXPRESSION.name else ())
    if only_bank(teachers):
        _check_bank(teachers[0], labels, settings)
        return
    for teacher in teachers:
        check_teacher(teacher, labels, EXPRESSION.image_size)


def _check_bank(address: str, labels: tuple[str, ...], settings: Mapping[str, Any]) -> None:
    """Compare a bank with what is known of the training before its faces have been read."""
    training = _training(settings, EXPRESSION.name)
    name = "expression_augmentation"
    policy = validate_settings(AugmentationPolicy, settings.get(name, {}), name)
    expected = {
        "labels": labels,
        "augmentation": policy.model_dump(),
        "seed": require_whole(settings.get("seed", 1), "seed"),
        **training.model_dump(include={"batch_size", "mixup", "cutmix"}),
    }
    check_bank(address, read_bank(address), expected)


def _initial_weights(init: str, registry: str, champion: int | None) -> str:
    choices = {"scratch": ""} | _named_weights(registry, champion)
    if init not in choices:
        raise InputError(f"init {init!r}: expected one of {', '.join(choices)}")
    return choices[init]


def find_teachers(teachers: Sequence[Any], registry: str, champion: int | None) -> list[str]:
    """Return where the teachers of a training are, as `TrainingContext` takes them.

    Args:
        teachers: Numbers of releases, champion and pretrained, or the address of an answer bank.
        registry: Where the releases are.
        champion: Its champion, if there is one.

    Raises:
        InputError: There is no such release or bank.
        Unavailable: A storage failed.
    """
    names = [str(name).strip() for name in restore_integers(teachers)]
    if not names:
        return []
    if bank := only_bank(names):
        return [with_digest(bank, read_bank(bank))]
    known = _named_weights(registry, champion)
    versions = list_versions(registry)
    known |= {str(version): release_uri(registry, version) for version in versions}
    for name in names:
        if name not in known:
            raise InputError(
                f"teachers {name!r}: expected pretrained, champion, an answer bank's .npz or "
                f"release numbers of {registry} (it has {', '.join(map(str, versions)) or 'none'})"
            )
    # Without duplicates: "champion" and its version are the same release.
    return list(dict.fromkeys(known[name] for name in names if known[name]))


def _named_weights(registry: str, champion: int | None) -> dict[str, str]:
    champion_uri = "" if champion is None else release_uri(registry, champion)
    return {"pretrained": PRETRAINED, "champion": champion_uri}
