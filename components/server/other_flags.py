"""Flags of TensorFlow Serving's current release that this server does not have.

Most set what does not exist here: they are accepted, and the log says so. A few would promise what
this server does not do, and are refused with the reason.
"""

import logging
from collections.abc import Mapping

from emotion_ai.errors import InputError

# Without a word: its health service is always on.
_HEALTH = "enable_grpc_healthcheck_service"
IGNORED_FLAGS = (
    _HEALTH,
    "enable_profiler",
    "enable_serialization_as_tensor_content",
    "enable_signature_method_name_check",
    "flush_filesystem_caches",
    "mixed_precision",
    "num_load_threads",
    "num_tflite_interpreters_per_pool",
    "num_tflite_pools",
    "num_unload_threads",
    "per_process_gpu_memory_fraction",
    "remove_unused_fields_from_bundle_metagraph",
    "rest_api_enable_cors_support",
    "rest_api_num_threads",
    "skip_initialize_tpu",
    "thread_pool_factory_config_file",
    "xla_cpu_compilation_enabled",
    "xla_gpu_compilation_enabled",
)
_REFUSED_FLAGS = {
    "enable_per_model_batching_parameters": "all models have --batching_parameters_file",
    "platform_config_file": "the platform is tensorflow; --tensorflow_inter_op_parallelism and "
    "--tensorflow_intra_op_parallelism set its threads",
    "tensorflow_session_config_file": "--tensorflow_inter_op_parallelism and "
    "--tensorflow_intra_op_parallelism set the threads",
    "use_alts_credentials": "connections are encrypted by --ssl_config_file",
}
OTHER_FLAGS = (*IGNORED_FLAGS, *_REFUSED_FLAGS)
_OFF = ("", "0", "false")
_log = logging.getLogger(__name__)


def check_other_flags(given: Mapping[str, str | None]) -> None:
    """Log which of the given flags have no effect.

    Args:
        given: Values by flag; None is a flag without a value.

    Raises:
        InputError: A flag is set that this server cannot do without.
    """
    for name, value in given.items():
        is_set = value is None or value.lower() not in _OFF
        if is_set and name in _REFUSED_FLAGS:
            raise InputError(f"--{name}: not supported by this server: {_REFUSED_FLAGS[name]}")
        if is_set and name != _HEALTH:
            _log.warning("--%s is accepted and has no effect on this server", name)
