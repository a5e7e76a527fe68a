"""Whatever people send, ink comes out light on dark, with the grey levels of its soft edges."""

from __future__ import annotations

import io
import time
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from server.errors import BlankImage
from server.preprocessing import decode_image, normalise

Picture = NDArray[np.uint8]
Png = Callable[[NDArray[np.generic]], bytes]
Draw = Callable[..., Picture]


def encode(picture: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def difference(one: Picture, other: Picture) -> float:
    """Mean difference of two (28, 28) pictures in levels, where one may be moved by a pixel."""
    moves = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return min(float(np.abs(np.roll(one, move, (0, 1)).astype(int) - other).mean()) for move in moves)


def test_a_stroke_keeps_every_grey_level_of_its_soft_edge(png: Png) -> None:
    canvas = np.zeros((280, 280), np.uint8)
    cv2.ellipse(canvas, (140, 140), (60, 90), 20, 0, 300, 255, 18, cv2.LINE_AA)
    ink = decode_image(png(255 - canvas))
    # Only what is fainter than noise and away from ink is gone.
    assert np.abs(ink.astype(int) - canvas).max() <= 30
    assert len(np.unique(ink)) > 100
    np.testing.assert_array_equal(ink[canvas > 30], canvas[canvas > 30])


def test_light_ink_on_dark_paper_is_taken_as_it_is(draw: Draw, png: Png) -> None:
    np.testing.assert_array_equal(decode_image(png(draw())) > 128, draw() > 128)


def test_sixteen_bits_give_the_same_ink_as_eight(draw: Draw, png: Png) -> None:
    eight = draw()
    np.testing.assert_array_equal(decode_image(png(eight.astype(np.uint16) * 257)), decode_image(png(eight)))


def test_sixteen_bits_with_alpha_give_the_same_ink_as_eight(draw: Draw, png: Png) -> None:
    eight = draw()
    black = np.dstack([np.zeros((*eight.shape, 3), np.uint8), eight])
    np.testing.assert_array_equal(decode_image(png(black.astype(np.uint16) * 257)), decode_image(png(eight)))


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "CMYK"])
def test_every_pixel_format_gives_the_same_ink(draw: Draw, png: Png, mode: str) -> None:
    picture = Image.fromarray(255 - draw()).convert("RGB").convert(mode)
    data = encode(picture, "JPEG", quality=100) if mode == "CMYK" else encode(picture, "PNG")
    assert difference(normalise(decode_image(data)), normalise(decode_image(png(draw())))) < 3


def test_a_transparent_palette_colour_is_paper(draw: Draw, png: Png) -> None:
    picture = Image.fromarray(255 - draw()).convert("RGB").convert("P")
    data = encode(picture, "PNG", transparency=picture.getpixel((0, 0)))
    assert difference(normalise(decode_image(data)), normalise(decode_image(png(draw())))) < 3


@pytest.mark.parametrize("ink_level", [0, 255])
def test_black_and_white_ink_on_a_transparent_canvas_are_both_ink(
    draw: Draw, png: Png, ink_level: int
) -> None:
    strokes = draw()
    canvas = np.dstack([np.full((*strokes.shape, 3), ink_level, np.uint8), strokes])
    np.testing.assert_array_equal(decode_image(png(canvas)), decode_image(png(strokes)))


def test_what_lies_under_full_transparency_does_not_count(draw: Draw, png: Png) -> None:
    strokes = draw()
    hidden = np.where(strokes[..., None] == 0, np.array([10, 200, 90], np.uint8), np.uint8(0))
    canvas = np.dstack([hidden, strokes]).astype(np.uint8)
    np.testing.assert_array_equal(decode_image(png(canvas)), decode_image(png(strokes)))


