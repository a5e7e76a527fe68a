"""Numbers put together from single digits, with the ink of each digit known: what the choice is learnt from.

They are written as people write: apart, close, touching, joined by a stroke; level or not; small cents; with
dots, commas, dashes, rules and specks between and around. Seeded.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from server.numbers.hands import Generator, Ink, Writer

HEIGHTS = (22.0, 60.0)
LENGTHS = (1, 7)
# Of the digits' height: how far digits go into each other at most.
DEEPEST = -0.2
# The same where all of them do; no deeper than this share of the narrower of two neighbours: a thin 1 would
# come out on the other side.
DEPTHS = (0.03, 0.22)
DEEPEST_PART = 0.45
# How many of those are pushed into each other's strokes, row by row; the others' columns overlap.
INTO_STROKES = 0.75
# How many digits have a gap in their strokes.
BROKEN = 0.06


class Number(NamedTuple):
    """A line of n digits, light on dark."""

    ink: Ink
    """(H, W) uint8, 0 = background: everything."""
    digits: tuple[Ink, ...]
    """n pictures (H, W) uint8: the ink of each digit alone, from left to right."""
    marks: Ink
    """(H, W) uint8: what is no digit."""
    text: str


class _Style(NamedTuple):
    """How one number is written; lengths in digit heights."""

    height: float
    pen: float
    gap: float
    gap_spread: float
    climb: float
    dance: float
    joins: float
    marks: float
    into_strokes: float


def write_number(writer: Writer, generator: Generator, is_tangled: bool = False) -> Number:
    """A number of 1 to 7 digits, 22 to 60 pixels tall.

    `is_tangled`: all of its digits run into each other.
    """
    style = _tangled_style(generator) if is_tangled else _style(generator)
    write = writer(generator)
    count = int(generator.integers(*LENGTHS, endpoint=True))
    is_cents = np.zeros(count, np.bool_)
    if count > 3 and generator.random() < 0.15:
        is_cents[-2:] = True
    tall = style.height
    room = int(tall * 2)
    canvas = np.zeros(
        (int(tall * 3) + int(abs(style.climb) * tall * count), room * (2 * count + 4)), np.uint8
    )
    base = int(tall * 1.5) + (int(-style.climb * tall * count) if style.climb < 0 else 0)
    layers: list[Ink] = []
    marks = np.zeros_like(canvas)
    text = ""
    x = room
    if generator.random() < style.marks / 3:
        x = _mark(marks, generator, style, x, base)
    for index in range(count):
        size = tall * float(np.clip(generator.normal(1, 0.09), 0.75, 1.3)) * (0.65 if is_cents[index] else 1)
        glyph, label = write(size, style.pen * tall)
        if generator.random() < BROKEN:
            _break(glyph, generator)
        middle = base + style.climb * tall * index + style.dance * tall * generator.normal()
        if is_cents[index]:
            middle -= 0.2 * tall
        y = int(np.clip(middle - glyph.shape[0] / 2, 0, canvas.shape[0] - glyph.shape[0]))
        if layers:
            if is_tangled:
                narrower = min(glyph.shape[1], cv2.boundingRect(layers[-1])[2])
                gap = -min(float(generator.uniform(*DEPTHS)), DEEPEST_PART * narrower / tall)
            else:
                gap = max(style.gap + style.gap_spread * float(generator.normal()), DEEPEST)
            is_by_row = bool(generator.random() < style.into_strokes)
            x = _placed_after(canvas, glyph, x, y, gap * tall, is_by_row)
        layer = np.zeros_like(canvas)
        layer[y : y + glyph.shape[0], x : x + glyph.shape[1]] = glyph
        if layers and gap < 0.35 and generator.random() < style.joins:
            _join(canvas, layers[-1], layer, generator, style)
        np.maximum(canvas, layer, out=canvas)
        layers.append(layer)
        text += str(label)
        x += glyph.shape[1]
        if generator.random() < style.marks and index + 1 < count:
            x = max(x, _mark(marks, generator, style, x, int(middle)))
    if generator.random() < style.marks:
        x = _mark(marks, generator, style, x, base)
    if generator.random() < 0.1:
        _specks(marks, generator, style, x)
    np.maximum(canvas, marks, out=canvas)
    return _cropped(canvas, layers, marks, text, generator)


def _style(generator: Generator) -> _Style:
    is_close = generator.random() < 0.6
    return _Style(
        height=float(np.exp(generator.uniform(*np.log(HEIGHTS)))),
        pen=float(generator.uniform(0.04, 0.16)),
        gap=float(generator.uniform(-0.2, 0.06) if is_close else generator.uniform(0.05, 0.6)),
        gap_spread=float(generator.uniform(0, 0.06)),
        climb=float(generator.normal(0, 0.03)),
        dance=float(generator.uniform(0, 0.08)),
        joins=0.3 if generator.random() < 0.15 else 0.0,
        marks=float(generator.uniform(0, 0.5)) if generator.random() < 0.5 else 0.0,
        into_strokes=0.35,
    )


def _tangled_style(generator: Generator) -> _Style:
    """Of numbers in which all digits run into each other: level, and without marks."""
    return _Style(
        height=float(generator.uniform(HEIGHTS[0], 40)),
        pen=float(generator.uniform(0.04, 0.14)),
        gap=0.0,
        gap_spread=0.0,
        climb=float(generator.normal(0, 0.01)),
        dance=float(generator.uniform(0, 0.08)),
        joins=0.0,
        marks=0.0,
        into_strokes=INTO_STROKES,
    )


def _placed_after(canvas: Ink, glyph: Ink, x: int, y: int, gap: float, is_by_row: bool) -> int:
    """Where a digit begins that comes `gap` pixels after what is written: after its columns, or row by row.

    Below 0 it goes into it.
    """
    rows = canvas[y : y + glyph.shape[0]] > 100
    own = glyph > 100
    shared = rows.any(axis=1) & own.any(axis=1)
    if not is_by_row or gap > 0 or not shared.any():
        end = int(np.flatnonzero(canvas.any(axis=0))[-1]) + 1
        return int(min(max(end, x) + max(gap, -0.6 * glyph.shape[1]), canvas.shape[1] - glyph.shape[1]))
    ends = rows.shape[1] - rows[:, ::-1].argmax(axis=1)
    touching = int((ends - own.argmax(axis=1))[shared].max())
    return int(np.clip(touching + gap, 0, canvas.shape[1] - glyph.shape[1]))


def _break(glyph: Ink, generator: Generator) -> None:
    """Lift the pen for a moment: a gap across a digit, at any slant."""
    height, width = glyph.shape
    centre = generator.uniform(0.25, 0.75, 2) * (width, height)
    angle = generator.uniform(0, np.pi)
    reach = np.array([np.cos(angle), np.sin(angle)]) * height
    ends = [tuple(int(value) for value in np.rint(centre + sign * reach)) for sign in (-1, 1)]
    cv2.line(glyph, ends[0], ends[1], 0, max(round(height * generator.uniform(0.03, 0.09)), 1))


def _join(canvas: Ink, left: Ink, right: Ink, generator: Generator, style: _Style) -> None:
    """Carry the pen on from one digit to the next, by a curve without lifting it."""
    start = _side(left[:, ::-1], generator)
    start[0] = left.shape[1] - 1 - start[0]
    end = _side(right, generator)
    bend = (start + end) / 2 + np.array([0, style.height * generator.uniform(-0.2, 0.2)])
    times = np.linspace(0, 1, 12)[:, None]
    curve = (1 - times) ** 2 * start + 2 * times * (1 - times) * bend + times**2 * end
    thick = max(round(style.pen * style.height * generator.uniform(0.5, 1)), 1)
    cv2.polylines(canvas, [np.rint(curve * 16).astype(np.int32)], False, 255, thick, cv2.LINE_AA, 4)


def _side(layer: Ink, generator: Generator) -> NDArray[np.float64]:
    """A point of a digit's left side that is not far behind its foremost one: (x, y)."""
    is_ink = layer > 100
    rows = np.flatnonzero(is_ink.any(axis=1))
    columns = is_ink[rows].argmax(axis=1)
    front = np.flatnonzero(columns <= columns.min() + 0.25 * len(rows))
    chosen = int(generator.choice(front))
    return np.array([columns[chosen], rows[chosen]], np.float64)


