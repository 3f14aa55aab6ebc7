"""The server's command line: TensorFlow Serving's flags and a few additional ones.

Names, defaults and forms (`--flag=value`, `--flag value`, a bare `--flag` for true) are those of
tensorflow_serving/model_servers/main.cc, so that one set of arguments starts either server.
`--registry`, `--pretrained`, `--host`, `--allow_reload` and others are additional.
"""

import argparse
import importlib.metadata
import re
import shlex
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

from pydantic import Field

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.server.other_flags import IGNORED_FLAGS, OTHER_FLAGS, check_other_flags
from emotion_ai.serving_api.messages import MODEL_NAME
from emotion_ai.settings import StrictModel, validate_settings

Port = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
Threads = Annotated[int, Field(ge=0, le=1_024)]
Bytes = Annotated[int, Field(ge=1, le=1 << 50)]
DEFAULT_REGISTRY = "./registry"
_MAX_REQUESTS = 4096
_MAX_FLAG_FILE_BYTES = 1 << 20
_CHANNEL_ARGUMENT = re.compile(r"([^=,]+)=([^=,]*)")


class ServerFlags(StrictModel):
    """The validated flags; "" is a flag that is not set."""

    registry: str = Field("", description="local folder or gs:// URI whose models.config is served")
    pretrained: bool = Field(False, description="serve the networks that come with this package")
    host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    port: Port = Field(8500, description="gRPC; 0 is any free port")
    grpc_socket_path: str = Field("", description="gRPC over this UNIX socket, too")
    rest_api_port: Port = Field(
        0, description="HTTP for predictions, status, metadata, metrics; 0 is off"
    )
    rest_api_timeout_in_ms: Count = Field(30_000, description="timeout of an HTTP request")
    model_name: str = Field("default", description="with --model_base_path")
    model_base_path: str = Field(
        "", description="folder with a model's versions; serves the newest"
    )
    model_config_file: str = Field("", description="a ModelServerConfig, protobuf text")
    model_config_file_poll_wait_seconds: float | None = Field(
        None, ge=0, description="seconds between reads; 0 reads once (--registry: 1 second)"
    )
    file_system_poll_wait_seconds: float = Field(
        1.0, ge=0, description="seconds between looks for new versions; 0 looks once"
    )
    allow_version_labels_for_unavailable_models: bool = Field(
        False, description="a label may be assigned before its version is loaded"
    )
    max_num_load_retries: Count = Field(5, description="retries of a version that does not load")
    load_retry_interval_micros: int = Field(
        60_000_000, description="microseconds between two attempts"
    )
    enable_model_warmup: bool = Field(True, description="replay the warm-up requests at load")
    num_request_iterations_for_warmup: int = Field(
        1, ge=0, le=1000, description="how often each warm-up request is replayed; 0 is once"
    )
    saved_model_tags: str = Field(
        "serve", min_length=1, description="tags of the SavedModel's graph, separated by commas"
    )
    prefer_tflite_model: bool = Field(
        False, description="run serving_default with LiteRT where a release has model.tflite"
    )
    enable_batching: bool = Field(
        False, description="batch requests as set in --batching_parameters_file"
    )
    batching_parameters_file: str = Field("", description="BatchingParameters, protobuf text")
    monitoring_config_file: str = Field("", description="MonitoringConfig, protobuf text")
    ssl_config_file: str = Field("", description="SSLConfig, protobuf text: TLS, mutual TLS")
    grpc_channel_arguments: str = Field(
        "", description="gRPC channel arguments: key=value,key=value"
    )
    grpc_max_threads: Count = Field(0, description="requests handled at once; 0 is 4,096")
    allow_reload: bool = Field(
        False, description="anybody who reaches the port may choose among the models' versions"
    )
    allow_any_operation: bool = Field(
        False, description="load models whose graphs may read and write files"
    )
    allow_unverified_releases: bool = Field(
        False, description="serve what is in a --registry without a release.json"
    )
    max_bytes_in_progress: Bytes = Field(
        64 << 20, description="requests of these bytes are handled at once; others are refused"
    )
    tensorflow_session_parallelism: Threads = Field(0, description="sets both of the following")
    tensorflow_intra_op_parallelism: Threads = Field(0, description="threads of an op; 0 is one")
    tensorflow_inter_op_parallelism: Threads = Field(
        0, description="ops that run at once; 0 is two"
    )

    def max_requests(self) -> int:
        """Return how many Predict requests are handled at once; others are refused."""
        return self.grpc_max_threads or _MAX_REQUESTS

    def address(self, port: int) -> str:
        """Return HOST:PORT, with an IPv6 address in brackets."""
        host = self.host.strip("[]")
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def channel_options(self) -> dict[str, int | str]:
        """Return `grpc_channel_arguments` as gRPC takes them: integers, else strings."""
        return {
            key: int(value) if re.fullmatch(r"-?[0-9]+", value) else value
            for key, value in _CHANNEL_ARGUMENT.findall(self.grpc_channel_arguments)
        }


