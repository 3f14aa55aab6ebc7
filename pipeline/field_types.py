"""Types of settings: names from a list, and names as Kubernetes takes them."""

from collections.abc import Collection
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from emotion_ai.pipeline.choices import LABEL_SET_NAMES, STEP_NAMES, join_choices


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

# A Secret, a claim or a service account.
ObjectName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]
LabelKey = Annotated[
    str,
    Field(
        pattern=r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?"
        r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
    ),
]
LabelValue = Annotated[str, Field(pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=253)]
# Of a mount: no folder of it is hidden or leads upwards.
FolderPath = Annotated[
    str,
    Field(pattern=r"^(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+$", max_length=1024),
    AfterValidator(_check_mount),
]
# Of images, without a tag: [HOST[:PORT]/]PATH.
ImagePrefix = Annotated[
    str,
    Field(
        pattern=r"^([A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?/)?"
        r"[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$",
        max_length=255,
    ),
]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=253)]
Seconds = Annotated[int, Field(ge=1, le=30 * 86_400)]
