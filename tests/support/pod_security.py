"""Kubernetes' Pod Security Standard "restricted", written out as a list of what a pod violates."""

from typing import Any

_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
_SECCOMP = {"RuntimeDefault", "Localhost"}
_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def violations(pod: dict[str, Any]) -> list[str]:
    """Return what the API server would refuse a pod's spec for."""
    context = pod.get("securityContext") or {}
    found = [name for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name)]
    found += [
        f"volume {volume['name']}"
        for volume in pod.get("volumes") or []
        if not set(volume) - {"name"} <= _VOLUMES
    ]
    found += _of_context("pod", context)
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in pod.get(kind) or []:
            found += _of_container(container, context)
    return found


def _of_context(who: str, context: dict[str, Any]) -> list[str]:
    found = [f"{who}: {name}" for name in ("sysctls", "windowsOptions") if context.get(name)]
    if context.get("runAsUser") == 0:
        found.append(f"{who}: runAsUser 0")
    if context.get("appArmorProfile", {}).get("type") == "Unconfined":
        found.append(f"{who}: appArmorProfile")
    if context.get("seLinuxOptions"):
        found.append(f"{who}: seLinuxOptions")
    return found


def _of_container(container: dict[str, Any], pod_context: dict[str, Any]) -> list[str]:
    who, own = container["name"], container.get("securityContext") or {}
    merged = {**pod_context, **own}
    capabilities = own.get("capabilities") or {}
    checks = {
        "privileged": not own.get("privileged"),
        "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
        "runAsNonRoot": merged.get("runAsNonRoot") is True,
        "seccompProfile": merged.get("seccompProfile", {}).get("type") in _SECCOMP,
        "capabilities.drop": "ALL" in capabilities.get("drop", []),
        "capabilities.add": set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"},
        "procMount": own.get("procMount", "Default") == "Default",
        "hostPort": not any(port.get("hostPort") for port in container.get("ports") or []),
        "probe's host": not any(
            action.get("host")
            for probe in _PROBES
            for action in (container.get(probe) or {}).values()
            if isinstance(action, dict)
        ),
    }
    found = [f"{who}: {name}" for name, passes in checks.items() if not passes]
    return found + _of_context(who, own)
