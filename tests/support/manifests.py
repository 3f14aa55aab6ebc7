"""The manifests in k8s/ as objects: overlays, and the base with a component."""

import functools
import importlib.util
import os
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "k8s"
OVERLAYS = sorted(path.parent.name for path in FOLDER.glob("overlays/*/kustomization.yaml"))
COMPONENTS = sorted(
    str(path.parent.relative_to(FOLDER / "components"))
    for path in FOLDER.glob("components/**/kustomization.yaml")
    if "kind: Component" in path.read_text()
)
# Kustomizations that are applied by themselves.
APART = sorted(
    str(path.parent.relative_to(FOLDER))
    for path in FOLDER.glob("components/*/**/kustomization.yaml")
    if "kind: Kustomization" in path.read_text()
)
BUILDS = (
    *(f"overlays/{name}" for name in OVERLAYS),
    *(f"components/{name}" for name in COMPONENTS),
    *APART,
)

Object = dict[str, Any]


def load_script() -> ModuleType:
    """The module k8s/manifests.py, which is in no package."""
    spec = importlib.util.spec_from_file_location("manifests_script", FOLDER / "manifests.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def parse(text: str) -> list[Object]:
    return [document for document in yaml.safe_load_all(text) if document]


@functools.cache
def built(name: str) -> list[Object]:
    """The objects of a folder in k8s/; a component's come with the base."""
    script = load_script()
    if name in APART or not name.startswith("components/"):
        return parse(script.build(FOLDER / name))
    with tempfile.TemporaryDirectory() as folder:
        write_kustomization(Path(folder), resources=["base"], components=[name])
        return parse(script.build(Path(folder)))


def write_kustomization(
    folder: Path, *, resources: list[str], components: list[str], namespace: str = ""
) -> None:
    """Write a kustomization of folders in k8s/."""
    content = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        # Kustomize takes relative paths alone, from where the folder really is.
        "resources": [os.path.relpath(FOLDER / name, folder.resolve()) for name in resources],
        "components": [os.path.relpath(FOLDER / name, folder.resolve()) for name in components],
    }
    if namespace:
        content["namespace"] = namespace
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(content))


def all_objects() -> list[tuple[str, Object]]:
    """Every object of every build, with the name of its build."""
    return [(name, item) for name in BUILDS for item in built(name)]


def one(objects: list[Object], kind: str, name: str = "emotion-ai") -> Object:
    """The object of this kind and name."""
    (found,) = [o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name]
    return found


def pod_template(item: Object) -> Object | None:
    """The pod template of an object that makes pods."""
    return item["spec"]["template"] if item["kind"] in ("Deployment", "Job") else None


def containers(pod: Object) -> list[Object]:
    """The containers of a pod's spec, init containers first."""
    return [*(pod.get("initContainers") or []), *pod["containers"]]
