"""The runtime of KServe: restricted pods, and arguments and probes that the server takes."""

import re

import kubernetes_validate

from emotion_ai.server.flags import parse_flags

from support.manifests import FOLDER, Object, built, one, parse
from support.pod_security import violations

NAME = "components/kserve"


def runtime() -> Object:
    return one(built(NAME), "ServingRuntime")["spec"]


def container() -> Object:
    (found,) = runtime()["containers"]
    # KServe puts storage and ports into the container of this name.
    assert found["name"] == "kserve-container"
    return found


def pod() -> Object:
    """What KServe makes of it, without what it adds."""
    return {"containers": [container()], "volumes": runtime()["volumes"]}


def test_its_pods_are_valid_and_restricted() -> None:
    described = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "faces"},
        "spec": pod(),
    }
    kubernetes_validate.validate(described, "1.31", strict=True)
    assert violations(pod()) == []


def test_the_server_takes_its_arguments() -> None:
    arguments = [argument.replace("{{.Name}}", "faces") for argument in container()["args"]]
    flags = parse_flags(arguments, "serve")
    assert (flags.model_name, flags.model_base_path) == ("faces", "/mnt/models")
    (port,) = container()["ports"]
    assert port["containerPort"] == flags.rest_api_port
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        action = container()[probe]["httpGet"]
        assert action["port"] == flags.rest_api_port
        assert re.fullmatch("/v2/health/(live|ready)", action["path"])


def test_the_example_asks_for_this_runtime() -> None:
    (example,) = parse((FOLDER / NAME / "inference-service.example.yaml").read_text())
    model = example["spec"]["predictor"]["model"]
    assert model["runtime"] == one(built(NAME), "ServingRuntime")["metadata"]["name"]
    assert model["modelFormat"]["name"] in {f["name"] for f in runtime()["supportedModelFormats"]}
    assert model["protocolVersion"] in runtime()["protocolVersions"]
