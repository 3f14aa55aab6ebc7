"""Client and AsyncClient against servers that respond, fail, are silent or are down."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import numpy as np
import pytest
from PIL import Image

from emotion_ai.client.async_client import AsyncClient
from emotion_ai.client.channel import OPTIONS, Tls
from emotion_ai.client.client import Client
from emotion_ai.client.requests import (
    MAX_BATCHES_IN_FLIGHT,
    MAX_FACES_PER_REQUEST,
    MAX_PICTURES_PER_BATCH,
    encode_request,
    with_model_spec,
)
from emotion_ai.client.results import Box
from emotion_ai.errors import InputError, Unavailable
from emotion_ai.serving_api.messages import PREDICTION_SERVICE, PredictRequest

from support.certificates import make_certificates
from support.fake_prediction_server import abort, fake_prediction_server

FACE = np.zeros((1, 96, 96, 1), np.uint8)
GRAY = np.full((96, 96), 5, np.uint8)


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Address of a server that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_predict_arrays_names_a_server_that_misses_the_deadline(silent_server: str) -> None:
    with Client(silent_server) as client, pytest.raises(Unavailable, match=silent_server):
        client.predict_arrays(FACE, timeout=0.5)


def test_client_names_a_server_that_is_down() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    with Client(address, faces="whole") as client:
        for call in (client.model_status, client.unload_all):
            with pytest.raises(Unavailable, match=address):
                call(timeout=5)
        with pytest.raises(Unavailable, match=address):
            client.predict_encoded([b"a picture"], timeout=5)
        with pytest.raises(Unavailable, match=address):
            list(client.predict_many([GRAY], timeout=5))


@pytest.mark.parametrize(
    "address",
    [
        "",
        "localhost",
        "localhost:",
        "a b:1",
        "h:0",
        "h:65536",
        "http://h:1",
        "dns://h:1",
        "dns:///h",
    ],
)
def test_client_rejects_invalid_addresses(address: str) -> None:
    for kind in (Client, AsyncClient):
        with pytest.raises(InputError, match="HOST:PORT"):
            kind(address)


def test_client_requests_a_version_by_number_or_label() -> None:
    with fake_prediction_server() as server:
        for version in (None, 3, "stable"):
            with Client(server.address, faces="whole", version=version) as client:
                client.predict(GRAY)
                client.predict_arrays(FACE)
                client.predict_arrays(FACE, version=9)
        assert [spec.version.value for spec, _ in server.calls[2::3]] == [9, 9, 9]
        assert [spec for spec, _ in server.calls[1::3]] == [spec for spec, _ in server.calls[::3]]
        specs = [spec for spec, _ in server.calls[::3]]
        assert [spec.name for spec in specs] == ["emotion_ai"] * 3
        assert [spec.WhichOneof("version_choice") for spec in specs] == [
            None,
            "version",
            "version_label",
        ]
        assert (specs[1].version.value, specs[2].version_label) == (3, "stable")


def test_client_takes_the_address_of_a_name_with_several_servers() -> None:
    with fake_prediction_server() as server:
        port = server.address.rpartition(":")[2]
        with Client(f"dns:///localhost:{port}", faces="whole") as client:
            client.predict(GRAY)
        assert len(server.calls) == 1


def test_channel_balances_requests_between_addresses() -> None:
    with fake_prediction_server() as one, fake_prediction_server() as two:
        together = f"ipv4:{one.address},{two.address}"
        request = with_model_spec(encode_request("serving_default", "images", FACE), None)
        with grpc.insecure_channel(together, options=OPTIONS) as channel:
            predict = channel.unary_unary(
                f"/{PREDICTION_SERVICE}/Predict", PredictRequest.SerializeToString, bytes
            )
            for _ in range(20):
                predict(request, timeout=30, wait_for_ready=True)
        assert min(len(one.calls), len(two.calls)) >= 5


def test_predict_many_sends_batches_in_order_and_names_bad_pictures(
    tmp_path: Path,
) -> None:
    levels = np.random.default_rng(0).permutation(200)
    pictures: list[Any] = [np.full((32, 32), level, np.uint8) for level in levels]
    absent = tmp_path / "absent.png"
    pictures[17], pictures[150] = absent, b"no picture"
    with fake_prediction_server() as server, Client(server.address, faces="whole") as client:
        answers = list(client.predict_many(pictures))
        assert sum(faces for _, faces in server.calls) == 198
        assert len(server.calls) == -(-200 // MAX_PICTURES_PER_BATCH)
    assert [answer.index for answer in answers] == list(range(200))
    for k, (level, answer) in enumerate(zip(levels, answers, strict=True)):
        if k in (17, 150):
            assert answer.faces == ()
            assert (str(absent) if k == 17 else "picture 150") in str(answer.error)
            continue
        (face,) = answer.faces
        # 96 pixels of the frame are 32 of the picture, and pixel centres are whole numbers.
        np.testing.assert_allclose(face.keypoints[:, 0], (level + 0.5) / 3 - 0.5)
        assert (face.model_version, answer.error) == (7, None)
        assert face.probabilities == {"happy": 0.75, "sad": 0.25}
        assert 0 < face.latency_s < 60


def test_predict_many_rejects_a_single_picture() -> None:
    with Client("127.0.0.1:1", faces="whole") as client:
        for one in ("face.png", Path("face.png"), b"face"):
            with pytest.raises(InputError, match="one alone"):
                next(client.predict_many(one))


def test_predict_many_bounds_the_batches_in_flight() -> None:
    release = threading.Event()
    read = 0

    def pictures() -> Iterator[np.ndarray]:
        nonlocal read
        for _ in range(20 * MAX_PICTURES_PER_BATCH):
            read += 1
            yield GRAY

    def wait(number: int, context: Any) -> None:
        release.wait(60)

    with fake_prediction_server(wait) as server, Client(server.address, faces="whole") as client:
        with pytest.raises(Unavailable, match="no answer within"):
            next(client.predict_many(pictures(), timeout=1))
        release.set()
    assert read <= (MAX_BATCHES_IN_FLIGHT + 1) * MAX_PICTURES_PER_BATCH


def test_predict_splits_many_faces_into_several_requests() -> None:
    boxes = [Box(float(k % 10), 0.0, 30.0, 30.0) for k in range(MAX_FACES_PER_REQUEST + 6)]
    image = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
    with fake_prediction_server() as server, Client(server.address, faces="whole") as client:
        faces = client.predict(image, boxes=boxes)
        assert sorted(count for _, count in server.calls) == [6, MAX_FACES_PER_REQUEST]
    assert [face.box for face in faces] == boxes
    # The first pixel of a crop is as bright as its column's number.
    middles = [box.left + (box.left + 0.5) * 30 / 96 - 0.5 for box in boxes]
    np.testing.assert_allclose([face.keypoints[0, 0] for face in faces], middles)


def test_async_client_returns_what_client_returns(silent_server: str) -> None:
    pictures = [np.full((32, 32), level, np.uint8) for level in range(100)]

    async def predict(address: str) -> tuple[Any, list[Any]]:
        async with AsyncClient(address, faces="whole", version=2) as client:
            one, other = await asyncio.gather(
                client.predict(pictures[3]), client.predict(pictures[4], boxes=[])
            )
            assert other == []
            return one, [answer async for answer in client.predict_many([*pictures, b"x"])]

    with fake_prediction_server(abort(grpc.StatusCode.UNAVAILABLE)) as server:
        (face,), answers = asyncio.run(predict(server.address))
        with Client(server.address, faces="whole") as client:
            expected = list(client.predict_many([*pictures, b"x"]))
    assert face.emotion == "happy"
    assert [answer.error for answer in answers] == [answer.error for answer in expected]
    for answer, wanted in zip(answers[:-1], expected[:-1], strict=True):
        np.testing.assert_array_equal(answer.faces[0].keypoints, wanted.faces[0].keypoints)

    async def wait() -> None:
        async with AsyncClient(silent_server, faces="whole") as client:
            await client.predict(GRAY, timeout=0.5)

    with pytest.raises(Unavailable, match=rf"{silent_server}.*within 0.5 s"):
        asyncio.run(wait())


class TlsFiles(NamedTuple):
    """PEM files: a certificate authority, and the client's certificate and key."""

    authority: Path
    certificate: Path
    key: Path
    server_credentials: grpc.ServerCredentials


