"""The client before servers that answer, stumble, are silent or are not there."""

import asyncio
import datetime
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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

from support.fake_prediction_server import fake_prediction_server

FACE = np.zeros((1, 96, 96, 1), np.uint8)
GRAY = np.full((96, 96), 5, np.uint8)


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_a_silent_server_is_named_when_the_deadline_is_over(silent_server: str) -> None:
    with Client(silent_server) as client, pytest.raises(Unavailable, match=silent_server):
        client.predict_arrays(FACE, timeout=0.5)


def test_a_server_that_is_down_is_named() -> None:
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
    "address", ["", "localhost", "localhost:", "a b:1", "h:0", "h:65536", "http://h:1"]
)
def test_an_address_is_host_and_port(address: str) -> None:
    for kind in (Client, AsyncClient):
        with pytest.raises(InputError, match="HOST:PORT"):
            kind(address)


def abort(*codes: grpc.StatusCode) -> Callable[[int, Any], None]:
    """The first calls fail with these codes, one after another; all later ones are answered."""

    def behave(number: int, context: Any) -> None:
        if number < len(codes):
            context.abort(codes[number], "not now")

    return behave


# gRPC by itself gives up retrying what is larger than 256 KiB.
@pytest.mark.parametrize("size", [1, MAX_FACES_PER_REQUEST, 400])
def test_a_server_that_is_unavailable_for_a_moment_is_asked_again(size: int) -> None:
    unavailable = grpc.StatusCode.UNAVAILABLE
    with fake_prediction_server(abort(unavailable, unavailable)) as server:
        with Client(server.address, faces="whole") as client:
            answer = client.predict_arrays(np.repeat(FACE, size, 0))
        assert len(answer.outputs["emotion"]) == size
        assert [count for _, count in server.calls] == [size] * 3


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        (grpc.StatusCode.INTERNAL, Unavailable),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Unavailable),
        (grpc.StatusCode.NOT_FOUND, Unavailable),
        (grpc.StatusCode.INVALID_ARGUMENT, InputError),
    ],
)
def test_any_other_failure_is_told_at_once(code: grpc.StatusCode, failure: type[Exception]) -> None:
    with (
        fake_prediction_server(abort(code)) as server,
        Client(server.address, faces="whole") as client,
    ):
        with pytest.raises(failure, match=server.address):
            client.predict(GRAY)
        assert len(server.calls) == 1


def test_the_version_is_pinned_by_number_or_label() -> None:
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


def test_requests_are_shared_out_among_the_servers_of_a_name() -> None:
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


def test_many_pictures_are_asked_about_in_batches_in_order_and_the_bad_ones_named(
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


def test_one_picture_is_not_many() -> None:
    with Client("127.0.0.1:1", faces="whole") as client:
        for one in ("face.png", Path("face.png"), b"face"):
            with pytest.raises(InputError, match="one alone"):
                next(client.predict_many(one))


def test_a_server_that_does_not_answer_is_sent_no_more_than_a_few_batches() -> None:
    stuck = threading.Event()
    drawn = 0

    def pictures() -> Iterator[np.ndarray]:
        nonlocal drawn
        for _ in range(20 * MAX_PICTURES_PER_BATCH):
            drawn += 1
            yield GRAY

    def wait(number: int, context: Any) -> None:
        stuck.wait(60)

    with fake_prediction_server(wait) as server, Client(server.address, faces="whole") as client:
        with pytest.raises(Unavailable, match="no answer within"):
            next(client.predict_many(pictures(), timeout=1))
        stuck.set()
    assert drawn <= (MAX_BATCHES_IN_FLIGHT + 1) * MAX_PICTURES_PER_BATCH


def test_more_faces_than_a_request_holds_are_asked_about_in_several() -> None:
    boxes = [Box(float(k % 10), 0.0, 30.0, 30.0) for k in range(MAX_FACES_PER_REQUEST + 6)]
    image = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
    with fake_prediction_server() as server, Client(server.address, faces="whole") as client:
        faces = client.predict(image, boxes=boxes)
        assert sorted(count for _, count in server.calls) == [6, MAX_FACES_PER_REQUEST]
    assert [face.box for face in faces] == boxes
    # The first pixel of a crop is as bright as its column's number.
    middles = [box.left + (box.left + 0.5) * 30 / 96 - 0.5 for box in boxes]
    np.testing.assert_allclose([face.keypoints[0, 0] for face in faces], middles)


def test_asyncio_gives_the_same_answers_and_failures(silent_server: str) -> None:
    pictures = [np.full((32, 32), level, np.uint8) for level in range(100)]

    async def ask(address: str) -> tuple[Any, list[Any]]:
        async with AsyncClient(address, faces="whole", version=2) as client:
            one, other = await asyncio.gather(
                client.predict(pictures[3]), client.predict(pictures[4], boxes=[])
            )
            assert other == []
            return one, [answer async for answer in client.predict_many([*pictures, b"x"])]

    with fake_prediction_server(abort(grpc.StatusCode.UNAVAILABLE)) as server:
        (face,), answers = asyncio.run(ask(server.address))
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


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """PEM files of a certificate for 127.0.0.1, signed by itself, and of its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "emotion-ai test")])
    now = datetime.datetime.now(datetime.UTC)
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(host, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    plain = serialization.NoEncryption()
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    return paths


def test_tls_with_certificates_of_both_sides(certificate: tuple[Path, Path]) -> None:
    path, key = certificate
    pair = (key.read_bytes(), path.read_bytes())
    credentials = grpc.ssl_server_credentials([pair], path.read_bytes(), True)
    with fake_prediction_server(credentials=credentials) as server:
        with Client(server.address, "whole", tls=Tls(path, path, key)) as client:
            assert client.predict(GRAY)[0].emotion == "happy"

        async def ask() -> str:
            async with AsyncClient(server.address, "whole", tls=Tls(path, path, key)) as client:
                return (await client.predict(GRAY))[0].emotion

        assert asyncio.run(ask()) == "happy"
        for tls in (None, Tls(path), Tls()):
            client = Client(server.address, "whole", tls=tls)
            with client, pytest.raises(Unavailable, match=server.address):
                client.predict(GRAY, timeout=5)


def test_a_pem_file_that_is_none_is_named(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    path, key = certificate
    Image.new("L", (16, 16)).save(tmp_path / "picture.png")
    with pytest.raises(InputError, match=r"picture\.png.*PEM"):
        Client("127.0.0.1:1", tls=Tls(tmp_path / "picture.png"))
    with pytest.raises(InputError, match=r"absent\.pem"):
        Client("127.0.0.1:1", tls=Tls(tmp_path / "absent.pem"))
    with pytest.raises(InputError, match="go together"):
        Client("127.0.0.1:1", tls=Tls(path, key=key))
