"""Who selects which pods: callers find stable pods and the canary, everything else stable ones."""

import pytest

from emotion_ai.rollouts.cluster import names

from support.manifests import BUILDS, Object, built, one

SERVING = [name for name in BUILDS if any(item["kind"] == "Deployment" for item in built(name))]


def stable_labels(name: str) -> dict[str, str]:
    labels = one(built(name), "Deployment")["spec"]["template"]["metadata"]["labels"]
    return {**labels, names.RELEASE_LABEL: "7"}


def canary_labels(name: str) -> dict[str, str]:
    return {**stable_labels(name), names.TRACK_LABEL: "canary"}


def selects(selector: Object, labels: dict[str, str]) -> bool:
    assert set(selector) == {"matchLabels"}
    return selector["matchLabels"].items() <= labels.items()


@pytest.mark.parametrize("name", SERVING)
@pytest.mark.parametrize("kind", ["Deployment", "PodDisruptionBudget"])
def test_deployment_and_budget_never_select_the_canary(name: str, kind: str) -> None:
    selector = one(built(name), kind)["spec"]["selector"]
    assert selects(selector, stable_labels(name))
    assert not selects(selector, canary_labels(name))


@pytest.mark.parametrize("name", SERVING)
@pytest.mark.parametrize("service", ["emotion-ai", names.PODS_SERVICE])
def test_callers_find_both_tracks(name: str, service: str) -> None:
    selector = {"matchLabels": one(built(name), "Service", service)["spec"]["selector"]}
    assert selects(selector, stable_labels(name))
    assert selects(selector, canary_labels(name))


@pytest.mark.parametrize("name", SERVING)
def test_one_service_lists_the_ready_pods(name: str) -> None:
    spec = one(built(name), "Service", names.PODS_SERVICE)["spec"]
    assert spec["clusterIP"] == "None"
    assert not spec.get("publishNotReadyAddresses")


@pytest.mark.parametrize("name", SERVING)
def test_every_network_policy_is_for_the_canary_too(name: str) -> None:
    policies = [item for item in built(name) if item["kind"] == "NetworkPolicy"]
    assert policies
    for policy in policies:
        selector = policy["spec"]["podSelector"]
        assert not selector or selects(selector, canary_labels(name))


@pytest.mark.parametrize("name", SERVING)
def test_nothing_comes_in_or_goes_out_unless_named(name: str) -> None:
    deny = one(built(name), "NetworkPolicy", "emotion-ai-default-deny")["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@pytest.mark.parametrize("name", SERVING)
def test_callers_reach_no_http_port(name: str) -> None:
    policy = one(built(name), "NetworkPolicy", "emotion-ai-clients")["spec"]
    ports = [port["port"] for rule in policy["ingress"] for port in rule["ports"]]
    assert ports == [names.GRPC_PORT]


@pytest.mark.parametrize("name", SERVING)
def test_the_rollouts_names_are_those_of_the_manifests(name: str) -> None:
    objects = built(name)
    pod = one(objects, "Deployment", names.APP)["spec"]["template"]["spec"]
    first, *others = [c["name"] for c in pod["initContainers"]]
    assert first == names.INIT_CONTAINER
    assert set(others) <= {"tls"}
    assert [c["name"] for c in pod["containers"]] == [names.SERVER_CONTAINER]
    variables = {v["name"] for v in pod["initContainers"][0]["env"]}
    assert names.REGISTRY_VARIABLE in variables
    assert one(objects, "Lease", names.LEASE)["spec"] in ({}, None)


def test_the_admission_policies_hold_in_the_namespace_of_the_base() -> None:
    objects = built("components/admission-policy")
    policies = [item for item in objects if item["kind"] == "ValidatingAdmissionPolicy"]
    bindings = [item for item in objects if item["kind"] == "ValidatingAdmissionPolicyBinding"]
    labels = one(objects, "Namespace")["metadata"]["labels"]
    assert len(policies) == 2
    for policy in policies:
        assert selects(policy["spec"]["matchConstraints"]["namespaceSelector"], labels)
        assert policy["spec"]["failurePolicy"] == "Fail"
    assert {b["spec"]["policyName"] for b in bindings} == {p["metadata"]["name"] for p in policies}
    assert all(binding["spec"]["validationActions"] == ["Deny"] for binding in bindings)
