"""The gRPC health service of the server (grpc.health.v1)."""


class Health:
    """Reports SERVING while every model has an available version.

    Args:
        services: Full names of the gRPC services; "" for the whole server is always included.
    """

    def __init__(self, services: tuple[str, ...]) -> None:
        from grpc_health.v1 import health

        self.servicer = health.HealthServicer()
        self._services = ("", *services)
        self.set_serving(False)

    def set_serving(self, serving: bool) -> None:
        """Report SERVING or NOT_SERVING for every service."""
        from grpc_health.v1.health_pb2 import HealthCheckResponse

        status = HealthCheckResponse.SERVING if serving else HealthCheckResponse.NOT_SERVING
        for service in self._services:
            self.servicer.set(service, status)
