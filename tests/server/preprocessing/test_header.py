"""Size and structure are judged from the header, before anything is decoded."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from server.errors import InvalidImage
from server.preprocessing import decode_image
from server.preprocessing.header import ImageFormat, read_header

HEIGHT, WIDTH = 40, 56


def encode(form: str, mode: str = "RGB", **options: object) -> bytes:
    """A small picture with a stroke, WIDTH × HEIGHT pixels, in a format and mode of Pillow's."""
    pixels = np.full((HEIGHT, WIDTH), 255, np.uint8)
    cv2.line(pixels, (10, 8), (44, 30), 0, 5)
    picture = Image.fromarray(pixels).convert(mode)
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_that_says(width: int, height: int) -> bytes:
    """A PNG with correct checksums that claims to be of this size, with the data of a single row."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(100))
    parts = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def bmp_that_says(width: int, height: int) -> bytes:
    data = bytearray(encode("BMP"))
    struct.pack_into("<ii", data, 18, width, height)
    return bytes(data)


def jpeg_that_says(width: int, height: int) -> bytes:
    data = bytearray(encode("JPEG"))
    frame = data.index(b"\xff\xc0")
    struct.pack_into(">HH", data, frame + 5, height, width)
    return bytes(data)


FILES = {
    "png": encode("PNG"),
    "png, 1 bit": encode("PNG", "1"),
    "png, palette": encode("PNG", "P"),
    "png, alpha": encode("PNG", "RGBA"),
    "jpeg": encode("JPEG"),
    "jpeg, grey": encode("JPEG", "L"),
    "jpeg, progressive": encode("JPEG", progressive=True),
    "jpeg, restart markers": encode("JPEG", restart_marker_blocks=2),
    "webp, lossy": encode("WEBP"),
    "webp, lossy, alpha": encode("WEBP", "RGBA", exact=True),
    "webp, lossless": encode("WEBP", lossless=True),
    "webp, extended": encode("WEBP", exif=b"Exif\0\0" + bytes(8)),
    "bmp": encode("BMP"),
    "bmp, 1 bit": encode("BMP", "1"),
    "bmp, palette": encode("BMP", "P"),
    "bmp, 32 bits": encode("BMP", "RGBA"),
}


@pytest.mark.parametrize("name", FILES)
def test_the_size_is_read_without_decoding(name: str) -> None:
    header = read_header(FILES[name])
    assert (header.width, header.height) == (WIDTH, HEIGHT)
    assert header.format.lower() == name.split(",")[0]


@pytest.mark.parametrize("name", FILES)
def test_a_complete_file_is_decoded(name: str) -> None:
    ink = decode_image(FILES[name])
    assert ink.shape == (HEIGHT, WIDTH)
    assert ink.max() > 200
    assert ink[0, 0] == 0


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_refused_wherever_it_ends(name: str) -> None:
    data = FILES[name]
    for length in range(len(data)):
        with pytest.raises(InvalidImage):
            decode_image(data[:length])


@pytest.mark.parametrize("name", FILES)
def test_bytes_after_the_end_do_no_harm(name: str) -> None:
    np.testing.assert_array_equal(decode_image(FILES[name] + b"trailer" * 5), decode_image(FILES[name]))


def test_a_top_down_bmp_has_a_negative_height() -> None:
    data = bmp_that_says(WIDTH, -HEIGHT)
    assert read_header(data).height == HEIGHT
    np.testing.assert_array_equal(decode_image(data), decode_image(FILES["bmp"])[::-1])


@pytest.mark.parametrize("make", [png_that_says, bmp_that_says, jpeg_that_says])
@pytest.mark.parametrize("size", [(4097, 10), (10, 4097), (65_000, 65_000), (0, 10), (10, 0)])
def test_an_image_of_impossible_size_is_refused_with_its_size(
    make: Callable[[int, int], bytes], size: tuple[int, int]
) -> None:
    with pytest.raises(InvalidImage, match=r"4096×4096 pixels, got|breaks off|ends before"):
        read_header(make(*size))


def test_a_decompression_bomb_is_refused_before_it_is_decoded() -> None:
    # OpenCV itself would try: its own limit is a gibipixel.
    with pytest.raises(InvalidImage, match=r"expected 1×1 to 4096×4096 pixels, got 30000×30000"):
        decode_image(png_that_says(30_000, 30_000))


def test_a_file_of_more_than_four_mebibytes_is_refused_before_a_look_into_it() -> None:
    with pytest.raises(InvalidImage, match=r"at most 4194304 bytes \(4 MiB\), got 4194305"):
        decode_image(bytes(4 * 2**20 + 1))


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(InvalidImage, match="got 0 bytes"):
        decode_image(b"")


@pytest.mark.parametrize(
    "data", [b"GIF89a" + bytes(50), b"%PDF-1.7", b"\0", b"RIFF\0\0\0\0WAVE", b"hello" * 100]
)
def test_another_kind_of_file_is_refused_with_the_formats_that_are_read(data: bytes) -> None:
    with pytest.raises(InvalidImage, match="expected PNG, JPEG, WebP or BMP, got"):
        decode_image(data)


def test_a_flipped_bit_in_a_png_is_refused() -> None:
    data = bytearray(FILES["png"])
    data[data.index(b"IDAT") + 12] ^= 1
    with pytest.raises(InvalidImage, match="checksum"):
        decode_image(bytes(data))


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_an_animation_is_refused(form: str) -> None:
    first, second = (Image.fromarray(np.full((20, 20), level, np.uint8)) for level in (0, 255))
    file = io.BytesIO()
    first.save(file, form, save_all=True, append_images=[second])
    with pytest.raises(InvalidImage, match="animation"):
        decode_image(file.getvalue())


def test_a_jpeg_that_keeps_a_decoder_busy_with_scans_is_refused() -> None:
    data = FILES["jpeg, progressive"]
    last_scan = data.rindex(b"\xff\xda")
    bomb = data[:last_scan] + data[last_scan:-2] * 1000 + b"\xff\xd9"
    with pytest.raises(InvalidImage, match="too many parts"):
        decode_image(bomb)


def test_a_png_that_keeps_a_decoder_busy_with_parts_is_refused() -> None:
    data = FILES["png"]
    first_data = data.index(b"IDAT") - 4
    bomb = data[:first_data] + png_chunk(b"tEXt", b"a") * 20_000 + data[first_data:]
    with pytest.raises(InvalidImage, match="too many parts"):
        decode_image(bomb)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_a_damaged_file_is_refused_or_read_but_never_crashes(name: str, data: st.DataObject) -> None:
    damaged = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        ink = decode_image(bytes(damaged))
    except InvalidImage:
        return
    assert ink.dtype == np.uint8
    assert ink.ndim == 2
    assert max(ink.shape) <= 4096


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\x40\0\0\0WEBP", b"BM"]),
    st.binary(max_size=200),
)
def test_noise_behind_a_signature_is_refused(signature: bytes, noise: bytes) -> None:
    try:
        ink: NDArray[np.uint8] = decode_image(signature + noise)
    except InvalidImage:
        return
    assert read_header(signature + noise).format is ImageFormat.BMP  # the only one that noise can be
    assert ink.ndim == 2
