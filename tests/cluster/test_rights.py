"""Each right that a rollout lacks is named before anything changes, with what grants it."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from emotion_ai.errors import InputError
from emotion_ai.rollouts.cluster.api import Cluster, open_transport
from emotion_ai.rollouts.cluster.preflight import check_installation
from emotion_ai.rollouts.cluster.rights import Right, rollout_rights
from emotion_ai.rollouts.settings import RolloutSettings

from support.kubectl import answer, moved, new_namespace, remove
from support.manifests import Object, built

ACCOUNT = "a-pipeline"


class Place(NamedTuple):
    """An installation without servers, the role that its account has, and its API client."""

    namespace: str
    role: Object
    cluster: Cluster


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    namespace = new_namespace("rights")
    objects = moved(built("overlays/local"), namespace)
    for item in objects:
        if item["kind"] == "Deployment":
            item["spec"]["replicas"] = 0
    answer("apply", "-f", "-", objects=[o for o in objects if o["kind"] != "PersistentVolume"])
    answer("create", "serviceaccount", ACCOUNT, "-n", namespace)
    answer(
        "create",
        "rolebinding",
        ACCOUNT,
        "-n",
        namespace,
        "--role=emotion-ai-rollout",
        f"--serviceaccount={namespace}:{ACCOUNT}",
    )
    role = next(
        o for o in objects if o["kind"] == "Role" and o["metadata"]["name"] == "emotion-ai-rollout"
    )
    yield Place(namespace, role, connect_as(namespace))
    remove(namespace, objects)


def connect_as(namespace: str) -> Cluster:
    """A connection with the account's own token, as a step in a pod has it."""
    from kubernetes import client, config

    settings = client.Configuration()
    config.load_kube_config(client_configuration=settings)
    settings.cert_file = settings.key_file = None
    token = answer("create", "token", ACCOUNT, "-n", namespace).strip()
    settings.api_key = {"authorization": f"Bearer {token}"}
    transport = open_transport(client.ApiClient(settings))
    return Cluster(transport, namespace, settings.host, is_inside=True)


def check(place: Place) -> None:
    """Look at the installation as a rollout does."""
    settings = RolloutSettings(namespace=place.namespace)
    check_installation(place.cluster, "/registry", settings)


def without(role: Object, right: Right) -> Any:
    """The role without one verb of one rule."""
    changed = copy.deepcopy(role)
    for rule in changed["rules"]:
        if right.resource in rule["resources"] and right.verb in rule["verbs"]:
            rule["verbs"].remove(right.verb)
    changed["rules"] = [rule for rule in changed["rules"] if rule["verbs"]]
    return changed


def test_a_rollout_may_all_that_it_needs(place: Place) -> None:
    check(place)


@pytest.mark.parametrize("right", rollout_rights("emotion-ai"), ids=lambda r: f"{r[2]} {r[1]}")
def test_a_missing_right_is_named(place: Place, right: Right, tmp_path: Path) -> None:
    answer("apply", "-f", "-", objects=[without(place.role, right)])
    try:
        with pytest.raises(InputError) as failure:
            check(place)
    finally:
        answer("apply", "-f", "-", objects=[place.role])
    message = str(failure.value)
    assert f"{place.namespace}/{ACCOUNT} may not {right.verb} {right.resource} in" in message
    assert "write its name and namespace into k8s/components/pipeline-profile" in message
