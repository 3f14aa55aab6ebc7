"""The settings of a rollout to a cluster."""

from typing import Annotated

from pydantic import Field, model_validator

from emotion_ai.settings import StrictModel, matching

Name = Annotated[
    str,
    matching(
        r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?",
        "a name of Kubernetes: at most 63 small letters, digits and '-'",
    ),
]
Seconds = Annotated[float, Field(ge=0, le=86_400)]


class CanarySettings(StrictModel):
    """How a release is tried before it replaces the one that serves.

    Attributes:
        bake_s: How long the canary answers callers before it is judged, in seconds; 0 skips it.
        max_bake_s: How long to wait for `min_requests`, in seconds; then golden requests decide.
        min_requests: Requests of callers that the verdict should rest on.
    """

    bake_s: Seconds = 300
    max_bake_s: Seconds = 900
    min_requests: Annotated[int, Field(ge=0, le=1_000_000)] = 200

    @model_validator(mode="after")
    def _check_order(self) -> "CanarySettings":
        if self.max_bake_s < self.bake_s:
            raise ValueError(f"max_bake_s is less than bake_s, {self.bake_s:g}")
        return self


class TlsFiles(StrictModel):
    """PEM files for servers that are reached by TLS alone; "" for plain text.

    Attributes:
        authority: Certificates to trust.
        certificate: The rollout's own certificate, where servers ask for one.
        key: The private key of `certificate`.
        name: The servers' name in their certificate; a pod's address is not in it.
    """

    authority: str = ""
    certificate: str = ""
    key: str = ""
    name: str = "emotion-ai"


class RolloutSettings(StrictModel):
    """Where and how a release is rolled out in a cluster.

    Attributes:
        namespace: The namespace of the Deployment, the Lease and the canary.
        deployment: The Deployment of the model servers.
        canary: How a release is tried first.
        wait_s: How long to wait for another rollout, in seconds.
        timeout_s: How long pods may take to start, in seconds.
        watch_s: How long all servers are watched after the promotion, in seconds.
        tls: How the servers are reached where they ask for TLS.
    """

    namespace: Name = "emotion-ai"
    deployment: Name = "emotion-ai"
    canary: CanarySettings = CanarySettings()
    wait_s: Seconds = 1800
    timeout_s: Seconds = 600
    watch_s: Seconds = 60
    tls: TlsFiles = TlsFiles()
