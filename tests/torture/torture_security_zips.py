"""The archives that the security part sends: what is odd about each, and how it is made."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

CHUNK = 2**20

Files = dict[str, bytes]
Arrays = dict[str, npt.NDArray[np.generic]]
Trick = tuple[str, Callable[[], Iterator[bytes]], bool]
"""Name, archive in parts, and whether it may be taken: where what is odd about it is of no consequence."""


def _digit(shape: tuple[int, int] = (28, 28)) -> npt.NDArray[np.uint8]:
    pixels = np.zeros(shape, np.uint8)
    pixels[shape[0] // 4 : shape[0] // 2, shape[1] // 4 : shape[1] * 3 // 4] = 255
    return pixels


def _png(shape: tuple[int, int] = (28, 28)) -> bytes:
    return cv2.imencode(".png", _digit(shape))[1].tobytes()


def _arrays(*ids: str) -> Arrays:
    count = len(ids)
    return {
        "sample_id": np.array(ids, np.str_),
        "pixels": np.stack([_digit()] * count),
        "label": np.full(count, 7),
    }


def _npz(arrays: Arrays, raw: Files | None = None) -> bytes:
    """What savez would write; `raw` are members as they are, in place of an array or beside."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            # Arrays of objects too: whether they are read is what is tried.
            np.lib.format.write_array(member, array, allow_pickle=True)
            archive.writestr(f"{name}.npy", member.getvalue())
        for name, data in (raw or {}).items():
            archive.writestr(name, data)
    return file.getvalue()


def _zip(files: Files, change: Callable[[zipfile.ZipInfo], None] = lambda info: None) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo("placeholder")
            info.filename = name  # As it is: a new ZipInfo would mend it.
            change(info)
            archive.writestr(info, data)
    return file.getvalue()


def _whole(data: bytes) -> Callable[[], Iterator[bytes]]:
    return lambda: iter([data[start : start + CHUNK] for start in range(0, len(data), CHUNK)] or [b""])


