"""The command line and the embedded server with mutual TLS."""

import json
from pathlib import Path

import pytest
from PIL import Image

from emotion_ai.client.channel import Tls
from emotion_ai.client.client import Client
from emotion_ai.sample.drawing import draw_faces
from emotion_ai.server.process import server_process

from support.certificates import make_certificates
from support.command_line import assert_refused, emotion_ai
from support.server_calls import eventually


@pytest.mark.slow
def test_predict_command_uses_mutual_tls(tmp_path: Path) -> None:
    certificates = make_certificates()
    texts = {
        "authority.pem": certificates.authority,
        "server.pem": certificates.server.certificate,
        "server.key": certificates.server.key,
        "client.pem": certificates.client.certificate,
        "client.key": certificates.client.key,
    }
    texts["ssl.config"] = (
        f"server_key: {texts['server.key']!r} server_cert: {texts['server.pem']!r} "
        f"custom_ca: {texts['authority.pem']!r} client_verify: true"
    )
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    Image.fromarray(next(draw_faces(7, 1)).images[3]).save(tmp_path / "face.png")
    tls = Tls(*(tmp_path / name for name in ("authority.pem", "client.pem", "client.key")))
    options = ["--pretrained", "--port", "0", f"--ssl_config_file={tmp_path}/ssl.config"]
    with server_process(options, tmp_path / "log") as (address, _):
        with Client(address, faces="whole", tls=tls) as client:
            eventually(lambda: client.model_status() == {1: "AVAILABLE"})
        without_tls = ("predict", "face.png", "--faces", "whole", "--server", address)
        without_certificate = (*without_tls, "--tls-ca", "authority.pem")
        mutual_tls = (
            *without_certificate,
            "--tls-certificate",
            "client.pem",
            "--tls-key",
            "client.key",
        )
        result = emotion_ai(*mutual_tls, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        (face,) = json.loads(result.stdout)["faces"]
        assert face["model_version"] == 1
        assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-4)
        other_name = emotion_ai(*mutual_tls, "--tls-name", "models.example", cwd=tmp_path)
        assert_refused(other_name, 1, address)
        for arguments in (without_tls, without_certificate):
            assert_refused(emotion_ai(*arguments, cwd=tmp_path), 1, address)
