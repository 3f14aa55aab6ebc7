"""Hidden faces in a video: in each frame, also where they are not found."""

from pathlib import Path

import numpy as np
import pytest

from emotion_ai.apps.watch.analysis import FrameResult, TrackedFace
from emotion_ai.apps.watch.command import Outputs, watch
from emotion_ai.apps.watch.frames import Frame, every_nth, open_file
from emotion_ai.apps.watch.hiding import FaceHider
from emotion_ai.client.client import Client
from emotion_ai.client.detectors import open_detector
from emotion_ai.client.results import Box, Face
from emotion_ai.errors import InputError

from support.fake_prediction_server import fake_prediction_server
from support.videos import partial_outputs

SIDE = 40


def look(left: float) -> Face:
    return Face(Box(left, 30, SIDE, SIDE), "happy", {"happy": 1.0}, np.zeros((15, 2)), 1, 0.0)


def pass_through(seen: dict[int, dict[int, float]], count: int) -> list[FrameResult]:
    """Hide the faces, by frame and track, in frames of noise, ten a second."""
    noise = np.random.default_rng(1)
    passed: list[FrameResult] = []
    hider = FaceHider([passed.append])
    for number in range(count):
        image = noise.integers(0, 256, (100, 400, 3), np.uint8)
        faces = [TrackedFace(k, look(left)) for k, left in seen.get(number, {}).items()]
        hider.add(FrameResult(Frame(number, number / 10, image), tuple(faces)))
        assert image.std() > 50
    hider.end()
    assert [result.frame.number for result in passed] == list(range(count))
    return passed


def is_hidden(result: FrameResult, left: float) -> bool:
    area = result.frame.image[30 : 30 + SIDE, round(left) : round(left) + SIDE]
    return len(np.unique(area.reshape(-1, 3), axis=0)) <= 32


def test_a_face_is_hidden_before_it_is_found_and_while_it_is_missed() -> None:
    """It walks at nearly its own width a second, and is missed for a second and a half."""
    place = {number: 60 + 3 * number for number in range(60)}
    found = [*range(10, 20), *range(35, 45)]
    passed = pass_through({number: {1: place[number]} for number in found}, 60)
    hidden = [
        result.frame.number for result in passed if is_hidden(result, place[result[0].number])
    ]
    assert set(range(6, 51)) <= set(hidden)
    # Long before and after it there is nothing to hide.
    for number in (0, 4):
        assert passed[number].frame.image.std() > 70


def test_a_face_that_comes_back_under_its_number_is_hidden() -> None:
    """As its track does where few frames are analysed."""
    passed = pass_through({0: {1: 60}, 25: {1: 60}}, 60)
    hidden = [result.frame.number for result in passed if is_hidden(result, 60)]
    assert hidden == [*range(46)]


def test_a_face_s_blocks_keep_their_colours() -> None:
    passed = pass_through({number: {1: 60, 2: 200} for number in range(10)}, 10)
    colours = [
        np.unique(result.frame.image[30:70, 60:100].reshape(-1, 3), axis=0) for result in passed
    ]
    assert all(np.array_equal(colours[0], others) for others in colours)


def test_no_face_is_left_in_an_annotated_video(video: Path, tmp_path: Path) -> None:
    target = tmp_path / "hidden.mp4"
    with fake_prediction_server() as server, Client(server.address) as client:
        watch(str(video), client, Outputs(video=target, blur=True))
    find = open_detector("yunet:640").find_faces
    frames = [
        [frame.image for frame in open_file(path).frames(every_nth(1))] for path in (video, target)
    ]
    assert [len(each) for each in frames] == [60, 60]
    assert [len(find(image)) for image in frames[0][::10]] == [2] * 6
    assert [len(find(image)) for image in frames[1][::10]] == [0] * 6


@pytest.mark.parametrize(
    ("name", "every", "words"),
    [("video", 2, "--every 2: --blur hides faces in each frame"), ("timeline", None, "--annotate")],
)
def test_what_cannot_be_hidden_is_refused(
    video: Path, tmp_path: Path, name: str, every: int | None, words: str
) -> None:
    suffixes = {"video": ".mp4", "timeline": ".csv"}
    outputs = Outputs(**{name: tmp_path / f"a{suffixes[name]}"}, blur=True)
    with (
        fake_prediction_server() as server,
        Client(server.address) as client,
        pytest.raises(InputError, match=words),
    ):
        watch(str(video), client, outputs, every)
    assert not list(tmp_path.iterdir())
    assert not partial_outputs(tmp_path)
