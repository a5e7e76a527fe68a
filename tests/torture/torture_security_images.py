"""Pictures that were made to be heavy, all within the limits: memory and time stay bounded for all."""

from __future__ import annotations

import io
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import grpc
import numpy as np
import numpy.typing as npt
from digits.v1 import prediction_pb2, sample_pb2
from PIL import Image
from torture_parts import TortureServer, running
from torture_security_archives import peak_mb, reset_peak
from torture_security_checks import Checks, call

SIDE = 4096
MAX_BYTES = 4 * 2**20
AT_ONCE = 8
# Two are decoded at a time: 4096×4096 pixels of 8 bytes take 128 MiB each, and what is made of them as much.
MOST_MEMORY_MB = 1500
# For one picture, of as many as are sent at once, on two cores that others use too.
MOST_S = 90.0
# For a plain prediction meanwhile.
MOST_BESIDE_S = 10.0
DIGIT = prediction_pb2.Image(pixels=bytes(200) + bytes([255] * 200) + bytes(384))


def try_images(folder: Path, checks: Checks, is_quick: bool) -> None:
    """Send every picture to one server, several at once, to everything that reads pictures."""
    folder.mkdir()
    server = TortureServer(folder / "server", DIGITS_MNIST="")
    # To make up what unpacks to gigabytes takes seconds by itself.
    pictures = dict(_odd(mb=50)) if is_quick else dict(_odd()) | dict(_large())
    with running(server), server.channel() as channel:
        for name, picture in pictures.items():
            assert len(picture) <= MAX_BYTES, f"{name}: {len(picture)} bytes"
            requests = _requests(picture)
            for method, request in list(requests.items())[: 1 if is_quick else None]:
                _try(server, channel, f"{name} to {method}", method, request, checks)
        checks.expect(not server.faults(), f"images: faults in the log: {server.faults()[:3]}")


def _try(
    server: TortureServer, channel: grpc.Channel, what: str, method: str, request: bytes, checks: Checks
) -> None:
    beside: list[float] = []
    is_done = threading.Event()
    reset_peak(server.pid)
    started = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE + 1) as pool:
        asked = pool.submit(_ask_beside, channel, is_done, beside)
        outcomes = list(pool.map(lambda _: call(channel, method, [request], timeout=MOST_S), range(AT_ONCE)))
        is_done.set()
        checks.expect(not asked.result(), f"{what}: a plain prediction beside it failed: {asked.result()}")
    took_s, memory_mb = time.monotonic() - started, peak_mb(server.pid)
    codes = {outcome.code for outcome in outcomes}
    checks.expect(codes <= {"OK", "INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"}, f"{what}: {codes} {outcomes[0]}")
    checks.expect(memory_mb < MOST_MEMORY_MB, f"{what}: {memory_mb:.0f} MB")
    checks.expect(took_s < MOST_S, f"{what}: {took_s:.1f} s")
    checks.expect(
        max(beside) < MOST_BESIDE_S, f"{what}: a plain prediction beside it took {max(beside):.1f} s"
    )


def _ask_beside(channel: grpc.Channel, is_done: threading.Event, times: list[float]) -> list[str]:
    """Ask for plain predictions until it is done; how they failed."""
    request = prediction_pb2.PredictRequest(image=DIGIT).SerializeToString()
    failed = []
    while True:
        started = time.monotonic()
        outcome = call(channel, "/digits.v1.PredictionService/Predict", [request])
        times.append(time.monotonic() - started)
        if outcome.code != "OK":
            failed.append(str(outcome))
        if is_done.wait(0.1):
            return failed


def _requests(picture: bytes) -> dict[str, bytes]:
    image = prediction_pb2.Image(encoded=picture)
    predict = prediction_pb2.PredictRequest(image=image)
    return {
        "/digits.v1.PredictionService/Predict": predict.SerializeToString(),
        "/digits.v1.PredictionService/ReadNumber": prediction_pb2.ReadNumberRequest(
            encoded=picture
        ).SerializeToString(),
        "/digits.v1.PredictionService/ExplainPrediction": prediction_pb2.ExplainPredictionRequest(
            image=image
        ).SerializeToString(),
        "/digits.v1.SampleService/AddSample": sample_pb2.AddSampleRequest(
            image=image, label=1
        ).SerializeToString(),
    }