@pytest.mark.parametrize("corner", [0, 255])
def test_a_sheet_with_round_transparent_corners_is_read_by_its_ink(draw: Draw, png: Png, corner: int) -> None:
    strokes = draw()
    sheet = cv2.circle(np.zeros_like(strokes), (140, 140), 170, 255, -1)
    levels = np.where(sheet[..., None] > 0, 255 - strokes[..., None], np.uint8(corner))
    canvas = np.dstack([np.repeat(levels, 3, axis=2), sheet]).astype(np.uint8)
    assert difference(normalise(decode_image(png(canvas))), normalise(decode_image(png(strokes)))) < 3


def test_a_fully_transparent_canvas_is_blank(png: Png) -> None:
    ink = decode_image(png(np.zeros((280, 280, 4), np.uint8)))
    with pytest.raises(BlankImage):
        normalise(ink)


@pytest.mark.parametrize(
    ("ink", "paper"),
    [
        ((0, 255, 255), (255, 255, 255)),  # yellow on white (BGR)
        ((255, 0, 0), (0, 0, 0)),  # blue on black
        ((0, 0, 255), (0, 130, 0)),  # red on green, which are equally bright
        ((60, 60, 60), (90, 90, 90)),  # grey on grey
    ],
)
def test_ink_is_found_by_its_colour(
    draw: Draw, png: Png, ink: tuple[int, int, int], paper: tuple[int, int, int]
) -> None:
    share = draw()[..., None] / 255.0
    canvas = np.rint(np.array(ink) * share + np.array(paper) * (1 - share)).astype(np.uint8)
    assert difference(normalise(decode_image(png(canvas))), normalise(decode_image(png(draw())))) < 4


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_even_picture_has_no_ink(png: Png, level: int) -> None:
    assert not decode_image(png(np.full((280, 280, 3), level, np.uint8))).any()


@pytest.mark.parametrize("quality", [10, 30, 50, 75, 95])
@pytest.mark.parametrize("form", [".jpg", ".webp"])
def test_the_noise_of_compression_is_no_ink(draw: Draw, png: Png, form: str, quality: int) -> None:
    option = cv2.IMWRITE_JPEG_QUALITY if form == ".jpg" else cv2.IMWRITE_WEBP_QUALITY
    for index in range(0, 100, 10):
        canvas = 255 - draw(index=index, pen=4)
        data = cv2.imencode(form, canvas, [option, quality])[1].tobytes()
        assert difference(normalise(decode_image(data)), normalise(decode_image(png(canvas)))) < 8


def test_a_tight_crop_of_a_digit_is_read_the_right_way_round(digits: Picture, png: Png) -> None:
    is_right = []
    for digit in digits[:300]:
        left, top, width, height = cv2.boundingRect(digit)
        crop = np.ascontiguousarray(digit[top : top + height, left : left + width])
        for picture in (crop, 255 - crop):
            ink = decode_image(png(picture)).astype(int)
            is_right.append(np.abs(ink - crop).mean() < np.abs(255 - ink - crop).mean())
    # Some digits cover more of their crop with ink than with paper: nobody can tell without reading them.
    assert np.mean(is_right) > 0.97


def test_specks_that_no_pen_would_leave_are_taken_away_from_a_drawing(draw: Draw, png: Png) -> None:
    canvas = 255 - draw(pen=6)
    specked = canvas.copy()
    for x, y in [(5, 5), (270, 12), (8, 260), (265, 270)]:
        specked[y : y + 2, x : x + 2] = 0
    np.testing.assert_array_equal(decode_image(png(specked)), decode_image(png(canvas)))


def test_a_dot_of_the_same_pen_is_kept_in_a_drawing(png: Png) -> None:
    canvas = np.full((280, 280), 255, np.uint8)
    cv2.line(canvas, (140, 40), (130, 240), 0, 8)
    cv2.circle(canvas, (180, 240), 4, 0, -1)
    assert decode_image(png(canvas))[240, 180] == 255


@pytest.mark.parametrize("thickness", [1, 3, 10, 25])
def test_a_frame_around_the_paper_is_no_ink(draw: Draw, png: Png, thickness: int) -> None:
    canvas = 255 - draw()
    framed = canvas.copy()
    framed[:thickness] = framed[-thickness:] = framed[:, :thickness] = framed[:, -thickness:] = 0
    np.testing.assert_array_equal(decode_image(png(framed)), decode_image(png(canvas)))


