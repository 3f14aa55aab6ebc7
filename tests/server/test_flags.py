"""The server's flags and parameter files, valid and invalid."""

import importlib.metadata
from pathlib import Path

import pytest

from emotion_ai.errors import InputError
from emotion_ai.server.batch_policy import BatchPolicy
from emotion_ai.server.flags import parse_flags
from emotion_ai.server.parameter_files import read_parameters

from support.certificates import make_certificates
from support.command_line import assert_refused, emotion_ai


def test_parse_flags_accepts_tensorflow_serving_flags(tmp_path: Path) -> None:
    (tmp_path / "flags").write_text("--rest_api_port=8501  # status\n--enable_batching\n")
    flags = parse_flags(
        [
            "--port=8500",
            "--model_name",
            "emotion_ai",
            "--model_base_path=/models/emotion_ai",
            "--enable_model_warmup=false",
            "--num_load_threads=2",
            "--enable_profiler",
            f"--flagfile={tmp_path}/flags",
            "--grpc_channel_arguments=grpc.max_connection_age_ms=2000,grpc.primary_user_agent=x",
        ],
        "serve",
    )
    assert (flags.port, flags.rest_api_port, flags.enable_batching) == (8500, 8501, True)
    assert (flags.model_name, flags.enable_model_warmup) == ("emotion_ai", False)
    assert (flags.registry, flags.host) == ("", "127.0.0.1")
    assert flags.channel_options() == {
        "grpc.max_connection_age_ms": 2000,
        "grpc.primary_user_agent": "x",
    }


def test_parse_flags_defaults_to_the_registry() -> None:
    assert parse_flags([], "serve").registry == "./registry"
    flags = parse_flags(["--registry=r", "--poll-seconds", "0.5"], "serve")
    assert flags.registry == "r"
    assert flags.model_config_file_poll_wait_seconds == flags.file_system_poll_wait_seconds == 0.5


OTHER_FLAGS = (
    "--enable_grpc_healthcheck_service=true",
    "--enable_per_model_batching_parameters=false",
    "--enable_serialization_as_tensor_content=true",
    "--mixed_precision=bfloat16",
    "--num_request_iterations_for_warmup=3",
    "--platform_config_file=",
    "--rest_api_enable_cors_support=true",
    "--saved_model_tags=serve",
    "--skip_initialize_tpu=true",
    "--tensorflow_session_config_file=",
    "--thread_pool_factory_config_file=threads",
    "--grpc_socket_path=/run/emotion-ai.sock",
    "--use_alts_credentials=false",
    "--xla_gpu_compilation_enabled=true",
)


def test_every_flag_of_tensorflow_serving_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    flags = parse_flags(OTHER_FLAGS, "serve")
    assert (flags.num_request_iterations_for_warmup, flags.saved_model_tags) == (3, "serve")
    assert flags.grpc_socket_path == "/run/emotion-ai.sock"
    without_effect = sorted(line.partition(" ")[0] for line in caplog.messages)
    assert without_effect == [
        "--enable_serialization_as_tensor_content",
        "--mixed_precision",
        "--rest_api_enable_cors_support",
        "--skip_initialize_tpu",
        "--thread_pool_factory_config_file",
        "--xla_gpu_compilation_enabled",
    ]


def test_version_is_printed() -> None:
    result = emotion_ai("serve", "--version")
    assert result.returncode == 0
    assert result.stdout.startswith("emotion-ai ")


