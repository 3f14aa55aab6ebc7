"""The component tls on a cluster, with the certificates that k8s/README.md makes."""

import base64
import json
import os
import re
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import yaml

from emotion_ai.client.channel import Tls
from emotion_ai.client.client import Client
from emotion_ai.errors import Unavailable

from support.certificates import make_certificates
from support.cluster_callers import read_tls
from support.cluster_installation import load_images
from support.command_line import assert_refused, emotion_ai
from support.kubectl import KUBECTL, answer, moved, new_namespace, read, remove
from support.kubernetes_cluster import QUICK, calling, wait_for
from support.manifests import FOLDER, ROOT, Object, load_script, parse, write_kustomization

# Rollouts of its own, a minute each.
pytestmark = pytest.mark.slow

PODS = "app.kubernetes.io/name=emotion-ai"
FILES = ("--tls-ca", "ca.crt", "--tls-certificate", "client.crt", "--tls-key", "client.key")


class Place(NamedTuple):
    """An installation with TLS in a namespace of its own.

    Attributes:
        namespace: Its namespace.
        registry: Its registry.
        files: A folder with the certificates and keys, and `environment.yaml`.
        first: The release that was rolled out first.
    """

    namespace: str
    registry: Path
    files: Path
    first: int = 0

    @property
    def where(self) -> str:
        return f"--namespace={self.namespace}"

    def publish(self, shift: float) -> int:
        from support.tiny_saved_model import publish_tiny_release

        with tempfile.TemporaryDirectory() as scratch:
            version = publish_tiny_release(self.registry, Path(scratch), shift, shift)
        # The pods' user reads it.
        for path in self.registry.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        return version

    def roll_out(self, version: int, *options: str) -> subprocess.CompletedProcess[str]:
        """Roll out as a person does, with the package's command."""
        command = ("rollout", str(version), "--environment", "environment.yaml", "--json")
        return emotion_ai(*command, *options, cwd=self.files, timeout=900)

    def pods(self) -> list[Object]:
        """The pods of the Deployment that are not about to leave."""
        items = read("get", "pods", self.where, f"--selector={PODS}")["items"]
        return [pod for pod in items if "deletionTimestamp" not in pod["metadata"]]

    def addresses(self) -> list[str]:
        """A pod's own address, and the ClusterIP."""
        service = read("get", "service", "emotion-ai", self.where)["spec"]["clusterIP"]
        return [f"{self.pods()[0]['status']['podIP']}:8500", f"{service}:8500"]


def readme_commands(word: str, namespace: str) -> str:
    """The first block of commands in the README that has a word, for another namespace."""
    blocks = re.findall(r"^```\n(.*?)^```$", (FOLDER / "README.md").read_text(), re.M | re.S)
    (found, *_) = [block for block in blocks if word in block]
    moved_names = found.replace(".emotion-ai.svc", f".{namespace}.svc")
    return moved_names.replace("-n emotion-ai ", f"-n {namespace} ")


def run_commands(text: str, folder: Path) -> None:
    path = f"{Path(KUBECTL).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", text],
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    if "LOAD_IMAGE" not in os.environ:
        pytest.skip("set LOAD_IMAGE to a command that puts an image onto the nodes")
    load_images(("base", "serve"))
    folder = tmp_path_factory.mktemp("tls")
    registry = folder / "registry"
    registry.mkdir()
    for path in (folder, registry):
        path.chmod(0o755)
    place = Place(new_namespace("tls"), registry, folder)
    objects = overlay_with_tls(place)
    (namespace,) = (item for item in objects if item["kind"] == "Namespace")
    settings = {"registry": str(registry), "serving": {"target": "kubernetes"}}
    settings["serving"]["rollout"] = QUICK | {"namespace": place.namespace}
    (folder / "environment.yaml").write_text(yaml.safe_dump({"run": settings}))
    try:
        answer("apply", "--filename=-", objects=[namespace])
        run_commands(readme_commands("openssl req -x509", place.namespace), folder)
        run_commands(readme_commands("create secret generic", place.namespace), folder)
        answer("apply", "--filename=-", objects=objects)
        version = place.publish(1.0)
        done = place.roll_out(version, *FILES)
        assert done.returncode == 0, done.stderr
        yield place._replace(first=version)
    finally:
        remove(place.namespace, objects)


def overlay_with_tls(place: Place) -> list[Object]:
    """The overlay local with the component, as a user's own overlay has it."""
    with tempfile.TemporaryDirectory() as folder:
        write_kustomization(
            Path(folder), resources=["overlays/local"], components=["components/tls"]
        )
        manifests = parse(load_script().render(f"{folder}/", "localhost/emotion-ai"))
    (volume,) = parse((FOLDER / "overlays/local/registry-on-nodes.yaml").read_text())
    volume["spec"]["claimRef"]["namespace"] = place.namespace
    volume["spec"]["hostPath"]["path"] = str(place.registry)
    return moved([volume, *manifests], place.namespace)


def test_only_callers_with_a_certificate_of_the_authority_are_answered(
    place: Place, tmp_path: Path
) -> None:
    stranger = make_certificates().untrusted_client
    (tmp_path / "client.crt").write_text(stranger.certificate)
    (tmp_path / "client.key").write_text(stranger.key)
    known, authority = read_tls(place.files), place.files / "ca.crt"
    # An address is not among the certificate's names.
    name = "emotion-ai"
    refused = [
        None,
        Tls(authority, name=name),
        Tls(authority, tmp_path / "client.crt", tmp_path / "client.key", name),
    ]
    face = np.zeros((1, 96, 96, 1), np.uint8)
    for address in place.addresses():
        own = Tls(known.authority, known.certificate, known.key, name)
        with Client(address, tls=own) as client:
            assert client.predict_arrays(face).version
        for tls in refused:
            with Client(address, tls=tls) as client, pytest.raises(Unavailable):
                client.predict_arrays(face)


