"""Pictures that show no face, drawn: noise, shapes, patterns, lines, and faces in pieces.

What tells faces from other pictures is fitted on these, and on faces (see `networks.refusal_fit`);
photographs without faces are needed only to measure how well it does.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from emotion_ai.faces.keypoints import FRAME

# Sides of the squares that a face is cut into before they are shuffled.
_PATCHES = (12, 16, 24)
# Shapes and lines are drawn so many times larger and then reduced: smooth edges.
_SUPERSAMPLING = 2
_CANVAS = FRAME * _SUPERSAMPLING
# Sides of the pictures of grain and checks, which are then scaled as the client scales a picture.
_SIDES = (48, 48, 64, 96, 96, 128, 150, 200)

Draw = Callable[[np.random.Generator], NDArray]
Change = Callable[[NDArray, np.random.Generator], NDArray]


def draw_non_faces(kind: str, count: int, seed: int, faces: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Draw pictures without a face; the same arguments give the same pixels.

    Args:
        kind: One of `KINDS`.
        count: How many.
        seed: Of what is random.
        faces: uint8 [m, 96, 96], of which kinds in `OF_FACES` are made.

    Returns:
        uint8 [count, 96, 96].
    """
    rng = np.random.default_rng([seed, list(KINDS).index(kind)])
    finish = _finish_stark if kind in STARK else _finish
    pictures = [finish(_draw_one(kind, rng, faces), rng) for _ in range(count)]
    return np.array(pictures, np.uint8).reshape(-1, FRAME, FRAME)


def _draw_one(kind: str, rng: np.random.Generator, faces: NDArray[np.uint8]) -> NDArray:
    if kind in OF_FACES:
        return OF_FACES[kind](faces[rng.integers(len(faces))], rng)
    return (STARK[kind] if kind in STARK else _DRAWN[kind])(rng)