def test_flags_need_no_installed_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nowhere(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    # As in an image, which holds the code alone.
    monkeypatch.setattr(importlib.metadata, "version", nowhere)
    assert parse_flags(["--port=8500"], "serve").port == 8500
    with pytest.raises(SystemExit) as ended:
        parse_flags(["--version"], "serve")
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("emotion-ai, not installed as a package")


@pytest.mark.parametrize(
    ("host", "address"),
    [("::1", "[::1]:8500"), ("[::]", "[::]:8500"), ("127.0.0.1", "127.0.0.1:8500")],
)
def test_ipv6_addresses_have_brackets(host: str, address: str) -> None:
    assert parse_flags([f"--host={host}"], "serve").address(8500) == address


INVALID_FLAGS = {
    "--use_alts_credentials": ("--use_alts_credentials", "--ssl_config_file"),
    "--platform_config_file=p": ("--platform_config_file", "not supported"),
    "--enable_per_model_batching_parameters": ("--enable_per_model", "not supported"),
    "--tensorflow_session_config_file=s": ("--tensorflow_session_config_file", "not supported"),
    "--port=70000": ("flags.port", "70000"),
    "--poll-seconds=-1": ("poll_wait_seconds", "-1"),
    "--enable_batching=perhaps": ("flags.enable_batching", "perhaps"),
    "--prot=8500": ("--prot", "--help"),
    "--batching_parameters_file=b": ("--batching_parameters_file", "--enable_batching"),
    "--rest_api_port=8500": ("--rest_api_port", "--port"),
    "--registry=r --model_base_path=/m": ("--registry", "--model_base_path"),
    "--registry=r --pretrained": ("--registry", "--pretrained"),
    "--grpc_channel_arguments=fast": ("--grpc_channel_arguments", "key=value"),
    "--grpc_channel_arguments=a=99999999999": ("--grpc_channel_arguments", "at most 2147483647"),
    "--flagfile=absent": ("absent", "no such file"),
    "--host= --registry=r": ("flags.host",),
}


@pytest.mark.parametrize("arguments", INVALID_FLAGS)
def test_parse_flags_names_invalid_flags(arguments: str) -> None:
    with pytest.raises(InputError) as raised:
        parse_flags(arguments.split(), "serve")
    for word in INVALID_FLAGS[arguments]:
        assert word in str(raised.value)


INVALID_BATCHING = {
    "max_batch_size { value: 0 }": "max_batch_size 0",
    "num_batch_threads { value: 0 }": "num_batch_threads 0",
    "num_batch_threads { value: 1000000 }": "expected 1 to 1024",
    "batch_timeout_micros { value: -1 }": "batch_timeout_micros -1",
    "allowed_batch_sizes: 8 allowed_batch_sizes: 4 max_batch_size { value: 4 }": "increasing",
    "allowed_batch_sizes: 4 max_batch_size { value: 8 }": "must equal max_batch_size, 8",
}


@pytest.mark.parametrize("text", INVALID_BATCHING)
def test_batch_policy_names_invalid_parameters(tmp_path: Path, text: str) -> None:
    path = tmp_path / "batching.config"
    path.write_text(text)
    with pytest.raises(InputError, match=INVALID_BATCHING[text]):
        BatchPolicy.from_parameters(read_parameters("BatchingParameters", str(path)), cores=2)


def test_batch_policy_has_tensorflow_serving_defaults(tmp_path: Path) -> None:
    policy = BatchPolicy.from_parameters(read_parameters("BatchingParameters", ""), cores=2)
    assert policy[:4] == (1000, 0.0, 10, 2)
    path = tmp_path / "batching.config"
    path.write_text("enable_large_batch_splitting { value: true } max_batch_size { value: 32 }")
    policy = BatchPolicy.from_parameters(read_parameters("BatchingParameters", str(path)), cores=2)
    assert (policy.max_request_size, policy.max_execution_batch_size) == (1024, 32)


INVALID_FILES = {
    "batching": ("--enable_batching --batching_parameters_file=file", "BatchingParameters"),
    "batching sizes": ("--enable_batching --batching_parameters_file=zero", "max_batch_size 0"),
    "monitoring": ("--monitoring_config_file=file", "MonitoringConfig"),
    "ssl": ("--ssl_config_file=file", "SSLConfig"),
    "ssl without a key": ("--ssl_config_file=empty", "server_key"),
    "ssl without an authority": ("--ssl_config_file=verify", "custom_ca"),
    "ssl of another key": ("--ssl_config_file=mixed", "cannot use server_key"),
    "models": ("--model_config_file=file", "ModelServerConfig"),
    "no models": ("--model_config_file=absent", "absent"),
    "labels": ("--model_config_file=labels", "allow_version_labels_for_unavailable_models"),
}


@pytest.mark.parametrize("file", INVALID_FILES)
def test_serve_exits_with_2_for_invalid_file(tmp_path: Path, file: str) -> None:
    arguments, word = INVALID_FILES[file]
    keys = make_certificates()
    key, other = keys.server.key, keys.client.certificate
    pair = f"server_key: {key!r} server_cert: {keys.server.certificate!r}"
    texts = {
        "file": "not a message {",
        "empty": "",
        "zero": "max_batch_size { value: 0 }",
        "verify": f"{pair} client_verify: true",
        "mixed": f"server_key: {key!r} server_cert: {other!r}",
        "labels": (
            'model_config_list { config { name: "m" base_path: "/m" model_platform: "tensorflow" '
            'version_labels { key: "stable" value: 1 } } }'
        ),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    result = emotion_ai("serve", "--port=0", *arguments.split(), cwd=tmp_path)
    assert_refused(result, 2, arguments.rpartition("=")[2], word)
    assert keys.server.key.splitlines()[1] not in result.stderr
