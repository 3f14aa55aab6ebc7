"""What the wheel and the images are made of: bills of materials, the base image, hashes."""

import hashlib
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "docker/requirements-gpu.lock")
NAMES = ("wheel", "client", "base", "serve", "train", "train-gpu")
DIGEST = "0123456789abcdef" * 4


def write_sboms(folder: Path, base: str = "python:3.11-slim", **environment: str) -> dict[str, str]:
    """The bills by name, as `make sbom` writes them."""
    command = [sys.executable, "docker/sbom.py", str(folder), base, *NAMES]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return {name: (folder / f"emotion-ai-{name}.cdx.json").read_text() for name in NAMES}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_sboms(tmp_path_factory.mktemp("sbom"))


@pytest.fixture(scope="module")
def sboms(texts: dict[str, str]) -> dict[str, dict[str, Any]]:
    return {name: json.loads(text) for name, text in texts.items()}


def versions(sbom: dict[str, Any]) -> dict[str, str]:
    """The packages in a bill."""
    return {c["name"]: c["version"] for c in sbom["components"] if c["type"] == "library"}


@pytest.mark.parametrize("name", NAMES)
def test_bills_follow_the_schema(texts: dict[str, str], name: str) -> None:
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(texts[name]) is None
    # A validator that takes anything would show nothing.
    assert validator.validate_str(texts[name].replace('"library"', '"librarian"')) is not None


def test_bills_have_the_same_bytes_each_time(texts: dict[str, str], tmp_path: Path) -> None:
    again = write_sboms(tmp_path, PYTHONHASHSEED="7", TZ="Asia/Tokyo", HOME=str(tmp_path))
    assert again == texts
    for text in again.values():
        assert "timestamp" not in text
        assert "serialNumber" not in text
        assert str(ROOT) not in text


def test_bills_name_what_is_in_the_lock(sboms: dict[str, dict[str, Any]]) -> None:
    locked = dict(
        pin
        for lock in LOCKS
        for pin in re.findall(
            r"^([a-z0-9.-]+)(?:\[.*\])?==([^\s;]+)", (ROOT / lock).read_text(), re.M
        )
    )
    for name, sbom in sboms.items():
        assert versions(sbom).items() <= locked.items(), name
    assert {"grpcio", "numpy", "pillow"} <= versions(sboms["client"]).keys()
    assert "tensorflow-cpu" in versions(sboms["train"])
    assert "tensorflow-cpu" not in versions(sboms["client"])
    # The lock has it for other machines.
    assert "tensorflow" not in versions(sboms["train"])
    assert {"tensorflow", "nvidia-cudnn-cu12"} <= versions(sboms["train-gpu"]).keys()
    assert {"kfp", "matplotlib", "tensorflow-cpu"} <= versions(sboms["wheel"]).keys()
    # What only the development needs.
    assert not {"pytest", "cyclonedx-python-lib", "mypy"} & versions(sboms["wheel"]).keys()


def test_the_wheel_requires_what_it_declares_and_has_the_rest_as_options(
    sboms: dict[str, dict[str, Any]],
) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.match(r"[a-z-]+", requirement)[0] for requirement in project["dependencies"]}
    scopes = {c["name"]: c.get("scope") for c in sboms["wheel"]["components"]}
    assert {scopes[name] for name in declared} == {"required"}
    assert scopes["kfp"] == scopes["tensorflow-cpu"] == "optional"


@pytest.mark.parametrize("name", NAMES)
def test_everything_in_a_bill_is_reached_from_the_product(
    sboms: dict[str, dict[str, Any]], name: str
) -> None:
    sbom = sboms[name]
    below = {entry["ref"]: entry.get("dependsOn", []) for entry in sbom["dependencies"]}
    reached, pending = set(), [sbom["metadata"]["component"]["bom-ref"]]
    while pending:
        reference = pending.pop()
        if reference not in reached:
            reached.add(reference)
            pending += below[reference]
    assert reached >= {component["bom-ref"] for component in sbom["components"]}


