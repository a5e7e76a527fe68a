"""Archives of samples that nobody exports: damaged, miscounted, misnamed, or of another kind in every place.

What would unpack to too much, or lead out of its folder, is tried in torture_security_archives.py as well.
"""

from __future__ import annotations

import io
import random
import struct
import zipfile
from collections.abc import Callable
from functools import cache
from typing import Any

import cv2
import numpy as np

IDS = ("a", "b", "c")
NPZ = "samples.npz"
MIB = 2**20

Arrays = dict[str, Any]
Files = dict[str, bytes]


@cache
def archives() -> dict[str, bytes]:
    """By name. The first one is as it should be."""
    changes: dict[str, Callable[[Arrays, Files], None]] = {
        "whole": lambda arrays, files: None,
        "no drawings": lambda arrays, files: files.clear(),
        "a drawing too few": lambda arrays, files: files.pop("drawings/b.png") and None,
        "a drawing too many": lambda arrays, files: files.update({"drawings/d.png": files["drawings/a.png"]}),
        "a drawing that is none": lambda arrays, files: files.update({"drawings/a.png": b"no image"}),
        "a path": lambda arrays, files: files.update({"drawings/../../../../tmp/x.png": b""}),
        "an absolute path": lambda arrays, files: files.update({"/etc/passwd": b"x"}),
        "a name of no letters": lambda arrays, files: files.update({"drawings/\udcff\n\0.png": b""}),
        "a long name": lambda arrays, files: files.update({"drawings/" + "é" * 30_000: b""}),
    }
    for name, values in _odd_arrays().items():
        for odd, value in enumerate(values):
            changes[f"{name} {odd}"] = lambda arrays, files, name=name, value=value: arrays.update(
                {name: value}
            )
    found = {name: _archive(change) for name, change in changes.items()}
    whole = found["whole"]
    return {
        **found,
        "nothing": b"",
        "no zip": b"PK\3\4" + bytes(1000),
        "an end alone": b"PK\5\6" + bytes(18),
        "an end that points far away": whole[:-22]
        + b"PK\5\6"
        + struct.pack("<HHHHIIH", 0, 0, 9, 9, 99, 2**31, 0),
        "a comment of 64 KiB": whole[:-2] + b"\xff\xff" + b"PK\1\2" * 16_383,
        "two in one": whole + whole,
        "behind something": bytes(5000) + whole,
        **{f"array file {name}": _with_array_file(data) for name, data in _array_files().items()},
    }


def damaged(chance: random.Random) -> bytes:
    """A whole one with a few bytes changed, left out, or put in."""
    data = bytearray(archives()[chance.choice(list(archives()))])
    for _ in range(chance.choice((1, 1, 2, 8))):
        if not data:
            break
        place = chance.randrange(len(data))
        match chance.randrange(4):
            case 0:
                data[place] = chance.randrange(256)
            case 1:
                del data[place : place + chance.randrange(1, 50)]
            case 2:
                data[place:place] = chance.randbytes(chance.randrange(1, 50))
            case 3:
                del data[place:]
    return bytes(data)


def _archive(change: Callable[[Arrays, Files], None]) -> bytes:
    digit = np.zeros((28, 28), np.uint8)
    digit[5:20, 8:14] = 255
    drawing = cv2.imencode(".png", digit)[1].tobytes()
    arrays: Arrays = {
        "sample_id": np.array(IDS),
        "pixels": np.stack([digit, digit.T, np.roll(digit, 2)]),
        "label": np.array([1, 2, 3], np.uint8),
        "predicted_digit": np.array([1, 2, 3], np.uint8),
        "confidence": np.array([0.5, 0.6, 0.7], np.float32),
        "model_version": np.array([1, 1, 1], np.int32),
        "artifact_sha256": np.array([b"x" * 64] * 3),
    }
    files: Files = {f"drawings/{name}.png": drawing for name in IDS}
    change(arrays, files)
    return _zip({NPZ: _npz({name: _array_bytes(array) for name, array in arrays.items()}), **files})


