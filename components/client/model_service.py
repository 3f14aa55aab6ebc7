"""Calls of TensorFlow Serving's ModelService: the state of releases, and unloading them."""

import functools
from typing import Any

import grpc

from emotion_ai.client.base_client import BaseClient
from emotion_ai.client.channel import DEFAULT_TIMEOUT_S, map_grpc_errors
from emotion_ai.client.results import VersionStatus
from emotion_ai.serving_api import messages
from emotion_ai.serving_api.messages import MODEL_NAME, MODEL_SERVICE

_STATES = messages.ModelVersionStatus.DESCRIPTOR.enum_types_by_name["State"].values_by_number


class ModelServiceClient(BaseClient):
    """The part of `Client` that asks about releases instead of faces."""

    _grpc = grpc

    @functools.cached_property
    def _get_status(self) -> Any:
        parse = messages.GetModelStatusResponse.FromString
        return self._method(MODEL_SERVICE, "GetModelStatus", parse)

    @functools.cached_property
    def _reload_config(self) -> Any:
        parse = messages.ReloadConfigResponse.FromString
        return self._method(MODEL_SERVICE, "HandleReloadConfigRequest", parse)

    def model_status(
        self, version: int | None = None, timeout: float = DEFAULT_TIMEOUT_S
    ) -> dict[int, str]:
        """Get the state of each release that the server knows.

        Args:
            version: A single release; None for all.
            timeout: Seconds until the request fails.

        Returns:
            States by release, such as "AVAILABLE"; empty where the server knows none.

        Raises:
            Unavailable: The server is down or did not answer in time.

        Example:
            with Client("127.0.0.1:8500") as client:
                assert "AVAILABLE" in client.model_status().values()
        """
        return {v.version: v.state for v in self.version_statuses(version, timeout)}

    def version_statuses(
        self, version: int | None = None, timeout: float = DEFAULT_TIMEOUT_S
    ) -> list[VersionStatus]:
        """Get the state of each release, with the reason where one failed to load.

        Args:
            version: A single release; None for all.
            timeout: Seconds until the request fails.

        Returns:
            A status for each release; empty where the server knows none.

        Raises:
            Unavailable: The server is down or did not answer in time.

        Example:
            with Client("127.0.0.1:8500") as client:
                for status in client.version_statuses():
                    print(status.version, status.state, status.error)
        """
        request = messages.GetModelStatusRequest()
        request.model_spec.name = MODEL_NAME
        if version is not None:
            request.model_spec.version.value = version
        with map_grpc_errors(self.address, timeout):
            try:
                response = self._get_status(request, timeout=timeout)
            except grpc.RpcError as error:
                if error.code() == grpc.StatusCode.NOT_FOUND:
                    return []
                raise
        return [
            VersionStatus(s.version, _STATES[s.state].name, s.status.error_message)
            for s in response.model_version_status
        ]

    def unload_all(self, timeout: float = DEFAULT_TIMEOUT_S) -> None:
        """Make the server unload every release, until it reads another configuration.

        Args:
            timeout: Seconds until the request fails.

        Raises:
            Unavailable: The server is down or did not answer in time.

        Example:
            with Client("127.0.0.1:8500") as client:
                client.unload_all()
        """
        request = messages.ReloadConfigRequest()
        request.config.model_config_list.SetInParent()
        with map_grpc_errors(self.address, timeout):
            self._reload_config(request, timeout=timeout)