class _Evil:
    """What unpickles to a command."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, (str(self._path),)


def tricks(outside: Path) -> Iterator[Trick]:
    """Name, archive, and whether it may be taken: where what is odd about it is of no consequence."""
    good = {"samples.npz": _npz(_arrays("a")), "drawings/a.png": _png()}
    yield "as it should be", _whole(_zip(good)), True
    evil = str(outside / "evil.png")
    for name in (
        *("../evil.png", "drawings/../../evil.png", "drawings/../../../../../../../../tmp/evil.png", evil),
        *(
            "/etc/evil.png",
            "//evil.png",
            "..\\evil.png",
            "drawings\\..\\..\\evil.png",
            "C:\\evil.png",
            "C:evil.png",
        ),
        *(
            "\\\\host\\share\\evil.png",
            "drawings/a/../../b.png",
            "drawings/./a.png",
            "drawings//a.png",
            "drawings/.png",
        ),
        *(
            "drawings/..png",
            "drawings/...png",
            "drawings/a.PNG",
            "DRAWINGS/a.png",
            "drawings/a.png/",
            "drawings/a.png ",
        ),
        *(
            "drawings/a\x00.png",
            "\x00",
            "drawings/a.png\x00../../evil",
            "drawings/\u202egnp.a",
            "drawings/ä.png",
        ),
        *(
            "drawings/CON",
            "aux",
            "drawings/a.png:stream",
            "~/evil.png",
            "$HOME/evil.png",
            "drawings/a\n.png",
            "",
        ),
        *("samples.npz/", "samples.npz/../../evil", "a" * 60_000, "%2e%2e/evil.png", "file:///tmp/evil.png"),
    ):
        yield f"a file named {name[:40]!r}", _whole(_zip({**good, name: b"evil"})), False
    for name in (
        "../evil",
        "a/b",
        "/etc/passwd",
        "",
        "a" * 65,
        "C:\\a",
        "a\x00b",
        "..",
        "a b",
        "\ud7ff",
        "a" * 10**6,
    ):
        files = {"samples.npz": _npz(_arrays(name)), f"drawings/{name[:60_000]}.png": _png()}
        yield f"a sample named {name[:20]!r}", _whole(_zip(files)), False
    # Names of devices on another system, and names that differ by case only: no file is made of either.
    ids = ("CON", "con", "NUL", "aux", "A", "a", "COM1", "-", "_", "--help", "0")
    odd = {"samples.npz": _npz(_arrays(*ids))} | {f"drawings/{one}.png": _png() for one in ids}
    yield "samples named as devices, and by case only", _whole(_zip(odd)), True

    def link(info: zipfile.ZipInfo) -> None:
        info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16

    yield "links instead of files", _whole(_zip({**good, "drawings/a.png": b"/etc/passwd"}, link)), False
    yield "a link beside", _whole(_zip({**good, "link": b"/etc"}, link)), False

    def device(info: zipfile.ZipInfo) -> None:
        info.create_system, info.external_attr = 3, (stat.S_IFCHR | 0o6777) << 16

    yield "a device that sets user ids", _whole(_zip(good, device)), True
    twice = _zip({**good, "drawings/b.png": _png()}).replace(b"drawings/b.png", b"drawings/a.png")
    yield "a file that is there twice", _whole(twice), False
    yield (
        "another name before the file than in the list",
        _whole(_zip(good).replace(b"drawings/a", b"../../etc/a", 1)),
        False,
    )
    yield "a file of many names", _whole(_zip(good) + _zip(good)), True
    yield "something before it", _whole(b"#!/bin/sh\n" * 100 + _zip(good)), True
    yield "something behind it", _whole(_zip(good) + bytes(70_000)), False
    yield from _odd_arrays(outside, good)
    yield from _odd_sizes(good)


def _odd_arrays(outside: Path, good: Files) -> Iterator[Trick]:
    """What is no array of plain numbers."""
    evil = np.array([_Evil(outside / "from-a-pickle")], dtype=object)
    for name in ("pixels", "label", "sample_id", "update_time"):
        yield (
            f"objects as {name}",
            _whole(_zip({**good, "samples.npz": _npz({**_arrays("a"), name: evil})})),
            False,
        )
    run = "__import__('os').mkdir('%s')" % (outside / "from-a-header")
    headers = {
        "a call": "{'descr': " + run + ", 'fortran_order': False, 'shape': (1,)}",
        "a call in the shape": "{'descr': '<i8', 'fortran_order': False, 'shape': (" + run + ",)}",
        "objects": "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        "parts": "{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,)}",
        "a huge shape": "{'descr': '<i8', 'fortran_order': False, 'shape': (9223372036854775807,)}",
        "a shape beyond 64 bits": "{'descr': '<i8', 'fortran_order': 0, 'shape': (8589934592, 2147483648)}",
        "an open bracket": "{'descr': '<i8', (",
        "brackets": "(" * 900,
        "an open text": '{\'descr\': """',
        "a shape below nothing": "{'descr': '<i8', 'fortran_order': False, 'shape': (-1,)}",
        "a shape of truths": "{'descr': '<i8', 'fortran_order': False, 'shape': (True,)}",
        "no number": "{'descr': '<i8', 'fortran_order': False, 'shape': (1.0,)}",
        "nothing": "",
        "deep brackets": "(" * 9_000,
        "many signs": "{'descr': " + "-" * 9_000 + "1, 'fortran_order': False, 'shape': (1,)}",
        "deep lists": "{'descr': " + "[" * 90 + "]" * 90 + ", 'fortran_order': False, 'shape': (1,)}",
        "a long text": "{'descr': '" + "<i8," * 2_000 + "', 'fortran_order': False, 'shape': (1,)}",
        "too long a header": "{'descr': '<i8', 'fortran_order': False, 'shape': (1,)}" + " " * 60_000,
    }
    for name, header in headers.items():
        raw = {"label.npy": _npy(header)}
        arrays = {key: array for key, array in _arrays("a").items() if key != "label"}
        yield f"a header with {name}", _whole(_zip({**good, "samples.npz": _npz(arrays, raw)})), False
    for version in ((0, 0), (3, 0), (255, 255)):
        raw = {"label.npy": b"\x93NUMPY" + bytes(version) + bytes(200)}
        yield f"arrays of version {version}", _whole(_zip({**good, "samples.npz": _npz({}, raw)})), False
    for name in ("../label.npy", "evil.npy", "label.npy.npy", "pixels", "__class__.npy"):
        raw = {name: _npy("{'descr': '<i8', 'fortran_order': False, 'shape': (1,)}") + bytes(8)}
        yield f"an array named {name}", _whole(_zip({**good, "samples.npz": _npz(_arrays("a"), raw)})), False
    wrong: dict[str, npt.NDArray[np.generic]] = {
        "label": np.array([10]),
        "pixels": np.zeros((1, 28, 28), np.uint8),
        "sample_id": np.array([["a"]]),
        "confidence": np.array([np.nan]),
        "model_version": np.array([-(2**63)]),
        "predicted_digit": np.array([2**63], np.uint64),
        "artifact_sha256": np.array([b"\xff" * 64]),
    }
    for name, array in wrong.items():
        files = {**good, "samples.npz": _npz({**_arrays("a"), name: array})}
        yield f"{name} that makes no sense", _whole(_zip(files)), name == "artifact_sha256"


