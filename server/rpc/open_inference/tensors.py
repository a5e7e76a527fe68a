"""Tensors of the protocol to images."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from digits.oip import open_inference_pb2 as pb

from server.errors import InvalidArgument, Unsupported
from server.prediction import EncodedImage
from server.rpc.open_inference.model import (
    ENCODED,
    IMAGE,
    MAX_ROWS,
    NAME,
    SIDE,
)

PIXELS = SIDE * SIDE
IMAGE_TYPES: Mapping[str, np.dtype[Any]] = {"UINT8": np.dtype("u1"), "FP32": np.dtype("<f4")}
SHARED_MEMORY = "shared_memory_region"
ONE = int(np.float32(1).view("<u4"))
# Of a shape that came, so many sizes are looked at: a million of them are no tensor of anybody's.
MAX_RANK = 8

Images = npt.NDArray[np.uint8] | npt.NDArray[np.float32]


def read_input(request: pb.ModelInferRequest) -> Images | list[EncodedImage]:
    """What a request asks about: model inputs (N, 28, 28), uint8 or float32 in [0, 1], or N encoded images.

    Raises InvalidArgument that names the field, Unsupported for shared memory.
    """
    if len(request.inputs) != 1:
        raise InvalidArgument(
            "inputs", f"expected one of '{IMAGE}' and '{ENCODED}', got {len(request.inputs)} inputs"
        )
    tensor = request.inputs[0]
    if tensor.parameters and SHARED_MEMORY in tensor.parameters:
        raise Unsupported("inputs[0]: shared memory is not supported; send the contents")
    raw = _raw_contents(request, tensor)
    if tensor.name == IMAGE:
        return _images(tensor, raw)
    if tensor.name == ENCODED:
        return _encoded(tensor, raw)
    raise InvalidArgument(
        "inputs[0].name",
        f"unexpected inference input '{tensor.name}' for model '{NAME}': expected '{IMAGE}' or '{ENCODED}'",
    )


def _raw_contents(
    request: pb.ModelInferRequest, tensor: pb.ModelInferRequest.InferInputTensor
) -> bytes | None:
    """The input's bytes, None when its contents are typed. Raises InvalidArgument."""
    count = len(request.raw_input_contents)
    if not count:
        if not tensor.HasField("contents"):
            raise InvalidArgument(
                "inputs[0].contents", "expected contents or raw_input_contents, got neither"
            )
        return None
    if count != 1:
        raise InvalidArgument("raw_input_contents", f"expected one entry for each input, 1, got {count}")
    if tensor.HasField("contents"):
        raise InvalidArgument("inputs[0].contents", "expected none beside raw_input_contents")
    return request.raw_input_contents[0]


def _images(tensor: pb.ModelInferRequest.InferInputTensor, raw: bytes | None) -> Images:
    dtype = IMAGE_TYPES.get(tensor.datatype)
    if dtype is None:
        raise InvalidArgument(
            "inputs[0].datatype", f"expected UINT8 or FP32 for '{IMAGE}', got '{tensor.datatype}'"
        )
    shape = list(tensor.shape[: MAX_RANK + 1])
    if len(shape) == 3:
        shape = [1, *shape]  # A single image may come without its batch.
    if len(shape) != 4 or shape[1:] != [SIDE, SIDE, 1]:
        raise InvalidArgument(
            "inputs[0].shape",
            f"unexpected shape for input '{IMAGE}': expected [-1,28,28,1], got {_text(shape)}",
        )
    rows = _rows(shape[0])
    if raw is None:
        values = _typed_images(tensor, dtype, rows)
    elif len(raw) != rows * PIXELS * dtype.itemsize:
        raise InvalidArgument(
            "raw_input_contents[0]",
            f"expected {rows * PIXELS * dtype.itemsize} bytes, got {len(raw)}",
        )
    else:
        values = np.frombuffer(raw, dtype)
    if dtype.kind == "f" and not _are_shares(values):
        raise InvalidArgument(
            "inputs[0]", f"expected FP32 pixels in [0, 1], got {values.min():g} to {values.max():g}"
        )
    return values.reshape(rows, SIDE, SIDE)


def _are_shares(values: Images) -> bool:
    """Whether all float32 values are in [0, 1]. A NaN is not."""
    # As whole numbers, floats from 0 to 1 are those up to 1's, so that one look is enough; but for -0.
    if values.view("<u4").max() <= ONE:
        return True
    return bool(values.min() >= 0 and values.max() <= 1)


def _typed_images(tensor: pb.ModelInferRequest.InferInputTensor, dtype: np.dtype[Any], rows: int) -> Images:
    field = "fp32_contents" if dtype.kind == "f" else "uint_contents"
    contents: Sequence[float] = getattr(tensor.contents, field)
    if len(contents) != rows * PIXELS:
        raise InvalidArgument(
            f"inputs[0].contents.{field}", f"expected {rows * PIXELS} elements, got {len(contents)}"
        )
    if dtype.kind == "u" and max(contents) > 255:
        raise InvalidArgument(
            f"inputs[0].contents.{field}", f"expected UINT8 pixels, 0 to 255, got {max(contents)}"
        )
    return np.asarray(contents, dtype)


def _encoded(tensor: pb.ModelInferRequest.InferInputTensor, raw: bytes | None) -> list[EncodedImage]:
    if tensor.datatype != "BYTES":
        raise InvalidArgument(
            "inputs[0].datatype", f"expected BYTES for '{ENCODED}', got '{tensor.datatype}'"
        )
    if len(tensor.shape) != 1:
        raise InvalidArgument(
            "inputs[0].shape",
            f"unexpected shape for input '{ENCODED}': expected [-1], got {_text(tensor.shape)}",
        )
    rows = _rows(tensor.shape[0])
    files = list(tensor.contents.bytes_contents) if raw is None else _split(raw, rows)
    if len(files) != rows:
        raise InvalidArgument(
            "inputs[0].contents.bytes_contents", f"expected {rows} elements, got {len(files)}"
        )
    return [EncodedImage(file) for file in files]


def _split(raw: bytes, rows: int) -> list[bytes]:
    """The elements of a BYTES tensor, each after 4 bytes of its length. Raises InvalidArgument."""
    files: list[bytes] = []
    start = 0
    while start < len(raw) and len(files) < rows:
        if len(raw) - start < 4:
            break
        (size,) = struct.unpack_from("<I", raw, start)
        start += 4
        if size > len(raw) - start:
            raise InvalidArgument(
                "raw_input_contents[0]",
                f"expected {size} bytes of element {len(files)}, got {len(raw) - start}",
            )
        files.append(raw[start : start + size])
        start += size
    if start != len(raw) or len(files) != rows:
        raise InvalidArgument(
            "raw_input_contents[0]",
            f"expected {rows} elements, each after 4 bytes of its length, got {len(files)} "
            f"and {len(raw) - start} more bytes",
        )
    return files


def _rows(rows: int) -> int:
    if not 1 <= rows <= MAX_ROWS:
        raise InvalidArgument("inputs[0].shape", f"expected 1 to {MAX_ROWS} images, got {rows}")
    return rows


def _text(shape: Sequence[int]) -> str:
    told = [str(size) for size in shape[:MAX_RANK]] + ["…"] * (len(shape) > MAX_RANK)
    return f"[{','.join(told)}]"
