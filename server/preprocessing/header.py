"""What an encoded image says about itself, read from its bytes before anything is decoded.

Decoders allocate what a header asks for and make the best of a file that breaks off. So the size is judged
here first, and the structure is followed to its end: a truncated or damaged file is refused, not half read.

PNG: ISO/IEC 15948. JPEG: ITU-T T.81, annex B. WebP: RFC 9649. BMP: Microsoft's BITMAPINFOHEADER and its kin.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from enum import StrEnum

from server.errors import InvalidImage
from server.preprocessing.png import SIGNATURE, TRANSPARENCY

MAX_BYTES = 4 * 2**20
MAX_SIDE = 4096
# Far beyond what any program writes. Crafted files hold a hundred thousand parts to keep a decoder busy: each
# scan of a progressive JPEG is a pass over all of its pixels.
_MAX_PARTS = 10_000
_MAX_SCANS = 32

# By colour type: grey, RGB, palette, grey with alpha, RGB with alpha.
_PNG_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
# In JPEG's compressed data 0xFF is followed by 0x00, or by a restart marker, D0 to D7: this is what ends it.
_JPEG_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class ImageFormat(StrEnum):
    """The formats that are read."""

    PNG = "PNG"
    JPEG = "JPEG"
    WEBP = "WebP"
    BMP = "BMP"


@dataclass(frozen=True)
class Header:
    """`width`, `height`: as stored, in pixels. `has_alpha`: whether pixels may be transparent."""

    format: ImageFormat
    width: int
    height: int
    has_alpha: bool


class _Damaged(Exception):
    """The bytes do not follow their format."""


def read_header(data: bytes) -> Header:
    """The header of a complete PNG, JPEG, WebP or BMP within the limits. Raises InvalidImage otherwise."""
    if not data:
        raise InvalidImage("image", "expected a PNG, JPEG, WebP or BMP file, got 0 bytes")
    if len(data) > MAX_BYTES:
        raise InvalidImage("image", f"expected at most {MAX_BYTES} bytes (4 MiB), got {len(data)}")
    form = _form(data)
    try:
        header = _READERS[form](data)
    except (_Damaged, struct.error, IndexError) as error:
        detail = str(error) if isinstance(error, _Damaged) else "it breaks off within its header"
        raise InvalidImage(
            "image", f"expected a complete {form} file, got {len(data)} bytes: {detail}"
        ) from error
    if not (1 <= header.width <= MAX_SIDE and 1 <= header.height <= MAX_SIDE):
        raise InvalidImage(
            "image", f"expected 1×1 to {MAX_SIDE}×{MAX_SIDE} pixels, got {header.width}×{header.height}"
        )
    return header


def _form(data: bytes) -> ImageFormat:
    if data.startswith(SIGNATURE):
        return ImageFormat.PNG
    if data.startswith(b"\xff\xd8\xff"):
        return ImageFormat.JPEG
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return ImageFormat.WEBP
    if data.startswith(b"BM"):
        return ImageFormat.BMP
    raise InvalidImage("image", f"expected PNG, JPEG, WebP or BMP, got {len(data)} bytes of another kind")


def _read_png(data: bytes) -> Header:
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    if depth not in _PNG_DEPTHS.get(colour, ()):
        raise _Damaged(f"its pixels are of {depth} bits and colour type {colour}, which PNG does not have")
    has_alpha = colour in (4, 6)
    view = memoryview(data)
    position = len(SIGNATURE)
    for part in range(_MAX_PARTS):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            raise _Damaged("it breaks off")
        if zlib.crc32(view[position + 4 : end - 4]) != int.from_bytes(view[end - 4 : end]):
            raise _Damaged("a checksum in it is wrong")
        if (part == 0) != (kind == b"IHDR"):
            raise _Damaged("its header is not where it should be")
        if kind == b"acTL":
            raise _Damaged("it is an animation; send a single picture")
        if kind == TRANSPARENCY:
            has_alpha = True
        if kind == b"IEND":
            return Header(ImageFormat.PNG, width, height, has_alpha)
        position = end
    raise _Damaged("it has too many parts")


def _read_jpeg(data: bytes) -> Header:
    width = height = scans = 0
    position = 2
    for _ in range(_MAX_PARTS):
        if data[position] != 0xFF:
            raise _Damaged("a part does not begin where it should")
        while data[position] == 0xFF:  # any number of them may precede a marker
            position += 1
        marker = data[position]
        position += 1
        if marker == 0xD9:
            if not (width and scans):
                raise _Damaged("it ends before its picture")
            return Header(ImageFormat.JPEG, width, height, has_alpha=False)
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:
            continue  # stands alone
        end = position + int(struct.unpack_from(">H", data, position)[0])
        if marker in _JPEG_FRAMES:
            if width:
                raise _Damaged("it has two frames")
            height, width = struct.unpack_from(">HH", data, position + 3)
        if marker == 0xDA:
            scans += 1
            found = _JPEG_NEXT_MARKER.search(data, end)
            if found is None:
                raise _Damaged("it breaks off")
            end = found.start()
        if scans > _MAX_SCANS:
            break
        position = end
    raise _Damaged("it has too many parts")


def _read_webp(data: bytes) -> Header:
    whole = 8 + int(struct.unpack_from("<I", data, 4)[0])
    if whole > len(data):
        raise _Damaged("it breaks off")
    sizes: list[tuple[int, int]] = []
    has_alpha = False
    position = 12
    for _ in range(_MAX_PARTS):
        if position + 8 > whole:
            break
        kind, length = struct.unpack_from("<4sI", data, position)
        start = position + 8
        position = start + length + length % 2
        if start + length > whole:
            raise _Damaged("it breaks off")
        if kind == b"VP8X":
            flags, wide, high = data[start], data[start + 4 : start + 7], data[start + 7 : start + 10]
            if flags & 0x02:
                raise _Damaged("it is an animation; send a single picture")
            has_alpha |= bool(flags & 0x10)
            sizes.append((int.from_bytes(wide, "little") + 1, int.from_bytes(high, "little") + 1))
        elif kind == b"VP8 ":
            code, wide_high = data[start + 3 : start + 6], struct.unpack_from("<HH", data, start + 6)
            if code != b"\x9d\x01\x2a":
                raise _Damaged("its picture does not begin as it should")
            sizes.append((wide_high[0] & 0x3FFF, wide_high[1] & 0x3FFF))
        elif kind == b"VP8L":
            signature, bits = struct.unpack_from("<BI", data, start)
            if signature != 0x2F:
                raise _Damaged("its picture does not begin as it should")
            has_alpha |= bool(bits >> 28 & 1)
            sizes.append(((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1))
    if not sizes or len(set(sizes)) > 1:
        raise _Damaged("its parts do not agree on a size")
    width, height = sizes[0]
    return Header(ImageFormat.WEBP, width, height, has_alpha)


def _read_bmp(data: bytes) -> Header:
    offset, header_size = struct.unpack_from("<II", data, 10)
    compression, compressed_size = 0, 0
    if header_size == 12:
        width, height, _, depth = struct.unpack_from("<HHHH", data, 18)
    else:
        width, height, _, depth = struct.unpack_from("<iiHH", data, 18)
        compression, compressed_size = struct.unpack_from("<II", data, 30)
    height = abs(height)  # negative: rows from the top down
    # 1 and 2 are run lengths; 0, 3 and 6 are plain rows, each padded to 4 bytes.
    size = compressed_size if compression in (1, 2) else (width * depth + 31) // 32 * 4 * height
    if offset + size > len(data):
        raise _Damaged("it breaks off")
    # Its fourth byte is unused far more often than it is alpha, and 0 then: never taken for transparency.
    return Header(ImageFormat.BMP, width, height, has_alpha=False)


_READERS = {
    ImageFormat.PNG: _read_png,
    ImageFormat.JPEG: _read_jpeg,
    ImageFormat.WEBP: _read_webp,
    ImageFormat.BMP: _read_bmp,
}
