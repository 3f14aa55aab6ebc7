"""Faces are followed through frames that move, cut, lose faces and gain them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from emotion_ai.client.analyzer import Analyzer
from emotion_ai.client.detectors import YuNet, open_detector
from emotion_ai.client.following import DETECTIONS_PER_S, Follower, overlap
from emotion_ai.client.results import Box, Face
from emotion_ai.client.tracking import Tracker

from support.moving_faces import Place, draw_heads, ground, heads

FPS = 25
WIDTH, HEIGHT, SIDE = 320, 240, 320
# Frames between two detections.
STEP = FPS // DETECTIONS_PER_S

Seen = list[tuple[int, Face]]


class CountingDetector(YuNet):
    """Counts the pictures in which it was asked for faces."""

    def __init__(self) -> None:
        super().__init__(SIDE)
        self.pictures = 0

    def find_faces(self, image: NDArray[np.uint8]) -> list[Box]:
        """Count, and detect."""
        self.pictures += 1
        return super().find_faces(image)


class Followed(NamedTuple):
    """What was seen in each frame, and how many had their faces detected."""

    frames: list[Seen]
    detections: int


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    """The pretrained networks."""
    return Analyzer(f"yunet:{SIDE}")


def follow(analyzer: Analyzer, frames: Iterable[NDArray[np.uint8]]) -> Followed:
    detector = CountingDetector()
    follower = Follower(detector)

    def predict(image: NDArray[np.uint8], boxes: Sequence[Box]) -> list[Face]:
        return analyzer.predict(image, boxes=boxes)

    seen = []
    for number, image in enumerate(frames):
        time_s = number / FPS
        due = follower.is_due(image, time_s)
        seen.append(
            follower.follow(image, time_s, predict, detector.find_faces(image) if due else None)
        )
    return Followed(seen, detector.pictures)


def one_head(place: Callable[[int], Place | None], count: int) -> Iterator[NDArray[np.uint8]]:
    for number in range(count):
        at = place(number)
        yield draw_heads(ground(WIDTH, HEIGHT), [(heads()[0], at)] if at else [])


def moving(number: int) -> Place:
    return Place(90 + 5 * number, 120 + 10 * np.sin(number / 3), 180 + 2 * number, number / 2)


def test_a_moving_face_is_followed_as_if_it_was_always_detected(analyzer: Analyzer) -> None:
    frames = list(one_head(moving, 3 * STEP))
    followed = follow(analyzer, frames)
    assert followed.detections == 3
    detector = YuNet(SIDE)
    overlaps = []
    for image, ((track, face),) in zip(frames, followed.frames, strict=True):
        (box,) = detector.find_faces(image)
        overlaps.append(overlap(face.box, box))
        # What is predicted is that which the box frames.
        (there,) = analyzer.predict(image, boxes=[face.box])
        assert np.abs(there.keypoints - face.keypoints).max() < 0.05 * box.width
        assert (track, there.emotion) == (1, face.emotion)
    assert overlaps[::STEP] == [1.0] * 3
    assert np.mean(overlaps) > 0.9
    assert min(overlaps) > 0.75


@pytest.mark.parametrize(
    ("detector", "detections_per_s", "due"),
    [("yunet", 5, 5), ("yunet", 1000, 60), ("whole", 5, 60)],
)
def test_faces_are_detected_so_many_times_a_second(
    detector: str, detections_per_s: float, due: int
) -> None:
    follower = Follower(open_detector(detector), detections_per_s)
    frame = ground(WIDTH, HEIGHT)
    assert sum(follower.is_due(frame, round(k / 60, 3)) for k in range(60)) == due


def test_a_cut_is_noticed_at_once(analyzer: Analyzer) -> None:
    def scenes() -> Iterator[NDArray[np.uint8]]:
        yield from one_head(lambda _: Place(80, 120, 180), 2)
        for _ in range(2):
            yield draw_heads(ground(WIDTH, HEIGHT, 1), [(heads()[1], Place(230, 120, 180))])

    followed = follow(analyzer, scenes())
    assert followed.detections == 2
    tracks = [[(track, face.box.left > 160) for track, face in seen] for seen in followed.frames]
    assert tracks == [[(1, False)]] * 2 + [[(2, True)]] * 2


def test_a_face_that_leaves_is_not_followed_into_the_background(analyzer: Analyzer) -> None:
    # It sinks behind the lower edge, between two detections.
    left_after = STEP + 3
    places = [Place(160, 120, 180) if number < left_after else None for number in range(9)]
    followed = follow(analyzer, one_head(places.__getitem__, 9))
    assert [len(seen) for seen in followed.frames] == [1] * left_after + [0] * (9 - left_after)


def test_a_face_that_appears_is_seen_at_the_next_detection(analyzer: Analyzer) -> None:
    def frames() -> Iterator[NDArray[np.uint8]]:
        for number in range(2 * STEP):
            there = [(heads()[0], Place(80, 120, 160))]
            # It rises from the lower edge.
            there += [(heads()[1], Place(240, max(120, 300 - 60 * number), 160))]
            yield draw_heads(ground(WIDTH, HEIGHT), there)

    followed = follow(analyzer, frames())
    tracks = [[track for track, _ in seen] for seen in followed.frames]
    assert tracks[0] == [1]
    assert [sorted(track) for track in tracks[STEP:]] == [[1, 2]] * STEP


def test_faces_that_cross_keep_the_numbers_that_always_detecting_gives(analyzer: Analyzer) -> None:
    def frames() -> Iterator[NDArray[np.uint8]]:
        for number in range(30):
            back = (heads()[0], Place(60 + 7 * number, 110, 150))
            yield draw_heads(
                ground(WIDTH, HEIGHT), [back, (heads()[1], Place(265 - 7 * number, 130, 150))]
            )

    pictures = list(frames())
    followed = follow(analyzer, pictures)
    detector, tracker = YuNet(SIDE), Tracker()
    for number, image in enumerate(pictures):
        boxes = detector.find_faces(image)
        always = dict(zip(tracker.update(boxes, number / FPS), boxes, strict=True))
        for track, face in followed.frames[number]:
            assert overlap(face.box, always[track]) > 0.5, number
        # One that comes out from behind the other is seen at the next detection.
        missing = len(boxes) - len(followed.frames[number])
        assert missing == 0 if number % STEP == 0 else missing in (0, 1), number
    assert followed.detections < 20


def test_keypoints_in_one_place_move_a_box_and_keep_its_size() -> None:
    box = Box(40, 30, 100, 120, 0.9)

    def predict(image: NDArray[np.uint8], boxes: Sequence[Box]) -> list[Face]:
        middle = float(image[0, 0, 0])
        return [Face(b, "happy", {"happy": 1.0}, np.full((15, 2), middle), 1, 0.0) for b in boxes]

    follower = Follower(CountingDetector())
    noise = np.random.default_rng(5).integers(0, 255, (200, 200, 3), np.uint8)
    noise[0, 0, 0] = 90
    ((_, first),) = follower.follow(noise, 0.0, predict, [box])
    moved = np.roll(noise, 3, (0, 1))
    moved[0, 0, 0] = 93
    ((_, second),) = follower.follow(moved, 0.04, predict, None)
    assert first.box == box
    assert second.box == pytest.approx(Box(43, 33, 100, 120, 0.9))
