"""Monitoring: what is scraped is there, and rules and dashboard name what is printed."""

import itertools
import re
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from emotion_ai.client.client import Client
from emotion_ai.errors import EmotionAIError
from emotion_ai.rollouts.cluster import names
from emotion_ai.rollouts.cluster.evidence import SERVER_ERRORS
from emotion_ai.rollouts.cluster.observation import METRICS_PATH

from support.grafana import DASHBOARD
from support.manifests import built, one
from support.monitored_server import metrics_page, publish_champion, serving_with_metrics
from support.prometheus import MONITORING, write_rules
from support.promql import (
    KUBE_STATE_METRICS,
    OTHERS,
    Named,
    dashboard,
    dashboard_expressions,
    rule_expressions,
    rules,
    selectors,
)

OBJECTS = built("components/monitoring")
EXPRESSIONS = [*rule_expressions(), *dashboard_expressions()]
RELEASE, TRACK = "emotion_ai_dev_release", "emotion_ai_dev_track"
# What the cluster adds to each sample of a server.
TARGET_LABELS = {"job", "namespace", "pod", "container", "instance", RELEASE, TRACK}
FACE = np.full((1, 96, 96, 1), 100, np.uint8)


def prometheus_name(label: str) -> str:
    """A label of a pod under the name that Prometheus gives it."""
    return re.sub(r"[^a-zA-Z0-9_]", "_", label)


def named(expressions: list[Named]) -> Any:
    return pytest.mark.parametrize("named", expressions, ids=lambda named: named.place)


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Each metric that a real server prints, with its labels."""
    folder = tmp_path_factory.mktemp("printed")
    with (
        serving_with_metrics(publish_champion(folder), folder) as server,
        Client(server.address) as client,
    ):
        client.predict_arrays(FACE)
        with pytest.raises(EmotionAIError):
            client.predict_arrays(FACE, version=9)
        page = metrics_page(server)
    found: dict[str, set[str]] = {}
    # Prometheus keeps a counter's name; the client library would append _total to it.
    for family in text_string_to_metric_families(re.sub("(?m)^#.*$", "", page)):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@named(EXPRESSIONS)
def test_expressions_name_known_metrics_and_their_labels(
    named: Named, printed: dict[str, set[str]]
) -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    found = selectors(named.expression)
    assert found
    for selector in found:
        name = selector.name
        assert name in printed.keys() | KUBE_STATE_METRICS | OTHERS | recorded
        if name in printed:
            labels = {matcher.name for matcher in selector.matchers.matchers}
            assert labels <= printed[name] | TARGET_LABELS


def test_no_metric_of_others_is_listed_in_vain() -> None:
    used = {selector.name for named in EXPRESSIONS for selector in selectors(named.expression)}
    assert used >= KUBE_STATE_METRICS | OTHERS


@named(EXPRESSIONS)
def test_servers_metrics_are_those_of_this_job(named: Named) -> None:
    for selector in selectors(named.expression):
        jobs = [m.value for m in selector.matchers.matchers if m.name == "job"]
        of_servers = selector.name == "up" or selector.name.startswith(":tensorflow:")
        assert jobs == (["emotion-ai"] if of_servers else [])


@named(EXPRESSIONS)
def test_server_errors_are_the_rollouts(named: Named) -> None:
    for selector in selectors(named.expression):
        for matcher in selector.matchers.matchers:
            if matcher.name == "status" and "request_count" in selector.name:
                assert set(matcher.value.split("|")) - {"OK"} == SERVER_ERRORS


def test_damaged_expressions_are_found() -> None:
    with pytest.raises(ValueError, match=r"\S"):
        promql_parser.parse("sum by (namespace (up)")


def test_every_server_is_scraped_with_its_release_and_track() -> None:
    spec = one(OBJECTS, "PodMonitor")["spec"]
    template = one(OBJECTS, "Deployment")["spec"]["template"]
    labels = template["metadata"]["labels"]
    for track in ("stable", "canary"):
        pod = {**labels, names.TRACK_LABEL: track}
        assert spec["selector"]["matchLabels"].items() <= pod.items()
    assert labels[spec["jobLabel"]] == "emotion-ai"
    assert spec["podTargetLabels"] == [names.RELEASE_LABEL, names.TRACK_LABEL]
    assert [prometheus_name(label) for label in spec["podTargetLabels"]] == [RELEASE, TRACK]
    (endpoint,) = spec["podMetricsEndpoints"]
    assert endpoint["path"] == METRICS_PATH
    (server,) = template["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in server["ports"]}
    assert ports[endpoint["port"]] == names.HTTP_PORT


def test_prometheus_is_let_in_to_the_metrics_alone() -> None:
    spec = one(OBJECTS, "NetworkPolicy", "emotion-ai-monitoring")["spec"]
    (rule,) = spec["ingress"]
    assert [port["port"] for port in rule["ports"]] == [names.HTTP_PORT]
    assert [set(peer) for peer in rule["from"]] == [{"namespaceSelector"}]


def test_alerts_say_what_happened_and_what_to_do() -> None:
    alerts = [rule for rule in rules() if "alert" in rule]
    assert len({rule["alert"] for rule in alerts}) == len(alerts)
    for rule in alerts:
        assert rule["alert"].startswith("EmotionAI")
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert set(rule["annotations"]) == {"summary", "description"}


def test_every_alert_is_tested_where_it_fires_and_where_it_does_not() -> None:
    tests = yaml.safe_load((Path(__file__).parent / "alerts.yml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    for rule in rules():
        if name := rule.get("alert"):
            fires = {bool(case["exp_alerts"]) for case in cases if case["alertname"] == name}
            assert fires == {True, False}, name


def test_the_readme_writes_the_rules_for_a_prometheus_without_the_operator(tmp_path: Path) -> None:
    written = yaml.safe_load(write_rules(tmp_path).read_text())
    assert written == one(OBJECTS, "PrometheusRule")["spec"]


def test_scraping_without_the_operator_makes_the_same_labels() -> None:
    config = yaml.safe_load((MONITORING / "without-operator.yml").read_text())
    (scrape,) = config["scrape_configs"]
    made = {rule["target_label"] for rule in scrape["relabel_configs"] if "target_label" in rule}
    assert made == TARGET_LABELS - {"job", "instance"}
    assert scrape["job_name"] == "emotion-ai"
    assert scrape["metrics_path"] == METRICS_PATH
    (discovery,) = scrape["kubernetes_sd_configs"]
    (selector,) = discovery["selectors"]
    assert selector["label"] == f"{names.APP_LABEL}={names.APP}"


def test_grafana_finds_the_dashboard_by_its_label() -> None:
    item = one(OBJECTS, "ConfigMap", "emotion-ai-dashboard")
    assert item["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert item["data"] == {"emotion-ai.json": (MONITORING / "dashboard.json").read_text()}


def test_the_dashboard_has_the_fields_that_grafana_knows() -> None:
    jsonschema.Draft202012Validator(DASHBOARD).validate(dashboard())


def test_the_dashboards_variables_are_defined_and_used() -> None:
    board = dashboard()
    variables = {variable["name"] for variable in board["templating"]["list"]}
    text = (MONITORING / "dashboard.json").read_text()
    used = set(re.findall(r"\$\{?(\w+)", text)) - {"__rate_interval", "__interval"}
    assert used == variables


def test_panels_share_the_page_without_overlap() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = set(
            itertools.product(
                range(place["x"], place["x"] + place["w"]),
                range(place["y"], place["y"] + place["h"]),
            )
        )
        assert not cells & taken, panel["title"]
        taken |= cells
