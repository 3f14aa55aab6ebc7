"""Kubeflow with profiles: what `pipeline-profile` grants to the runs of one, and to no other."""

import json
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from emotion_ai.errors import InputError
from emotion_ai.rollouts.cluster.api import Cluster, open_transport
from emotion_ai.rollouts.cluster.preflight import check_installation
from emotion_ai.rollouts.settings import RolloutSettings

from support.kubectl import answer, moved, new_namespace, read, remove
from support.manifests import Object, built

SHIPPED = "kubeflow-user-example-com"
EDITOR = "default-editor"


class Place(NamedTuple):
    """An installation without servers, and the namespace of a profile."""

    namespace: str
    profile: str


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    namespace, profile = new_namespace("served"), new_namespace("profile")
    objects = moved(built("overlays/local"), namespace)
    for item in objects:
        if item["kind"] == "Deployment":
            item["spec"]["replicas"] = 0
    answer("apply", "-f", "-", objects=[o for o in objects if o["kind"] != "PersistentVolume"])
    answer("create", "namespace", profile)
    for account in (EDITOR, "my-runner"):
        answer("create", "serviceaccount", account, "-n", profile)
    yield Place(namespace, profile)
    remove(namespace, objects)
    remove(profile, [])


def component(place: Place) -> list[Object]:
    """The component with the profile's name in the place of the shipped one, as its file says."""
    objects = [o for o in built("components/pipeline-profile") if SHIPPED in json.dumps(o)]
    assert [item["kind"] for item in objects] == ["RoleBinding", "NetworkPolicy"]
    return moved(json.loads(json.dumps(objects).replace(SHIPPED, place.profile)), place.namespace)


def check(place: Place, account: str) -> None:
    """Look at the installation as the step `rollout` does, with the account's own token."""
    from kubernetes import client, config

    settings = client.Configuration()
    config.load_kube_config(client_configuration=settings)
    settings.cert_file = settings.key_file = None
    token = answer("create", "token", account, "-n", place.profile).strip()
    settings.api_key = {"authorization": f"Bearer {token}"}
    transport = open_transport(client.ApiClient(settings))
    cluster = Cluster(transport, place.namespace, settings.host, is_inside=True)
    check_installation(cluster, "/registry", RolloutSettings(namespace=place.namespace))


def test_a_profile_may_roll_out_when_the_component_names_it(place: Place) -> None:
    with pytest.raises(InputError) as failure:
        check(place, EDITOR)
    missing = "write its namespace into k8s/components/pipeline-profile, and apply that"
    assert f"{place.profile}/{EDITOR} may not " in str(failure.value)
    assert str(failure.value).endswith(missing)
    answer("apply", "-f", "-", objects=component(place))
    check(place, EDITOR)
    with pytest.raises(InputError, match=r"my-runner may not .* write its name and namespace into"):
        check(place, "my-runner")


def test_the_profiles_pods_alone_reach_the_servers(place: Place) -> None:
    answer("apply", "-f", "-", objects=component(place))
    policy = read("get", "networkpolicy", "emotion-ai-pipeline-profile", "-n", place.namespace)
    (rule,) = policy["spec"]["ingress"]
    (origin,) = rule["from"]
    labels = read("get", "namespace", place.profile)["metadata"]["labels"]
    assert origin["namespaceSelector"]["matchLabels"].items() <= labels.items()
    # Of every pod of a run, by KFP's own hand.
    pods = {"pipelines.kubeflow.org/v2_component": "true"}
    assert origin["podSelector"]["matchLabels"] == pods
