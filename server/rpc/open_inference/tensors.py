"""Tensors of the protocol to images, and probabilities to tensors."""

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
    CLASSES,
    DIGIT,
    ENCODED,
    IMAGE,
    MAX_ROWS,
    NAME,
    PROBABILITIES,
    SIDE,
)

PIXELS = SIDE * SIDE
IMAGE_TYPES: Mapping[str, np.dtype[Any]] = {"UINT8": np.dtype("u1"), "FP32": np.dtype("<f4")}
SHARED_MEMORY = "shared_memory_region"

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
    # A single image may come without its batch.
    shape = [1, *tensor.shape] if len(tensor.shape) == 3 else list(tensor.shape)
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
    # A NaN is neither: it fails the comparison.
    if dtype.kind == "f" and not (values.min() >= 0 and values.max() <= 1):
        raise InvalidArgument(
            "inputs[0]", f"expected FP32 pixels in [0, 1], got {values.min():g} to {values.max():g}"
        )
    return values.reshape(rows, SIDE, SIDE)


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


class Outputs:
    """What a request wants back. Raises InvalidArgument or Unsupported when it cannot have it."""

    def __init__(self, wanted: Sequence[pb.ModelInferRequest.InferRequestedOutputTensor]) -> None:
        self._wanted = tuple(_wanted(index, output) for index, output in enumerate(wanted)) or _EVERYTHING
        if len({name for name, _ in self._wanted}) < len(self._wanted):
            raise InvalidArgument("outputs", "expected every output once")

    def write(self, response: pb.ModelInferResponse, probabilities: npt.NDArray[np.float32]) -> None:
        """Put the tensors for (N, 10) float32 probabilities into a response."""
        rows = len(probabilities)
        for name, top in self._wanted:
            if name == DIGIT:
                response.outputs.add(name=DIGIT, datatype="INT64", shape=(rows,))
                response.raw_output_contents.append(probabilities.argmax(axis=1).astype("<i8").tobytes())
            elif top:
                response.outputs.add(name=PROBABILITIES, datatype="BYTES", shape=(rows, top))
                response.raw_output_contents.append(_classification(probabilities, top))
            else:
                response.outputs.add(name=PROBABILITIES, datatype="FP32", shape=(rows, CLASSES))
                response.raw_output_contents.append(probabilities.astype("<f4", copy=False).tobytes())


_EVERYTHING = ((PROBABILITIES, 0), (DIGIT, 0))


def _wanted(index: int, output: pb.ModelInferRequest.InferRequestedOutputTensor) -> tuple[str, int]:
    """The name of an output, and how many classes are wanted as text, 0 for the tensor itself."""
    if output.name not in (PROBABILITIES, DIGIT):
        raise InvalidArgument(
            f"outputs[{index}].name",
            f"unexpected inference output '{output.name}' for model '{NAME}': "
            f"expected '{PROBABILITIES}' or '{DIGIT}'",
        )
    if SHARED_MEMORY in output.parameters:
        raise Unsupported(f"outputs[{index}]: shared memory is not supported")
    if "classification" not in output.parameters:
        return output.name, 0
    parameter = output.parameters["classification"]
    top = getattr(parameter, parameter.WhichOneof("parameter_choice") or "int64_param")
    if output.name != PROBABILITIES or isinstance(top, bool) or not isinstance(top, int) or top < 1:
        raise InvalidArgument(
            f"outputs[{index}].parameters.classification",
            f"expected a number of classes from 1, for '{PROBABILITIES}', got {top!r}",
        )
    return output.name, min(top, CLASSES)


def _classification(probabilities: npt.NDArray[np.float32], top: int) -> bytes:
    """The most probable digits as `score:index:label`, each after 4 bytes of its length."""
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    texts = (
        f"{row[digit]:f}:{digit}:{digit}".encode()
        for row, digits in zip(probabilities, best, strict=True)
        for digit in digits
    )
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def _text(shape: Sequence[int]) -> str:
    return f"[{','.join(map(str, shape))}]"