def _npy(header: str) -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text)) + text


def _odd_sizes(good: Files) -> Iterator[Trick]:
    """Too much, or another size than is said; none of these is large itself."""
    plain = _zip(good)
    for size in (0, 1, 21, 22, len(plain) // 2, len(plain) - 1):
        yield f"cut off after {size} bytes", _whole(plain[:size]), False
    for said in (0, 1, 2**31 - 1, 2**32 - 1):
        # In the list of contents, where the size after unpacking stands 24 bytes into each entry.
        place = plain.index(b"PK\x01\x02") + 24
        yield (
            f"{said} bytes said",
            _whole(plain[:place] + struct.pack("<I", said) + plain[place + 4 :]),
            False,
        )
    place = plain.rindex(b"PK\x05\x06")
    yield "65,535 files said", _whole(plain[: place + 8] + b"\xff\xff\xff\xff" + plain[place + 12 :]), True
    yield (
        "no list of contents where it is said",
        _whole(plain[: place + 16] + b"\xff" * 4 + plain[place + 20 :]),
        False,
    )
    yield "an archive in an archive", _whole(_zip({"samples.npz": plain, "drawings/a.png": plain})), False
    yield "a drawing of 4096×4096", _whole(_zip({**good, "drawings/a.png": _png((4096, 4096))})), True
    yield "a drawing that is too large", _whole(_zip({**good, "drawings/a.png": _png((4097, 8))})), False
    for kind in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):

        def pack(info: zipfile.ZipInfo, kind: int = kind) -> None:
            info.compress_type = kind

        yield f"packed by method {kind}", _whole(_zip(good, pack)), False


def bombs() -> Iterator[Trick]:
    """What is large, or unpacks to much."""

    def deflate(info: zipfile.ZipInfo) -> None:
        info.compress_type = zipfile.ZIP_DEFLATED

    good = {"samples.npz": _npz(_arrays("a")), "drawings/a.png": _png()}
    yield "65 MiB", lambda: iter([bytes(CHUNK)] * 65), False
    yield "4 GiB", lambda: iter([bytes(CHUNK)] * 4096), False
    yield "a message of 2 MiB", lambda: iter([bytes(2 * CHUNK)]), False
    yield "one byte a message", lambda: (plain[i : i + 1] for i in range(len(plain))), True
    plain = _zip(good)
    yield (
        "300 MiB of nothing as the arrays",
        _whole(_zip({"samples.npz": bytes(300 * 2**20)}, deflate)),
        False,
    )
    inner = _npz({**_arrays("a"), "label": np.zeros(40 * 2**20)})
    yield "300 MiB as an array", _whole(_zip({**good, "samples.npz": inner})), False
    inner = _npz({**_arrays("a"), "sample_id": np.array(["a" * 20 * 2**20], np.str_)})
    yield "a sample id of 20 million letters", _whole(_zip({**good, "samples.npz": inner})), False
    many = {f"drawings/{number}.png": bytes(4 * 2**20) for number in range(70)}
    yield "280 MiB of drawings", _whole(_zip({**good, **many}, deflate)), False
    yield (
        "150,000 files",
        _whole(_zip({**good, **{f"drawings/{number}.png": b"" for number in range(150_000)}})),
        False,
    )
    # One piece of deflated data that every entry of the list of contents points to.
    overlap = _zip({**good, **{f"drawings/{number:05d}.png": b"" for number in range(20_000)}})
    yield "20,000 samples without drawings", _whole(overlap), False
