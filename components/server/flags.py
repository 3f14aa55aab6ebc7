"""What the server is told on its command line: TensorFlow Serving's flags, and some of its own.

Names, defaults and forms (`--flag=value`, `--flag value`, a bare `--flag` for true) are those of
tensorflow_serving/model_servers/main.cc, so that one set of arguments starts either server.
`--registry`, `--pretrained` and `--host` are ours.
"""

import argparse
import re
import shlex
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

from pydantic import Field

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.serving_api.messages import MODEL_NAME
from emotion_ai.settings import StrictModel, validate_settings

Port = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
Threads = Annotated[int, Field(ge=0, le=1_024)]
REGISTRY = "./registry"
_FLAG_FILE_BYTES = 1 << 20
# What the other server reads and this one has no use for: there is nothing to set here.
_WITHOUT_EFFECT = (
    "flush_filesystem_caches",
    "num_tflite_interpreters_per_pool",
    "num_tflite_pools",
    "num_load_threads",
    "num_unload_threads",
    "rest_api_num_threads",
    "per_process_gpu_memory_fraction",
    "remove_unused_fields_from_bundle_metagraph",
    "enable_signature_method_name_check",
    "xla_cpu_compilation_enabled",
    "enable_profiler",
)
_ARGUMENT = re.compile(r"([^=,]+)=([^=,]*)")


class ServerFlags(StrictModel):
    """The flags, checked. Seconds, bytes and ports are numbers; "" is a flag that is not given."""

    registry: str = Field("", description="local folder or gs:// URI whose models.config is served")
    pretrained: bool = Field(False, description="serve the networks that come with this package")
    host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    port: Port = Field(8500, description="gRPC; 0 is any free port")
    rest_api_port: Port = Field(0, description="HTTP for status, metadata and metrics; 0 is none")
    rest_api_timeout_in_ms: Count = Field(30_000, description="for a silent HTTP client")
    model_name: str = Field("default", description="with --model_base_path")
    model_base_path: str = Field("", description="a model's folder of versions; serves the newest")
    model_config_file: str = Field("", description="a ModelServerConfig, protobuf text")
    model_config_file_poll_wait_seconds: float | None = Field(
        None, ge=0, description="how often it is read; 0 is once (--registry: 1 second)"
    )
    file_system_poll_wait_seconds: float = Field(
        1.0, ge=0, description="how often versions are looked for; 0 is once"
    )
    allow_version_labels_for_unavailable_models: bool = Field(
        False, description="a label may be given before its version is loaded"
    )
    max_num_load_retries: Count = Field(5, description="after a version did not load")
    load_retry_interval_micros: int = Field(60_000_000, description="between two attempts")
    enable_model_warmup: bool = Field(True, description="replay the warm-up requests at load")
    prefer_tflite_model: bool = Field(
        False, description="LiteRT answers serving_default where a release has model.tflite"
    )
    enable_batching: bool = Field(False, description="batch as the parameters file says")
    batching_parameters_file: str = Field("", description="BatchingParameters, protobuf text")
    monitoring_config_file: str = Field("", description="MonitoringConfig, protobuf text")
    ssl_config_file: str = Field("", description="SSLConfig, protobuf text: TLS, mutual TLS")
    grpc_channel_arguments: str = Field("", description="gRPC's own settings: key=value,key=value")
    grpc_max_threads: Count = Field(0, description="requests answered at once; 0 is 4,096")
    tensorflow_session_parallelism: Threads = Field(0, description="both of the following")
    tensorflow_intra_op_parallelism: Threads = Field(0, description="an op's threads; 0 is one")
    tensorflow_inter_op_parallelism: Threads = Field(0, description="ops at once; 0 is two")

    def channel_options(self) -> dict[str, int | str]:
        """`grpc_channel_arguments` for gRPC: numbers where they look like numbers."""
        return {
            key: int(value) if re.fullmatch(r"-?[0-9]+", value) else value
            for key, value in _ARGUMENT.findall(self.grpc_channel_arguments)
        }


