"""From an archive to samples. It came from anybody: nothing in it is believed before it was looked at.

Sizes are judged before anything is unpacked, and zip's own reader gives out no more than an entry says it
holds. Nothing is ever written by a name of the archive, and arrays of Python objects are never read.
"""

from __future__ import annotations

import io
import math
import mmap
import re
import sys
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from server.errors import BlankImage, InvalidArchive, InvalidImage
from server.preprocessing import decode_image, normalise
from server.preprocessing.header import MAX_BYTES, ImageFormat, read_header
from server.samples.archive import ARRAYS, DRAWINGS, MAX_UNPACKED_BYTES, NPZ, REQUIRED, drawing_name
from server.samples.fingerprints import forms
from server.samples.sample import SIDE
from server.samples.samples import MAX_SAMPLES

ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
# Before each entry of a zip's list of contents.
ENTRY = b"PK\x01\x02"
ENCRYPTED = 0x1
# Characters of an array's description; NumPy writes fewer than 130.
MAX_HEADER = 1000
PACKED_BY = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What zip's reader raises for what is damaged.
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError, OSError)
# And what Python's parser does, to which NumPy gives the description of an array. What is nested too deep is
# a lack of memory to it.
NOT_PARSED = (MemoryError, SyntaxError, tokenize.TokenError)


@dataclass(frozen=True, eq=False)
class Archive:
    """The samples of an archive, N of them."""

    arrays: Mapping[str, npt.NDArray[Any]]
    """By name, those of `ARRAYS` that are there."""
    _zip: zipfile.ZipFile

    def __len__(self) -> int:
        return len(self.arrays["sample_id"])

    def drawing(self, index: int) -> bytes:
        """The drawing of a sample. Raises InvalidArchive."""
        name = drawing_name(str(self.arrays["sample_id"][index]))
        try:
            return self._zip.read(name)
        except DAMAGED as error:
            raise InvalidArchive(f"{name}: it is damaged: {error}") from error

    def fingerprints(self) -> Iterator[tuple[str, ...]]:
        """Of each sample in turn, every form of it that may equal a test digit. Raises InvalidArchive.

        Each drawing is decoded on the way, so that what comes out at the end is all in order.
        """
        for index, sample_id in enumerate(self.arrays["sample_id"]):
            name = drawing_name(str(sample_id))
            try:
                drawing = self.drawing(index)
                if (form := read_header(drawing).format) is not ImageFormat.PNG:
                    raise InvalidArchive(f"{name}: expected a PNG file, got {form}")
                ink = decode_image(drawing)
                normalise(ink)
            except (InvalidImage, BlankImage) as error:
                raise InvalidArchive(f"{name}: {error.description}") from error
            yield forms(self.arrays["pixels"][index], ink)


def unpack(file: IO[bytes]) -> Archive:
    """The archive in a file on the disk, its names, sizes and arrays checked. Raises InvalidArchive."""
    _refuse_too_many_entries(file)
    try:
        archive = zipfile.ZipFile(file)
    except DAMAGED as error:
        raise InvalidArchive(
            f"expected a zip archive, got something else or a damaged one: {error}"
        ) from error
    drawings = _check_names(archive)
    room = MAX_UNPACKED_BYTES - sum(info.file_size for info in archive.infolist())
    if room < 0:
        raise _too_large()
    try:
        npz = zipfile.ZipFile(io.BytesIO(archive.read(NPZ)))
    except DAMAGED as error:
        raise InvalidArchive(
            f"{NPZ}: expected a file of NumPy's savez, got a damaged one: {error}"
        ) from error
    if sum(info.file_size for info in npz.infolist()) > room:
        raise _too_large()
    arrays = _read_arrays(npz)
    wanted = {drawing_name(str(sample_id)) for sample_id in arrays["sample_id"]}
    if missing := sorted(wanted - drawings):
        raise InvalidArchive(f"{missing[0]}: it is missing, and a sample has this id")
    if spare := sorted(drawings - wanted):
        raise InvalidArchive(f"{spare[0]}: no sample has this id")
    return Archive(arrays, archive)


def _refuse_too_many_entries(file: IO[bytes]) -> None:
    """Count before the list of contents is read, which takes memory for each entry."""
    try:
        view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError:
        raise InvalidArchive("expected a zip archive, got 0 bytes") from None
    with view:
        # The same four bytes may lie in a drawing, by chance, once in four thousand million places.
        left, place = MAX_SAMPLES + 64, -1
        while left and (place := view.find(ENTRY, place + 1)) >= 0:
            left -= 1
    if not left:
        raise InvalidArchive(f"expected at most {MAX_SAMPLES:,} samples, got more files than that")


