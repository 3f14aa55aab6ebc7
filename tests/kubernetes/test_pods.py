"""The pods in k8s/: restricted, pinned, with ports and limits that fit each other."""

import copy
import re
from typing import Any

import kubernetes_validate
import pytest

from emotion_ai.rollouts.cluster.canary import canary_job
from emotion_ai.rollouts.cluster.deployment import Deployment
from emotion_ai.rollouts.settings import RolloutSettings

from support.manifests import BUILDS, Object, built, containers, one
from support.pod_security import violations

SERVING = [name for name in BUILDS if any(item["kind"] == "Deployment" for item in built(name))]
# What takes the place of a tag in committed manifests, and TensorFlow Serving's release.
COMMITTED_TAGS = {"REVISION", "2.20.0", "2.20.0-gpu"}
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def template_of(name: str) -> Object:
    return one(built(name), "Deployment")["spec"]["template"]


def server_of(name: str) -> Object:
    (server,) = template_of(name)["spec"]["containers"]
    assert server["name"] == "server"
    return server


def test_every_overlay_and_most_components_serve() -> None:
    assert {"overlays/local", "overlays/gke", "components/gpu"} <= set(SERVING)


@pytest.mark.parametrize("name", SERVING)
def test_pods_pass_pod_security_restricted(name: str) -> None:
    assert violations(template_of(name)["spec"]) == []


@pytest.mark.parametrize("name", SERVING)
def test_the_canary_passes_it_too(name: str) -> None:
    read = Deployment(
        name="emotion-ai",
        version="1",
        release=6,
        digest="",
        registry="/registry",
        progress="",
        replicas=2,
        revision="1",
        failure="",
        uid="",
        template=template_of(name),
        is_paused=False,
    )
    job = canary_job("emotion-ai-canary-7-abc12", read, 7, "d" * 64, RolloutSettings())
    assert violations(job["spec"]["template"]["spec"]) == []
    kubernetes_validate.validate(job, "1.31", strict=True)


def changed(pod: Object, path: tuple[Any, ...], value: Any) -> Object:
    copied = copy.deepcopy(pod)
    place = copied
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return copied


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("hostNetwork",), True, "hostNetwork"),
        (("volumes", 0), {"name": "host", "hostPath": {"path": "/"}}, "volume host"),
        (("securityContext", "runAsNonRoot"), False, "server: runAsNonRoot"),
        (("securityContext", "runAsUser"), 0, "pod: runAsUser 0"),
        (("securityContext", "seccompProfile"), {"type": "Unconfined"}, "server: seccompProfile"),
        (("containers", 0, "securityContext"), {}, "server: capabilities.drop"),
        (("initContainers", 0, "securityContext", "privileged"), True, "release: privileged"),
    ],
)
def test_a_pod_that_may_more_violates_it(path: tuple[Any, ...], value: Any, expected: str) -> None:
    assert expected in violations(changed(template_of("overlays/local")["spec"], path, value))