def _odd_arrays() -> dict[str, list[Any]]:
    far = np.array([0xD800, 0x110000, 0x41], np.uint32).view("<U1")
    return {
        "sample_id": [
            np.array(["a", "a", "b"]),
            np.array(["a", "b"]),
            np.array(["../x", "b", "c"]),
            np.array(["", "b", "c"]),
            np.array([b"a", b"b", b"c"]),
            np.array([1, 2, 3]),
            np.array(["a" * 70, "b", "c"]),
            np.array([None, "b", "c"], object),
            np.zeros((3,), "V4"),
            np.zeros((0,), "U1"),
            far,
        ],
        "pixels": [
            np.zeros((3, 28, 28), np.uint8),
            np.ones((3, 28, 27), np.uint8),
            np.ones((3, 784), np.uint8),
            np.ones((3, 28, 28), np.uint16),
            np.ones((3, 28, 28), np.float64),
            np.asfortranarray(np.ones((3, 28, 28), np.uint8)),
            np.ones((0, 28, 28), np.uint8),
            np.uint8(1),
        ],
        "label": [
            np.array([-1, 2, 3]),
            np.array([1, 2, 10]),
            np.array([1.5, 2, 3]),
            np.array([2**63] * 3, "u8"),
        ],
        "predicted_digit": [np.array([300, 1, 1]), np.array([True] * 3), np.array(["1"] * 3)],
        "confidence": [
            np.array([np.nan] * 3),
            np.array([np.inf] * 3),
            np.array([-0.1] * 3),
            np.array([2.0] * 3),
        ],
        "model_version": [np.array([0] * 3), np.array([-(2**63)] * 3), np.array([2**31] * 3)],
        "artifact_sha256": [np.array(["x"] * 3), np.array([b""] * 3)],
        "create_time": [np.array(["NaT"] * 3, "M8[s]"), np.array([2**62] * 3, "M8[Y]"), np.array([1] * 3)],
        "use": [np.array(["nonsense"] * 3), np.array([1] * 3)],
        "unexpected": [np.array([1] * 3)],
    }


def _array_files() -> dict[str, bytes]:
    """What stands for `label.npy`."""

    def headed(header: str, data: bytes = b"\1\2\3", version: bytes = b"\1\0") -> bytes:
        length = struct.pack("<H" if version == b"\1\0" else "<I", len(header))
        return b"\x93NUMPY" + version + length + header.encode() + data

    said = "{'descr': '|u1', 'fortran_order': False, 'shape': %s}\n"
    return {
        "empty": b"",
        "without a header": b"\x93NUMPY",
        "of another version": headed(said % "(3,)", version=b"\3\0"),
        "of no version": headed(said % "(3,)", version=b"\7\0"),
        "that says too many": headed(said % "(999999999999,)"),
        "that says less than none": headed(said % "(-3,)"),
        "that says a negative product": headed(said % "(-3, -1)"),
        "that says no size at all": headed(said % "()"),
        "that says zero of infinitely many": headed(said % f"(0, {2**70})", b""),
        "of objects": headed(
            "{'descr': '|O', 'fortran_order': False, 'shape': (3,)}\n", b"cos\nsystem\n(S'id'\ntR."
        ),
        "of texts without length": headed("{'descr': '<U0', 'fortran_order': False, 'shape': (3,)}\n", b""),
        "of parts": headed("{'descr': [('a', '|u1', (3,))], 'fortran_order': False, 'shape': (1,)}\n"),
        "of a code": headed("{'descr': __import__('os').getpid(), 'fortran_order': 0, 'shape': (3,)}\n"),
        "of a deep header": headed("(" * 5000 + ")" * 5000),
        "of a long header": headed(said % "(3,)" + " " * 60_000),
        "of a longer header": headed(said % "(3,)" + " " * MIB, version=b"\2\0"),
    }


def _with_array_file(data: bytes) -> bytes:
    arrays = {
        "sample_id": _array_bytes(np.array(IDS)),
        "pixels": _array_bytes(np.ones((3, 28, 28), np.uint8)),
        "label": data,
    }
    return _zip({NPZ: _npz(arrays)})


def _array_bytes(array: Any) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=True)
    return file.getvalue()


def _npz(arrays: dict[str, bytes]) -> bytes:
    return _zip({f"{name}.npy": data for name, data in arrays.items()}, zipfile.ZIP_DEFLATED)


def _zip(files: Files, packing: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packing) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo("placeholder")
            info.compress_type = packing
            # As it is: a new ZipInfo would mend it.
            info.filename = name.encode(errors="replace").decode()
            archive.writestr(info, data)
    return file.getvalue()