def _finish(picture: NDArray, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Give a picture a contrast, a brightness, grain, and for one in two the pixels of 48x48."""
    picture = picture - picture.mean()
    picture = picture / max(picture.std(), 1e-6)
    picture = rng.uniform(0, 255) + rng.uniform(5, 70) * picture
    picture = picture + rng.normal(0, rng.choice([0, 2, 6]), picture.shape)
    if rng.random() < 0.5:
        halved = picture.reshape(FRAME // 2, 2, FRAME // 2, 2).mean((1, 3))
        picture = halved.repeat(2, 0).repeat(2, 1)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def _finish_stark(picture: NDArray, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Give a picture the contrast of few photographs, up to nothing but black and white."""
    picture = (picture - picture.mean()) / max(picture.std(), 1e-6)
    picture = rng.normal(127.5, 20) + rng.uniform(50, 128) * picture
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def _noise(rng: np.random.Generator) -> NDArray:
    """Noise whose amplitude falls with the frequency to some power, as it does in photographs."""
    frequencies = np.hypot(np.fft.fftfreq(FRAME)[:, None], np.fft.rfftfreq(FRAME)[None])
    frequencies[0, 0] = 1
    spectrum = np.fft.rfft2(rng.normal(size=(FRAME, FRAME))) / frequencies ** rng.uniform(0, 2.5)
    spectrum[0, 0] = 0
    return np.fft.irfft2(spectrum, (FRAME, FRAME))


def _plain(rng: np.random.Generator) -> NDArray:
    """One gray, or light that falls off towards a side or a corner."""
    y, x = np.mgrid[-1 : 1 : FRAME * 1j, -1 : 1 : FRAME * 1j]
    slope = rng.normal(size=2) * rng.choice([0, 1])
    return slope[0] * x + slope[1] * y + rng.choice([0, 1]) * np.hypot(x - slope[0], y)


def _waves(rng: np.random.Generator) -> NDArray:
    """Stripes, checks and ripples: up to three waves, bent, soft or hard."""
    y, x = np.mgrid[-1 : 1 : FRAME * 1j, -1 : 1 : FRAME * 1j]
    total = np.zeros((FRAME, FRAME))
    for _ in range(rng.integers(1, 4)):
        angle, frequency, bend = rng.uniform(0, np.pi), rng.uniform(3, 60), rng.uniform(0, 2)
        along = x * np.cos(angle) + y * np.sin(angle) + 0.1 * bend * np.sin(bend * 5 * y)
        total += np.sin(frequency * along + rng.uniform(0, 6))
    return np.sign(total) if rng.random() < 0.4 else total


def _shapes(rng: np.random.Generator) -> NDArray:
    """Shapes that cover one another, of all sizes: "dead leaves", as things in photographs do."""
    canvas = Image.new("L", (_CANVAS, _CANVAS), int(rng.integers(256)))
    draw = ImageDraw.Draw(canvas)
    smallest = rng.uniform(3, 20)
    for _ in range(rng.integers(10, 150)):
        size = smallest / rng.uniform(0.02, 1) ** 0.7
        center, gray = rng.uniform(0, _CANVAS, 2), int(rng.integers(256))
        corners = center + size * rng.normal(0, 0.7, (rng.integers(3, 7), 2))
        if rng.random() < 0.5:
            radii = size * rng.uniform(0.3, 1, 2)
            draw.ellipse((*(center - radii), *(center + radii)), gray)
        else:
            draw.polygon([(float(a), float(b)) for a, b in corners], gray)
    soft = canvas.filter(ImageFilter.GaussianBlur(float(rng.choice([0, 1, 3, 6]))))
    return _reduced(soft)


def _lines(rng: np.random.Generator) -> NDArray:
    """Lines and arcs, straight and bent, as of twigs, wires and writing."""
    ground, ink = (int(gray) for gray in rng.integers(0, 256, 2))
    canvas = Image.new("L", (_CANVAS, _CANVAS), ground)
    draw = ImageDraw.Draw(canvas)
    length, width = rng.uniform(10, 120), int(rng.integers(1, 10))
    for _ in range(rng.integers(5, 100)):
        steps = rng.normal(0, length / 3, (rng.integers(2, 6), 2))
        points = rng.uniform(0, _CANVAS, 2) + steps.cumsum(0)
        gray = ink if rng.random() < 0.7 else int(rng.integers(256))
        draw.line([(float(a), float(b)) for a, b in points], gray, width, joint="curve")
    return _reduced(canvas)


def _tiles(rng: np.random.Generator) -> NDArray:
    """Rows of tiles with joints, each tile of its own gray: walls, pavements, windows."""
    height, width, joint = (int(rng.integers(*limits)) for limits in ((6, 50), (6, 80), (0, 6)))
    canvas = Image.new("L", (_CANVAS, _CANVAS), int(rng.integers(256)))
    draw = ImageDraw.Draw(canvas)
    mean, spread, offset = rng.uniform(40, 215), rng.uniform(0, 60), rng.choice([0, 0.5])
    for row in range(-1, _CANVAS // height + 2):
        for column in range(-1, _CANVAS // width + 2):
            left = float(column * width + (row % 2) * offset * width)
            top = float(row * height)
            box = (left, top, left + width - joint - 1, top + height - joint - 1)
            if box[2] > box[0] and box[3] > box[1]:
                draw.rectangle(box, int(np.clip(rng.normal(mean, spread), 0, 255)))
    return _reduced(canvas.rotate(rng.uniform(-20, 20), Image.Resampling.BILINEAR))


def _grain(rng: np.random.Generator) -> NDArray:
    """White noise, of single pixels or of squares: normal, uniform, of two grays, or specks."""
    side = int(rng.choice(_SIDES))
    square = 1 if rng.random() < 0.6 else int(rng.integers(2, 14))
    across = -(-side // square)
    uniform, share = rng.random((across, across)), rng.uniform(0.1, 0.9)
    specks = 0.5 * (uniform > share / 2) + 0.5 * (uniform > 1 - share / 2)
    noises = (rng.normal(size=uniform.shape), uniform, uniform > share, specks)
    noise = noises[rng.integers(len(noises))].repeat(square, 0).repeat(square, 1)
    return _scaled(noise[:side, :side])


def _checks(rng: np.random.Generator) -> NDArray:
    """Checkerboards, and fewer stripes and rings: of two grays, one in three of them turned."""
    side = int(rng.choice(_SIDES))
    y, x = np.mgrid[:side, :side] - rng.uniform(0, side, 2)[:, None, None]
    width = np.exp(rng.uniform(0, np.log(side / 3)))
    angle = rng.uniform(0, np.pi) if rng.random() < 0.3 else 0
    if angle == 0:
        width = np.rint(width)
    along = np.floor((x * np.cos(angle) + y * np.sin(angle)) / width)
    across = np.floor((y * np.cos(angle) - x * np.sin(angle)) / width)
    patterns = (along + across, along + across, along, across, np.floor(np.hypot(x, y) / width))
    return _scaled(patterns[rng.integers(len(patterns))] % 2)


def _scaled(picture: NDArray) -> NDArray:
    image = Image.fromarray(picture.astype(np.float32))
    return np.asarray(image.resize((FRAME, FRAME), Image.Resampling.BOX), np.float64)


def _reduced(canvas: Image.Image) -> NDArray:
    return np.asarray(canvas.resize((FRAME, FRAME), Image.Resampling.BOX), np.float64)


def _shuffled(face: NDArray, rng: np.random.Generator) -> NDArray:
    """A face in squares, shuffled."""
    side = int(rng.choice(_PATCHES))
    across = FRAME // side
    squares = face.reshape(across, side, across, side).swapaxes(1, 2).reshape(-1, side, side)
    mixed = rng.permutation(squares).reshape(across, across, side, side)
    return mixed.swapaxes(1, 2).reshape(FRAME, FRAME)


def _part(face: NDArray, rng: np.random.Generator) -> NDArray:
    """A small part of a face, enlarged: a cheek, hair, one eye."""
    side = int(rng.integers(16, 34))
    left, top = rng.integers(0, FRAME - side, 2)
    part = Image.fromarray(face[top : top + side, left : left + side])
    return np.asarray(part.resize((FRAME, FRAME), Image.Resampling.BICUBIC), np.float64)


def _scrambled(face: NDArray, rng: np.random.Generator) -> NDArray:
    """A face's own frequencies, with phases of noise."""
    noise = np.fft.rfft2(rng.normal(size=face.shape))
    phases = noise / np.maximum(np.abs(noise), 1e-9)
    return np.fft.irfft2(np.abs(np.fft.rfft2(face - face.mean())) * phases, face.shape)


_DRAWN: dict[str, Draw] = {
    "noise": _noise,
    "plain": _plain,
    "waves": _waves,
    "shapes": _shapes,
    "lines": _lines,
    "tiles": _tiles,
}
OF_FACES: dict[str, Change] = {"shuffled": _shuffled, "part": _part, "scrambled": _scrambled}
# The networks take noise and checks of such contrast for faces, and those above have less of it.
STARK: dict[str, Draw] = {"grain": _grain, "checks": _checks}
KINDS = (*_DRAWN, *OF_FACES, *STARK)