@pytest.mark.parametrize("name", SERVING)
def test_pods_have_no_token_and_a_read_only_root(name: str) -> None:
    pod = template_of(name)["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == "emotion-ai-server"
    account = one(built(name), "ServiceAccount", "emotion-ai-server")
    assert account["automountServiceAccountToken"] is False
    for container in containers(pod):
        assert container["securityContext"]["readOnlyRootFilesystem"] is True


@pytest.mark.parametrize("name", SERVING)
def test_the_server_sees_no_credentials_and_no_registry(name: str) -> None:
    server = server_of(name)
    assert {mount["name"] for mount in server["volumeMounts"]} <= {
        "models",
        "settings",
        "tmp",
        "tls",
    }
    assert {v["name"] for v in server.get("env") or []} <= {"CUDA_CACHE_PATH"}
    (models,) = [mount for mount in server["volumeMounts"] if mount["name"] == "models"]
    assert models["readOnly"] is True


@pytest.mark.parametrize("name", SERVING)
def test_images_are_pinned(name: str) -> None:
    for container in containers(template_of(name)["spec"]):
        path, _, tag = container["image"].rpartition(":")
        assert tag in COMMITTED_TAGS or re.fullmatch(".*@sha256", path), container["image"]


@pytest.mark.parametrize("name", SERVING)
def test_containers_ask_for_resources_and_have_no_limit_of_cpu(name: str) -> None:
    for container in containers(template_of(name)["spec"]):
        resources = container["resources"]
        assert set(resources["requests"]) == {"cpu", "memory"}
        assert "memory" in resources["limits"]
        assert "cpu" not in resources["limits"]


@pytest.mark.parametrize("name", SERVING)
def test_mounted_volumes_exist_and_volumes_are_mounted(name: str) -> None:
    pod = template_of(name)["spec"]
    mounted = {m["name"] for container in containers(pod) for m in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}
    for volume in pod["volumes"]:
        if "emptyDir" in volume:
            assert volume["emptyDir"]["sizeLimit"]


@pytest.mark.parametrize("name", SERVING)
def test_ports_are_those_of_probes_services_and_arguments(name: str) -> None:
    server = server_of(name)
    ports = {port["name"]: port["containerPort"] for port in server["ports"]}
    assert f"--port={ports['grpc']}" in server["args"]
    assert f"--rest_api_port={ports['http']}" in server["args"]
    for probe in PROBES:
        (action,) = [server[probe][kind] for kind in ("grpc", "httpGet") if kind in server[probe]]
        assert action["port"] in {*ports, *ports.values()}, probe
    services = [item for item in built(name) if item["kind"] == "Service"]
    assert len(services) == 2
    for service in services:
        assert all(port["targetPort"] in ports for port in service["spec"]["ports"])


@pytest.mark.parametrize("name", SERVING)
def test_the_drain_fits_into_the_grace_period(name: str) -> None:
    pod = template_of(name)["spec"]
    server = server_of(name)
    (channel,) = [a for a in server["args"] if a.startswith("--grpc_channel_arguments=")]
    age, grace = (int(number) / 1000 for number in re.findall(r"_ms=([0-9]+)", channel))
    sleep = server["lifecycle"]["preStop"]["sleep"]["seconds"]
    # gRPC lengthens each connection's age by up to a tenth.
    assert sleep + 1.1 * age + grace < pod["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("name", SERVING)
def test_both_servers_get_the_same_arguments(name: str) -> None:
    added = {"components/gpu": {"--per_process_gpu_memory_fraction=0.8"}}
    added["components/tls"] = {"--ssl_config_file=/etc/emotion-ai-tls/ssl.config"}
    here, base = set(server_of(name)["args"]), set(server_of("overlays/gke")["args"])
    assert here - base <= added.get(name, set())
    assert base <= here


def test_only_tensorflow_serving_has_a_command() -> None:
    embedded, serving = server_of("overlays/local"), server_of("overlays/gke")
    assert "command" not in embedded
    assert embedded["image"] == "localhost/emotion-ai/serve:REVISION"
    assert serving["command"] == ["/usr/bin/tensorflow_model_server"]
    assert serving["image"].startswith("tensorflow/serving")


@pytest.mark.parametrize("name", SERVING)
def test_the_release_is_the_rollouts_field(name: str) -> None:
    template = template_of(name)
    variables = [v["name"] for c in containers(template["spec"]) for v in c.get("env") or []]
    assert "RELEASE" not in variables
    assert "emotion-ai.dev/release" not in template["metadata"]["labels"]
    assert "annotations" not in template["metadata"]


def test_the_number_of_pods_is_the_autoscalers_but_in_the_overlay_local() -> None:
    for name in SERVING:
        deployment = one(built(name), "Deployment")
        scalers = [o for o in built(name) if o["kind"] == "HorizontalPodAutoscaler"]
        assert ("replicas" in deployment["spec"]) == (name == "overlays/local")
        assert len(scalers) == (name != "overlays/local")


def test_a_volume_for_the_overlay_local_names_its_claim() -> None:
    objects = built("overlays/local")
    claim = one(objects, "PersistentVolumeClaim", "emotion-ai-registry")
    assert claim["spec"]["accessModes"] == ["ReadOnlyMany"]
    pod = template_of("overlays/local")["spec"]
    (registry,) = [v for v in pod["volumes"] if v["name"] == "registry"]
    assert registry["persistentVolumeClaim"]["readOnly"] is True
