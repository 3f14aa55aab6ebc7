"""PromQL expressions of k8s/components/monitoring, and the metrics that they may name."""

import json
import re
from typing import Any, NamedTuple

import promql_parser
import yaml

from support.prometheus import MONITORING

# Metrics of others, by who documents them.
KUBE_STATE_METRICS = {
    # kube-state-metrics, docs/metrics/workload/deployment-metrics.md
    "kube_deployment_annotations",
    "kube_deployment_created",
    "kube_deployment_spec_replicas",
    "kube_deployment_status_condition",
    "kube_deployment_status_replicas_ready",
    # horizontalpodautoscaler-metrics.md
    "kube_horizontalpodautoscaler_spec_max_replicas",
    "kube_horizontalpodautoscaler_status_current_replicas",
    # job-metrics.md
    "kube_job_spec_active_deadline_seconds",
    "kube_job_status_active",
    "kube_job_status_start_time",
    # pod-metrics.md
    "kube_pod_completion_time",
    "kube_pod_container_resource_limits",
    "kube_pod_container_resource_requests",
    "kube_pod_init_container_status_restarts_total",
    "kube_pod_owner",
    "kube_pod_status_phase",
    "kube_pod_status_unschedulable",
}
OTHERS = {
    # Prometheus, docs/concepts/jobs_instances.md
    "up",
    # cAdvisor in the kubelet, docs/storage/prometheus.md
    "container_cpu_usage_seconds_total",
    "container_memory_working_set_bytes",
    # TensorFlow Serving alone, batching/batching_session.cc
    ":tensorflow:serving:batching_session:wrapped_run_count",
}


class Named(NamedTuple):
    """An expression and where it stands."""

    place: str
    expression: str


def rules() -> list[dict[str, Any]]:
    """Every rule, recording rules too."""
    resource = yaml.safe_load((MONITORING / "prometheus-rule.yaml").read_text())
    return [rule for group in resource["spec"]["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    return dict(json.loads((MONITORING / "dashboard.json").read_text()))


def rule_expressions() -> list[Named]:
    return [Named(rule.get("alert") or rule["record"], rule["expr"]) for rule in rules()]


def dashboard_expressions(namespace: str = "emotion-ai", interval: str = "5m") -> list[Named]:
    """The dashboard's expressions with values for Grafana's variables."""
    board = dashboard()
    found = [
        Named(f"{panel['title']} {target['refId']}", target["expr"])
        for panel in board["panels"]
        for target in panel["targets"]
    ]
    found += [Named(note["name"], note["target"]["expr"]) for note in board["annotations"]["list"]]
    values = {"namespace": namespace, "__rate_interval": interval, "__interval": interval}
    return [
        Named(place, re.sub(r"\$(\w+)", lambda match: values[match[1]], expression))
        for place, expression in found
    ]


def selectors(expression: str) -> list[Any]:
    """Every selector of an expression, parsed."""
    found: list[Any] = []

    def visit(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found