def test_probes_pass(place: Place) -> None:
    for pod in place.pods():
        (server,) = pod["status"]["containerStatuses"]
        assert server["ready"]
        assert server["restartCount"] == 0
    unhealthy = read("get", "events", place.where, "--field-selector=reason=Unhealthy")["items"]
    # The port is not open while the release loads.
    assert {e["message"].split()[0] for e in unhealthy} <= {"Startup"}


def test_a_rollout_over_tls_loses_no_call(place: Place, tmp_path: Path) -> None:
    second = place.publish(2.0)
    with calling(tmp_path, per_address=1, namespace=place.namespace, tls=place.files) as callers:
        wait_for("calls", lambda: len(callers().records) > 50)
        done = place.roll_out(second, *FILES)
        wait_for("callers reach the release", lambda: second in callers().versions)
    assert done.returncode == 0, done.stderr
    assert not callers().failures
    assert callers().versions >= {second}
    record = json.loads(done.stdout)
    assert (record["outcome"], record["version"]) == ("rolled out", second)
    assert record["canary"]["judged_by"] == "callers"
    assert record["canary"]["requests"] >= 50
    assert {endpoint["version"] for endpoint in record["endpoints"]} == {second}
    assert len(record["endpoints"]) >= 2


def test_a_rollout_without_its_certificate_changes_nothing(place: Place) -> None:
    before = read("get", "deployment", "emotion-ai", place.where)["metadata"]["resourceVersion"]
    done = place.roll_out(place.first)
    assert_refused(done, 2, "its servers ask for TLS", "--tls-ca")
    after = read("get", "deployment", "emotion-ai", place.where)["metadata"]["resourceVersion"]
    assert after == before


def test_a_rollout_whose_certificate_is_refused_changes_nothing(
    place: Place, tmp_path: Path
) -> None:
    newer, stranger = place.publish(2.5), make_certificates().untrusted_client
    (tmp_path / "client.crt").write_text(stranger.certificate)
    (tmp_path / "client.key").write_text(stranger.key)
    files = ("--tls-ca", "ca.crt", "--tls-certificate", str(tmp_path / "client.crt"))
    before = read("get", "deployment", "emotion-ai", place.where)["metadata"]["resourceVersion"]
    done = place.roll_out(newer, *files, "--tls-key", str(tmp_path / "client.key"))
    assert_refused(done, 1, "none of its servers that are ready for callers answers here")
    after = read("get", "deployment", "emotion-ai", place.where)["metadata"]["resourceVersion"]
    assert after == before


def replace_secret(place: Place, **entries: str) -> None:
    data = {name: base64.b64encode(text.encode()).decode() for name, text in entries.items()}
    secret = read("get", "secret", "emotion-ai-tls", place.where)
    answer("replace", "--filename=-", objects=[secret | {"data": secret["data"] | data}])


def test_a_certificate_without_its_key_stops_a_rollout_and_no_server(place: Place) -> None:
    newer = place.publish(3.0)
    good = (place.files / "tls.key").read_text()
    replace_secret(place, **{"tls.key": make_certificates().server.key})
    try:
        done = place.roll_out(newer, *FILES)
    finally:
        replace_secret(place, **{"tls.key": good})
    assert done.returncode == 2, done.stderr
    assert "its container tls ended with exit code 2" in done.stderr
    assert "tls.key: cannot be used together" in done.stderr
    # No verdict on the release.
    assert json.loads(done.stdout)["outcome"] == "failed"
    assert all(pod["status"]["containerStatuses"][0]["ready"] for pod in place.pods())


def served_certificates(place: Place) -> set[str]:
    """What the servers show whoever connects."""
    addresses = [pod["status"]["podIP"] for pod in place.pods()]
    return {ssl.get_server_certificate((address, 8500), timeout=30) for address in addresses}


def test_a_renewed_certificate_is_taken_over_by_a_restart(place: Place, tmp_path: Path) -> None:
    def shown() -> str:
        return (place.files / "tls.crt").read_text()

    old = shown()
    assert served_certificates(place) == {old}
    with calling(tmp_path, per_address=1, namespace=place.namespace, tls=place.files) as callers:
        wait_for("calls", lambda: len(callers().records) > 50)
        # As the first time, without another authority.
        _, renewal = readme_commands("openssl req -x509", place.namespace).split("\n\n", 1)
        run_commands(renewal, place.files)
        assert shown() != old
        commands = readme_commands("kubectl replace", place.namespace).strip()
        renew, restart = commands.rsplit("\n", 1)
        run_commands(renew, place.files)
        # What runs goes on with what it has.
        assert served_certificates(place) == {old}
        run_commands(restart, place.files)
        answer("rollout", "status", "deployment/emotion-ai", place.where, timeout=300)
        wait_for("the new certificate", lambda: served_certificates(place) == {shown()})
    assert not callers().failures


def test_conformance_is_asked_over_tls(place: Place) -> None:
    address = place.pods()[0]["status"]["podIP"]
    names = {"CA": "ca.crt", "CERTIFICATE": "client.crt", "KEY": "client.key"}
    done = subprocess.run(
        [
            "make",
            # Set up already, and nothing can be installed from the cluster's network.
            "--assume-old=.venv/.ready",
            "conformance",
            f"SERVER={address}:8500",
            f"REST={address}:8501",
            *(f"TLS_{name}={place.files / file}" for name, file in names.items()),
            "TLS_NAME=emotion-ai",
            "ARGS=-k 'health or rest or metadata or version_that_was_asked'",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ passed", done.stdout)
    assert "skipped" not in done.stdout.splitlines()[-1]