def parse_flags(arguments: Sequence[str], program: str) -> ServerFlags:
    """The flags in `arguments`, of which a `--flagfile` may hold more, one to a line.

    Prints the help and ends the process for `--help`. Raises `InputError` naming the flag that is
    unknown, cannot be or goes without the other that it needs.
    """
    given = vars(_parser(program).parse_args(_with_flag_files(arguments)))
    poll_seconds = given.pop("poll_seconds", None)
    if poll_seconds is not None:
        given["model_config_file_poll_wait_seconds"] = poll_seconds
        given["file_system_poll_wait_seconds"] = poll_seconds
    values = {name: value for name, value in given.items() if name not in _WITHOUT_EFFECT}
    flags = validate_settings(ServerFlags, values, "flags")
    _check_together(flags)
    sources = (flags.registry, flags.pretrained, flags.model_config_file, flags.model_base_path)
    if not any(sources):
        flags = flags.model_copy(update={"registry": REGISTRY})
    return flags


def _check_together(flags: ServerFlags) -> None:
    sources = ("registry", "pretrained", "model_config_file", "model_base_path")
    given = [f"--{name}" for name in sources if getattr(flags, name)]
    # TensorFlow Serving ignores --model_base_path beside --model_config_file.
    if {"--registry", "--pretrained"} & set(given) and len(given) > 1:
        raise InputError(f"{given[0]} and {given[1]}: one says what is served, not both")
    if flags.batching_parameters_file and not flags.enable_batching:
        raise InputError("--batching_parameters_file is set without --enable_batching")
    if flags.rest_api_port and flags.rest_api_port == flags.port:
        raise InputError(f"--rest_api_port {flags.port}: cannot be the same as --port")
    arguments = flags.grpc_channel_arguments
    if arguments and len(_ARGUMENT.findall(arguments)) != arguments.count(",") + 1:
        raise InputError(f"--grpc_channel_arguments {arguments!r}: expected key=value,key=value")


def _with_flag_files(arguments: Sequence[str]) -> list[str]:
    expanded = []
    for argument in arguments:
        if argument.startswith("--flagfile="):
            text = storage.read_bytes(argument.partition("=")[2], _FLAG_FILE_BYTES)
            expanded += shlex.split(text.decode(errors="replace"), comments=True)
        else:
            expanded.append(argument)
    return expanded


class _Formatter(argparse.HelpFormatter):
    def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None = None) -> None:
        super().add_usage(usage, actions, groups, prefix or "Usage: ")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; --help lists the flags")


def _parser(program: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=program,
        usage=f"{program} [--registry REGISTRY] [FLAG ...]",
        description="Serve the registry's champion over gRPC until SIGTERM; follows each rollout.",
        epilog=f"The flags are TensorFlow Serving's, but for --registry (which serves {MODEL_NAME} "
        "and is ./registry where nothing says what to serve), --pretrained, --host and "
        "--poll-seconds (both poll waits at once). Taken and without effect here: "
        f"{', '.join('--' + name for name in _WITHOUT_EFFECT)}.",
        formatter_class=_Formatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    for name, field in ServerFlags.model_fields.items():
        default = field.get_default()
        shown = "" if default in ("", None, False) else f" ({default})"
        _add(parser, f"--{name}", field.annotation, f"{field.description}{shown}")
    parser.add_argument("--poll-seconds", type=float, metavar="S", help=argparse.SUPPRESS)
    for name in _WITHOUT_EFFECT:
        parser.add_argument(f"--{name}", nargs="?", help=argparse.SUPPRESS)
    return parser


def _add(parser: argparse.ArgumentParser, name: str, kind: Any, text: str) -> None:
    if kind is bool:
        parser.add_argument(name, nargs="?", const="true", metavar="BOOL", help=text)
    else:
        metavar = {str: "TEXT", int: "N"}.get(kind, "S")
        parser.add_argument(name, metavar=metavar, help=text)
