"""The settings of an installation, `compile.cluster`: what they add to the compiled pipeline."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2 as pb

from emotion_ai.errors import InputError
from emotion_ai.pipeline.cluster_settings import (
    ClusterSettings,
    RegistryVolume,
    check_registry_volume,
)
from emotion_ai.pipeline.compiler import compile_pipeline
from emotion_ai.pipeline.local.run import run_locally
from emotion_ai.pipeline.policy import STEPS
from emotion_ai.pipeline.settings import load_environment, load_run_settings

ROOT = Path(__file__).parents[2]
# A step that has one of these parameters reads or writes a storage.
STORED = {"registry", "source", "keypoints", "expression", "checkpoints", "start", "teachers"}


def compile_environment(folder: Path, text: str) -> Path:
    """Compile for an environment with this text, and return the compiled pipeline."""
    environment = folder / "environment.yaml"
    environment.write_text(text)
    output = folder / "pipeline.yaml"
    settings = load_run_settings(str(environment))
    # The same path in every test: what was read before must not count.
    load_environment.cache_clear()
    compile_pipeline(load_environment(str(environment)).compile, settings, output)
    return output


def containers(compiled: Path) -> dict[str, dict[str, Any]]:
    """The container of each executor, by the step's name and number."""
    spec = next(yaml.safe_load_all(compiled.read_text()))
    executors = spec["deploymentSpec"]["executors"]
    return {name.removeprefix("exec-"): each["container"] for name, each in executors.items()}


def pods(compiled: Path) -> dict[str, pb.KubernetesExecutorConfig]:
    """What Kubernetes gets for each executor, parsed as KFP's back end does; unknown keys fail."""
    _, platform = yaml.safe_load_all(compiled.read_text())
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return {
        name.removeprefix("exec-"): json_format.ParseDict(each, pb.KubernetesExecutorConfig())
        for name, each in executors.items()
    }


def policy_of(executor: str) -> Any:
    return STEPS[executor.removesuffix("-2")]


