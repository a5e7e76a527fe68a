"""A PNG is decoded without what keeps a decoder busy, and comes out as the same picture."""

from __future__ import annotations

import io
import resource
import struct
import time
import zlib
from functools import cache

import cv2
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from server.errors import InvalidImage
from server.preprocessing import decode_image
from server.preprocessing.png import SIGNATURE, essential

MANY = 400
MIB = 2**20


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@cache
def unfolding(size: int) -> bytes:
    """Zlib's shortest form of so many zeros."""
    packing = zlib.compressobj(9)
    return b"".join(packing.compress(bytes(MIB)) for _ in range(size // MIB)) + packing.flush()


def png_of(pixels: bytes, *others: bytes) -> bytes:
    """A grey PNG that says it is 28×28, of these compressed pixels, with other parts before them."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 28, 28, 8, 0, 0, 0, 0))
    return SIGNATURE + header + b"".join(others) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def stroke(mode: str, **options: object) -> bytes:
    pixels = np.full((40, 56), 255, np.uint8)
    cv2.line(pixels, (10, 8), (44, 30), 0, 5)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, "PNG", **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"xxXx"])
def test_parts_that_unfold_when_they_are_read_take_no_time(kind: bytes) -> None:
    content = {
        b"zTXt": b"x\0\0" + unfolding(7 * MIB),
        b"iTXt": b"x\0\1\0\0\0" + unfolding(7 * MIB),
        b"iCCP": b"x\0\0" + unfolding(7 * MIB),
    }.get(kind, bytes(7000))
    rows = zlib.compress(b"\0" + b"\xff" * 28 + (b"\0" + bytes(28)) * 27)
    data = png_of(rows, *[chunk(kind, content)] * MANY)
    started = time.thread_time()
    assert decode_image(data).any()
    # To unfold them takes many seconds.
    assert time.thread_time() - started < 2


def test_pixels_far_beyond_the_picture_are_refused() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InvalidImage, match="expected 28×28 pixels, got a PNG file of far more"):
        decode_image(png_of(unfolding(80 * MIB)))
    # They are unpacked some at a time. Kilobytes, on Linux.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


def test_some_pixels_too_many_are_read_over_as_decoders_do() -> None:
    rows = (b"\0" + b"\xff" * 28) + (b"\0" + bytes(28)) * 27
    np.testing.assert_array_equal(
        decode_image(png_of(zlib.compress(rows + bytes(10_000)))), decode_image(png_of(zlib.compress(rows)))
    )


def test_a_large_noisy_picture_is_read_whole() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (1100, 1000, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    assert len(file.getvalue()) > 3 * MIB
    assert decode_image(file.getvalue()).shape == (1100, 1000)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_a_picture_is_the_same_without_its_other_parts(mode: str) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("who", "somebody", zip=True)
    transparency = {"transparency": 0} if mode in ("P", "L", "RGB") else {}
    if mode == "RGB":
        transparency = {"transparency": (255, 255, 255)}
    full = stroke(mode, pnginfo=info, dpi=(72, 72), icc_profile=bytes(500), **transparency)
    bare = essential(full)
    assert len(bare) < len(full)
    assert b"tEXt" not in bare
    assert (b"tRNS" in bare) == bool(transparency)
    np.testing.assert_array_equal(decode_image(full), decode_image(bare))
    assert essential(bare) == bare


def test_an_interlaced_picture_has_the_pixels_of_all_its_passes() -> None:
    # Adam7's passes over 28×28: 4×4, 4×4, 7×4, 7×7, 14×7, 14×14 and 28×14 pixels, each row with its filter.
    sizes = ((4, 4), (4, 4), (7, 4), (7, 7), (14, 7), (14, 14), (28, 14))
    rows = b"".join((b"\0" + bytes(width)) * height for width, height in sizes)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 28, 28, 8, 0, 0, 0, 1))
    data = SIGNATURE + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert decode_image(data).shape == (28, 28)
