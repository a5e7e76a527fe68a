"""A PNG without what takes no part in its picture: texts, profiles and whatever else unfolds when it is read.

Decoders unpack a colour profile or a text as they meet one, 8 MB of it, for each of hundreds in a file; and
they read compressed pixels to their end, also those for which the picture has no place. Either keeps one busy
for many seconds with a file of some megabytes.

ISO/IEC 15948: 4.3 and 11.2 on the parts, 8.2 on interlacing, 10.1 on compression.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

SIGNATURE = b"\x89PNG\r\n\x1a\n"
TRANSPARENCY = b"tRNS"
_PIXELS, _END = b"IDAT", b"IEND"
# The small letter with which parts begin that a picture is complete without.
_IS_ANCILLARY = 0x20
# So many bytes come out of one of zlib's at most.
_MOST_FROM_ONE = 1032
# Pixels beyond the last one that are read over, as decoders do; to unpack so many takes a sixth of a second.
_MAX_SPARE_BYTES = 64 * 2**20
_TOGETHER_BYTES = 2**20
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Adam7's passes: the first column and row, and the steps to the next.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


class TooMuch(Exception):
    """There are far more pixels in a file than its picture has."""


def essential(data: bytes) -> bytes:
    """The same picture, without any part that it does not need.

    `data`: a PNG whose parts `read_header` has followed to their end. Raises TooMuch.
    """
    view = memoryview(data)
    parts, pixels = [view[: len(SIGNATURE)]], []
    position, kind, is_bare = len(SIGNATURE), b"", True
    while kind != _END:
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if kind[0] & _IS_ANCILLARY and kind != TRANSPARENCY:
            is_bare = False
        else:
            parts.append(view[position:end])
        if kind == _PIXELS:
            pixels.append(view[position + 8 : end - 4])
        position = end
    _refuse_too_many(pixels, _raw_bytes(data))
    return data if is_bare else b"".join(parts)


def _refuse_too_many(pixels: Sequence[memoryview], needed: int) -> None:
    """Whether these, compressed, are at most some more than are `needed`. Raises TooMuch."""
    allowed = needed + _MAX_SPARE_BYTES
    if _MOST_FROM_ONE * sum(len(part) for part in pixels) <= allowed:
        return  # As for every drawing: there can be no more.
    unpacking = zlib.decompressobj()
    try:
        for part in pixels:
            left: bytes | memoryview = part
            while left and not unpacking.eof:
                allowed -= len(unpacking.decompress(left, _TOGETHER_BYTES))
                if allowed < 0:
                    raise TooMuch
                left = unpacking.unconsumed_tail
    except zlib.error:
        return  # Whoever decodes it gets no further either.


def _raw_bytes(data: bytes) -> int:
    """How many bytes its pixels are, as they are before they are compressed."""
    width, height, depth, colour, _, _, is_interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    bits = depth * _CHANNELS[colour]
    if not is_interlaced:
        return _raw_bytes_of(width, height, bits)
    return sum(
        _raw_bytes_of(-(-(width - left) // across), -(-(height - top) // down), bits)
        for left, top, across, down in _PASSES
        if width > left and height > top
    )


def _raw_bytes_of(width: int, height: int, bits: int) -> int:
    """Of each row its filter, and its pixels in whole bytes."""
    return height * (1 + (width * bits + 7) // 8)