def readme_environment() -> str:
    text = (ROOT / "pipeline/README.md").read_text()
    (example,) = (
        block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "cluster:" in block
    )
    return example


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pipeline compiled for the environment that the README shows."""
    return compile_environment(tmp_path_factory.mktemp("cluster"), readme_environment())


def test_unset_settings_leave_no_byte(tmp_path: Path) -> None:
    compiled = {
        compile_environment(tmp_path, text).read_bytes()
        for text in (
            "compile: {retries: 1}",
            "compile: {retries: 1, cluster: {}}",
            "compile: {retries: 1, cluster: {environment: {}, tolerations: [], steps: {}}}",
            "compile: {retries: 1, cluster: {service_account: emotion-ai-runner}}",
        )
    }
    assert len(compiled) == 1
    assert len(list(yaml.safe_load_all(compiled.pop()))) == 1


def test_the_same_settings_give_the_same_bytes(compiled: Path, tmp_path: Path) -> None:
    again = compile_environment(tmp_path, readme_environment())
    assert again.read_bytes() == compiled.read_bytes()


def test_every_step_gets_what_all_steps_have(compiled: Path) -> None:
    settings = yaml.safe_load(readme_environment())["compile"]["cluster"]
    found = pods(compiled)
    assert found.keys() == containers(compiled).keys()
    assert {name.removesuffix("-2") for name in found} == set(STEPS)
    for name, pod in found.items():
        assert [secret.secret_name for secret in pod.image_pull_secret] == [settings["pull_secret"]]
        assert pod.image_pull_policy == settings["pull_policy"]
        assert pod.security_context.run_as_user == settings["run_as_user"]
        assert pod.security_context.run_as_non_root
        own = settings["steps"].get(name, {})
        assert pod.active_deadline_seconds == own.get("timeout_s", settings["timeout_s"])
        selector = own.get("node_selector", settings["node_selector"])
        assert dict(pod.node_selector.labels) == selector
        tolerations = own.get("tolerations", settings.get("tolerations", []))
        assert [toleration.key for toleration in pod.tolerations] == [t["key"] for t in tolerations]
        variables = {v["name"]: v["value"] for v in containers(compiled)[name]["env"]}
        assert settings["environment"].items() <= variables.items()


def test_the_key_and_the_volume_are_mounted_where_a_storage_is_used_and_nowhere_else(
    tmp_path: Path,
) -> None:
    compiled = compile_environment(
        tmp_path,
        "compile: {cluster: {registry_secret: {name: gcs-key, file: my.json},"
        " registry_volume: {claim: faces, path: /shared}}}\nrun: {registry: /shared/registry}",
    )
    found, images = pods(compiled), containers(compiled)
    for name, container in images.items():
        variables = {v["name"]: v["value"] for v in container["env"]}
        if not policy_of(name).uses_storage:
            assert name not in found
            assert "GOOGLE_APPLICATION_CREDENTIALS" not in variables
            continue
        (secret,) = found[name].secret_as_volume
        (volume,) = found[name].pvc_mount
        assert (secret.secret_name, secret.optional) == ("gcs-key", False)
        assert variables["GOOGLE_APPLICATION_CREDENTIALS"] == f"{secret.mount_path}/my.json"
        assert (volume.constant, volume.mount_path) == ("faces", "/shared")


@pytest.mark.parametrize("pipeline", ["training", "rollout"])
def test_the_servers_certificate_is_given_to_the_steps_that_ask_servers(
    tmp_path: Path, pipeline: str
) -> None:
    environment = tmp_path / "environment.yaml"
    environment.write_text("compile: {cluster: {tls_secret: {name: emotion-ai-client}}}")
    output = tmp_path / "pipeline.yaml"
    settings = load_run_settings(str(environment))
    placement = load_environment(str(environment)).compile
    compile_pipeline(placement, settings, output, pipeline)
    mounted = {
        name: (secret.secret_name, secret.mount_path)
        for name, pod in pods(output).items()
        for secret in pod.secret_as_volume
    }
    expected = {"resolve", "rollout"} & set(containers(output))
    assert "rollout" in expected
    assert mounted == dict.fromkeys(expected, ("emotion-ai-client", "/var/secrets/tls"))


def test_the_policy_says_which_steps_use_a_storage(compiled: Path) -> None:
    spec = next(yaml.safe_load_all(compiled.read_text()))
    using = set()
    for component in spec["components"].values():
        parameters = component.get("inputDefinitions", {}).get("parameters", {})
        if "executorLabel" in component and STORED & parameters.keys():
            using.add(component["executorLabel"].removeprefix("exec-").removesuffix("-2"))
    assert using == {step for step, policy in STEPS.items() if policy.uses_storage}


def test_a_step_with_a_gpu_runs_in_the_image_for_gpus(compiled: Path) -> None:
    found = containers(compiled)
    expected = {"count": "1", "resourceCount": "1", "type": "nvidia.com/gpu"}
    assert expected.items() <= found["train-expression"]["resources"]["accelerator"].items()
    assert "/train-gpu:" in found["train-expression"]["image"]
    assert "accelerator" not in found["train-keypoints"]["resources"]
    assert "/train:" in found["train-keypoints"]["image"]


def test_what_a_step_has_replaces_what_all_have(tmp_path: Path) -> None:
    compiled = compile_environment(
        tmp_path,
        "compile:\n"
        "  cluster:\n"
        "    gpu_resource: amd.com/gpu\n"
        "    node_selector: {pool: batch}\n"
        "    tolerations: [{key: batch, value: 'yes', effect: NoExecute}]\n"
        "    steps:\n"
        "      train-keypoints: {gpu: 2, node_selector: {}, tolerations: [{operator: Exists}]}\n",
    )
    found = pods(compiled)
    assert found["train-keypoints"].node_selector.labels == {}
    (everything,) = found["train-keypoints"].tolerations
    assert (everything.key, everything.operator) == ("", "Exists")
    accelerator = containers(compiled)["train-keypoints"]["resources"]["accelerator"]
    assert (accelerator["resourceCount"], accelerator["resourceType"]) == ("2", "amd.com/gpu")
    (toleration,) = found["push"].tolerations
    assert (toleration.key, toleration.operator) == ("batch", "Equal")
    assert (toleration.value, toleration.effect) == ("yes", "NoExecute")


@pytest.mark.parametrize(
    ("cluster", "message"),
    [
        ("{pull_secrets: x}", "compile.cluster.pull_secrets is unknown"),
        ("{pull_policy: Sometimes}", "compile.cluster.pull_policy = 'Sometimes'"),
        ("{pull_secret: 'Registry Login'}", "compile.cluster.pull_secret = 'Registry Login'"),
        ("{run_as_user: 0}", "compile.cluster.run_as_user = 0"),
        ("{timeout_s: 0}", "compile.cluster.timeout_s = 0"),
        ("{node_selector: {pool: 'a b'}}", "compile.cluster.node_selector.pool = 'a b'"),
        ("{environment: {'1X': y}}", "1X"),
        ("{environment: {PORT: 80}}", "compile.cluster.environment.PORT = 80"),
        ("{registry_volume: {claim: x, path: registry}}", "registry_volume.path = 'registry'"),
        ("{registry_volume: {claim: x, path: /a/../b}}", "registry_volume.path = '/a/../b'"),
        ("{registry_secret: {name: x, file: ../y}}", "registry_secret.file = '../y'"),
        (
            "{registry_secret: {name: x, path: /a}, tls_secret: {name: y, path: /a}}",
            "registry_secret.path /a and tls_secret.path /a lie within each other",
        ),
        ("{tolerations: [{value: x}]}", "a toleration without a key needs operator: Exists"),
        ("{tolerations: [{key: x, operator: Exists, value: y}]}", "Exists takes no value"),
        ("{steps: {train: {gpu: 1}}}", "expected combine, evaluate"),
        ("{steps: {push: {gpu: 1}}}", "compile.cluster.steps.push.gpu = 1: this step computes"),
        ("{environment: {EMOTION_AI_REVISION: secret}}", "the pipeline sets it itself"),
        (
            "{environment: {GOOGLE_APPLICATION_CREDENTIALS: secret}, registry_secret: {name: x}}",
            "registry_secret names a key too",
        ),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, cluster: str, message: str) -> None:
    with pytest.raises(InputError) as failure:
        compile_environment(tmp_path, f"compile: {{cluster: {cluster}}}")
    assert message in str(failure.value)
    assert "secret'" not in str(failure.value)


def test_a_run_on_this_machine_has_no_cluster(tmp_path: Path) -> None:
    environment = tmp_path / "mine.yaml"
    environment.write_text("preset: sample\ncompile: {cluster: {pull_secret: login}}\n")
    with pytest.raises(InputError, match=r"compile\.cluster of environment \S+: steps on"):
        run_locally(load_run_settings(str(environment)), str(environment), lambda step: None)


@pytest.mark.parametrize("registry", ["/other", "/registry-2", "./registry"])
def test_a_registry_outside_its_volume_is_refused(registry: str) -> None:
    volume = RegistryVolume(claim="faces")
    with pytest.raises(InputError, match=r"run\.registry = .* is not below .*/registry"):
        check_registry_volume(ClusterSettings(registry_volume=volume), registry)


@pytest.mark.parametrize("registry", ["/registry", "/registry/faces/", "gs://bucket/models"])
def test_a_registry_on_its_volume_or_in_a_bucket_is_taken(registry: str) -> None:
    volume = RegistryVolume(claim="faces")
    check_registry_volume(ClusterSettings(registry_volume=volume), registry)