@pytest.fixture(scope="module")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    made = make_certificates()
    folder = tmp_path_factory.mktemp("tls")
    contents = {
        "authority.pem": made.authority,
        "certificate.pem": made.client.certificate,
        "key.pem": made.client.key,
    }
    for name, text in contents.items():
        (folder / name).write_text(text)
    pair = (made.server.key.encode(), made.server.certificate.encode())
    credentials = grpc.ssl_server_credentials([pair], made.authority.encode(), True)
    return TlsFiles(*(folder / name for name in contents), credentials)


def test_tls_authenticates_both_sides(tls_files: TlsFiles) -> None:
    both = Tls(tls_files.authority, tls_files.certificate, tls_files.key)
    with fake_prediction_server(credentials=tls_files.server_credentials) as server:
        with Client(server.address, "whole", tls=both) as client:
            assert client.predict(GRAY)[0].emotion == "happy"

        async def predict() -> str:
            async with AsyncClient(server.address, "whole", tls=both) as client:
                return (await client.predict(GRAY))[0].emotion

        assert asyncio.run(predict()) == "happy"
        for tls in (None, Tls(tls_files.authority), Tls()):
            client = Client(server.address, "whole", tls=tls)
            with client, pytest.raises(Unavailable, match=server.address):
                client.predict(GRAY, timeout=5)


def test_tls_names_invalid_pem_files(tls_files: TlsFiles, tmp_path: Path) -> None:
    Image.new("L", (16, 16)).save(tmp_path / "picture.png")
    with pytest.raises(InputError, match=r"picture\.png.*PEM"):
        Client("127.0.0.1:1", tls=Tls(tmp_path / "picture.png"))
    with pytest.raises(InputError, match=r"absent\.pem"):
        Client("127.0.0.1:1", tls=Tls(tmp_path / "absent.pem"))
    with pytest.raises(InputError, match="go together"):
        Client("127.0.0.1:1", tls=Tls(tls_files.authority, key=tls_files.key))