def parse_flags(arguments: Sequence[str], program: str) -> ServerFlags:
    """Parse and validate a command line; `--help` prints the help and exits.

    Args:
        arguments: The command line. A `--flagfile=PATH` is replaced by the flags in that file.
        program: The command's name in the help.

    Returns:
        The flags; `registry` is ./registry if no flag names what to serve.

    Raises:
        InputError: A flag is unknown, invalid or contradicts another; the message names it.

    Example:
        >>> parse_flags(["--registry=models", "--port", "0"], "serve").port
        0
    """
    given = vars(_parser(program).parse_args(_expand_flag_files(arguments)))
    poll_seconds = given.pop("poll_seconds", None)
    if poll_seconds is not None:
        given["model_config_file_poll_wait_seconds"] = poll_seconds
        given["file_system_poll_wait_seconds"] = poll_seconds
    check_other_flags({name: given.pop(name) for name in OTHER_FLAGS if name in given})
    flags = validate_settings(ServerFlags, given, "flags")
    _check_combinations(flags)
    sources = (flags.registry, flags.pretrained, flags.model_config_file, flags.model_base_path)
    if not any(sources):
        flags = flags.model_copy(update={"registry": DEFAULT_REGISTRY})
    return flags


def _check_combinations(flags: ServerFlags) -> None:
    sources = ("registry", "pretrained", "model_config_file", "model_base_path")
    given = [f"--{name}" for name in sources if getattr(flags, name)]
    # TensorFlow Serving ignores --model_base_path beside --model_config_file.
    if {"--registry", "--pretrained"} & set(given) and len(given) > 1:
        raise InputError(f"{given[0]} and {given[1]} are mutually exclusive")
    if flags.batching_parameters_file and not flags.enable_batching:
        raise InputError("--batching_parameters_file is set without --enable_batching")
    if flags.rest_api_port and flags.rest_api_port == flags.port:
        raise InputError(f"--rest_api_port {flags.port}: cannot be the same as --port")
    arguments = flags.grpc_channel_arguments
    if arguments and len(_CHANNEL_ARGUMENT.findall(arguments)) != arguments.count(",") + 1:
        raise InputError(f"--grpc_channel_arguments {arguments!r}: expected key=value,key=value")
    for key, value in flags.channel_options().items():
        if isinstance(value, int) and abs(value) >= 2**31:
            raise InputError(
                f"--grpc_channel_arguments {key}={value}: expected at most {2**31 - 1}"
            )


def _expand_flag_files(arguments: Sequence[str]) -> list[str]:
    expanded = []
    for argument in arguments:
        if argument.startswith("--flagfile="):
            text = storage.read_bytes(argument.partition("=")[2], _MAX_FLAG_FILE_BYTES)
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
        epilog=f"The flags are TensorFlow Serving's, except --registry (which serves {MODEL_NAME} "
        f"and is {DEFAULT_REGISTRY} if no flag names what to serve), --pretrained, --host and "
        "--poll-seconds (sets both poll waits). Accepted without effect: "
        f"{', '.join('--' + name for name in IGNORED_FLAGS)}.",
        formatter_class=_Formatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    for name, field in ServerFlags.model_fields.items():
        default = field.get_default()
        suffix = "" if default in ("", None, False) else f" ({default})"
        _add_flag(parser, f"--{name}", field.annotation, f"{field.description}{suffix}")
    parser.add_argument("--poll-seconds", type=float, metavar="S", help=argparse.SUPPRESS)
    parser.add_argument("--version", action="version", version=version_words())
    for name in OTHER_FLAGS:
        parser.add_argument(f"--{name}", nargs="?", help=argparse.SUPPRESS)
    return parser


def installed_version() -> str:
    """Return the package's version, or "" in images.

    They hold the code alone, and their label org.opencontainers.image.version the version.
    """
    try:
        return importlib.metadata.version("emotion-ai")
    except importlib.metadata.PackageNotFoundError:
        return ""


def version_words() -> str:
    """Return what `--version` prints."""
    version = installed_version()
    other = "emotion-ai, not installed as a package: the image's labels say which version"
    return f"emotion-ai {version}" if version else other


def _add_flag(parser: argparse.ArgumentParser, name: str, value_type: Any, help: str) -> None:
    if value_type is bool:
        parser.add_argument(name, nargs="?", const="true", metavar="BOOL", help=help)
    else:
        metavar = {str: "TEXT", int: "N"}.get(value_type, "S")
        parser.add_argument(name, metavar=metavar, help=help)
