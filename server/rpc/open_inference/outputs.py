"""What a request wants back, and probabilities as the tensors of its answer."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from digits.oip import open_inference_pb2 as pb

from server.errors import InvalidArgument, Unsupported
from server.rpc.open_inference.model import CLASSES, DIGIT, NAME, PROBABILITIES
from server.rpc.open_inference.tensors import SHARED_MEMORY

Outputs: TypeAlias = tuple[tuple[str, int], ...]
"""Names of outputs, and how many classes are wanted as text, 0 for the tensor itself."""

EVERYTHING: Outputs = ((PROBABILITIES, 0), (DIGIT, 0))


def read_outputs(wanted: Sequence[pb.ModelInferRequest.InferRequestedOutputTensor]) -> Outputs:
    """What a request wants back. Raises InvalidArgument or Unsupported when it cannot have it."""
    outputs = tuple([_wanted(index, output) for index, output in enumerate(wanted)]) or EVERYTHING
    if len(outputs) > 1 and len({name for name, _ in outputs}) < len(outputs):
        raise InvalidArgument("outputs", "expected every output once")
    return outputs


def write_response(
    outputs: Outputs, version: int, request_id: str, probabilities: npt.NDArray[np.float32]
) -> bytes:
    """The answer of a version to a request for (N, 10) float32 probabilities: a ModelInferResponse."""
    contents = [_contents(name, top, probabilities) for name, top in outputs]
    rest = pb.ModelInferResponse(id=request_id, raw_output_contents=contents)
    # Messages put one after the other are one message, and most of this one is the same for many requests.
    return _head(outputs, version, len(probabilities)) + rest.SerializeToString()


@lru_cache(maxsize=256)
def _head(outputs: Outputs, version: int, rows: int) -> bytes:
    response = pb.ModelInferResponse(model_name=NAME, model_version=str(version))
    for name, top in outputs:
        if name == DIGIT:
            response.outputs.add(name=DIGIT, datatype="INT64", shape=(rows,))
        elif top:
            response.outputs.add(name=PROBABILITIES, datatype="BYTES", shape=(rows, top))
        else:
            response.outputs.add(name=PROBABILITIES, datatype="FP32", shape=(rows, CLASSES))
    return response.SerializeToString()


def _contents(name: str, top: int, probabilities: npt.NDArray[np.float32]) -> bytes:
    if name == DIGIT:
        digits: npt.NDArray[np.int64] = probabilities.argmax(axis=1)
        return digits.astype("<i8", copy=False).tobytes()
    if top:
        return _classification(probabilities, top)
    return probabilities.astype("<f4", copy=False).tobytes()


def _wanted(index: int, output: pb.ModelInferRequest.InferRequestedOutputTensor) -> tuple[str, int]:
    """The name of an output, and how many classes are wanted as text, 0 for the tensor itself."""
    name, parameters = output.name, output.parameters
    if name not in (PROBABILITIES, DIGIT):
        raise InvalidArgument(
            f"outputs[{index}].name",
            f"unexpected inference output '{name}' for model '{NAME}': "
            f"expected '{PROBABILITIES}' or '{DIGIT}'",
        )
    if SHARED_MEMORY in parameters:
        raise Unsupported(f"outputs[{index}]: shared memory is not supported")
    if "classification" not in parameters:
        return name, 0
    parameter = parameters["classification"]
    top = getattr(parameter, parameter.WhichOneof("parameter_choice") or "int64_param")
    if name != PROBABILITIES or isinstance(top, bool) or not isinstance(top, int) or top < 1:
        raise InvalidArgument(
            f"outputs[{index}].parameters.classification",
            f"expected a number of classes from 1, for '{PROBABILITIES}', got {top!r}",
        )
    return name, min(top, CLASSES)


def _classification(probabilities: npt.NDArray[np.float32], top: int) -> bytes:
    """The most probable digits as `score:index:label`, each after 4 bytes of its length."""
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    texts = (
        f"{row[digit]:f}:{digit}:{digit}".encode()
        for row, digits in zip(probabilities, best, strict=True)
        for digit in digits
    )
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)
