"""The component tls: its pod, and its arguments with a real server and client."""

import subprocess
import sys
from pathlib import Path

import pytest

from emotion_ai.client.channel import Tls
from emotion_ai.client.client import Client
from emotion_ai.errors import Unavailable
from emotion_ai.rollouts.settings import TlsFiles
from emotion_ai.server.process import server_process

from support.certificates import make_certificates
from support.manifests import Object, built, one

FLAG = "--ssl_config_file="


def pod() -> Object:
    return one(built("components/tls"), "Deployment")["spec"]["template"]["spec"]


def containers() -> tuple[Object, Object, Object]:
    release, tls = pod()["initContainers"]
    (server,) = pod()["containers"]
    return release, tls, server


def mounts(container: Object) -> dict[str, str]:
    return {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}


def test_the_key_is_in_memory_and_no_other_container_sees_the_secret() -> None:
    release, tls, server = containers()
    volumes = {volume["name"]: volume for volume in pod()["volumes"]}
    assert volumes["tls"]["emptyDir"]["medium"] == "Memory"
    assert volumes["tls-secret"]["secret"]["secretName"] == "emotion-ai-tls"
    assert "tls-secret" in mounts(tls)
    assert not {"tls", "tls-secret"} & set(mounts(release))
    assert "tls-secret" not in mounts(server)
    assert tls["image"] == release["image"]


def test_no_probe_speaks_to_the_port_with_tls() -> None:
    _, _, server = containers()
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert server[probe]["httpGet"]["port"] == "http"
        assert "grpc" not in server[probe]
        # The base's own times.
        assert server[probe]["failureThreshold"] >= 2


def test_the_certificates_have_the_names_that_are_called() -> None:
    objects = built("components/tls/cert-manager")
    server = one(objects, "Certificate", "emotion-ai-tls")["spec"]
    assert server["secretName"] == "emotion-ai-tls"
    services = {item["metadata"]["name"] for item in objects if item["kind"] == "Service"}
    names = {f"{name}.emotion-ai.svc" for name in services} | {TlsFiles().name}
    assert names <= set(server["dnsNames"])


def test_the_manifests_arguments_serve_callers_with_a_certificate(tmp_path: Path) -> None:
    _, tls, server = containers()
    made = make_certificates()
    secret = tmp_path / mounts(tls)["tls-secret"].lstrip("/")
    secret.mkdir(parents=True)
    (secret / "tls.crt").write_text(made.server.certificate)
    (secret / "tls.key").write_text(made.server.key)
    (secret / "ca.crt").write_text(made.authority)
    (tmp_path / "client.crt").write_text(made.client.certificate)
    (tmp_path / "client.key").write_text(made.client.key)
    interpreter, *arguments = tls["args"]
    assert interpreter == "python3"
    rendered = subprocess.run(
        [sys.executable, *(a.replace("=/", f"={tmp_path}/") for a in arguments)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert rendered.returncode == 0, rendered.stderr
    (path,) = [a.removeprefix(FLAG) for a in server["args"] if a.startswith(FLAG)]
    assert path.startswith(mounts(server)["tls"])
    flags = ["--registry", str(tmp_path), "--port=0", f"{FLAG}{tmp_path}{path}"]
    mutual = Tls(secret / "ca.crt", tmp_path / "client.crt", tmp_path / "client.key")
    with server_process(flags, tmp_path / "log") as (address, _):
        with Client(address, tls=mutual) as client:
            assert client.model_status() == {}
        one_sided = Client(address, tls=Tls(secret / "ca.crt"))
        with one_sided as client, pytest.raises(Unavailable):
            client.model_status()