def test_networks_are_named_where_they_are(sboms: dict[str, dict[str, Any]]) -> None:
    code = ROOT / "components"
    files = [*code.rglob("*.npz"), *code.rglob("*.tflite")]
    digests = {
        str(file.relative_to(code)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files
    }
    pretrained = {name for name in digests if name.startswith("networks/pretrained/")}
    assert len(pretrained) == 3
    for name, sbom in sboms.items():
        models = [c for c in sbom["components"] if c["type"] == "machine-learning-model"]
        found = {model["name"]: model["hashes"][0]["content"] for model in models}
        lacking = pretrained if name in ("client", "base") else set()
        assert found == {file: digests[file] for file in digests.keys() - lacking}, name


def test_the_lock_is_told_by_its_hash(sboms: dict[str, dict[str, Any]]) -> None:
    for name, sbom in sboms.items():
        (reference,) = sbom["metadata"]["component"]["externalReferences"]
        lock = LOCKS[name == "train-gpu"]
        assert reference["url"] == lock
        digest = hashlib.sha256((ROOT / lock).read_bytes()).hexdigest()
        assert reference["hashes"][0]["content"] == digest


@pytest.mark.parametrize(
    ("base", "name", "version", "hashes"),
    [
        ("python:3.11-slim", "python", "3.11-slim", []),
        ("python:3.11-slim@sha256:" + DIGEST, "python", "3.11-slim", [DIGEST]),
        (
            "reg.example.com:5000/python@sha256:" + DIGEST,
            "reg.example.com:5000/python",
            None,
            [DIGEST],
        ),
    ],
)
def test_base_image_is_told_with_the_digest_that_was_given(
    tmp_path: Path, base: str, name: str, version: str | None, hashes: list[str]
) -> None:
    sbom = json.loads(write_sboms(tmp_path, base)["serve"])
    (image,) = (c for c in sbom["components"] if c["type"] == "container")
    assert (image["name"], image.get("version")) == (name, version)
    assert [h["content"] for h in image.get("hashes", [])] == hashes


def test_an_image_that_is_none_is_named(tmp_path: Path) -> None:
    command = [sys.executable, "docker/sbom.py", str(tmp_path), "python:3.11-slim", "nope"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "invalid choice: 'nope' (choose from 'wheel', " in done.stderr
    assert "Traceback" not in done.stderr


def test_no_package_is_under_a_licence_that_binds_its_users(
    sboms: dict[str, dict[str, Any]],
) -> None:
    stated = {c["name"]: json.dumps(c.get("licenses", [])) for c in sboms["wheel"]["components"]}
    assert "Apache-2.0" in stated["grpcio"]
    bad = re.compile(r"(?<!L)\bA?GPL|GNU (Affero |)General|non-?commercial", re.IGNORECASE)
    assert [name for name, text in stated.items() if bad.search(text)] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_has_hashes(lock: str) -> None:
    blocks = re.split(r"^(?=\S)", (ROOT / lock).read_text(), flags=re.M)
    pins = [block for block in blocks if re.match(r"[A-Za-z0-9._-]+(\[.*\])?==", block)]
    assert len(pins) > 40
    assert [pin.split("==")[0] for pin in pins if "--hash=sha256:" not in pin] == []


# An engine that notes what it is told.
ENGINE = """#!/bin/sh
for argument; do printf '%s\\n' "$argument" >>"$NOTES"; done
"""


def build_images(
    tmp_path: Path, *variables: str
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """`make images` with that engine, and what it was told."""
    engine, notes = tmp_path / "engine", tmp_path / "notes"
    engine.write_text(ENGINE)
    engine.chmod(0o755)
    notes.touch()
    here = (f"BIN={Path(sys.executable).parent}", f"CONTAINER_ENGINE={engine}", "TARGETS=client")
    # Those of the make that runs the tests: it would say which folder it enters.
    inherited = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")
    environment = {k: v for k, v in os.environ.items() if k not in inherited}
    done = subprocess.run(
        ["make", "--old-file=.venv/.ready", "images", *here, *variables],
        cwd=ROOT,
        env=environment | {"NOTES": str(notes)},
        capture_output=True,
        text=True,
    )
    return done, notes.read_text().splitlines()


def test_images_record_the_digest_of_their_base_image_if_it_was_given(tmp_path: Path) -> None:
    base = f"registry.example.com/python:3.11-slim@sha256:{DIGEST}"
    done, told = build_images(tmp_path, f"BASE_IMAGE={base}")
    assert done.returncode == 0, done.stderr
    assert f"PYTHON={base}" in told
    assert "org.opencontainers.image.base.name=registry.example.com/python:3.11-slim" in told
    assert f"org.opencontainers.image.base.digest=sha256:{DIGEST}" in told


def test_images_record_no_digest_that_nobody_gave(tmp_path: Path) -> None:
    done, told = build_images(tmp_path)
    assert done.returncode == 0, done.stderr
    (default,) = re.findall("^ARG PYTHON=(.+)$", (ROOT / "docker/Dockerfile").read_text(), re.M)
    assert f"org.opencontainers.image.base.name={default}" in told
    assert f"PYTHON={default}" in told
    assert not [argument for argument in told if "base.digest" in argument]
    version = importlib.metadata.version("emotion-ai")
    assert f"org.opencontainers.image.version={version}" in told


def test_a_base_image_that_no_label_would_name_is_refused(tmp_path: Path) -> None:
    done, told = build_images(tmp_path, "BUILD_FLAGS=--build-arg PYTHON=python:3.11")
    assert done.returncode == 2
    assert "BASE_IMAGE=" in done.stdout
    assert told == []


def test_images_of_several_platforms_are_built_and_pushed_at_once(tmp_path: Path) -> None:
    platforms, push = "linux/amd64,linux/arm64", "registry.example.com/emotion-ai"
    done, told = build_images(tmp_path, f"PLATFORMS={platforms}", f"PUSH={push}")
    assert done.returncode == 0, done.stderr
    build = told[told.index("version") + 1 :]
    assert build[:5] == ["buildx", "build", "--platform", platforms, "--push"]
    assert "push" not in build
    assert done.stdout.startswith(f"{push}/client:")


@pytest.mark.parametrize(
    ("engine", "push", "told"),
    [
        ("exit 0", "PUSH=", "PUSH="),
        ("test $1 != buildx", "PUSH=registry.example.com/emotion-ai", "docker buildx"),
    ],
    ids=["no-registry", "no-buildx"],
)
def test_images_of_several_platforms_say_what_is_lacking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, push: str, told: str
) -> None:
    monkeypatch.setattr(f"{__name__}.ENGINE", f"{ENGINE}{engine}\n")
    done, _ = build_images(tmp_path, "PLATFORMS=linux/amd64,linux/arm64", push)
    assert done.returncode == 2
    assert told in done.stdout
