"""Predictions in this process: what a server answers, without a server and without TensorFlow."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emotion_ai import Analyzer, Client, InputError, VerificationError, analyze
from emotion_ai.faces.non_faces import KINDS, draw_non_faces
from emotion_ai.litert.lite_model import LiteModel
from emotion_ai.litert.pretrained import PRETRAINED
from emotion_ai.registry.champion import write_champion
from emotion_ai.registry.releases import LITE_PATH
from emotion_ai.sample.drawing import draw_faces
from emotion_ai.server.process import server_process

from support.photographs import portrait
from support.server_calls import eventually
from support.tiny_saved_model import gray_faces, publish_saved_model, write_saved_model

SHIFT = 5.0


@pytest.mark.slow
def test_analyzer_answers_as_a_server_does(tmp_path: Path) -> None:
    faces = next(draw_faces(500, 1)).images[..., None]
    options = ["--pretrained", "--port", "0", "--prefer_tflite_model"]
    with (
        server_process(options, tmp_path / "log") as (address, _),
        Client(address) as client,
    ):
        eventually(lambda: client.model_status() == {1: "AVAILABLE"})
        answer = client.predict_arrays(faces)
        (served,) = client.predict(portrait())
    own = Analyzer().predict_arrays(faces)
    assert own.version == answer.version
    assert own.outputs.keys() == answer.outputs.keys()
    for name, values in answer.outputs.items():
        if values.dtype == object:
            np.testing.assert_array_equal(own.outputs[name], values)
        else:
            np.testing.assert_allclose(own.outputs[name], values, atol=1e-4)
    (face,) = analyze(portrait())
    assert (face.box, face.emotion, face.model_version) == (served.box, served.emotion, 1)
    np.testing.assert_allclose(face.keypoints, served.keypoints, atol=1e-3)


@pytest.mark.slow
def test_shipped_file_holds_the_pretrained_networks(tmp_path: Path) -> None:
    # Eight-bit weights differ by little, other networks by much.
    faces = next(draw_faces(300, 2)).images[..., None]
    with (
        server_process(["--pretrained", "--port", "0"], tmp_path / "log") as (address, _),
        Client(address) as client,
    ):
        eventually(lambda: client.model_status() == {1: "AVAILABLE"})
        exact = client.predict_arrays(faces).outputs
    lite = LiteModel(PRETRAINED.read_bytes()).run(faces)
    assert np.abs(lite["keypoints"] - exact["keypoints"]).mean() < 0.2
    assert (lite["emotion"] == exact["emotion"]).mean() > 0.95


def test_pretrained_networks_tell_a_face_from_other_pictures() -> None:
    (face,) = analyze(portrait())
    assert face.cannot_tell == ""
    assert face.face_score is not None
    assert face.face_score > 0
    drawn = next(draw_faces(40, 6)).images
    others = np.concatenate([draw_non_faces(kind, 20, 9, drawn) for kind in KINDS])
    analyzer = Analyzer()
    said = [
        analyzer.predict_arrays(images[..., None]).outputs["cannot_tell"] == b"not a face"
        for images in (drawn, others)
    ]
    assert said[0].mean() <= 0.05
    assert said[1].mean() >= 0.85


@pytest.mark.parametrize("shape", [(96, 96), (120, 120), (200, 150, 3)])
@pytest.mark.parametrize("grays", [2, 256])
def test_noise_from_black_to_white_is_no_face(shape: tuple[int, ...], grays: int) -> None:
    rng = np.random.default_rng(grays)
    noise = (255 / (grays - 1) * rng.integers(0, grays, (20, *shape))).astype(np.uint8)
    answers = [analyze(Image.fromarray(picture), "whole")[0] for picture in noise]
    assert np.mean([face.cannot_tell == "not a face" for face in answers]) >= 0.9


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Release 1 without model.tflite, and release 2, the champion, with one."""
    from emotion_ai.export.lite import convert_to_lite

    folder = tmp_path_factory.mktemp("registry")
    for version in (1, 2):
        model = write_saved_model(folder / "models" / str(version), SHIFT)
        if version == 2:
            (model / LITE_PATH).write_bytes(convert_to_lite(str(model), "float32"))
        publish_saved_model(folder / "registry", model, SHIFT, str(version))
    write_champion(str(folder / "registry"), 2)
    return folder / "registry"


def test_analyzer_takes_a_release_of_ones_own(registry: Path) -> None:
    faces = gray_faces(5)
    outputs = Analyzer(registry=str(registry)).predict_arrays(faces).outputs
    named = Analyzer(registry=str(registry), version=2).predict_arrays(faces)
    assert named.version == 2
    for name, values in LiteModel((registry / "2" / LITE_PATH).read_bytes()).run(faces).items():
        np.testing.assert_array_equal(outputs[name], values)
        np.testing.assert_array_equal(named.outputs[name], values)


def test_analyzer_refuses_what_it_cannot_run(registry: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"1: has no model\.tflite; publish a new release"):
        Analyzer(registry=str(registry), version=1).predict_arrays(gray_faces(1))
    with pytest.raises(InputError, match="no release 3; there are: 1, 2"):
        Analyzer(registry=str(registry), version=3).predict_arrays(gray_faces(1))
    with pytest.raises(InputError, match="is no registry with a champion"):
        Analyzer(registry=str(tmp_path))
    with pytest.raises(InputError, match="of which registry"):
        Analyzer(version=3)


def test_altered_file_is_not_run(registry: Path) -> None:
    path = registry / "2" / LITE_PATH
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    try:
        with pytest.raises(VerificationError, match=r"model\.tflite: is not the file"):
            Analyzer(registry=str(registry)).predict_arrays(gray_faces(1))
    finally:
        path.write_bytes(content)


def test_predict_many_keeps_the_order_and_names_what_cannot_be_read(tmp_path: Path) -> None:
    Image.fromarray(portrait()).save(tmp_path / "party.png")
    paths = [str(tmp_path / name) for name in ("party.png", "missing.png", "party.png")]
    first, missing, last = Analyzer().predict_many(paths)
    assert (first.index, missing.index, last.index) == (0, 1, 2)
    assert len(first.faces) == len(last.faces) == 1
    assert "missing.png" in str(missing.error)


def test_analysis_prints_nothing_and_needs_no_tensorflow(tmp_path: Path) -> None:
    Image.fromarray(portrait()).save(tmp_path / "party.png")
    program = (
        "import sys\n"
        "from emotion_ai import analyze\n"
        "print(len(analyze('party.png')))\n"
        "print(*({'tensorflow', 'keras', 'pandas', 'kfp', 'emotion_ai.registry'} & {*sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert (done.stdout, done.stderr) == ("1\n\n", "")


@pytest.mark.parametrize("closing", ["", "exec 2>&-; "])
@pytest.mark.parametrize("folder", ["/tmp", "/nowhere"])
def test_analysis_needs_no_temporary_file_and_no_standard_error(
    tmp_path: Path, folder: str, closing: str
) -> None:
    Image.fromarray(portrait()).save(tmp_path / "party.png")
    program = (
        "import tempfile\n"
        "from emotion_ai import analyze\n"
        f"tempfile.tempdir = {folder!r}\n"
        "faces = len(analyze('party.png'))\n"
        "print(faces)\n"
    )
    done = subprocess.run(
        ["sh", "-c", f'{closing}exec "$@"', "sh", sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == "1\n", done.stderr
