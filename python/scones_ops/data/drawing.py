"""Drawn pictures of vehicles, 32 x 32: varied in shape, colour, pose, background and noise; some hard.

A vehicle is drawn from lines, discs and polygons in a frame of its own (x to the right, y down, about -1 to
1), seen through a random affine view, on a canvas of four times the size, which shrinking then smooths.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Rng = np.random.Generator
Colour = tuple[int, int, int]
Point = tuple[float, float]

CANVAS = 128
SIZE = 32
HARD = 0.12  # share of pictures seen badly: tiny, cropped, blurred, faint or half hidden
_CIRCLE = [(math.cos(a), math.sin(a)) for a in np.linspace(0, 2 * math.pi, 28, endpoint=False)]


class _Pen:
    """Draws on `image` through the view `matrix` (2 x 2) and `shift`, both in canvas pixels."""

    def __init__(self, image: Image.Image, matrix: NDArray[np.float64], shift: Point) -> None:
        self._draw = ImageDraw.Draw(image)
        self._matrix, self._shift = matrix, shift
        self._scale = math.sqrt(abs(float(np.linalg.det(matrix))))

    def line(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        self._draw.line(
            self._map(points), fill=colour, width=max(1, round(width * self._scale)), joint="curve"
        )

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        self._draw.polygon(self._map(points), fill=colour)

    def disc(self, centre: Point, radius: float, colour: Colour, stretch: float = 1.0) -> None:
        """A filled disc; `stretch` makes it longer along x."""
        self.polygon(_round(centre, radius, stretch), colour)

    def ring(self, centre: Point, radius: float, width: float, colour: Colour) -> None:
        outline = _round(centre, radius, 1.0)
        self.line([*outline, outline[0], outline[1]], width, colour)

    def _map(self, points: Sequence[Point]) -> list[Point]:
        (a, b), (c, d) = self._matrix
        return [(a * x + b * y + self._shift[0], c * x + d * y + self._shift[1]) for x, y in points]


def draw_vehicle(name: str, rng: Rng) -> NDArray[np.uint8]:
    """Return one picture of the class `name` (a key of VEHICLES) as a row (3072,) of the archive's layout."""
    hard = rng.random() < HARD
    trouble = rng.choice(["tiny", "close", "blurred", "faint", "hidden"]) if hard else ""
    image = _background(rng)
    pen = _Pen(image, *_view(rng, trouble))
    VEHICLES[name](pen, rng)
    if trouble == "hidden":
        _hide(image, rng)
    return _photograph(image, rng, trouble)


def _bicycle(pen: _Pen, rng: Rng) -> None:
    """Thin wheels and an open frame of tubes; now and then fat tyres, a bag or a rider."""
    frame, dark = _paint(rng), _grey(rng, 10, 60)
    radius, base = rng.uniform(0.36, 0.44), rng.uniform(0.52, 0.6)
    tube = rng.uniform(0.035, 0.075)
    tyre = rng.uniform(0.03, 0.06) if rng.random() < 0.85 else rng.uniform(0.08, 0.12)
    rear, front, crank = (-base, 0.3), (base, 0.3), (-0.08, rng.uniform(0.28, 0.36))
    seat, head = (-0.24, rng.uniform(-0.32, -0.2)), (0.36, rng.uniform(-0.36, -0.22))
    for hub in (rear, front):
        pen.ring(hub, radius, tyre, dark)
        for x, y in _CIRCLE[:: rng.choice([4, 7])]:
            pen.line([hub, (hub[0] + x * radius, hub[1] + y * radius)], 0.012, _grey(rng, 120, 190))
    low_head = (head[0] + 0.03, head[1] + 0.14)
    top = (seat[0] + 0.03, seat[1] + rng.uniform(0.08, 0.3))
    pen.line([rear, crank, low_head, top, rear], tube, frame)
    pen.line([crank, (seat[0], seat[1] - 0.04)], tube, frame)
    pen.line([front, head], tube, frame)
    pen.line(
        [(head[0] - 0.08, head[1] - 0.1), (head[0], head[1] - 0.08), (head[0] + 0.12, head[1])], 0.04, dark
    )
    pen.polygon(
        [(seat[0] - 0.14, seat[1] - 0.09), (seat[0] + 0.12, seat[1] - 0.05), (seat[0], seat[1])], dark
    )
    pen.disc(crank, 0.07, dark)
    if rng.random() < 0.15:  # a bag or a battery: a little like an engine
        x, y = (crank[0] + top[0]) / 2 + 0.12, (crank[1] + top[1]) / 2
        pen.polygon(
            [(x - 0.12, y - 0.12), (x + 0.14, y - 0.12), (x + 0.1, y + 0.1), (x - 0.08, y + 0.1)], _paint(rng)
        )
    if rng.random() < 0.2:
        _rider(pen, rng, seat)


