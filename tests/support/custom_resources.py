"""Small JSON schemas of custom resources: the fields that k8s/ uses, and no others.

Written from each project's API reference: external-secrets.io/v1, monitoring.coreos.com/v1,
cert-manager.io/v1, and serving.kserve.io, v1alpha1 and v1beta1.
"""

from typing import Any

_TEXT = {"type": "string", "minLength": 1}
_DURATION = {"type": "string", "pattern": r"^([0-9]+(ms|s|m|h|d|w|y))+$"}
_TEXTS = {"type": "array", "items": _TEXT, "minItems": 1}
_STRINGS = {"type": "object", "additionalProperties": {"type": "string"}}


def fields(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    """Return the schema of an object with these fields and no others."""
    return {
        "type": "object",
        "required": list(required),
        "properties": required | optional,
        "additionalProperties": False,
    }


def resource(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an object with this spec."""
    metadata = fields({"name": _TEXT}, namespace=_TEXT, labels=_STRINGS, annotations=_STRINGS)
    return fields({"apiVersion": _TEXT, "kind": _TEXT, "metadata": metadata, "spec": spec})


def listed(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": 1}


_SELECTOR = fields({}, matchLabels=_STRINGS)

_EXTERNAL_SECRET = fields(
    {
        "secretStoreRef": fields(
            {"name": _TEXT, "kind": {"enum": ["SecretStore", "ClusterSecretStore"]}}
        ),
        "data": listed(
            fields({"secretKey": _TEXT, "remoteRef": fields({"key": _TEXT}, property=_TEXT)})
        ),
    },
    refreshInterval=_DURATION,
    target=fields({"name": _TEXT}),
)

_RELABELING = fields(
    {},
    sourceLabels=_TEXTS,
    targetLabel=_TEXT,
    regex=_TEXT,
    replacement={"type": "string"},
    action=_TEXT,
)
_POD_MONITOR = fields(
    {
        "selector": _SELECTOR,
        "podMetricsEndpoints": listed(
            fields(
                {"port": _TEXT, "path": _TEXT},
                interval=_DURATION,
                scrapeTimeout=_DURATION,
                relabelings=listed(_RELABELING),
                metricRelabelings=listed(_RELABELING),
            )
        ),
    },
    jobLabel=_TEXT,
    podTargetLabels=_TEXTS,
    namespaceSelector=fields({}, matchNames=_TEXTS, any={"type": "boolean"}),
)

_RULE = fields(
    {"expr": {"type": ["string", "integer"]}},
    alert=_TEXT,
    record=_TEXT,
    labels=_STRINGS,
    annotations=_STRINGS,
    keep_firing_for=_DURATION,
    **{"for": _DURATION},
) | {"oneOf": [{"required": ["alert"]}, {"required": ["record"]}]}
_PROMETHEUS_RULE = fields(
    {"groups": listed(fields({"name": _TEXT, "rules": listed(_RULE)}, interval=_DURATION))}
)

_CERTIFICATE = fields(
    {
        "secretName": _TEXT,
        "issuerRef": fields({"name": _TEXT}, kind=_TEXT, group=_TEXT),
    },
    commonName=_TEXT,
    dnsNames=_TEXTS,
    duration=_DURATION,
    renewBefore=_DURATION,
    isCA={"type": "boolean"},
    usages=listed(_TEXT),
    privateKey=fields(
        {},
        algorithm={"enum": ["RSA", "ECDSA", "Ed25519"]},
        size={"type": "integer"},
        encoding={"enum": ["PKCS1", "PKCS8"]},
        rotationPolicy={"enum": ["Never", "Always"]},
    ),
)
_ISSUER = fields(
    {}, selfSigned={"type": "object", "maxProperties": 0}, ca=fields({"secretName": _TEXT})
)

# Containers and volumes are Kubernetes' own; test_kserve.py checks them as a pod's.
_SERVING_RUNTIME = fields(
    {
        "supportedModelFormats": listed(
            fields({"name": _TEXT}, version=_TEXT, autoSelect={"type": "boolean"})
        ),
        "protocolVersions": listed({"enum": ["v1", "v2", "grpc-v1", "grpc-v2"]}),
        "containers": listed({"type": "object"}),
    },
    volumes=listed({"type": "object"}),
)
_INFERENCE_SERVICE = fields(
    {
        "predictor": fields(
            {
                "model": fields(
                    {"modelFormat": fields({"name": _TEXT}, version=_TEXT)},
                    runtime=_TEXT,
                    protocolVersion={"enum": ["v1", "v2", "grpc-v1", "grpc-v2"]},
                    storageUri=_TEXT,
                )
            },
            automountServiceAccountToken={"type": "boolean"},
        )
    }
)

SCHEMAS: dict[tuple[str, str], dict[str, Any]] = {
    ("external-secrets.io/v1", "ExternalSecret"): resource(_EXTERNAL_SECRET),
    ("monitoring.coreos.com/v1", "PodMonitor"): resource(_POD_MONITOR),
    ("monitoring.coreos.com/v1", "PrometheusRule"): resource(_PROMETHEUS_RULE),
    ("cert-manager.io/v1", "Certificate"): resource(_CERTIFICATE),
    ("cert-manager.io/v1", "Issuer"): resource(_ISSUER),
    ("serving.kserve.io/v1alpha1", "ServingRuntime"): resource(_SERVING_RUNTIME),
    ("serving.kserve.io/v1beta1", "InferenceService"): resource(_INFERENCE_SERVICE),
    ("cert-manager.io/v1", "ClusterIssuer"): resource(_ISSUER),
}