def _check_names(archive: zipfile.ZipFile) -> set[str]:
    """The names of the drawings. Raises InvalidArchive for any file that is not expected."""
    names: set[str] = set()
    for info in archive.infolist():
        name = info.filename
        _refuse_unreadable(name, info)
        if name in names:
            raise InvalidArchive(f"{name}: it is there twice")
        is_drawing = (
            name.startswith(DRAWINGS)
            and ID.fullmatch(sample_id := name.removeprefix(DRAWINGS).removesuffix(".png"))
            and name == drawing_name(sample_id)
        )
        if is_drawing and info.file_size > MAX_BYTES:
            raise InvalidArchive(f"{name}: expected at most {MAX_BYTES} bytes (4 MiB), got {info.file_size}")
        # Programs that pack a folder put the folder itself in too.
        if not is_drawing and name not in (NPZ, DRAWINGS):
            raise InvalidArchive(f"{name!r}: expected {NPZ} and drawings/<sample_id>.png only")
        names.add(name)
    if NPZ not in names:
        raise InvalidArchive(f"expected a file {NPZ}, got none")
    return names - {NPZ, DRAWINGS}


def _refuse_unreadable(name: str, info: zipfile.ZipInfo) -> None:
    if info.flag_bits & ENCRYPTED:
        raise InvalidArchive(f"{name!r}: expected a file without a password")
    if info.compress_type not in PACKED_BY:
        raise InvalidArchive(
            f"{name!r}: expected it stored or deflated, got zip's method {info.compress_type}"
        )


def _read_arrays(npz: zipfile.ZipFile) -> dict[str, npt.NDArray[Any]]:
    """The arrays of `samples.npz`, each of N ≥ 0 entries in its range. Raises InvalidArchive."""
    names = [info.filename.removesuffix(".npy") for info in npz.infolist()]
    for name, info in zip(names, npz.infolist(), strict=True):
        _refuse_unreadable(f"{NPZ}: {name}", info)
        if name not in ARRAYS or names.count(name) > 1:
            raise InvalidArchive(f"{NPZ}: {name!r}: expected only {', '.join(ARRAYS)}, each once")
    if missing := [name for name in REQUIRED if name not in names]:
        raise InvalidArchive(f"{NPZ}: expected an array {missing[0]!r}, got {', '.join(names) or 'none'}")
    arrays = {name: _read_array(npz, name) for name in names}
    count = len(arrays["sample_id"])
    if count > MAX_SAMPLES:
        raise InvalidArchive(f"{NPZ}: expected at most {MAX_SAMPLES:,} samples, got {count:,}")
    for name, array in arrays.items():
        shape = (count, SIDE, SIDE) if name == "pixels" else (count,)
        if array.shape != shape:
            raise InvalidArchive(f"{NPZ}: {name}: expected the shape {shape}, got {array.shape}")
    _check_values(arrays)
    return arrays


def _read_array(npz: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    """One array. Its header is judged by itself: NumPy would make room for whatever it says."""
    try:
        with npz.open(f"{name}.npy") as member:
            version = np.lib.format.read_magic(member)
            read_header_of = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, is_fortran, dtype = read_header_of(member, max_header_size=MAX_HEADER)
            data = member.read()
        if dtype.hasobject or dtype.kind not in ARRAYS[name]:
            raise InvalidArchive(f"{NPZ}: {name}: an array of {dtype} is not expected")
        if name == "pixels" and dtype != np.uint8:
            raise InvalidArchive(f"{NPZ}: {name}: expected uint8, got {dtype}")
        if len(data) != math.prod(shape) * dtype.itemsize:
            raise InvalidArchive(f"{NPZ}: {name}: expected {shape} of {dtype}, got {len(data)} bytes")
        if dtype.kind == "U" and data and np.frombuffer(data, f"{dtype.str[0]}u4").max() > sys.maxunicode:
            raise InvalidArchive(f"{NPZ}: {name}: expected texts, got characters that Unicode does not have")
        return np.frombuffer(data, dtype).reshape(shape, order="F" if is_fortran else "C")
    # Not in NumPy's words, or Python's: those are about the inside of this server.
    except (*DAMAGED, *NOT_PARSED, KeyError, TypeError) as error:
        raise InvalidArchive(
            f"{NPZ}: {name}: it cannot be read; expected an array in NumPy's format 1.0 or 2.0, whole"
        ) from error


def _check_values(arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    ids = [str(one) for one in arrays["sample_id"]]
    for index, sample_id in enumerate(ids):
        if not ID.fullmatch(sample_id):
            raise InvalidArchive(
                f"{NPZ}: sample_id[{index}]: expected 1 to 64 letters, digits, - and _, got {sample_id!r}"
            )
    if len(set(ids)) < len(ids):
        raise InvalidArchive(f"{NPZ}: sample_id: expected each id once")
    blank = ~arrays["pixels"].any(axis=(1, 2))
    if blank.any():
        raise InvalidArchive(f"{NPZ}: pixels[{blank.argmax()}]: expected a drawn digit, got no ink")
    for name, low, high in (
        ("label", 0, 9),
        ("predicted_digit", 0, 9),
        ("confidence", 0.0, 1.0),
        ("model_version", 1, 2**31 - 1),
    ):
        if name not in arrays:
            continue
        # Written so that what is no number fails too.
        is_wrong = ~((arrays[name] >= low) & (arrays[name] <= high))
        if is_wrong.any():
            place = int(is_wrong.argmax())
            got = arrays[name][place]
            raise InvalidArchive(f"{NPZ}: {name}[{place}]: expected {low} to {high}, got {got}")


def _too_large() -> InvalidArchive:
    return InvalidArchive(f"expected at most {MAX_UNPACKED_BYTES >> 20} MiB unpacked, got more")
