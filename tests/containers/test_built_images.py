"""What `make images` makes, and what is in it."""

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from emotion_ai.pipeline.policy import STEPS, image_tags

from support.container_engine import BARE, ROOT, answered, engine, make_images

TARGETS = ("client", "base", "serve", "train")
OCI = "org.opencontainers.image."
BASE = re.findall("^ARG PYTHON=(.+)$", (ROOT / "docker/Dockerfile").read_text(), re.MULTILINE)[0]
# What each image's code imports and what it has no use for.
PACKAGES = {
    "client": (
        "emotion_ai.apps.predict.command emotion_ai.pipeline.cli rich PIL ai_edge_litert",
        "tensorflow keras pandas matplotlib sklearn google.cloud.storage kfp",
    ),
    "base": (
        "pandas pandera.pandas matplotlib.figure jinja2 google.cloud.storage grpc kfp.dsl",
        "tensorflow keras sklearn tensorflow_serving",
    ),
    "serve": (
        "tensorflow tensorflow_serving.apis.prediction_service_pb2_grpc grpc_health.v1.health "
        "google.cloud.storage",
        "pandas matplotlib sklearn kfp tensorboard",
    ),
    "train": (
        "tensorflow keras sklearn.metrics matplotlib.figure jinja2 google.cloud.storage kfp.dsl "
        "tensorflow_serving.apis.prediction_service_pb2_grpc",
        "pandas pandera tensorboard clang",
    ),
}


def in_image(image: str, *command: str) -> str:
    return answered("run", "--rm", *BARE, "--entrypoint=init", image, *command)


def inspected(image: str) -> dict[str, Any]:
    return json.loads(answered("image", "inspect", image))[0]


def test_images_of_every_target_carry_the_revisions_of_their_steps(images: dict[str, str]) -> None:
    assert set(images) == set(TARGETS)
    for target in TARGETS:
        names = [f"localhost/emotion-ai/{target}:{tag}" for tag in image_tags(target)]
        assert images[target] in names
        assert {inspected(name)["Id"] for name in names} == {inspected(images[target])["Id"]}


def test_a_second_build_makes_nothing(images: dict[str, str]) -> None:
    before = {target: inspected(image)["Id"] for target, image in images.items()}
    again = make_images()
    assert {target: inspected(image)["Id"] for target, image in again.items()} == before


def test_other_code_makes_the_last_layers_alone(images: dict[str, str], tmp_path: Path) -> None:
    for name in ("docker", "components", "pipeline"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("Makefile", "pyproject.toml", "setup.py", "requirements.lock", ".dockerignore"):
        shutil.copy2(ROOT / name, tmp_path)
    (tmp_path / "components" / "errors.py").open("a").write("# changed\n")
    apart = "IMAGES=localhost/emotion-ai-other"
    other = make_images(tmp_path, "TARGETS=base", apart)["base"]
    layers, before = (inspected(image)["RootFS"]["Layers"] for image in (other, images["base"]))
    answered("image", "rm", "--force", inspected(other)["Id"])
    assert other != images["base"]
    assert len(layers) == len(before)
    # The sources, and the byte-code of them.
    assert layers[:-2] == before[:-2]
    assert layers[-2:] != before[-2:]


@pytest.mark.parametrize("target", TARGETS)
def test_labels_and_user(images: dict[str, str], target: str) -> None:
    config = inspected(images[target])["Config"]
    label = {name.removeprefix(OCI): value for name, value in config["Labels"].items()}
    assert re.fullmatch("[0-9a-f]{40}(-dirty)?|unknown", label["revision"])
    assert label["version"] == importlib.metadata.version("emotion-ai")
    assert label["licenses"] == "Apache-2.0"
    assert label["source"]
    assert label["title"] == f"emotion-ai {target}"
    assert label["base.name"] == BASE
    # Nobody named one.
    assert "base.digest" not in label
    assert config["User"] == "10001:10001"


def test_an_image_on_a_digest_records_it(images: dict[str, str]) -> None:
    digests = inspected(BASE)["RepoDigests"]
    if not digests:
        pytest.skip(f"this engine knows no digest of {BASE}")
    digest = digests[0].partition("@")[2]
    apart = "IMAGES=localhost/emotion-ai-on-digest"
    image = make_images(ROOT, "TARGETS=client", f"BASE_IMAGE={BASE}@{digest}", apart)["client"]
    labels = inspected(image)["Config"]["Labels"]
    answered("image", "rm", "--force", inspected(image)["Id"])
    assert (labels[f"{OCI}base.name"], labels[f"{OCI}base.digest"]) == (BASE, digest)


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_holds_the_packages_that_its_bill_of_materials_names(
    images: dict[str, str], target: str, tmp_path: Path
) -> None:
    command = [sys.executable, "docker/sbom.py", str(tmp_path), BASE, target]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (bill,) = (json.loads(path.read_text()) for path in tmp_path.iterdir())
    named = {c["name"]: c["version"] for c in bill["components"] if c["type"] == "library"}
    program = """
import importlib.metadata, json, re
found = importlib.metadata.distributions()
print(json.dumps({re.sub("[-_.]+", "-", d.name).lower(): d.version for d in found}))
"""
    there = json.loads(in_image(images[target], "python3", "-c", program))
    assert there == named


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_imports_what_its_steps_need_and_nothing_else(
    images: dict[str, str], target: str
) -> None:
    there, absent = (names.split() for names in PACKAGES[target])
    steps = [step.replace("-", "_") for step, policy in STEPS.items() if policy.image == target]
    modules = [path for step in steps for path in (ROOT / "components/steps" / step).glob("*.py")]
    there += [f"emotion_ai.steps.{path.parent.name}.{path.stem}" for path in modules]
    program = f"""
import importlib, os
os.environ["_KFP_RUNTIME"] = "true"
for name in {there!r}:
    # What a cluster's KFP reads has kfp's compiler under it, which no step has.
    if not name.endswith(".component"):
        importlib.import_module(name)
for name in {absent!r}:
    try:
        importlib.import_module(name)
    except ImportError:
        continue
    raise SystemExit(name + " is in this image")
"""
    in_image(images[target], "python3", "-c", program)


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_there_that_no_step_needs(images: dict[str, str], target: str) -> None:
    script = """
    for tool in cc gcc g++ c++ ld make; do command -v "$tool"; done
    find /app -type d '(' -name tests -o -name include -path '*/tensorflow/include' ')'
    find / -xdev -type d -path '*/.cache/pip' 2>/dev/null
    find /app -name '*.py' -path '*/emotion_ai/*' ! -perm -004
    true"""
    assert in_image(images[target], "sh", "-c", script) == ""


@pytest.mark.parametrize("target", TARGETS)
def test_sigterm_reaches_what_runs(images: dict[str, str], target: str) -> None:
    command = ("python3", "-c", "import time; print('here', flush=True); time.sleep(600)")
    name = answered("run", "--detach", *BARE, "--entrypoint=init", images[target], *command)
    try:
        while "here" not in answered("logs", name):
            time.sleep(0.1)
        # With the grace period over it would be 137.
        answered("stop", "--time=60", name)
        assert answered("inspect", "--format={{.State.ExitCode}}", name) == "143"
    finally:
        engine("rm", "--force", name)


def test_sizes_are_within_bounds(images: dict[str, str]) -> None:
    command = [sys.executable, "tests/benchmarks/bench_images.py", "--sizes"]
    measured = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert measured.returncode == 0, measured.stdout + measured.stderr
    rows = [line.split() for line in measured.stdout.splitlines()]
    assert {row[0] for row in rows} >= set(TARGETS)
