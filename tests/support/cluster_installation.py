"""The tests' installation on a cluster: images, overlay, registry."""

import contextlib
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

from support.kubernetes_cluster import NAMESPACE, REGISTRY, ROOT, kubectl


@functools.cache
def load_images(targets: tuple[str, ...]) -> None:
    """Put this checkout's images onto the nodes with the command LOAD_IMAGE, once."""
    from emotion_ai.pipeline.policy import image_tags

    command = os.environ["LOAD_IMAGE"].split()
    for target in targets:
        names = [f"localhost/emotion-ai/{target}:{tag}" for tag in image_tags(target)]
        done = subprocess.run([*command, *names], capture_output=True, text=True)
        assert not done.returncode, done.stderr


def install(overlay: str) -> None:
    """Apply an overlay of the tests with this checkout's images, in `NAMESPACE`."""
    script = [sys.executable, "k8s/manifests.py", overlay, "localhost/emotion-ai"]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    documents = [body for body in yaml.safe_load_all(done.stdout) if body]
    for body in documents:
        metadata = body["metadata"]
        if metadata.get("namespace") == "emotion-ai":
            metadata["namespace"] = NAMESPACE
        if body["kind"] == "Namespace":
            metadata["name"] = NAMESPACE
        if body["kind"] == "PersistentVolume":
            metadata["name"] = f"{NAMESPACE}-registry"
            body["spec"]["claimRef"]["namespace"] = NAMESPACE
            body["spec"]["hostPath"]["path"] = str(REGISTRY)
    kubectl("apply", "--filename", "-", text=yaml.safe_dump_all(documents))


def uninstall(wait: str) -> None:
    """Remove what `install` has made; `wait` is an option of kubectl delete."""
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=300s", wait)
    kubectl("delete", "persistentvolume", f"{NAMESPACE}-registry", "--ignore-not-found", wait)


@contextlib.contextmanager
def installed() -> Iterator[Callable[..., int]]:
    """Install the servers with an empty registry in the block.

    Yields:
        A function that publishes a tiny release with a shift, which callers see, and returns its
        version.
    """
    from support.tiny_saved_model import publish_tiny_release

    shutil.rmtree(REGISTRY, ignore_errors=True)
    REGISTRY.mkdir(mode=0o755)
    load_images(("base", "serve"))
    # What an earlier session has left.
    uninstall("--wait=true")
    install("tests/cluster/overlay/")
    with tempfile.TemporaryDirectory() as scratch:

        def publish(shift: float, golden_shift: float | None = None) -> int:
            golden_shift = shift if golden_shift is None else golden_shift
            version = publish_tiny_release(REGISTRY, Path(scratch), shift, golden_shift)
            make_readable()
            return version

        yield publish
    uninstall("--wait=false")


def make_readable() -> None:
    """Let the pods' user read the registry."""
    for path in [REGISTRY, *REGISTRY.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