def _motorcycle(pen: _Pen, rng: Rng) -> None:
    """Thick wheels, engine, tank, seat and exhaust; now and then a light one, near to a bicycle."""
    body, dark, metal = _paint(rng), _grey(rng, 10, 60), _grey(rng, 110, 200)
    light = rng.random() < 0.12
    radius, base = rng.uniform(0.28, 0.38), rng.uniform(0.54, 0.66)
    tyre = rng.uniform(0.05, 0.08) if light else rng.uniform(0.1, 0.16)
    rear, front, head = (-base, 0.34), (base, 0.34), (rng.uniform(0.24, 0.34), rng.uniform(-0.3, -0.18))
    for hub in (rear, front):
        pen.ring(hub, radius - tyre / 2, tyre, dark)
        pen.disc(hub, radius * rng.uniform(0.2, 0.5), metal)
    pen.line([rear, (-0.05, 0.3)], 0.06, metal)
    pen.line([front, head], 0.06, metal)
    size = rng.uniform(0.08, 0.13) if light else rng.uniform(0.16, 0.24)
    pen.polygon([(-size, 0.08), (size, 0.04), (size + 0.08, 0.36), (-size - 0.04, 0.4)], _grey(rng, 40, 130))
    pen.disc((0.02, 0.24), size * 0.55, metal)
    pen.disc((rng.uniform(0.02, 0.12), rng.uniform(-0.1, 0.0)), rng.uniform(0.1, 0.17), body, stretch=1.8)
    pen.polygon([(-0.7, -0.12), (-0.55, -0.16), (-0.05, -0.02), (-0.1, 0.1), (-0.45, 0.08)], dark)
    if rng.random() < 0.8:
        pen.line([(0.0, 0.38), (-0.3, 0.44), (-0.75, 0.38)], rng.uniform(0.05, 0.09), metal)
    if rng.random() < 0.4:  # fairing
        pen.polygon([head, (head[0] + 0.26, -0.1), (head[0] + 0.16, 0.2), (0.1, 0.1)], body)
    pen.disc((head[0] + 0.12, head[1] + 0.04), 0.07, _grey(rng, 200, 250))
    pen.line([head, (head[0] - 0.12, head[1] - 0.14), (head[0] - 0.24, head[1] - 0.12)], 0.04, dark)
    if rng.random() < 0.25:
        _rider(pen, rng, (-0.2, -0.08))


def _bus(pen: _Pen, rng: Rng) -> None:
    """A long box with a row of windows."""
    body, glass, dark = _paint(rng), _grey(rng, 60, 150), _grey(rng, 10, 50)
    top, count = rng.uniform(-0.5, -0.3), int(rng.integers(4, 8))
    pen.polygon([(-0.9, top), (0.86, top), (0.92, 0.4), (-0.9, 0.4)], body)
    for at in range(count):
        left = -0.84 + at * 1.7 / count
        right = left + 1.4 / count
        pen.polygon([(left, top + 0.08), (right, top + 0.08), (right, top + 0.34), (left, top + 0.34)], glass)
    for x in (-0.55, 0.55):
        pen.disc((x, 0.42), 0.15, dark)
        pen.disc((x, 0.42), 0.07, _grey(rng, 120, 190))


VEHICLES: dict[str, Callable[[_Pen, Rng], None]] = {
    "bicycle": _bicycle,
    "bus": _bus,
    "motorcycle": _motorcycle,
}


def _rider(pen: _Pen, rng: Rng, seat: Point) -> None:
    shirt, skin = (
        _paint(rng),
        (int(rng.integers(120, 230)), int(rng.integers(90, 170)), int(rng.integers(70, 140))),
    )
    x, y = seat
    pen.line([(x, y - 0.05), (x + 0.16, y + 0.2), (x + 0.12, y + 0.5)], 0.13, _grey(rng, 20, 110))
    pen.line([(x, y - 0.05), (x + 0.24, y - 0.48)], 0.2, shirt)
    pen.line([(x + 0.22, y - 0.42), (x + 0.52, y - 0.12)], 0.08, shirt)
    pen.disc((x + 0.3, y - 0.64), 0.12, skin)


