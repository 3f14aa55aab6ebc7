"""Every manifest against strict schemas: Kubernetes' own, and small ones of custom resources."""

import copy
import functools
import json
from typing import Any

import jsonschema
import kubernetes_validate
import pytest

from support.custom_resources import SCHEMAS
from support.manifests import BUILDS, FOLDER, Object, built, parse

# The oldest supported, the one of the tests' cluster, the newest that there are schemas of.
VERSIONS = ("1.31", "1.34", kubernetes_validate.latest_version())


def check(item: Object, version: str) -> None:
    """Fail if an object has a field that is unknown or of another type."""
    schema = SCHEMAS.get((item["apiVersion"], item["kind"]))
    if schema:
        jsonschema.Draft202012Validator(schema).validate(item)
    else:
        kubernetes_validate.validate(item, version, strict=True)


@functools.cache
def check_once(text: str, version: str) -> None:
    """`check`; most objects are in several builds."""
    check(json.loads(text), version)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", BUILDS)
def test_objects_have_no_unknown_field(name: str, version: str) -> None:
    objects = built(name)
    assert objects
    for item in objects:
        check_once(json.dumps(item, sort_keys=True), version)


def test_the_newest_schemas_are_newer_than_the_cluster() -> None:
    assert tuple(int(part) for part in VERSIONS[-1].split(".")[:2]) > (1, 34)


def test_examples_beside_the_components_are_valid() -> None:
    paths = sorted(FOLDER.glob("**/*.example.yaml"))
    assert paths
    for path in paths:
        for item in parse(path.read_text()):
            check(item, VERSIONS[0])


def misspelt(item: Any, path: tuple[Any, ...]) -> Any:
    """A copy in which one more key stands beside the one that the path leads to."""
    broken = copy.deepcopy(item)
    place = broken
    for key in path:
        place = place[key]
    place["unknownField"] = 1
    return broken


@pytest.mark.parametrize("path", [("spec",), ("spec", "template", "spec"), ("metadata",)])
def test_a_misspelt_field_is_found(path: tuple[Any, ...]) -> None:
    deployment = next(item for item in built("overlays/local") if item["kind"] == "Deployment")
    with pytest.raises(kubernetes_validate.ValidationError):
        check(misspelt(deployment, path), "1.31")
