"""Names of the objects, labels and annotations in a cluster; the manifests in k8s/ use the same."""

# The prefix of labels, annotations and conditions.
PREFIX = "emotion-ai.dev"

# A pod's track is stable or canary; the Deployment selects stable pods alone.
TRACK_LABEL = f"{PREFIX}/track"
RELEASE_LABEL = f"{PREFIX}/release"
APP_LABEL = "app.kubernetes.io/name"
APP = "emotion-ai"
# The readiness gate of a canary.
PROVEN_CONDITION = f"{PREFIX}/proven"
# On the pod template: the content digest of the release.
DIGEST_ANNOTATION = f"{PREFIX}/content-digest"
# On the Deployment: who last took the lease. The patch that writes it outdates what an earlier
# holder has read.
HOLDER_ANNOTATION = f"{PREFIX}/rollout-holder"
# On the Lease: the journal, JSON.
JOURNAL_ANNOTATION = f"{PREFIX}/journal"
# `kubectl rollout history` prints it.
CHANGE_CAUSE_ANNOTATION = "kubernetes.io/change-cause"

LEASE = "emotion-ai-rollout"
# Selects the pods for callers, and lists every pod's address.
PODS_SERVICE = "emotion-ai-pods"
FIELD_MANAGER = "emotion-ai-rollout"

# In the pod: the container that fetches the release, the one that serves it, and the ports.
INIT_CONTAINER = "release"
SERVER_CONTAINER = "server"
RELEASE_VARIABLE = "RELEASE"
REGISTRY_VARIABLE = "REGISTRY"
GRPC_PORT = 8500
HTTP_PORT = 8501
