"""Types of settings: names from a list, and names as Kubernetes takes them."""

from collections.abc import Collection
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from emotion_ai.pipeline.choices import LABEL_SET_NAMES, STEP_NAMES, join_choices
from emotion_ai.settings import matching


def _one_of(choices: Collection[str]) -> AfterValidator:
    """A validator of names that are among some choices, which its message lists."""

    def check(name: str) -> str:
        if name not in choices:
            expected = {"choices": join_choices(choices)}
            raise PydanticCustomError("choice", "expected {choices}", expected)
        return name

    return AfterValidator(check)


# What an image brings along, or Kubernetes, Argo and KFP put into a step's container.
_TAKEN_FOLDERS = (
    "app", "bin", "dev", "etc", "gcs", "kfp-launcher", "lib", "lib64", "minio", "oci", "proc", "s3",
    "sbin", "sys", "tmp", "usr",
)  # fmt: skip


def _check_mount(path: str) -> str:
    first = path.split("/")[1]
    if first in _TAKEN_FOLDERS:
        message = "/{folder} is used by the image or by Kubernetes; expected another folder"
        raise PydanticCustomError("mount", message, {"folder": first})
    return path


def _split_names(value: Any) -> Any:
    """Split "1, champion" as a command line gives it; numbers in a list become text."""
    if isinstance(value, str):
        return [name.strip() for name in value.split(",") if name.strip()]
    if isinstance(value, list | tuple):
        return [str(item) if type(item) is int else item for item in value]
    return value


# A list; text with commas is taken too.
Names = Annotated[tuple[str, ...], BeforeValidator(_split_names)]

LabelSet = Annotated[str, _one_of(LABEL_SET_NAMES)]
StepName = Annotated[str, _one_of(STEP_NAMES)]

Cpu = Annotated[str, matching(r"[0-9]+(\.[0-9]+)?|[0-9]+m", "CPUs, such as 2, 0.5 or 500m")]
Memory = Annotated[
    str,
    matching(r"[0-9]+(\.[0-9]+)?([EPTGMK]i?)?", "an amount of memory, such as 512M or 4Gi"),
]
# A Secret, a claim or a service account.
ObjectName = Annotated[
    str,
    matching(
        r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?",
        "a name of Kubernetes: small letters, digits, '-' and '.'",
    ),
]
LabelKey = Annotated[
    str,
    matching(
        r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?",
        "a key of Kubernetes' labels, such as pool or example.com/pool",
    ),
]
LabelValue = Annotated[
    str,
    matching(
        r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?",
        "at most 63 letters, digits, '-', '_' and '.'",
    ),
]
VariableName = Annotated[
    str,
    matching(r"[A-Za-z_][A-Za-z0-9_]{0,252}", "letters, digits and '_', no digit first"),
]
# Of a mount: no folder of it is hidden or leads upwards.
FolderPath = Annotated[
    str,
    Field(max_length=1024),
    matching(r"(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+", "an absolute path, such as /registry"),
    AfterValidator(_check_mount),
]
# Of images, without a tag: [HOST[:PORT]/]PATH.
ImagePrefix = Annotated[
    str,
    Field(max_length=255),
    matching(
        r"([A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?/)?"
        r"[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*",
        "the name of images without scheme and tag, such as registry.example.com/emotion-ai",
    ),
]
FileName = Annotated[
    str,
    Field(max_length=253),
    matching(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", "a file's name without a folder, such as key.json"),
]
Seconds = Annotated[int, Field(ge=1, le=30 * 86_400)]