def _large() -> Iterator[tuple[str, bytes]]:
    """As many pixels as there may be, of much detail or of much in each."""
    plain = np.full((SIDE, SIDE), 255, np.uint8)
    plain[1000:3000, 1900:2100] = 0
    rows, columns = np.indices((SIDE, SIDE), np.uint16)
    generator = np.random.default_rng(1)
    yield "16 bits, with alpha", _encoded(".png", np.dstack([plain.astype(np.uint16) * 257] * 4))
    yield "every second pixel", _bits((rows + columns) % 2 == 0)
    yield "every second row", _bits(rows % 2 == 0)
    yield "dots", _bits((rows % 3 == 0) & (columns % 3 == 0))
    yield (
        "squares in squares",
        _bits(np.maximum(abs(rows.astype(int) - 2048), abs(columns.astype(int) - 2048)) % 4 < 2),
    )
    scattered = generator.random((SIDE, SIDE)) < 0.01
    yield "scattered dots", _bits(scattered)
    yield "noise", _encoded(".png", generator.integers(0, 256, (1150, 1150, 3), np.uint8))
    yield "a line 4096 wide", _encoded(".png", plain[1500:1501])
    yield "a line 4096 high", _encoded(".png", plain[:, 1950:1951].copy())
    yield (
        "a JPEG of many scans",
        _encoded(".jpg", plain, cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_QUALITY, 5),
    )
    noise = generator.integers(0, 256, (2000, 2000), np.uint8)
    yield (
        "a JPEG of noise",
        _encoded(".jpg", noise, cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_QUALITY, 60),
    )
    yield (
        "a WebP without loss",
        _encoded(".webp", np.dstack([np.where(scattered, 0, 255).astype(np.uint8)] * 3), 64, 101),
    )
    yield "a BMP", _encoded(".bmp", plain[:1180, :1180].copy())


def _odd(mb: int = 400) -> Iterator[tuple[str, bytes]]:
    """Small pictures with something in them that unpacks to so many megabytes, or with very much of it."""
    pixels = np.full((100, 100), 255, np.uint8)
    pixels[20:80, 40:60] = 0
    small = _encoded(".png", pixels)
    packed = zlib.compress(bytes(mb * 10**6), 9)
    yield f"a text that unpacks to {mb} MB", _with_chunk(small, b"zTXt", b"x\0\0" + packed)
    yield f"a colour profile that unpacks to {mb} MB", _with_chunk(small, b"iCCP", b"x\0\0" + packed)
    yield "an Exif of 4 MB", _with_chunk(small, b"eXIf", bytes(3_900_000))
    yield "9,000 parts", _with_chunk(small, b"tEXt", b"a\0b", 9_000)
    yield "rows that unpack to too much", _idat_bomb(5 * mb // 2)


def _encoded(form: str, pixels: npt.NDArray[np.generic], *options: int) -> bytes:
    return bytes(cv2.imencode(form, pixels, list(options))[1])


def _bits(ink: npt.NDArray[np.bool_]) -> bytes:
    """A PNG of one bit a pixel, in which much detail takes few bytes."""
    file = io.BytesIO()
    Image.fromarray(~ink).save(file, "PNG", optimize=False)
    return file.getvalue()


def _with_chunk(png: bytes, kind: bytes, content: bytes, times: int = 1) -> bytes:
    """The same with a chunk more, behind its header."""
    end = 8 + 25
    return png[:end] + _chunk(kind, content) * times + png[end:]


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _idat_bomb(mb: int) -> bytes:
    """One pixel is said, and rows for so many million follow."""
    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(mb * 10**6), 9)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")