def test_a_photograph_is_turned_the_way_its_camera_was_held(draw: Draw) -> None:
    upright = 255 - draw(height=180, left=90, top=10)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90° clockwise
    lying = Image.fromarray(np.rot90(upright[:, :200]).copy())
    ink = decode_image(encode(lying, "JPEG", quality=95, exif=exif))
    assert ink.shape == (280, 200)
    assert np.abs(ink.astype(int) - (255 - upright[:, :200])).mean() < 3


def photograph(strokes: Picture, seed: int) -> Picture:
    """Pen on paper under a lamp: a dark corner, grain, and a lens that is not quite sharp; (H, W, 3) BGR."""
    generator = np.random.default_rng(seed)
    height, width = strokes.shape
    down, right = np.mgrid[:height, :width]
    light = (
        215 - 90 * ((down - height * 0.2) ** 2 + (right - width * 0.7) ** 2) / (height**2 + width**2) * 1.5
    )
    ink = cv2.GaussianBlur(strokes, (0, 0), 1.2)[..., None] / 255.0
    paper = light[..., None] * np.array([0.88, 0.96, 1.0])
    grain = cv2.GaussianBlur(generator.normal(0, 9, (height, width)), (0, 0), 1.2)[..., None]
    lit = paper * (1 - ink) + 0.25 * paper * ink + grain + generator.normal(0, 3, (height, width, 3))
    return np.clip(lit, 0, 255).astype(np.uint8)


def test_a_photograph_of_paper_under_a_lamp_is_read_as_the_drawing_on_it(draw: Draw, png: Png) -> None:
    apart = []
    for index in range(0, 200, 10):
        strokes = draw(index=index, height=200, left=120, top=90, pen=3, size=400)
        data = cv2.imencode(".jpg", photograph(strokes, index), [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()
        apart.append(difference(normalise(decode_image(data)), normalise(decode_image(png(strokes)))))
    assert np.mean(apart) < 8
    assert np.max(apart) < 20


def test_dust_in_a_photograph_is_no_ink(draw: Draw, png: Png) -> None:
    strokes = draw(height=200, left=120, top=90, pen=3, size=400)
    dusty = strokes.copy()
    for x, y in np.random.default_rng(1).integers(0, 400, (20, 2)):
        cv2.circle(dusty, (int(x), int(y)), 1, 255, -1)
    data = cv2.imencode(".jpg", photograph(dusty, 1))[1].tobytes()
    assert difference(normalise(decode_image(data)), normalise(decode_image(png(strokes)))) < 12


def test_a_photograph_of_empty_paper_is_blank() -> None:
    for seed in range(10):
        data = cv2.imencode(".jpg", photograph(np.zeros((400, 400), np.uint8), seed))[1].tobytes()
        assert not decode_image(data).any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 2), (3, 1), (1, 4000), (4000, 1), (63, 64)])
def test_a_picture_of_any_shape_with_a_single_dot_is_decoded(png: Png, shape: tuple[int, int]) -> None:
    canvas = np.full(shape, 255, np.uint8)
    canvas[shape[0] // 2, shape[1] // 2] = 0
    ink = decode_image(png(canvas))
    assert ink.shape == shape
    assert ink.any() == (canvas.size > 1)


def test_a_canvas_takes_a_few_milliseconds_at_most(draw: Draw, png: Png) -> None:
    canvas = 255 - draw()
    data = png(np.dstack([canvas, canvas, canvas, np.full_like(canvas, 255)]))
    times = []
    for _ in range(50):
        started = time.perf_counter()
        normalise(decode_image(data))
        times.append(time.perf_counter() - started)
    # About 0.8 ms, most of it in zlib; the rest is room for a slower and busier machine.
    assert min(times) < 0.005