def _mark(marks: Ink, generator: Generator, style: _Style, x: int, middle: int) -> int:
    """A dot, a comma, a dash or the like after column x; returns where it ends."""
    tall, pen = style.height, max(style.pen * style.height, 1.2)
    x += int(tall * generator.uniform(0.06, 0.35) + pen)
    foot = middle + tall * generator.uniform(0.3, 0.55)
    kind = generator.random()
    if kind < 0.35:
        radius = max(pen * generator.uniform(0.5, 0.9), 1)
        stretch = generator.uniform(1, 1.6)
        axes = (int(radius * stretch * 16), int(radius * 16))
        cv2.ellipse(marks, (x * 16, int(foot * 16)), axes, 0, 0, 360, 255, -1, cv2.LINE_AA, 4)
        return int(x + radius * stretch) + 2
    if kind < 0.65:
        length, lean = tall * generator.uniform(0.12, 0.38), tall * generator.uniform(0, 0.2)
        return _line(marks, [(x + lean, foot), (x + 0.8 * lean, foot + length / 2), (x, foot + length)], pen)
    level = middle + tall * generator.uniform(-0.2, 0.25)
    length, tilt = tall * generator.uniform(0.25, 1.6), tall * generator.uniform(-0.1, 0.1)
    bow = tall * generator.normal(0, 0.05)
    end = _line(
        marks, [(x, level), (x + length / 2, level + tilt / 2 + bow), (x + length, level + tilt)], pen
    )
    if kind > 0.92:
        _line(marks, [(x, level + 0.25 * tall), (x + length, level + 0.25 * tall + tilt)], pen)
    return end


def _line(marks: Ink, points: list[tuple[float, float]], pen: float) -> int:
    path = np.rint(np.array(points) * 16).astype(np.int32)
    cv2.polylines(marks, [path], False, 255, max(round(pen), 1), cv2.LINE_AA, 4)
    return int(max(point[0] for point in points) + pen)


def _specks(marks: Ink, generator: Generator, style: _Style, end: int) -> None:
    for _ in range(int(generator.integers(1, 6))):
        centre = (int(generator.integers(0, end)), int(generator.integers(0, marks.shape[0])))
        cv2.circle(marks, centre, max(int(style.height * generator.uniform(0.02, 0.06)), 1), 255, -1)


def _cropped(canvas: Ink, layers: list[Ink], marks: Ink, text: str, generator: Generator) -> Number:
    left, top, width, height = cv2.boundingRect(canvas)
    margin = 2

    def crop(layer: Ink) -> Ink:
        inside = layer[top : top + height, left : left + width]
        return np.asarray(
            cv2.copyMakeBorder(inside, margin, margin, margin, margin, cv2.BORDER_CONSTANT), np.uint8
        )

    return Number(crop(canvas), tuple(crop(layer) for layer in layers), crop(marks), text)
