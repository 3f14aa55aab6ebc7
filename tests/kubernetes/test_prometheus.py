"""Prometheus itself reads a real server by the rules, and unit-tests the alerts."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from emotion_ai.client.client import Client
from emotion_ai.errors import EmotionAIError

from support.monitored_server import publish_champion, serving_with_metrics
from support.prometheus import (
    MONITORING,
    RULE_FILE,
    promtool,
    query,
    running_prometheus,
    tool,
    write_rules,
)
from support.promql import dashboard_expressions, rule_expressions
from support.server_calls import eventually

ALERTS = Path(__file__).parent / "alerts.yml"
FACE = np.full((1, 96, 96, 1), 100, np.uint8)
# What the cluster would tell Prometheus of a pod and of its container's port.
POD = {
    "__meta_kubernetes_namespace": "emotion-ai",
    "__meta_kubernetes_pod_name": "emotion-ai-1-a",
    "__meta_kubernetes_pod_container_name": "server",
    "__meta_kubernetes_pod_container_port_name": "http",
    "__meta_kubernetes_pod_phase": "Running",
    "__meta_kubernetes_pod_label_emotion_ai_dev_release": "7",
    "__meta_kubernetes_pod_label_emotion_ai_dev_track": "stable",
}


def test_promtool_accepts_the_rules(tmp_path: Path) -> None:
    write_rules(tmp_path)
    assert f"{len(rule_expressions())} rules found" in promtool(
        "check", "rules", RULE_FILE, cwd=tmp_path
    )


def test_each_alert_fires_where_it_must_and_nowhere_else(tmp_path: Path) -> None:
    write_rules(tmp_path)
    shutil.copy(ALERTS, tmp_path)
    assert "SUCCESS" in promtool("test", "rules", "alerts.yml", cwd=tmp_path)


def test_a_rule_that_is_wrong_fails_its_test(tmp_path: Path) -> None:
    rules = write_rules(tmp_path)
    rules.write_text(rules.read_text().replace("> 0.01", "> 0.03"))
    tests = yaml.safe_load(ALERTS.read_text())
    tests["tests"] = tests["tests"][:1]
    (tmp_path / "alerts.yml").write_text(yaml.safe_dump(tests))
    with pytest.raises(AssertionError, match="EmotionAIServerErrors"):
        promtool("test", "rules", "alerts.yml", cwd=tmp_path)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Prometheus with without-operator.yml, and a server that answered and refused requests.

    Debian's program knows no Kubernetes, so what it would find there is written down.
    """
    tool("prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "server").mkdir()
    with serving_with_metrics(publish_champion(folder), folder / "server") as server:
        config = yaml.safe_load((MONITORING / "without-operator.yml").read_text())
        (scrape,) = config["scrape_configs"]
        del scrape["kubernetes_sd_configs"]
        scrape |= {"scrape_interval": "1s", "scrape_timeout": "1s"}
        grpc_port = {**POD, "__meta_kubernetes_pod_container_port_name": "grpc"}
        ended = {**POD, "__meta_kubernetes_pod_phase": "Failed"}
        scrape["static_configs"] = [
            {"targets": [server.rest], "labels": POD},
            {"targets": ["127.0.0.1:9"], "labels": grpc_port},
            {"targets": ["127.0.0.1:9"], "labels": ended},
        ]
        with Client(server.address) as client, running_prometheus(folder, config) as address:

            def asked() -> bool:
                client.predict_arrays(FACE)
                with pytest.raises(EmotionAIError):
                    client.predict_arrays(FACE, version=9)
                return bool(query(address, "rate(:tensorflow:serving:request_count[1m]) > 0"))

            eventually(asked)
            yield address


def test_a_server_is_read_with_the_clusters_labels(prometheus: str) -> None:
    (sample,) = query(prometheus, "up")
    assert sample["value"][1] == "1"
    assert (
        sample["metric"].items()
        >= {
            "job": "emotion-ai",
            "namespace": "emotion-ai",
            "pod": "emotion-ai-1-a",
            "container": "server",
            "emotion_ai_dev_release": "7",
            "emotion_ai_dev_track": "stable",
        }.items()
    )


def test_the_dashboard_shows_a_real_server(prometheus: str) -> None:
    of_servers = [
        named
        for named in dashboard_expressions(interval="1m")
        if named.expression.find(":tensorflow:") >= 0 or "up{" in named.expression
    ]
    shown = {named.place: query(prometheus, named.expression) for named in of_servers}
    # No request failed by the server's fault, so there is no such series.
    empty = {place for place, samples in shown.items() if not samples}
    assert empty == {"Server errors A"}
    for place, samples in shown.items():
        for sample in samples:
            assert sample["metric"]["emotion_ai_dev_release"] == "7", place
    assert float(shown["Pods by release A"][0]["value"][1]) == 1
    assert 0 < float(shown["Callers' errors A"][0]["value"][1]) < 1
    assert 0 < float(shown["Latency, p99 A"][0]["value"][1]) < 60
    assert float(shown["Requests per batch A"][0]["value"][1]) >= 1


def test_every_rule_is_evaluated_and_a_healthy_server_raises_no_alarm(prometheus: str) -> None:
    for named in rule_expressions():
        samples = query(prometheus, named.expression)
        if named.place.startswith("namespace"):
            # Recorded of the server; steps are not known here.
            assert bool(samples) == ("answer_seconds" in named.place), named.place
        else:
            # kube-state-metrics is not here, which is just what one of them says.
            assert bool(samples) == (named.place == "EmotionAIMetricsMissing"), named.place
