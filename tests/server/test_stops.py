"""What a server has taken before it is stopped is answered; 50 stops: `make bench NAME=stops`."""

import threading
from collections.abc import Iterator
from pathlib import Path

import grpc

from emotion_ai.server.process import server_process

from support.server_stops import CALLS_BEFORE_A_STOP, stop_alone, stop_in_turns


def _write_models(folder: Path) -> list[Path]:
    from support.tiny_saved_model import write_saved_model

    models = [folder / "one", folder / "other"]
    for version, model in enumerate(models, 1):
        write_saved_model(model / str(version))
    return models


def test_no_call_that_a_stopped_server_had_taken_is_lost(tmp_path: Path) -> None:
    model = _write_models(tmp_path)[0]
    for _ in range(2):
        stop = stop_alone(model, tmp_path / "log")
        assert len(stop.before) >= CALLS_BEFORE_A_STOP
        assert [call for call in stop.before if call.is_lost()] == []
        # Those that came later were told that nobody has read them, or cancelled by gRPC.
        assert {call.error.partition(":")[0] for call in stop.after} <= {
            "",
            "UNAVAILABLE",
            "CANCELLED",
        }


def test_no_call_of_the_client_fails_beside_another_server(tmp_path: Path) -> None:
    calls = stop_in_turns(_write_models(tmp_path), tmp_path, stops=2)
    assert [call.error for call in calls if call.error] == []
    assert {call.version for call in calls} == {1, 2}


def test_calls_whose_message_does_not_come_end_with_the_server(tmp_path: Path) -> None:
    ended = threading.Event()

    def say_nothing() -> Iterator[bytes]:
        ended.wait()
        yield from ()

    flags = ["--registry", str(tmp_path), "--port=0"]
    with (
        server_process(flags, tmp_path / "log") as (address, process),
        grpc.insecure_channel(address) as channel,
    ):
        predict = channel.stream_unary("/tensorflow.serving.PredictionService/Predict")
        call = predict.future(say_nothing())
        # The server has taken the call that came before this one.
        channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=60)
        process.terminate()
        assert call.code() == grpc.StatusCode.UNAVAILABLE
        assert call.details() == "the server has ended"
        ended.set()
        assert process.wait(timeout=60) == 0
