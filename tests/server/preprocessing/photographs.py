"""Photographs of a sheet of paper with ink on it, made from drawn strokes: each trouble alone, or together.

A pixel is the light that falls on it times what paper or ink reflects, seen by a lens that is not quite sharp
and a sensor that is noisy, and written as JPEG. Everything comes from the generator that is handed in: the
same seed gives the same photograph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
"""(H, W) or (H, W, 3) BGR; 0 to 1."""

BLACK, BLUE, RED, GREY = (0.15, 0.13, 0.13), (0.55, 0.22, 0.14), (0.22, 0.18, 0.75), (0.66, 0.66, 0.66)


def strokes(digit: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    """A small digit, (28, 28) uint8, drawn large: its ink only, `height` pixels high, with smooth edges."""
    left, top, width, tall = cv2.boundingRect(digit)
    crop = cv2.copyMakeBorder(digit[top : top + tall, left : left + width], 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    size = (round((width + 2) * height / (tall + 2)), height)
    large = cv2.GaussianBlur(
        cv2.resize(crop, size, interpolation=cv2.INTER_CUBIC), (0, 0), max(height / 90, 0.5)
    )
    return np.clip((large.astype(np.float32) - 110) * 5 + 128, 0, 255).astype(np.uint8)


def place(
    ink: NDArray[np.uint8], shape: tuple[int, int], generator: np.random.Generator, margin: float = 0.12
) -> NDArray[np.uint8]:
    """Ink anywhere on a sheet of this shape, at least `margin` of the shorter side away from its edges."""
    height, width = ink.shape
    room = round(margin * min(shape))
    top = generator.integers(room, max(shape[0] - height - room, room) + 1)
    left = generator.integers(room, max(shape[1] - width - room, room) + 1)
    sheet = np.zeros(shape, np.uint8)
    sheet[top : top + height, left : left + width] = ink
    return sheet


def photograph(
    sheet: NDArray[np.uint8],
    generator: np.random.Generator,
    *,
    ink: tuple[float, float, float] = BLACK,
    light: str = "even",
    lines: str = "none",
    grain: float = 0.008,
    specks: int = 0,
    is_on_table: bool = False,
    is_pencil: bool = False,
    is_chalk: bool = False,
    noise: float = 2.5,
    quality: int = 80,
) -> bytes:
    """A JPEG of strokes, (H, W) uint8, 0 = paper. `light`: one of LIGHTS; `lines`: none, ruled, squared.

    `grain`: of the paper, and `noise`: of the sensor, standard deviations as a share of white and in levels.
    `specks`: how many on 640×480 pixels.
    """
    shape = sheet.shape
    paper = np.array((0.16, 0.2, 0.17) if is_chalk else (0.86, 0.9, 0.92), np.float32)
    surface = np.ones((*shape, 3), np.float32) * paper
    if lines != "none":
        surface = _ruled(surface, lines == "squared", generator)
    cover = sheet.astype(np.float32) / 255
    if is_pencil or is_chalk:  # neither fills the paper's hollows
        cover = cover * np.clip(0.85 + _noise(shape, 1.0, generator) * 0.25, 0, 1)
    if specks:
        cover = np.maximum(cover, _specks(shape, specks, generator))
    reflected = np.array((0.85, 0.85, 0.85) if is_chalk else ink, np.float32)
    surface = surface * (1 - cover[..., None]) + reflected * cover[..., None]
    surface = surface * (1 + grain * _noise(shape, 1.2, generator)[..., None])
    if is_on_table:
        surface = _on_table(surface, generator)
    lit = surface * LIGHTS[light](shape, generator)[..., None] * 255
    lit = cv2.GaussianBlur(lit, (0, 0), 0.8)
    lit = lit + generator.normal(0, noise, lit.shape).astype(np.float32)
    pixels = np.clip(lit, 0, 255).astype(np.uint8)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def _even(shape: tuple[int, int], generator: np.random.Generator) -> Field:
    return np.full(shape, generator.uniform(0.8, 1.0), np.float32)


def _gradient(shape: tuple[int, int], generator: np.random.Generator) -> Field:
    """From full light on one side to a third of it on the other."""
    along = _across(shape, generator.uniform(0, 2 * np.pi))
    return 1 - 0.65 * (along - along.min()) / np.ptp(along)


def _lamp(shape: tuple[int, int], generator: np.random.Generator) -> Field:
    """A spot of light, and a third of it beside."""
    down, right = _grid(shape)
    y, x = generator.uniform(0.2, 0.8, 2)
    distance = ((down - y * shape[0]) ** 2 + (right - x * shape[1]) ** 2) / (0.35 * max(shape)) ** 2
    return np.asarray(0.33 + 0.67 * np.exp(-distance), np.float32)


def _vignette(shape: tuple[int, int], generator: np.random.Generator) -> Field:
    """A lens that is dark in its corners."""
    down, right = _grid(shape)
    distance = ((down / shape[0] - 0.5) ** 2 + (right / shape[1] - 0.5) ** 2) / 0.5
    return np.asarray(1 - generator.uniform(0.5, 0.7) * distance, np.float32)


def _shadow(shape: tuple[int, int], generator: np.random.Generator) -> Field:
    """The hard edge of a shadow, straight across the sheet."""
    angle = generator.uniform(0, 2 * np.pi)
    along = _across(shape, angle)
    edge = along.min() + np.ptp(along) * generator.uniform(0.25, 0.75)
    penumbra = generator.uniform(0.5, 4)
    depth = generator.uniform(0.3, 0.6)
    return np.asarray(1 - depth / (1 + np.exp(np.clip((edge - along) / penumbra, -30, 30))), np.float32)


def _hand(shape: tuple[int, int], generator: np.random.Generator) -> Field:
    """The soft shadow of a hand or a head, which comes in from an edge."""
    dark = np.zeros(shape, np.float32)
    angle = generator.uniform(0, 2 * np.pi)
    centre = np.array(shape[::-1]) * (0.5 + 0.42 * np.array((np.cos(angle), np.sin(angle))))
    axes = generator.uniform(0.16, 0.35, 2) * min(shape)
    cv2.ellipse(
        dark,
        (int(centre[0]), int(centre[1])),
        (int(axes[0]), int(axes[1])),
        generator.uniform(0, 180),
        0,
        360,
        1.0,
        -1,
    )
    dark = cv2.GaussianBlur(dark, (0, 0), generator.uniform(0.015, 0.06) * min(shape))
    return 1 - generator.uniform(0.25, 0.45) * dark


LIGHTS: Mapping[str, Callable[[tuple[int, int], np.random.Generator], Field]] = {
    "even": _even,
    "gradient": _gradient,
    "lamp": _lamp,
    "vignette": _vignette,
    "shadow": _shadow,
    "hand": _hand,
}


def _grid(shape: tuple[int, int]) -> tuple[Field, Field]:
    down, right = np.mgrid[: shape[0], : shape[1]]
    return down.astype(np.float32), right.astype(np.float32)


def _across(shape: tuple[int, int], angle: float) -> Field:
    """How far each pixel is along a direction, in pixels."""
    down, right = _grid(shape)
    return np.asarray(np.cos(angle) * right + np.sin(angle) * down, np.float32)


def _noise(shape: tuple[int, int], blur: float, generator: np.random.Generator) -> Field:
    """Noise of standard deviation 1, smooth over `blur` pixels."""
    field = cv2.GaussianBlur(generator.normal(0, 1, shape).astype(np.float32), (0, 0), blur)
    return np.asarray(field / field.std(), np.float32)


def _specks(shape: tuple[int, int], count: int, generator: np.random.Generator) -> Field:
    """Dust and crumbs, a few thousandths of the picture wide."""
    field = np.zeros(shape, np.uint8)
    unit = min(shape) / 480
    count = round(count * min(shape[0] * shape[1] / (480 * 640), 1))
    for x, y in zip(
        generator.integers(0, shape[1], count), generator.integers(0, shape[0], count), strict=True
    ):
        cv2.circle(
            field, (int(x), int(y)), max(round(unit * generator.uniform(0.5, 2.5)), 1), 255, -1, cv2.LINE_AA
        )
    return field.astype(np.float32) / 255


def _ruled(surface: Field, is_squared: bool, generator: np.random.Generator) -> Field:
    """Lines printed on the paper, which does not lie quite straight."""
    height, width = surface.shape[:2]
    pitch = min(height, width) / generator.uniform(7, 16)
    thickness = max(pitch / generator.uniform(25, 40), 0.9)
    colour = np.array(
        [(0.85, 0.72, 0.6), (0.6, 0.6, 0.6), (0.9, 0.65, 0.45)][generator.integers(3)], np.float32
    )
    tilt = generator.uniform(-0.05, 0.05)
    for angle in (np.pi / 2 + tilt, tilt)[: 1 + is_squared]:
        along = _across((height, width), angle)
        phase = np.abs((along + generator.uniform(0, pitch)) % pitch - pitch / 2)
        cover = np.clip(thickness / 2 + 0.5 - phase, 0, 1)[..., None]
        surface = surface * (1 - cover) + colour * cover
    return surface


def _on_table(sheet: Field, generator: np.random.Generator) -> Field:
    """The sheet smaller and a little turned, on dark wood."""
    height, width = sheet.shape[:2]
    wood = _noise((height, width), 1.0, generator)
    wood = cv2.GaussianBlur(wood, (0, 0), sigmaX=width / 12, sigmaY=1.5)
    wood = 1 + 0.15 * wood / wood.std()
    table = wood[..., None] * np.array((0.13, 0.2, 0.3), np.float32) * generator.uniform(0.6, 1.3)
    turn = cv2.getRotationMatrix2D(
        (width / 2, height / 2), generator.uniform(-9, 9), generator.uniform(0.7, 0.85)
    )
    shift = generator.uniform(-0.05, 0.05, 2)
    turn[:, 2] += shift * (width, height)
    placed = cv2.warpAffine(sheet, turn, (width, height), flags=cv2.INTER_AREA)
    mask = cv2.warpAffine(np.ones((height, width), np.float32), turn, (width, height))[..., None]
    return np.asarray(placed * mask + table * (1 - mask), np.float32)


CONDITIONS: Mapping[str, Mapping[str, Any]] = {
    "even light": {},
    "gradient": {"light": "gradient"},
    "lamp": {"light": "lamp"},
    "vignette": {"light": "vignette"},
    "hard shadow": {"light": "shadow"},
    "shadow of a hand": {"light": "hand"},
    "rough paper": {"grain": 0.035, "noise": 4.0},
    "dust": {"specks": 40},
    "ruled paper": {"lines": "ruled"},
    "squared paper": {"lines": "squared"},
    "sheet on a table": {"is_on_table": True},
    "blue pen": {"ink": BLUE, "light": "gradient"},
    "red pen": {"ink": RED, "light": "gradient"},
    "pencil": {"ink": GREY, "is_pencil": True},
    "pencil, hard shadow": {"ink": GREY, "is_pencil": True, "light": "shadow"},
    "blue pen, squared paper": {"ink": BLUE, "lines": "squared"},
    "chalk on a board": {"is_chalk": True, "light": "gradient"},
    "JPEG at quality 30": {"quality": 30, "light": "gradient"},
    "table, shadow, ruled, dust": {
        "is_on_table": True, "light": "shadow", "lines": "ruled", "specks": 15, "ink": BLUE,
    },
}  # fmt: skip
"""What the photographs are measured by: a name, and the options of `photograph`."""
