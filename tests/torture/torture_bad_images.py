"""Image files that no program makes: damaged, lying about their size, or unfolding into far more."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

SIDE = 4096
MIB = 2**20
SIGNATURE = b"\x89PNG\r\n\x1a\n"

Picture = npt.NDArray[np.uint8]


def small() -> dict[str, bytes]:
    """Those that should be refused, or read, in an instant. The first ones are whole."""
    return {**whole(), **lying(), **others()}


def large() -> dict[str, Callable[[], bytes]]:
    """Those that are the most work of all that may be sent: made when they are asked for."""
    return {
        "png, 16 bits, RGBA, as large as may be": lambda: _png(
            SIDE, SIDE, 16, 6, _zeros((8 * SIDE + 1) * SIDE)
        ),
        "png, interlaced, as large as may be": lambda: _png(
            SIDE, SIDE, 8, 6, _zeros((4 * SIDE + 1) * SIDE + 8 * SIDE), interlaced=1
        ),
        "png, 1 bit of noise": lambda: _png(SIDE, SIDE, 1, 0, _noise_rows()),
        "png of specks": lambda: _pillow(_dots(3, 1), "PNG"),
        "png of a thousand squares": lambda: _pillow(_dots(150, 60), "PNG"),
        "png of a comb": lambda: _pillow(_comb(), "PNG"),
        "png whose texts unfold": lambda: _small_png(*[_chunk(b"zTXt", b"x\0\0" + _zeros(7 * MIB))] * 400),
        "png whose profile unfolds": lambda: _small_png(_chunk(b"iCCP", b"x\0\0" + _zeros(2048 * MIB))),
        "png of far more pixels than it says": lambda: _png(28, 28, 8, 0, _zeros(2048 * MIB)),
        "png of some more pixels than it says": lambda: _png(28, 28, 8, 0, _zeros(60 * MIB)),
        "jpeg, progressive, of 30 scans": _many_scans,
        "jpeg of noise": lambda: _pillow(_noise(40), "JPEG", quality=10),
        "webp without loss": lambda: _pillow(np.zeros((SIDE, SIDE, 4), np.uint8), "WEBP", lossless=True),
        "webp of noise with alpha": lambda: _pillow(
            np.dstack([_noise(60)] * 4), "WEBP", quality=1, method=0, alpha_quality=0
        ),
        "bmp that is one run": _bmp_of_runs,
    }


@cache
def whole() -> dict[str, bytes]:
    """A stroke, in every form that is read."""
    sheet = np.full((60, 80), 250, np.uint8)
    cv2.line(sheet, (12, 10), (60, 44), 20, 6)
    forms: dict[str, tuple[str, str, dict[str, object]]] = {
        "png": ("PNG", "RGB", {}),
        "png, alpha": ("PNG", "RGBA", {}),
        "png, palette": ("PNG", "P", {"transparency": 0}),
        "png, 1 bit": ("PNG", "1", {}),
        "jpeg": ("JPEG", "RGB", {}),
        "jpeg, grey, progressive": ("JPEG", "L", {"progressive": True}),
        "jpeg, four inks": ("JPEG", "CMYK", {}),
        "jpeg, turned": ("JPEG", "RGB", {"exif": _turned()}),
        "webp": ("WEBP", "RGB", {}),
        "webp, alpha": ("WEBP", "RGBA", {"lossless": True}),
        "bmp": ("BMP", "RGB", {}),
        "bmp, palette": ("BMP", "P", {}),
    }
    return {name: _pillow(sheet, form, mode, **more) for name, (form, mode, more) in forms.items()}


@cache
def lying() -> dict[str, bytes]:
    """Headers that say what is not so, and structures that lead nowhere."""
    files = whole()
    png, jpeg, bmp, webp = files["png"], files["jpeg"], files["bmp"], files["webp, alpha"]
    found: dict[str, bytes] = {}
    for width, height in ((0, 0), (1, 4096), (4096, 4096), (4097, 1), (2**31 - 1, 2**31 - 1), (2**32 - 1, 1)):
        found[f"png that says {width}×{height}"] = _png(width, height, 8, 2, zlib.compress(bytes(100)))
        wrong = bytearray(jpeg)
        struct.pack_into(">HH", wrong, jpeg.index(b"\xff\xc0") + 5, height % 65536, width % 65536)
        found[f"jpeg that says {width}×{height}"] = bytes(wrong)
    for width, height in (
        (80, -60),
        (80, -(2**31)),
        (-80, 60),
        (2**31 - 1, 2**31 - 1),
        (4096, -4096),
        (0, 0),
    ):
        wrong = bytearray(bmp)
        struct.pack_into("<ii", wrong, 18, width, height)
        found[f"bmp that says {width}×{height}"] = bytes(wrong)
    for depth, packing in ((0, 0), (3, 0), (8, 1), (4, 2), (24, 1), (32, 3), (24, 4), (24, 5), (255, 6)):
        wrong = bytearray(bmp)
        struct.pack_into("<HI", wrong, 28, depth, packing)
        found[f"bmp of {depth} bits, packed by {packing}"] = bytes(wrong)
    for colours in (1, 257, 2**16, 2**31, 2**32 - 1):
        wrong = bytearray(files["bmp, palette"])
        struct.pack_into("<I", wrong, 46, colours)
        found[f"bmp of {colours} colours"] = bytes(wrong)
    for depth in (0, 3, 16, 64, 255):
        for colour in (0, 1, 3, 6, 7):
            found[f"png of {depth} bits, colour {colour}"] = _png(
                28, 28, depth, colour, zlib.compress(bytes(5000))
            )
    flags = webp.index(b"VP8X") + 8 if b"VP8X" in webp else 20
    found["webp whose flags are all set"] = webp[:flags] + b"\xff" + webp[flags + 1 :]
    found["webp that says a gibibyte"] = webp[:4] + b"\xff\xff\xff\x3f" + webp[8:]
    found["png without an end"] = png[:-12]
    found["png that begins twice"] = png[:33] + png[8:]
    found["png whose pixels are in 9,000 parts"] = _in_parts(9_000)
    found["jpeg of fill bytes"] = jpeg[:2] + b"\xff" * 100_000 + jpeg[2:]
    found["jpeg of two frames"] = jpeg[:-2] + jpeg[2:]
    found["jpeg without pixels"] = jpeg[: jpeg.index(b"\xff\xda")] + b"\xff\xd9"
    return found


@cache
def others() -> dict[str, bytes]:
    """What is refused by its kind, and what is no picture."""
    sheet = np.full((20, 20), 255, np.uint8)
    first, second = Image.fromarray(sheet), Image.fromarray(255 - sheet)
    animated = {}
    for form in ("PNG", "WEBP", "GIF"):
        file = io.BytesIO()
        first.save(file, form, save_all=True, append_images=[second] * 3)
        animated[f"{form.lower()}, animated"] = file.getvalue()
    svg = b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg><text>&x;</text></svg>'
    return {
        **animated,
        "tiff": _pillow(sheet, "TIFF"),
        "svg": svg,
        "ppm of any size": b"P6 999999999 999999999 255\n",
        "pdf": b"%PDF-1.7\n",
        "avif": b"\0\0\0\x20ftypavif" + bytes(100),
        "radiance": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 99999 +X 99999\n",
        "jpeg 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100),
        "openexr": b"v/1\x01" + bytes(100),
        "nothing": b"",
        "a byte": b"\x89",
        "signature of png": SIGNATURE,
        "signature of jpeg": b"\xff\xd8\xff",
        "signature of bmp": b"BM",
        "signature of webp": b"RIFF\xff\xff\xff\xffWEBP",
        "zeros": bytes(5000),
    }


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def _pillow(pixels: Picture, form: str, mode: str = "", **options: object) -> bytes:
    picture = Image.fromarray(pixels)
    file = io.BytesIO()
    (picture.convert(mode) if mode else picture).save(file, form, **options)
    return file.getvalue()


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _png(
    width: int, height: int, depth: int, colour: int, pixels: bytes, *others: bytes, interlaced: int = 0
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return (
        SIGNATURE
        + _chunk(b"IHDR", header)
        + b"".join(others)
        + _chunk(b"IDAT", pixels)
        + _chunk(b"IEND", b"")
    )


def _small_png(*others: bytes) -> bytes:
    rows = b"".join(b"\0" + bytes([row * 9 % 256] * 28) for row in range(28))
    return _png(28, 28, 8, 0, zlib.compress(rows), *others)


def _in_parts(count: int) -> bytes:
    pixels = zlib.compress(np.random.default_rng(1).bytes(29 * 28 * 12))
    header = struct.pack(">IIBBBBB", 28, 28 * 12, 8, 0, 0, 0, 0)
    parts = b"".join(_chunk(b"IDAT", pixels[place : place + 1]) for place in range(min(count, len(pixels))))
    return SIGNATURE + _chunk(b"IHDR", header) + parts + _chunk(b"IEND", b"")


@cache
def _zeros(size: int) -> bytes:
    """As many zeros as zlib packs them, up to a file's 4 MiB."""
    packing = zlib.compressobj(9)
    packed = b"".join(packing.compress(bytes(MIB)) for _ in range(size // MIB))
    return (packed + packing.compress(bytes(size % MIB)) + packing.flush())[: 4 * MIB - 2000]


def _noise(levels: int) -> Picture:
    return np.random.default_rng(levels).integers(0, levels, (SIDE, SIDE), np.uint8)


def _noise_rows() -> bytes:
    generator = np.random.default_rng(2)
    return zlib.compress(b"".join(b"\0" + generator.bytes(SIDE // 8) for _ in range(SIDE)), 1)


def _dots(pitch: int, side: int) -> Picture:
    sheet = np.full((SIDE, SIDE), 255, np.uint8)
    for down in range(side):
        for right in range(side):
            sheet[down::pitch, right::pitch] = 0
    return sheet


def _comb() -> Picture:
    """Something like a line of digits that all touch: the most work for whoever cuts it."""
    sheet = np.full((48, SIDE), 255, np.uint8)
    sheet[4:-4, ::6] = sheet[4:-4, 1::6] = sheet[24] = 0
    return sheet


def _many_scans() -> bytes:
    levels = np.add.outer(np.arange(SIDE), np.arange(SIDE)) % 251
    data = _pillow(np.dstack([levels.astype(np.uint8)] * 3), "JPEG", quality=3, progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * min(20, (4 * MIB - len(data)) // len(last)) + data[-2:]


def _bmp_of_runs() -> bytes:
    pixels, start = b"\0\1", 14 + 40 + 1024
    header = struct.pack("<IiiHHIIiiII", 40, SIDE, SIDE, 1, 8, 1, len(pixels), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + bytes(1024) + pixels
