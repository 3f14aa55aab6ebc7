"""The gRPC health service of the server."""


class Health:
    """SERVING while models answer, for each service and for all ("")."""

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
