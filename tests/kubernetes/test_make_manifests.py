"""`make manifests` puts the images of this checkout in the place of REVISION."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from emotion_ai.errors import InputError
from emotion_ai.pipeline.policy import image_tags

from support.manifests import (
    FOLDER,
    OVERLAYS,
    ROOT,
    containers,
    load_script,
    one,
    parse,
    write_kustomization,
)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_rendered_images_exist_after_make_images(overlay: str) -> None:
    text = load_script().render(overlay, "registry.example.com/emotion-ai")
    assert "REVISION" not in text
    assert "localhost/" not in text
    for container in containers(one(parse(text), "Deployment")["spec"]["template"]["spec"]):
        if not container["image"].startswith("tensorflow/serving"):
            name, tag = (
                container["image"].removeprefix("registry.example.com/emotion-ai/").split(":")
            )
            assert tag in image_tags(name)


def test_no_committed_file_has_a_real_tag() -> None:
    for path in sorted(FOLDER.rglob("*.yaml")):
        for tag in re.findall(r"localhost/emotion-ai/[a-z-]+:([\w.-]+)", path.read_text()):
            assert tag == "REVISION", path
        for tag in re.findall(r"newTag: ([\w.-]+)", path.read_text()):
            assert tag in {"REVISION", "2.20.0-gpu"}, path


def make_manifests(folder: Path, *variables: str) -> subprocess.CompletedProcess[str]:
    """Run `make manifests` in a folder, without setting up .venv anew."""
    here = (f"BIN={Path(sys.executable).parent}", "READY=")
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS")}
    command = ["make", "--silent", f"--file={ROOT}/Makefile", "manifests", *here, *variables]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


def test_make_writes_a_file_and_names_it(tmp_path: Path) -> None:
    (tmp_path / "k8s").symlink_to(FOLDER)
    made = make_manifests(tmp_path, "OVERLAY=local", "PUSH=registry.example.com/mine")
    assert made.returncode == 0, made.stderr
    assert made.stdout == "build/manifests/local.yaml\n"
    written = (tmp_path / "build/manifests/local.yaml").read_text()
    assert written == load_script().render("local", "registry.example.com/mine")


def test_an_overlay_of_ones_own(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    write_kustomization(folder, resources=["overlays/local"], components=[], namespace="faces")
    objects = parse(load_script().render(f"{tmp_path}/mine", "localhost/emotion-ai"))
    assert one(objects, "Namespace", "faces")
    assert {o["metadata"]["namespace"] for o in objects if o["kind"] != "Namespace"} == {"faces"}


@pytest.mark.parametrize("overlay", ["nope", "./nope"])
def test_an_unknown_overlay_is_told_with_the_known_ones(overlay: str) -> None:
    with pytest.raises(InputError, match=r"nope has no kustomization\.yaml; name gke or local"):
        load_script().render(overlay, "localhost/emotion-ai")


def test_a_refused_kustomization_keeps_the_last_manifests(tmp_path: Path) -> None:
    (tmp_path / "k8s").symlink_to(FOLDER)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kustomization.yaml").write_text("resources: [absent.yaml]\n")
    (tmp_path / "build/manifests").mkdir(parents=True)
    (tmp_path / "build/manifests/mine.yaml").write_text("# before\n")
    made = make_manifests(tmp_path, "OVERLAY=./mine")
    assert made.returncode != 0
    assert "absent.yaml" in made.stderr
    assert (tmp_path / "build/manifests/mine.yaml").read_text() == "# before\n"
