"""Keep the versions a server holds in step with `models.config`."""

import logging
import sys
import threading
from typing import Any

from components.errors import BadInput, Unavailable
from components.serve.configuration import CONFIG_NAME, read_plans
from components.serve.versions import VersionManager

_log = logging.getLogger(__name__)


def follow(
    registry: str,
    manager: VersionManager[Any],
    health: "Health",
    stop: threading.Event,
    poll_seconds: float,
) -> None:
    """Apply `<registry>/models.config` to the manager every `poll_seconds` until `stop` is set.

    A file that is missing, cannot be read or cannot be understood leaves everything as it is and
    is logged once.
    """
    said = ""
    while not stop.is_set():
        trouble = ""
        try:
            plans = read_plans(registry)
            if plans is not None:
                manager.apply(plans)
            elif manager.answers():
                trouble = f"{registry}: {CONFIG_NAME} is gone; serving goes on as before"
        except (BadInput, Unavailable) as error:
            trouble = f"{error}; serving goes on as before"
        if trouble and trouble != said:
            _log.error(trouble)
        said = trouble
        health.show(manager.answers())
        stop.wait(poll_seconds)


def say_if_waiting(registry: str) -> None:
    """Say on standard output that the server waits, where there is no `models.config` yet."""
    try:
        waiting = read_plans(registry) is None
    except (BadInput, Unavailable):
        # `follow` logs it, and goes on trying.
        return
    if waiting:
        sys.stdout.write(f"waiting for the first rollout: no {CONFIG_NAME} in {registry} yet\n")
        sys.stdout.flush()


class Health:
    """The gRPC health service: SERVING while models answer, for each service and for all ("")."""

    def __init__(self, services: tuple[str, ...]) -> None:
        from grpc_health.v1 import health

        self.servicer = health.HealthServicer()
        self._services = ("", *services)
        self.show(False)

    def show(self, answers: bool) -> None:
        """Tell whether requests are answered."""
        from grpc_health.v1.health_pb2 import HealthCheckResponse

        serving, not_serving = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING
        for service in self._services:
            self.servicer.set(service, serving if answers else not_serving)