def _view(rng: Rng, trouble: str) -> tuple[NDArray[np.float64], Point]:
    """Return a random affine view: turned, leaning, foreshortened, mirrored, shifted."""
    scale = {"tiny": rng.uniform(20, 28), "close": rng.uniform(80, 110)}.get(trouble, rng.uniform(46, 66))
    room = 30 if trouble in ("tiny", "close") else 10
    turn, lean = rng.normal(0, 0.12), rng.normal(0, 0.12)
    turned = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    narrowed = np.array([[rng.uniform(0.55, 1.0) * rng.choice([-1, 1]), lean], [0, 1]])
    shift = (CANVAS / 2 + rng.uniform(-room, room), CANVAS * 0.5 + rng.uniform(-room, room) * 0.7)
    return scale * turned @ narrowed, shift


def _background(rng: Rng) -> Image.Image:
    """Return a canvas: a studio's plain one, or a street or field with things on it."""
    if rng.random() < 0.3:
        return Image.new("RGB", (CANVAS, CANVAS), _grey(rng, 200, 256))
    sky, ground = _paint(rng, 0.5), _paint(rng, 0.4)
    image = Image.new("RGB", (CANVAS, CANVAS), sky)
    draw = ImageDraw.Draw(image)
    horizon = int(rng.integers(40, 110))
    draw.rectangle((0, horizon, CANVAS, CANVAS), fill=ground)
    for _ in range(int(rng.integers(0, 7))):
        x, y = (int(n) for n in rng.integers(-20, CANVAS, 2))
        box = (x, y, x + int(rng.integers(6, 50)), y + int(rng.integers(6, 50)))
        (draw.ellipse if rng.random() < 0.4 else draw.rectangle)(box, fill=_paint(rng, 0.6))
    for _ in range(int(rng.integers(0, 4))):
        ends = [int(n) for n in rng.integers(0, CANVAS, 4)]
        draw.line(ends, fill=_grey(rng, 20, 220), width=int(rng.integers(1, 6)))
    return image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.5, 3.0))))


def _hide(image: Image.Image, rng: Rng) -> None:
    """Put something in front."""
    draw = ImageDraw.Draw(image)
    x, width = int(rng.integers(10, 70)), int(rng.integers(24, 56))
    y = int(rng.integers(0, 50))
    draw.rectangle((x, y, x + width, CANVAS), fill=_paint(rng, 0.6))


def _photograph(image: Image.Image, rng: Rng, trouble: str) -> NDArray[np.uint8]:
    """Return the canvas shrunk to SIZE, with a camera's light, noise and blur, as a row (3072,) uint8."""
    small = image.resize((SIZE, SIZE), Image.Resampling.BOX)
    blur = rng.uniform(0.9, 1.4) if trouble == "blurred" else rng.uniform(0.0, 0.5)
    small = small.filter(ImageFilter.GaussianBlur(float(blur)))
    pixels = np.asarray(small, np.float64)
    contrast = rng.uniform(0.12, 0.25) if trouble == "faint" else rng.uniform(0.7, 1.15)
    pixels = (pixels - 128) * contrast + 128 + rng.normal(0, 14)
    pixels += rng.normal(0, rng.uniform(1, 10), pixels.shape)
    return np.clip(pixels, 0, 255).astype(np.uint8).transpose(2, 0, 1).reshape(-1)


def _paint(rng: Rng, strength: float = 1.0) -> Colour:
    """Return a random colour; a lower `strength` keeps it nearer to grey."""
    colour = rng.integers(0, 256, 3)
    mixed = colour * strength + colour.mean() * (1 - strength)
    return int(mixed[0]), int(mixed[1]), int(mixed[2])


def _grey(rng: Rng, low: int, high: int) -> Colour:
    level = int(rng.integers(low, high))
    return level, level, level


def _round(centre: Point, radius: float, stretch: float) -> list[Point]:
    return [(centre[0] + x * radius * stretch, centre[1] + y * radius) for x, y in _CIRCLE]
